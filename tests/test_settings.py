"""Settings: what may stand in them, and what a wrong one says."""

from __future__ import annotations

import os
import socket
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from relay.access_settings import users_by_token
from relay.errors import SettingError
from relay.settings import Settings, load, prepare_data_dir, unknown
from tests.servers import ROOT

WRONG = [
    ("PORT", "80a", "a whole number"),
    ("PORT", "0", "1 to 65535"),
    ("WEB_CONCURRENCY", "-1", "1 to 256"),
    ("TALKABOUT_HEARTBEAT_S", "nan", "0.05 to 14"),
    ("TALKABOUT_HEARTBEAT_S", "often", "a number"),
    ("TALKABOUT_EMBEDDED_MODEL", "yes", "on or off"),
    ("TALKABOUT_AUTH", "password", "one of none, token"),
    ("TALKABOUT_UPSTREAM_URL", "localhost:11434", "an http or https URL"),
    ("TALKABOUT_UPSTREAM_URL", "file:///etc/passwd", "an http or https URL"),
    ("TALKABOUT_UPSTREAM_URL", "http://host:99999", "an http or https URL"),
    ("TALKABOUT_UPSTREAM_URL", "http://host/v1?key=x", "the URL that stands before /v1/chat/completions"),
    ("TALKABOUT_UPSTREAM_URL", "http://host/v1#x", "the URL that stands before /v1/chat/completions"),
    ("TALKABOUT_UPSTREAM_URL", "http://host/v1/chat/completions/", "the URL that stands before /v1/chat/completions"),
    ("TALKABOUT_UPSTREAM_KEY", "sk-\n1", "one line of printable characters"),
]


@pytest.mark.parametrize(("name", "value", "expected"), WRONG)
def test_a_wrong_value_names_itself_and_what_may_stand_there(name: str, value: str, expected: str) -> None:
    with pytest.raises(SettingError, match=f"{name}: expected {expected}"):
        load({name: value}, None)


def test_a_secret_never_stands_in_an_error() -> None:
    with pytest.raises(SettingError) as caught:
        load({"TALKABOUT_UPSTREAM_KEY": "sk-\n1"}, None)
    assert "sk-" not in str(caught.value)


@pytest.mark.parametrize("tokens", ["alice", "=hidden", "alice=", "alice=hidden bob"])
def test_tokens_that_are_none_stop_the_start(tokens: str) -> None:
    with pytest.raises(SettingError, match="TALKABOUT_TOKENS: ") as caught:
        load({"TALKABOUT_AUTH": "token", "TALKABOUT_TOKENS": tokens}, None)
    assert "hidden" not in str(caught.value)


def test_tokens_are_told_apart() -> None:
    settings = load({"TALKABOUT_AUTH": "token", "TALKABOUT_TOKENS": "alice=a= bob=b"}, None)
    assert users_by_token(settings) == {"a=": "alice", "b": "bob"}


def test_the_environment_goes_before_the_file(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("PORT=1\nTALKABOUT_MODEL=from-file\n")
    settings = load({"PORT": "2"}, tmp_path / ".env")
    assert (settings.port, settings.model) == (2, "from-file")


def test_a_secret_can_come_from_a_file(tmp_path: Path) -> None:
    (tmp_path / "key").write_text("sk-1\n")
    assert load({"TALKABOUT_UPSTREAM_KEY_FILE": str(tmp_path / "key")}, None).upstream_key == "sk-1"


def test_a_secret_file_that_is_missing_names_its_setting(tmp_path: Path) -> None:
    with pytest.raises(SettingError, match="TALKABOUT_UPSTREAM_KEY_FILE: cannot read"):
        load({"TALKABOUT_UPSTREAM_KEY_FILE": str(tmp_path / "none")}, None)


def test_an_empty_value_means_the_default() -> None:
    assert load({"PORT": "", "TALKABOUT_MODEL": " "}, None) == Settings()


def test_a_slip_of_the_pen_is_noticed() -> None:
    assert unknown({"TALKABOUT_MODLE": "x", "TALKABOUT_MODEL": "x", "OTHER": "x"}) == ["TALKABOUT_MODLE"]


def test_a_data_folder_that_cannot_be_made_names_its_setting(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(SettingError, match="TALKABOUT_DATA_DIR: cannot write"):
        prepare_data_dir(Settings(data_dir=tmp_path / "file" / "data"))


def test_nobody_else_can_look_into_the_data_folder(tmp_path: Path) -> None:
    made = prepare_data_dir(Settings(data_dir=tmp_path / "data"))
    assert stat.S_IMODE(made.stat().st_mode) == 0o700


@pytest.mark.parametrize(
    ("name", "value", "sentence"),
    [
        ("TALKABOUT_HEARTBEAT_S", "99", "TALKABOUT_HEARTBEAT_S: expected 0.05 to 14, got 99.0"),
        ("TALKABOUT_TOKENS", "alice", "TALKABOUT_TOKENS: expected user=token pairs, separated by blanks"),
    ],
)
def test_a_wrong_setting_stops_gunicorn_with_one_sentence(tmp_path: Path, name: str, value: str, sentence: str) -> None:
    command = [sys.executable, "-m", "gunicorn", "-c", "gunicorn.conf.py", "wsgi:app"]
    environ = {name: value, "TALKABOUT_DATA_DIR": str(tmp_path)}
    done = subprocess.run(command, check=False, cwd=ROOT, env=environ, capture_output=True, text=True, timeout=30)
    assert (done.returncode, done.stderr) == (1, f"talkabout: {sentence}\n")


def made_to_run(environ: dict[str, str]) -> subprocess.CompletedProcess[str]:
    """Run `make run` in that environment, where everything is set up, and wait for its end."""
    here = {"PATH": os.environ["PATH"], "TALKABOUT_EMBEDDED_MODEL": "off", **environ}
    command = ["make", "--old-file=setup", "run"]
    return subprocess.run(command, check=False, cwd=ROOT, env=here, capture_output=True, text=True, timeout=60)


def test_make_run_says_what_gunicorn_would_stumble_over(tmp_path: Path) -> None:
    done = made_to_run({"WEB_CONCURRENCY": "many", "TALKABOUT_DATA_DIR": str(tmp_path)})
    assert done.returncode and "Traceback" not in done.stderr
    assert "talkabout: WEB_CONCURRENCY: expected a whole number, got 'many'\n" in done.stderr


def test_make_run_takes_an_empty_number_of_workers_for_the_usual_one(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        done = made_to_run({"WEB_CONCURRENCY": "", "PORT": port, "TALKABOUT_DATA_DIR": str(tmp_path)})
    assert f"talkabout: HOST and PORT: cannot listen on 127.0.0.1:{port}" in done.stderr
