"""Which scope each route asks of a caller. What does not stand here, nobody gets."""

from __future__ import annotations

CHAT, API, ADMIN = "chat", "api", "admin"
ALL = "all"  # open to everyone, whoever they are
ANY = "any"  # to everyone who is somebody
ITSELF = "itself"  # the route asks, behind the check of names

SCOPES = {
    "static": ALL,
    "ops.healthz": ALL,
    "ops.readyz": ALL,
    "ops.metrics": ITSELF,
    "access.login": ALL,
    "access.enter": ALL,
    "oidc.begin": ALL,
    "oidc.end": ALL,
    "access.leave": ANY,
    "access.leave_everywhere": ANY,
    "access.account": ANY,
    "admin.index": ADMIN,
    "admin.tokens": ADMIN,
    "admin.create": ADMIN,
    "admin.revoke": ADMIN,
    "admin.sign_out": ADMIN,
    "v1.models": API,
    "v1.model": API,
    "v1.complete": API,
    "v1.events": API,
    "v1.stop": API,
    "usage_page.everyones": ADMIN,
    "usage_page.as_csv": ADMIN,
    "usage_page.mine": CHAT,
    "pages.shared": ALL,
    "pages.chat": CHAT,
    "pages.conversation": CHAT,
    "pages.ask": CHAT,
    "pages.again": CHAT,
    "pages.go_on": CHAT,
    "pages.stop": CHAT,
    "list_page.conversations": CHAT,
    "playground.page": CHAT,
    "article.stream": CHAT,
    "article.talke_about": CHAT,
    "article.talke_about_test_event": CHAT,
    "article.talke_about_test_sse_emitter": CHAT,
    "channel.connect": CHAT,
    "channel.cut": CHAT,
    "channel.send": CHAT,
    "answers.create": CHAT,
    "answers.events": CHAT,
    "answers.go_on": CHAT,
    "answers.show": CHAT,
    "answers.stop": CHAT,
    "conversations.change": CHAT,
    "conversations.create": CHAT,
    "conversations.delete": CHAT,
    "conversations.export": CHAT,
    "conversations.get": CHAT,
    "conversations.list_": CHAT,
    "conversations.restore": CHAT,
    "conversations.revoke": CHAT,
    "conversations.share": CHAT,
    "conversations.take_in": CHAT,
    "probe.gone": CHAT,
    "probe.stream": CHAT,
    "files.attach": CHAT,
    "files.remove": CHAT,
    "files.show": CHAT,
}


def scope_of(endpoint: str | None) -> str:
    """Name what a route asks for; an address that does not exist says so to everyone who is somebody."""
    return ANY if endpoint is None else SCOPES.get(endpoint, "")
