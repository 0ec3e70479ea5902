"""What the relay and an answer make of each way in which a model server can fail."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from werkzeug.test import TestResponse

from relay.settings import Settings
from relay.sse import Decoder
from tests.apps import client
from tests.misbehaving import MisbehavingServer
from tests.misbehaviours import TEXT

# behaviour, status of the relay, then the state of the answer, its error and its text
WHOLE = [
    "normal",
    "trickle",
    "cut-utf8",
    "crlf",
    "cr",
    "close-delimited",
    "content-length",
    "gzip",
    "closing",
    "thinking",
    "usage-only",
    "finish-null",
    "429",
    "503",
]
CUT = ["cut-mid-chunk", "cut-clean", "cut-in-line", "finish-empty", "cut-close-delimited", "cut-content-length"]
REFUSED = ["401", "404", "429-long", "500", "redirect", "html", "json", "no-answer", "too-long"]


def ask(upstream: MisbehavingServer, data: Path, behaviour: str, path: str, **settings: float) -> TestResponse:
    """Ask an application whose upstream misbehaves so."""
    url = f"{upstream.url}/{behaviour}"
    field = "prompt" if path == "/talkeAbout" else "name"
    with client(Settings(data_dir=data, upstream_url=url, model="mock", upstream_retries=1, **settings)) as asking:
        response = asking.post(path, json={field: "x"}, headers={"Accept": "text/event-stream"})
        response.get_data()
        response.close()
    return response


def answer(response: TestResponse) -> tuple[dict, str]:
    """Read an answer's terminal event and its text."""
    got = Decoder().feed(response.data)
    assert got[-1].event == "done"
    return json.loads(got[-1].data), "".join(json.loads(e.data).get("content", "") for e in got if e.event == "message")


@pytest.mark.parametrize("behaviour", WHOLE)
def test_an_answer_is_whole_in_every_framing(
    upstream_server: MisbehavingServer, tmp_path: Path, behaviour: str
) -> None:
    done, text = answer(ask(upstream_server, tmp_path, behaviour, "/stream"))
    assert (done["state"], text, done["chars"]) == ("complete", TEXT, len(TEXT))


@pytest.mark.parametrize("behaviour", CUT)
def test_an_answer_that_was_cut_is_never_complete(
    upstream_server: MisbehavingServer, tmp_path: Path, behaviour: str
) -> None:
    done, text = answer(ask(upstream_server, tmp_path, behaviour, "/stream"))
    assert (done["state"], done["error"]["code"]) == ("interrupted", "upstream_broken")
    assert TEXT.startswith(text) and text


@pytest.mark.parametrize("behaviour", CUT)
def test_a_relay_that_was_cut_says_so_in_a_last_event_of_its_own(
    upstream_server: MisbehavingServer, tmp_path: Path, behaviour: str
) -> None:
    response = ask(upstream_server, tmp_path, behaviour, "/talkeAbout")
    *before, last = [json.loads(event.data) for event in Decoder().feed(response.data)]
    assert last == {
        "error": {"message": "The model server broke off before the end of the answer.", "type": "upstream_error"}
    }
    assert before and all("choices" in chunk for chunk in before)


@pytest.mark.parametrize("behaviour", CUT)
def test_a_relay_that_was_cut_leaves_no_block_without_data(
    upstream_server: MisbehavingServer, tmp_path: Path, behaviour: str
) -> None:
    blocks = ask(upstream_server, tmp_path, behaviour, "/talkeAbout").data.split(b"\n\n")
    assert blocks.pop() == b""
    assert all(block.startswith(b"data: {") for block in blocks)


def test_a_long_text_that_says_how_streams_end_has_not_ended(
    upstream_server: MisbehavingServer, tmp_path: Path
) -> None:
    response = ask(upstream_server, tmp_path, "cut-behind-a-word", "/talkeAbout")
    assert len(response.data) > 5000 and response.data.endswith(b'"type":"upstream_error"}}\n\n')


@pytest.mark.parametrize("behaviour", WHOLE)
def test_the_relay_adds_nothing_to_a_whole_answer(
    upstream_server: MisbehavingServer, tmp_path: Path, behaviour: str
) -> None:
    response = ask(upstream_server, tmp_path, behaviour, "/talkeAbout")
    assert b"DONE" in response.data and b'"error"' not in response.data


@pytest.mark.parametrize("behaviour", REFUSED)
def test_what_fails_before_the_stream_is_a_502(
    upstream_server: MisbehavingServer, tmp_path: Path, behaviour: str
) -> None:
    response = ask(upstream_server, tmp_path, behaviour, "/talkeAbout")
    assert (response.status_code, response.mimetype) == (502, "application/problem+json")
    assert "127.0.0.1" not in response.text


@pytest.mark.parametrize("behaviour", REFUSED)
def test_what_fails_before_the_first_word_is_a_failed_answer(
    upstream_server: MisbehavingServer, tmp_path: Path, behaviour: str
) -> None:
    done, text = answer(ask(upstream_server, tmp_path, behaviour, "/stream"))
    assert (done["state"], text, done["chars"]) == ("failed", "", 0)
    assert done["error"]["message"] and "127.0.0.1" not in json.dumps(done)


def test_an_upstream_that_takes_too_long_is_a_504(upstream_server: MisbehavingServer, tmp_path: Path) -> None:
    response = ask(upstream_server, tmp_path, "slow-headers", "/talkeAbout", first_byte_timeout_s=0.2)
    assert (response.status_code, response.json["code"]) == (504, "upstream_timeout")


def test_an_upstream_that_is_not_there_is_a_502(tmp_path: Path) -> None:
    with client(
        Settings(data_dir=tmp_path, upstream_url="http://127.0.0.1:9", model="m", upstream_retries=0)
    ) as asking:
        response = asking.post("/talkeAbout", json={"prompt": "x"})
    assert (response.status_code, response.json["code"]) == (502, "upstream_unreachable")


def test_an_upstream_that_is_not_there_and_lists_nothing_is_a_502(tmp_path: Path) -> None:
    with client(Settings(data_dir=tmp_path, upstream_url="http://127.0.0.1:9", upstream_retries=0)) as asking:
        assert "<option selected>default</option>" in asking.get("/").text
        for model in ({}, {"model": "default"}, {"model": "other"}):
            response = asking.post("/talkeAbout", json={"prompt": "x", **model})
            assert (response.status_code, response.json["code"]) == (502, "upstream_unreachable")


@pytest.mark.parametrize("behaviour", ["error-string", "error-object"])
def test_an_error_inside_the_stream_keeps_what_was_said(
    upstream_server: MisbehavingServer, tmp_path: Path, behaviour: str
) -> None:
    done, text = answer(ask(upstream_server, tmp_path, behaviour, "/stream"))
    assert (done["state"], done["error"]["code"]) == ("interrupted", "upstream_failed")
    assert TEXT.startswith(text) and text


@pytest.mark.parametrize("behaviour", ["error-string", "error-object"])
def test_the_relay_adds_nothing_to_an_error_that_the_upstream_told(
    upstream_server: MisbehavingServer, tmp_path: Path, behaviour: str
) -> None:
    response = ask(upstream_server, tmp_path, behaviour, "/talkeAbout")
    assert response.data.count(b'"error"') == 1


def test_a_line_without_end_is_given_up(upstream_server: MisbehavingServer, tmp_path: Path) -> None:
    for path in ("/stream", "/talkeAbout"):
        response = ask(upstream_server, tmp_path, "never-ending-line", path, max_event_bytes=65_536)
        assert "longer than allowed" in response.text


def test_reasoning_is_told_apart_from_the_answer(upstream_server: MisbehavingServer, tmp_path: Path) -> None:
    got = Decoder().feed(ask(upstream_server, tmp_path, "thinking", "/stream").data)
    phases = [json.loads(event.data)["phase"] for event in got if event.event == "phase"]
    assert phases == ["connecting", "waiting", "thinking", "writing"]


def test_raw_text_that_breaks_off_says_so_in_its_last_line(upstream_server: MisbehavingServer, tmp_path: Path) -> None:
    url = f"{upstream_server.url}/cut-clean"
    with client(Settings(data_dir=tmp_path, upstream_url=url, model="mock")) as asking:
        text = asking.post("/stream", json={"name": "x"}).text
    assert text == f"{TEXT}\n\n[The model server broke off before the end of the answer.]\n"


def test_an_upstream_that_does_not_end_its_stream_after_its_last_word_is_left(
    upstream_server: MisbehavingServer, tmp_path: Path
) -> None:
    done, text = answer(ask(upstream_server, tmp_path, "no-end", "/stream"))
    assert (done["state"], text) == ("complete", TEXT)
    upstream_server.wait_for_closed()


@pytest.mark.parametrize("path", ["/stream", "/talkeAbout"])
def test_what_fails_in_mid_stream_stands_in_the_log(
    upstream_server: MisbehavingServer, tmp_path: Path, caplog: pytest.LogCaptureFixture, path: str
) -> None:
    assert b"broke off" in ask(upstream_server, tmp_path, "cut-mid-chunk", path).data
    assert [record.message.partition(":")[0] for record in caplog.records].count("UpstreamBroken") == 1
