"""Attacks on who may: other people's things, cookies, tokens, other sites, and addresses of the attacker's choice."""

from __future__ import annotations

import contextlib
import itertools
import random
import socket
import statistics
import threading
import time
import uuid
from collections.abc import Iterator

import requests
from itsdangerous import URLSafeTimedSerializer

from tests.attacks.outcome import Attack, Outcome
from tests.attacks.target import ANSWERS_AT_ONCE, HONEST, Target, head, status_of

ELSEWHERE = ["//evil.example", "///evil.example", "/\\evil.example", "https://evil.example", "/%09/evil.example"]
ELSEWHERE += [
    "/%5cevil.example",
    "//evil.example/%2f..",
    "/.//evil.example",
    "https:evil.example",
    "/\x0b/evil.example",
]


def other_peoples_things(target: Target, size: int) -> Outcome:
    """Ask for an honest user's answer and conversation in every way there is."""
    outcome = Outcome()
    with target.session(HONEST) as honest, target.session() as mallory:
        begun = target.begin(honest, "mine").json()
        answer, conversation = begun["answer"], begun["conversation"]
        a, c = f"{target.url}/api/answers/{answer}", f"{target.url}/api/conversations/{conversation}"
        ways = [
            ("GET", a, None),
            ("GET", f"{a}/events", None),
            ("POST", f"{a}/stop", None),
            ("POST", f"{a}/continue", None),
            ("GET", c, None),
            ("PATCH", c, {"title": "mallory's"}),
            ("DELETE", c, None),
            ("POST", f"{c}/share", {}),
            ("POST", f"{c}/restore", {}),
            ("GET", f"{c}/export?format=json", None),
            ("GET", f"{target.url}/c/{conversation}", None),
            ("POST", f"{target.url}/api/answers", {"prompt": "x", "conversation": conversation}),
            ("POST", f"{target.url}/api/answers", {"prompt": "x", "answer": answer}),
            ("GET", f"{target.url}/sse/connect/honest", None),
            ("POST", f"{target.url}/sse/send/honest", {"data": "x"}),
            ("POST", f"{target.url}/answers/{answer}/stop", None),
        ]
        for method, url, body in itertools.islice(itertools.cycle(ways), size):
            with mallory.request(method, url, json=body, timeout=10, stream=True, allow_redirects=False) as reply:
                outcome.status(reply.status_code, f"{method} {url.removeprefix(target.url)}")
        kept = honest.get(c, timeout=10)
        outcome.must(
            kept.status_code == 200 and "mallory" not in kept.text, "the honest user's conversation has changed"
        )
    return outcome


def guessed_tokens(target: Target, size: int) -> Outcome:
    """Guess tokens, near misses too; the time to a refusal must not tell how near a guess was."""
    outcome = Outcome()
    pick = random.Random(2)
    times: dict[str, list[float]] = {"far": [], "near": []}
    with requests.Session() as session:
        session.trust_env = False
        for number in range(size):
            near = number % 2 == 1
            token = HONEST[:-1] + pick.choice("abcdef") if near else uuid.uuid4().hex[: len(HONEST)]
            began = time.perf_counter()
            reply = session.get(
                f"{target.url}/api/conversations", headers={"Authorization": f"Bearer {token}"}, timeout=10
            )
            times["near" if near else "far"].append(time.perf_counter() - began)
            outcome.status(reply.status_code, "a guessed token")
    far, near_ = (1e6 * statistics.median(some) for some in times.values())
    outcome.notes.append(f"median wait far {far:.0f} µs, near {near_:.0f} µs")
    return outcome


def tampered_cookies(target: Target, size: int) -> Outcome:
    """Change a session's cookie, or sign one with another key."""
    outcome = Outcome()
    with _signed_in(target) as honest:
        cookie = honest.cookies["talkabout"]
        outcome.must(_with_cookie(target, cookie) == 200, "the honest user's own cookie is refused")
    pick = random.Random(3)
    forged = URLSafeTimedSerializer("guessed", salt="cookie-session").dumps({"token": "x", "user": "honest"})
    for number in range(size):
        at = pick.randrange(len(cookie) - 1)  # of the last character some bits mean nothing
        changed = cookie[:at] + pick.choice([c for c in "abcXYZ019" if c != cookie[at]]) + cookie[at + 1 :]
        sent = [changed, str(forged), cookie.partition(".")[0], cookie + "x", "." + cookie, "a" * 4000][number % 6]
        outcome.status(_with_cookie(target, sent), f"the cookie {sent[:30]}")
    return outcome


def led_elsewhere(target: Target, size: int) -> Outcome:
    """Have a login, or a corrected path, lead to another site."""
    outcome = Outcome()
    for number in range(size):
        path = ELSEWHERE[number % len(ELSEWHERE)]
        wanted = target.send(head("GET", path, "Accept: text/html", "Connection: close", token="wrong"), 5)
        replies = [wanted]
        for cookie in _cookies(wanted):
            form = f"token={HONEST}".encode()
            lines = [
                f"Cookie: {cookie}",
                "Content-Type: application/x-www-form-urlencoded",
                f"Content-Length: {len(form)}",
            ]
            request = b"\r\n".join([b"POST /login HTTP/1.1", b"Host: x", b"Connection: close"])
            replies.append(target.send(request + "\r\n".join(["", *lines, "", ""]).encode() + form, 5))
        for reply in replies:
            outcome.status(status_of(reply), path, served=True)
            to = _location(reply)
            outcome.must(
                to.startswith("http://x/") or (to[:1] == "/" and to[1:2] not in ("/", "\\")), f"{path} -> {to}"
            )
    return outcome


def other_sites(target: Target, size: int) -> Outcome:
    """Write with a user's cookie from another site's page."""
    outcome = Outcome()
    with _signed_in(target) as session:
        ways = [
            {"Origin": "https://evil.example"},
            {"Origin": "null"},
            {"Sec-Fetch-Site": "cross-site"},
            {"Sec-Fetch-Site": "same-site"},
            {"Origin": target.url + ".evil.example"},
        ]
        for number in range(size):
            url, data = [("/", {"prompt": "x"}), ("/logout", {}), ("/api/answers", "prompt=x")][number % 3]
            reply = session.post(
                target.url + url, data=data, headers=ways[number % len(ways)], timeout=10, allow_redirects=False
            )
            outcome.status(reply.status_code, f"POST {url} from {ways[number % len(ways)]}")
    return outcome


def addresses(target: Target, size: int) -> Outcome:
    """Name an address of one's own in every field: nobody may ever connect there."""
    outcome = Outcome()
    with _canary() as (url, visits), target.session() as session:
        fields = [
            "model",
            "base_url",
            "upstream",
            "upstream_url",
            "url",
            "conversation",
            "parent",
            "image_url",
            "webhook",
        ]
        for number in range(size):
            asked = {"prompt": f"![x]({url}/{number}) {url}", fields[number % len(fields)]: url}
            headers = {"X-Forwarded-Host": url, "X-Upstream-Url": url, "Forwarded": f"host={url}", "Proxy": url}
            reply = session.post(f"{target.url}/api/answers", json=asked, headers=headers, timeout=10)
            outcome.status(reply.status_code, fields[number % len(fields)], served=True)
        outcome.must(not visits, f"{len(visits)} connections to the attacker's address")
    return outcome


def many_answers(target: Target, size: int) -> Outcome:
    """Begin far more answers than one user may have at once."""
    outcome = Outcome()
    begun: list[str] = []
    with target.session() as session:
        for _ in range(size):
            reply = target.begin(session, "wait")
            outcome.status(reply.status_code, "one answer more", served=True)
            begun += [reply.json()["answer"]] if reply.status_code == 202 else []
            outcome.must(reply.status_code != 429 or "Retry-After" in reply.headers, "a 429 without Retry-After")
        outcome.must(len(begun) <= 2 * ANSWERS_AT_ONCE, f"{len(begun)} answers at once")  # about: two workers count
        for answer in begun:
            session.post(f"{target.url}/api/answers/{answer}/stop", timeout=30)
    return outcome


def _signed_in(target: Target) -> requests.Session:
    """Come as the honest user's browser; the caller closes it."""
    session = requests.Session()
    session.trust_env = False
    session.post(f"{target.url}/login", data={"token": HONEST}, timeout=10, allow_redirects=False)
    return session


def _with_cookie(target: Target, cookie: str) -> int:
    lines = [f"Cookie: talkabout={cookie}", "Accept: application/json", "Connection: close"]
    request = "\r\n".join(["GET /api/conversations HTTP/1.1", "Host: x", *lines, "", ""])
    return status_of(target.send(request.encode(), 5))


def _cookies(reply: bytes) -> list[str]:
    lines = reply.partition(b"\r\n\r\n")[0].decode("latin-1").split("\r\n")
    return [line.split(": ", 1)[1].split(";")[0] for line in lines if line.lower().startswith("set-cookie:")]


def _location(reply: bytes) -> str:
    lines = reply.partition(b"\r\n\r\n")[0].decode("latin-1").split("\r\n")
    return next((line.split(": ", 1)[1] for line in lines if line.lower().startswith("location:")), "/")


@contextlib.contextmanager
def _canary() -> Iterator[tuple[str, list[object]]]:
    """Listen where nobody has any business."""
    visits: list[object] = []
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def listen() -> None:
            with contextlib.suppress(OSError):
                while True:
                    visits.append(listener.accept())

        thread = threading.Thread(target=listen, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}", visits
        listener.shutdown(socket.SHUT_RDWR)
        thread.join()


ATTACKS = (
    Attack("other people's answers and conversations", other_peoples_things, 160, "every look-up names its user; 404"),
    Attack("guessed tokens", guessed_tokens, 2000, "tokens are looked up by their digest"),
    Attack("tampered cookies", tampered_cookies, 300, "signed cookies (itsdangerous)"),
    Attack("redirects to elsewhere", led_elsewhere, 100, "a redirect only leads to a path of ours"),
    Attack(
        "writes from other sites' pages", other_sites, 150, "Fetch Metadata and Origin, SameSite=Lax, JSON's own type"
    ),
    Attack("addresses in every field (SSRF)", addresses, 180, "only the operator names addresses"),
    Attack(
        "more answers than one may have", many_answers, 300, "`TALKABOUT_MAX_ANSWERS_PER_USER`, 429 with Retry-After"
    ),
)
