"""Files: attached, sent, given back to their owner alone, gone in time."""

from __future__ import annotations

import io
import re
import threading
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest
import requests
from flask.testing import FlaskClient
from sqlalchemy import func, select

from answers.database import Database
from answers.file_kinds import of_text
from answers.files import Files
from answers.hidden import Hidden
from answers.store import Store
from answers.tables import files
from relay.errors import Conflict
from relay.file_errors import FileGone
from relay.settings import Settings
from tests.apps import another, browser, here
from tests.documents import pdf, png
from tests.misbehaving import MisbehavingServer
from tests.servers import Server

API = "/api/files"
NOBODY = str(uuid.UUID(int=0))
SLOW = b"(a) Tj " * 5_000_000  # read in minutes
QUICK_S = 1.0


@pytest.fixture
def client(tmp_path: Path, upstream_server: MisbehavingServer) -> Iterator[FlaskClient]:
    """Make an application before a model that takes images, and a browser."""
    upstream = f"{upstream_server.url}/normal"
    bounds = {"max_files": 3, "max_files_chars": 5000, "max_file_bytes": 100_000}
    with browser(tmp_path, upstream_url=upstream, image_models="mock", poem_delay_ms=0, **bounds) as made:
        yield made


def attach(client: FlaskClient, data: bytes = b"# Notes", name: str = "notes.md") -> Any:
    return client.post(API, data={"file": (io.BytesIO(data), name)})


def ask(client: FlaskClient, prompt: str, *ids: str, **more: str) -> Any:
    """Ask, and wait for the end of the answer."""
    asked = client.post("/api/answers", json={"prompt": prompt, "model": "mock", "files": ids, **more})
    if asked.status_code == 202:
        row = here(client).store.answer(asked.json["answer"])
        assert row
        list(here(client).readers.follow(row, 0))
    return asked


def read_by_the_model(server: MisbehavingServer) -> list[Any]:
    return [message["content"] for message in orjson.loads(server.completions[-1].body)["messages"]]


def kept(database: Database) -> int:
    return int(database.query(lambda connection: connection.scalar(select(func.count()).select_from(files))) or 0)


def test_a_file_is_attached_and_given_back(client: FlaskClient) -> None:
    made = attach(client)
    shown = {"name": "notes.md", "type": "text/markdown", "bytes": 7, "chars": 7, "tokens": 2}
    assert made.status_code == 201
    assert made.json == {"id": made.json["id"], **shown, "path": made.headers["Location"]}
    back = client.get(made.json["path"])
    assert (back.data, back.content_type) == (b"# Notes", "text/plain; charset=utf-8")
    assert back.headers["Content-Disposition"].startswith("attachment;")
    assert "sandbox" in back.headers["Content-Security-Policy"]
    assert back.headers["X-Content-Type-Options"] == "nosniff"


def test_an_image_can_be_shown_and_a_pdf_comes_back_as_its_text(client: FlaskClient) -> None:
    image = client.get(attach(client, png(), "a.png").json["path"])
    assert (image.data, image.content_type) == (png(), "image/png")
    assert image.headers["Content-Disposition"].startswith("inline;")
    text = client.get(attach(client, pdf("Hello World"), "雨.pdf").json["path"])
    assert (text.text, text.content_type) == ("Hello World", "text/plain; charset=utf-8")
    assert text.headers["Content-Disposition"] == "attachment; filename*=UTF-8''%E9%9B%A8.pdf.txt"


def test_the_model_reads_it_before_the_question_and_in_later_turns(
    client: FlaskClient, upstream_server: MisbehavingServer
) -> None:
    asked = ask(client, "Why?", attach(client).json["id"], attach(client, png(), "a.png").json["id"])
    (content,) = read_by_the_model(upstream_server)
    assert [part["type"] for part in content] == ["image_url", "text"]
    assert content[1]["text"] == "File: notes.md\n```\n# Notes\n```\n\nImage: a.png\n\nWhy?"
    ask(client, "And then?", conversation=asked.json["conversation"])
    assert read_by_the_model(upstream_server)[::2] == [content, "And then?"]


def test_a_prompt_asked_again_keeps_its_files_and_other_files_make_another_prompt(client: FlaskClient) -> None:
    first, second = attach(client).json["id"], attach(client, b"other").json["id"]
    asked = ask(client, "Why?", first)
    where = {"conversation": asked.json["conversation"], "parent": ""}
    ask(client, "Why?", first, **where)
    ask(client, "Why?", second, **where)
    ask(client, "An edited question", first, **where)
    messages = client.get(f"/api/conversations/{where['conversation']}").json["messages"]
    prompts = [each for each in messages if each["role"] == "user"]
    assert [[file["id"] for file in each["files"]] for each in prompts] == [[first], [second], [first]]


def test_the_same_answer_is_not_begun_with_other_files(client: FlaskClient) -> None:
    answer, file = str(uuid.uuid4()), attach(client).json["id"]
    assert ask(client, "x", file, answer=answer).status_code == 202
    assert ask(client, "x", file, answer=answer).status_code == 202
    assert ask(client, "x", answer=answer).status_code == 409


def test_a_file_is_its_owner_s_alone(client: FlaskClient) -> None:
    file, stranger = attach(client).json, another(client)
    assert stranger.get(file["path"]).status_code == 404
    assert stranger.delete(file["path"]).status_code == 404
    refused = ask(stranger, "x", file["id"])
    assert (refused.status_code, refused.json["field"], refused.json["code"]) == (422, "files", "file_gone")
    assert client.get(file["path"]).status_code == 200


def test_what_was_sent_goes_into_no_other_conversation(client: FlaskClient) -> None:
    file = attach(client).json["id"]
    ask(client, "x", file)
    assert ask(client, "y", file).json["code"] == "file_gone"


@pytest.mark.parametrize("file", ["x", NOBODY, "\0", "x" * 37])
def test_a_file_that_is_nowhere_is_refused(client: FlaskClient, file: str) -> None:
    assert ask(client, "x", file).status_code == 422
    assert client.get(f"{API}/{file.strip(chr(0)) or 'x'}").status_code == 404


def test_only_what_is_not_sent_can_be_removed(client: FlaskClient) -> None:
    first, second = attach(client).json, attach(client).json
    assert client.delete(first["path"]).status_code == 204 and client.get(first["path"]).status_code == 404
    ask(client, "x", second["id"])
    assert client.delete(second["path"]).status_code == 409 and client.get(second["path"]).status_code == 200


def test_a_message_takes_so_many_files_and_so_much_text(client: FlaskClient) -> None:
    small = [attach(client, b"x").json["id"] for _ in range(4)]
    assert ask(client, "x", *small).json["code"] == "too_many_files"
    large = [attach(client, b"x" * 3000).json["id"] for _ in range(2)]
    assert ask(client, "x", *large).json["code"] == "too_much_text"
    assert ask(client, "x", large[0], *small[:2]).status_code == 202


def test_a_model_that_takes_no_images_gets_none(client: FlaskClient, upstream_server: MisbehavingServer) -> None:
    image = attach(client, png(), "a.png").json["id"]
    assert ask(client, "x", image, model="poem").json["code"] == "images_not_taken"
    asked = ask(client, "x", image)
    again = ask(client, "x", image, model="poem", conversation=asked.json["conversation"], parent="")
    assert again.status_code == 202
    history = here(client).store.history(again.json["answer"])
    assert history == [{"role": "user", "content": "Image: a.png (not shown to this model)\n\nx"}]


@pytest.mark.parametrize(
    ("data", "status", "code"),
    [
        (b"PK\x03\x04\0\0", 415, "file_not_taken"),
        (b"\xe9t\xe9", 422, "file_unreadable"),
        (b"x" * 5001, 422, "too_much_text"),
        (pdf(b" "), 422, "pdf_without_text"),
        (b"x" * 100_001, 413, "file_too_large"),
    ],
)
def test_a_refusal_is_a_problem_that_names_its_kind(client: FlaskClient, data: bytes, status: int, code: str) -> None:
    refused = attach(client, data)
    assert (refused.status_code, refused.json["code"], refused.json["field"]) == (status, code, "file")


def test_what_is_no_form_with_one_file_is_refused(client: FlaskClient) -> None:
    both = {"file": [(io.BytesIO(b"a"), "a"), (io.BytesIO(b"b"), "b")]}
    for data, status in (({"file": "text"}, 422), (both, 422), (b"x", 415), ({"file": (io.BytesIO(b"a"), "")}, 422)):
        assert client.post(API, data=data, content_type=None if data != b"x" else "text/plain").status_code == status


def test_what_a_user_has_not_sent_is_bounded(tmp_path: Path) -> None:
    with browser(tmp_path, max_unsent_bytes=50_000) as client:
        made = [attach(client, b"x" * 10_000) for _ in range(3)]
        assert [each.status_code for each in made] == [201, 201, 422]
        assert attach(another(client), b"x" * 10_000).status_code == 201
        client.delete(made[0].json["path"])
        assert attach(client, b"x" * 10_000).status_code == 201


def test_what_is_never_sent_goes_after_a_day_and_a_conversation_s_files_with_it(database: Database, user: str) -> None:
    text = of_text("a.txt", "text/plain", 1, "x")
    before = kept(database)
    day, store = Files(database, Settings()), Store(database)
    sent, _ = day.add(user, text), day.add(user, text)
    row, _ = store.begin(user, "x", "poem", files=(sent.id,))
    assert day.purge() is False and kept(database) == before + 2
    while Files(database, Settings(unsent_keep_s=0)).purge():
        pass
    assert kept(database) == 1
    with pytest.raises(Conflict):
        day.remove(user, sent.id)
    Hidden(database, 0).hide(user, row.conversation)
    Hidden(database, 0).purge()
    assert kept(database) == 0
    with pytest.raises(FileGone):
        store.begin(user, "x", "poem", files=(sent.id,))


def test_an_export_holds_its_files_and_an_import_takes_them_back(client: FlaskClient) -> None:
    ids = [attach(client).json["id"], attach(client, png(), "a.png").json["id"]]
    asked = ask(client, "Why?", *ids)
    path = f"/api/conversations/{asked.json['conversation']}/export?format="
    assert "Files: notes.md, a.png" in client.get(f"{path}markdown").text
    document = client.get(f"{path}json").json
    assert document["messages"][0]["files"][0]["text"] == "# Notes"
    other = another(client)
    made = other.post("/api/conversations/import", json=document)
    found = other.get(f"/api/conversations/{made.json['id']}").json["messages"][0]["files"]
    assert [(file["name"], file["type"], file["tokens"]) for file in found] == [
        ("notes.md", "text/markdown", 2),
        ("a.png", "image/png", 1000),
    ]
    assert [other.get(file["path"]).data for file in found] == [b"# Notes", png()]


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({}, "files"),
        ([{}] * 4, "files"),
        ([{"text": "x"}], "files[0].name"),
        ([{"name": "a", "text": 5}], "files[0].text"),
        ([{"name": "a", "data": "?"}], "files[0].data"),
        ([{"name": "a.svg", "data": "PHN2Zy8+"}], "files[0]"),
        ([{"name": "a", "text": "x" * 3000}] * 2, "files"),
    ],
)
def test_what_is_wrong_with_an_imported_file_is_named(client: FlaskClient, given: Any, field: str) -> None:
    prompt = {"id": "a", "parent": None, "role": "user", "content": "x", "files": given}
    refused = client.post("/api/conversations/import", json={"messages": [prompt]})
    assert (refused.status_code, refused.json["field"]) == (422, f"messages[0].{field}")


def test_a_shared_page_names_files_and_shows_nothing_of_them(client: FlaskClient) -> None:
    file = attach(client, b"the secret", "plans.md").json
    asked = ask(client, "Why?", file["id"])
    path = client.post(f"/api/conversations/{asked.json['conversation']}/share", json={}).json["path"]
    page = another(client).get(path).text
    assert "plans.md" in page and file["id"] not in page and "the secret" not in page
    client.delete(f"/api/conversations/{asked.json['conversation']}")
    assert client.get(file["path"]).status_code == 404


def test_a_pdf_that_takes_for_ever_holds_nobody_up(tmp_path: Path) -> None:
    with Server(tmp_path, TALKABOUT_PDF_TIMEOUT_S="2") as server:
        refused: list[requests.Response] = []

        def upload() -> None:
            sent = {"file": ("slow.pdf", pdf(SLOW))}
            refused.append(requests.post(server.url + API, files=sent, timeout=60))

        reading = threading.Thread(target=upload)
        reading.start()
        waits = []
        while reading.is_alive():
            began = time.monotonic()
            assert server.answers()
            waits.append(time.monotonic() - began)
            reading.join(0.05)
        assert refused[0].json()["code"] == "pdf_too_much"
        assert len(waits) > 5 and max(waits) < QUICK_S


def test_the_form_takes_files_and_keeps_them_for_the_next_try_and_for_an_edited_question(client: FlaskClient) -> None:
    sent = {"prompt": "Why?", "model": "poem", "file": [(io.BytesIO(b"# One"), "a.md"), (io.BytesIO(png()), "b.png")]}
    refused = client.post("/", data=sent)
    assert refused.status_code == 422 and "This model takes no images." in refused.text
    kept_ids = attached_in(refused.text)
    page = client.post("/", data={"prompt": "Why?", "model": "mock", "attached": kept_ids}).text
    assert page.count('class="file"') > 2 and "a.md" in page
    conversation = client.get("/api/conversations").json["conversations"][0]["id"]
    prompt = client.get(f"/api/conversations/{conversation}").json["messages"][0]
    assert [file["name"] for file in prompt["files"]] == ["a.md", "b.png"]
    assert attached_in(client.get(f"/c/{conversation}?edit={prompt['id']}").text) == kept_ids
    many = {"prompt": "Why?", "model": "mock", "attached": " ".join([NOBODY] * 4)}
    assert client.post("/", data=many).status_code == 422


def attached_in(page: str) -> str:
    found = re.search(r'name="attached" value="([^"]*)"', page)
    assert found
    return found[1]
