"""Errors before a stream: every row of CONTRACT section 9 that this version can meet."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest
import requests

from tests.servers import Server

JSON = {"Content-Type": "application/json"}
PARTS = {"Content-Type": "multipart/form-data; boundary=x"}
BAD = [
    # method, path, arguments, status, field
    ("POST", "/stream", {"data": b"{", "headers": JSON}, 400, None),
    ("POST", "/stream", {"data": b"[" * 100_000, "headers": JSON}, 400, None),
    ("POST", "/stream", {"data": b"\xff\xfe", "headers": JSON}, 400, None),
    ("POST", "/stream", {"json": []}, 400, None),
    ("POST", "/stream", {"data": b'{"name": "\\ud800"}', "headers": JSON}, 400, None),
    ("POST", "/stream", {"data": "name=x"}, 415, None),
    ("POST", "/stream", {"data": b'{"name": "x"}', "headers": {"Content-Type": "text/plain"}}, 415, None),
    ("POST", "/stream", {"json": {}}, 422, "name"),
    ("POST", "/stream", {"json": {"name": " \n "}}, 422, "name"),
    ("POST", "/stream", {"json": {"name": 5}}, 422, "name"),
    ("POST", "/stream", {"json": {"name": "x" * 100_001}}, 422, "name"),
    ("POST", "/stream", {"json": {"name": "x", "model": "no such"}}, 422, "model"),
    ("POST", "/stream", {"json": {"name": "x", "model": 1}}, 422, "model"),
    ("POST", "/talkeAbout", {"json": {"prompt": None}}, 422, "prompt"),
    ("POST", "/talkeAbouttestSseEmitter", {"json": {}}, 422, "prompt"),
    ("POST", "/talkeAbouttestEvent", {"json": {"prompt": {}}}, 422, "prompt"),
    ("POST", "/talkeAbouttestEvent", {"params": {"prompt": " "}}, 422, "prompt"),
    ("POST", "/talkeAbouttestEvent", {"files": {"prompt": (None, " ")}}, 422, "prompt"),
    ("POST", "/talkeAbouttestEvent", {"data": b"no parts", "headers": PARTS}, 400, None),
    ("POST", "/talkeAbouttestEvent", {"data": b"x", "headers": {"Content-Type": "multipart/form-data"}}, 400, None),
    ("POST", "/talkeAbouttestEvent", {"files": {f"f{n}": (None, "x") for n in range(101)}}, 413, None),
    ("POST", "/talkeAbouttestEvent", {"files": {"prompt": (None, "x" * 1_048_577)}}, 413, None),
    ("POST", "/sse/send/me", {"json": {}}, 422, "data"),
    ("POST", "/sse/send/me", {"data": b'{"data": %s}' % (b"[" * 300 + b"]" * 300), "headers": JSON}, 422, "data"),
    ("POST", "/sse/send/me", {"json": {"data": 1, "event": "a\nb"}}, 422, "event"),
    ("POST", "/sse/send/me", {"json": {"data": 1, "event": 7}}, 422, "event"),
    ("GET", "/nowhere", {}, 404, None),
    ("GET", "/stream", {}, 405, None),
    ("DELETE", "/sse/connect/me", {}, 405, None),
    ("POST", "/stream", {"data": b"x" * 1_048_577, "headers": JSON}, 413, None),
    ("POST", "/stream", {"data": iter([b"x" * 1_048_577]), "headers": JSON}, 413, None),
]


@pytest.mark.parametrize(("method", "path", "more", "status", "field"), BAD)
def test_bad_input_gets_a_problem_document(
    server: Server, method: str, path: str, more: dict, status: int, field: str | None
) -> None:
    response = requests.request(method, server.url + path, timeout=30, **more)
    assert (response.status_code, response.headers["Content-Type"]) == (status, "application/problem+json")
    problem = response.json()
    assert (problem["status"], problem.get("field")) == (status, field)
    assert problem["type"] and problem["title"] and problem["detail"]


def test_a_method_that_is_not_allowed_names_those_that_are(server: Server) -> None:
    assert "POST" in requests.get(f"{server.url}/stream", timeout=5).headers["Allow"]


def test_a_browser_that_opens_a_missing_page_gets_a_page(server: Server) -> None:
    response = requests.get(f"{server.url}/nowhere", headers={"Accept": "text/html,*/*"}, timeout=5)
    assert (response.status_code, response.headers["Content-Type"]) == (404, "text/html; charset=utf-8")


@pytest.mark.parametrize(("method", "path"), [("GET", "/stream"), ("POST", "/stream"), ("POST", "/sse/send/me")])
def test_an_endpoint_answers_with_a_problem_document_whatever_is_accepted(
    server: Server, method: str, path: str
) -> None:
    response = requests.request(method, server.url + path, headers={"Accept": "text/html"}, timeout=5)
    assert response.headers["Content-Type"] == "application/problem+json"


def test_a_write_from_another_sites_page_is_refused(server: Server) -> None:
    for headers in ({"Sec-Fetch-Site": "cross-site"}, {"Origin": "https://elsewhere.example"}):
        response = requests.post(f"{server.url}/stream", json={"name": "x"}, headers=headers, timeout=5)
        assert (response.status_code, response.json()["title"]) == (403, "Forbidden")


def test_a_body_that_takes_too_long_is_a_bad_request(tmp_path: Path) -> None:
    with (
        Server(tmp_path, TALKABOUT_BODY_TIMEOUT_S="0.2") as server,
        socket.create_connection(("127.0.0.1", server.port), timeout=10) as client,
    ):
        client.sendall(
            b"POST /stream HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 99\r\n\r\n{"
        )
        assert client.recv(4096).startswith(b"HTTP/1.1 400 ")


def test_a_body_that_ends_too_early_is_a_bad_request(server: Server) -> None:
    with socket.create_connection(("127.0.0.1", server.port), timeout=10) as client:
        client.sendall(
            b"POST /stream HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 99\r\n\r\n{"
        )
        client.shutdown(socket.SHUT_WR)
        assert client.recv(4096).startswith(b"HTTP/1.1 400 ")


def test_a_chunk_that_is_none_is_a_bad_request(server: Server) -> None:
    head = b"POST /stream HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
    for body in (b"no size\r\n{}\r\n0\r\n\r\n", b"2\r\n{}{}\r\n0\r\n\r\n"):
        with socket.create_connection(("127.0.0.1", server.port), timeout=10) as client:
            client.sendall(head + body)
            assert client.recv(4096).startswith(b"HTTP/1.1 400 ")
