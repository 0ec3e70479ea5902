"""What the operator may write about the upstreams, and what is said about everything else."""

from __future__ import annotations

import math
import re
from pathlib import Path

import pytest

from relay.errors import SettingError
from relay.settings import Settings
from relay.upstream_file import VARIABLE, configured
from relay.upstreams import catalog
from tests.servers import ROOT

KEY = "sk-secret-7531"
URL = 'url = "http://one.example/v1"'


def written(folder: Path, text: str) -> Settings:
    """Write the file, and set it."""
    (folder / "up.toml").write_text(text, encoding="utf-8")
    return Settings(data_dir=folder, upstreams=str(folder / "up.toml"), embedded_model=False)


def complaint(settings: Settings) -> str:
    with pytest.raises(SettingError) as caught:
        configured(settings)
    return str(caught.value)


def test_the_example_in_the_documents_is_a_file_that_works(tmp_path: Path) -> None:
    found = re.search(r"```toml\n(.+?)```", (ROOT / "docs/upstreams.md").read_text(encoding="utf-8"), re.DOTALL)
    assert found
    for name in ("gpu1.key", "gpu2.key", "cloud.key", "company-ca.pem"):
        (tmp_path / name).write_text(KEY)
    settings = written(tmp_path, found[1].replace("/run/secrets/", ""))
    entries = catalog(settings, "", configured(settings)).entries
    assert [entry.upstream.name for entry in entries] == ["gpu1", "gpu2", "desk", "cloud", "poem"]
    gpu1, _, desk, cloud, _ = entries
    assert (gpu1.weight, gpu1.limit, gpu1.context, gpu1.own("fast")) == (2, 16, 32768, "Qwen/Qwen3-8B")
    assert desk.names() == ["qwen3:4b", "llava:7b", "fast"] and desk.limit == math.inf
    assert (desk.sees("llava:7b"), desk.sees("qwen3:4b")) == (True, False)
    assert (desk.upstream.timeouts.connect, desk.upstream.timeouts.idle) == (2, settings.idle_timeout_s)
    assert cloud.names() == ["big"] and cloud.continues("big") == "none"


def test_one_line_names_servers_that_are_given_the_same(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path, upstreams="a=http://a.example b=http://b.example/v1", upstream_key=KEY)
    found = configured(settings)
    assert {name: (given["url"], given["key"]) for name, given in found.items()} == {
        "a": ("http://a.example", KEY),
        "b": ("http://b.example/v1", KEY),
    }


def test_one_url_is_one_upstream(tmp_path: Path) -> None:
    found = configured(Settings(data_dir=tmp_path, upstream_url="http://a.example", upstream_continues="prefill"))
    assert found["upstream"]["url"] == "http://a.example" and found["upstream"]["continues"] == "prefill"
    assert configured(Settings(data_dir=tmp_path)) == {}


def test_a_key_comes_from_a_file_beside_the_upstreams(tmp_path: Path) -> None:
    (tmp_path / "one.key").write_text(f"{KEY}\n")
    found = configured(written(tmp_path, f'[upstream.one]\n{URL}\nkey_file = "one.key"'))
    assert found["one"] == {"url": "http://one.example/v1", "key": KEY}


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("wieght = 2", "wieght: is no key of an upstream; there are aliases, ca, "),
        ('weight = "2"', "weight: expected a number, got a text"),
        ("weight = true", "weight: expected a number, got true or false"),
        ("weight = 0", "weight: expected 0.01 to 1000, got 0"),
        ("weight = nan", "weight: expected 0.01 to 1000, got nan"),
        ("max_concurrent = 1.5", "max_concurrent: expected a whole number, got a number"),
        ("context = -1", "context: expected 1 to 100000000, got -1"),
        ("idle_timeout_s = 0", "idle_timeout_s: expected 0.05 to 3600, got 0"),
        ('models = "one"', "models: expected a list of texts, got a text"),
        ("models = [1]", "models: expected a list of texts, got a list"),
        ('models = ["a", "a"]', "models: 'a' stands there twice"),
        ('aliases = ["a"]', 'aliases: expected names with the server\'s own, as in { fast = "qwen3:4b" }'),
        ("aliases = { a = 1 }", "aliases: expected names with the server's own"),
        ('models = ["a"]\naliases = { a = "b" }', "aliases: 'a' is one of the models too"),
        ('continues = "perhaps"', "continues: expected one of auto, prefill, continue_final_message, none"),
        ('proxy = "proxy:3128"', "proxy: expected an http or https URL"),
        ('ca = "none.pem"', "ca: expected the path of a file"),
        ('key = ""', "key: expected a text in quotation marks, got an empty text"),
        ("key = 7531", "key: expected a text in quotation marks, got a whole number"),
        (f'key = "{KEY}\\u0000"', "key: expected one line of printable characters"),
        ('key_file = "none.key"', "key_file: cannot read "),
        (f'key = "{KEY}"\nkey_file = "x"', "key_file: key is there too"),
        ("url = 1979-05-27", "is no TOML: at "),
        ("connect_timeout_s = 1979-05-27", "connect_timeout_s: expected a number, got a date"),
    ],
)
def test_what_is_wrong_in_a_table_names_the_file_the_upstream_and_the_key(tmp_path: Path, line: str, said: str) -> None:
    text = complaint(written(tmp_path, f"[upstream.one]\n{URL}\n{line}"))
    where = f"{VARIABLE}: {tmp_path / 'up.toml'}: "
    assert text.startswith(where) and said in text and KEY not in text
    assert "upstream.one." in text or "is no TOML" in said


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "upstream: expected at least one table [upstream.NAME]"),
        ('upstream = "x"', "upstream: expected at least one table"),
        ("[upstreams.one]", "upstreams: expected tables [upstream.NAME] and nothing else"),
        ("[upstream]\none = 1", "upstream.one: expected a table [upstream.NAME], got a whole number"),
        ("[upstream.one]\nweight = 1", "upstream.one.url: is missing"),
        (f'[upstream."a b"]\n{URL}', "upstream.a b: expected names of letters, digits"),
        (f"[upstream.one]\n{URL}\n[upstream.one]\n{URL}", "is no TOML: at line 3"),
        (f'[upstream.one]\n{URL}\nkey = "{KEY}', "is no TOML: at "),
        (f"key = {KEY}", "is no TOML: at line 1"),
        ('[upstream.one]\nurl = "ftp://user:sk-secret-7531@one.example"', "url: expected an http or https URL"),
        ('[upstream.one]\nurl = "http://one.example/v1/chat/completions"', "url: expected the URL that stands before"),
    ],
)
def test_what_is_no_such_file_is_told(tmp_path: Path, text: str, said: str) -> None:
    told = complaint(written(tmp_path, text))
    assert told.startswith(f"{VARIABLE}: {tmp_path / 'up.toml'}: ") and said in told and KEY not in told


def test_a_missing_a_huge_and_a_binary_file_are_told(tmp_path: Path) -> None:
    assert "cannot be read: FileNotFoundError" in complaint(Settings(upstreams=str(tmp_path / "none.toml")))
    assert "expected at most 1048576 bytes, got 1048577" in complaint(written(tmp_path, "#" * 1_048_577))
    (tmp_path / "up.toml").write_bytes(b"\xff")
    assert "cannot be read: UnicodeDecodeError" in complaint(Settings(upstreams=str(tmp_path / "up.toml")))


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("a=http://a.example a=http://b.example", f"{VARIABLE}: a: stands there twice"),
        ("a=http://a.example b", f"{VARIABLE}: expected name=url pairs"),
        ("http://a.example", f"{VARIABLE}: expected name=url pairs"),
        ("a=http://", f"{VARIABLE}: a: expected an http or https URL"),
    ],
)
def test_a_wrong_line_of_pairs_is_told(line: str, said: str) -> None:
    assert complaint(Settings(upstreams=line)).startswith(said)


def test_one_upstream_and_several_do_not_go_together() -> None:
    both = Settings(upstreams="a=http://a.example", upstream_url="http://b.example")
    assert complaint(both).startswith(f"{VARIABLE}: TALKABOUT_UPSTREAM_URL is set too")
