"""Signing in, making a token and revoking it, in a browser without JavaScript."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from answers.database import Database
from answers.tokens import SCOPES, Tokens
from relay.settings import Settings
from tests.chat_page import WAIT_MS
from tests.oidc_provider import CLIENT, SECRET, running
from tests.servers import Server

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, str]]:
    """Run a server that asks for tokens; give its address and a token for everything."""
    folder = tmp_path_factory.mktemp("tokens")
    with Server(folder, TALKABOUT_AUTH="token") as server, closing(Database(Settings(data_dir=folder))) as database:
        yield server.url, Tokens(database).create("boss", scopes=frozenset(SCOPES))[0]


@pytest.fixture
def page(browser: Browser, place: tuple[str, str]) -> Iterator[Page]:
    """Open the login page, come to while the page of tokens was wanted, and type the token."""
    context = browser.new_context(java_script_enabled=False, locale="en-US")
    opened = context.new_page()
    opened.set_default_timeout(WAIT_MS)
    opened.goto(f"{place[0]}/admin/tokens")
    opened.get_by_label("Your token").fill(place[1])
    yield opened
    context.close()


def test_a_token_is_made_and_used_without_javascript(page: Page) -> None:
    page.get_by_role("button", name="Enter").click()
    page.get_by_label("User").first.fill("bob")
    page.get_by_label("What it is for").fill("laptop")
    page.get_by_role("button", name="Make the token").click()
    made = page.get_by_role("status").locator("code").inner_text()
    page.get_by_role("link", name="Signed in: boss").click()
    page.get_by_role("button", name="Sign out", exact=True).click()
    page.get_by_label("Your token").fill(made)
    page.get_by_role("button", name="Enter").click()
    expect(page.get_by_role("link", name="Signed in: bob")).to_be_visible()
    page.goto(page.url.rstrip("/") + "/admin/tokens")
    expect(page.get_by_role("heading", name="There is no such page.")).to_be_visible()


def test_a_token_is_revoked_without_javascript(page: Page) -> None:
    page.get_by_role("button", name="Enter").click()
    page.get_by_label("User").first.fill("carol")
    page.get_by_role("button", name="Make the token").click()
    page.get_by_role("button", name="Revoke: carol").click()
    expect(page.get_by_text("revoked 20")).to_be_visible()
    expect(page.get_by_role("button", name="Revoke: carol")).to_have_count(0)


def test_whoever_signs_out_is_led_through_the_provider_and_back(browser: Browser, tmp_path: Path) -> None:
    with running() as provider:
        known = {"ISSUER": provider.issuer, "CLIENT_ID": CLIENT, "CLIENT_SECRET": SECRET}
        settings = {f"TALKABOUT_OIDC_{name}": value for name, value in known.items()}
        with Server(tmp_path, TALKABOUT_AUTH="oidc", **settings) as server:
            provider.offers = {"end_session_endpoint": f"{provider.issuer}/leave"}
            provider.leads_back_to = [f"{server.url}/login"]
            context = browser.new_context(java_script_enabled=False, locale="en-US")
            page = context.new_page()
            page.set_default_timeout(WAIT_MS)
            page.goto(f"{server.url}/login")
            page.get_by_role("link", name="Sign in with your account").click()
            page.get_by_role("link", name="Signed in: alice").click()
            page.get_by_role("button", name="Sign out", exact=True).click()
            expect(page.get_by_role("link", name="Sign in with your account")).to_be_visible()
            assert (page.url, provider.signed_out) == (f"{server.url}/login", [f"{server.url}/login"])
            context.close()
