"""The journal on SQLite: numbering, following, pruning, and several processes that may be killed at any moment."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from answers.sqlite_journal import TRIM_BATCH, Entry
from answers.sqlite_journal import SqliteJournal as Journal
from relay.errors import BadEventField, JournalError

ROOT = Path(__file__).parent.parent
APPEND = """
import sys
from pathlib import Path
from answers.sqlite_journal import SqliteJournal as Journal
journal, stream, count = Journal(Path(sys.argv[1])), sys.argv[2], int(sys.argv[3])
for _ in range(count):
    print(journal.append(stream, lambda seq: b"%d" % seq), flush=True)
"""
FORK = """
import os, sys
from pathlib import Path
from answers.sqlite_journal import SqliteJournal as Journal
journal = Journal(Path(sys.argv[1]))
journal.append("s", lambda seq: b"parent")
child = os.fork()
journal.append("s", lambda seq: b"child" if child == 0 else b"parent")
if child:
    sys.exit(os.waitpid(child, 0)[1])
"""


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    journal = Journal(tmp_path / "journal.db")
    yield journal
    journal.close()


def run(script: str, *arguments: object) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", script, *map(str, arguments)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT)


def finish(process: subprocess.Popen[str]) -> None:
    process.communicate(timeout=60)
    assert process.returncode == 0


def number(seq: int) -> bytes:
    return b"%d" % seq


def blocks(entries: list[Entry]) -> list[bytes]:
    return [entry.block for entry in entries]


def test_each_stream_counts_from_one_without_gaps(journal: Journal) -> None:
    assert [journal.append(stream, number) for stream in "aabab"] == [1, 2, 1, 3, 2]
    assert (journal.last("a"), journal.last("b"), journal.last("c")) == (3, 2, 0)


def test_a_block_is_encoded_with_its_own_seq(journal: Journal) -> None:
    for _ in range(3):
        journal.append("a", lambda seq: b"id: %d" % seq)
    assert blocks(journal.read("a", 0, 10)) == [b"id: 1", b"id: 2", b"id: 3"]


def test_reading_goes_on_behind_a_cursor_page_by_page(journal: Journal) -> None:
    for _ in range(5):
        journal.append("a", number)
    page = journal.read("a", 1, 2)
    assert [entry.seq for entry in page] == [2, 3]
    assert [entry.seq for entry in journal.read("a", page[-1].seq, 10)] == [4, 5]
    assert journal.read("a", 5, 10) == []


def test_the_tail_follows_all_streams_in_the_order_of_their_commits(journal: Journal) -> None:
    journal.append("a", number)
    start = journal.end()
    for stream in "bab":
        journal.append(stream, number)
    tail = journal.tail(start, 10)
    assert [(entry.stream, entry.seq) for entry in tail] == [("b", 1), ("a", 2), ("b", 2)]
    assert journal.tail(tail[-1].pos, 10) == [] and journal.end() == tail[-1].pos


def test_a_block_that_cannot_be_made_leaves_nothing_behind(journal: Journal) -> None:
    def refuse(seq: int) -> bytes:
        raise BadEventField("no")

    with pytest.raises(BadEventField):
        journal.append("a", refuse)
    assert journal.last("a") == 0
    assert journal.append("a", number) == 1


def test_only_the_newest_entries_stay_when_a_bound_is_given(journal: Journal) -> None:
    for _ in range(5):
        journal.append("a", number, keep=2)
    assert blocks(journal.read("a", 0, 10)) == [b"4", b"5"]
    assert (journal.first("a"), journal.last("a")) == (4, 5)


def test_a_bound_that_was_lowered_is_reached_in_batches(journal: Journal) -> None:
    for _ in range(TRIM_BATCH + 50):
        journal.append("a", number)
    journal.append("a", number, keep=1)
    assert journal.first("a") == TRIM_BATCH + 1
    journal.append("a", number, keep=1)
    assert journal.first("a") == TRIM_BATCH + 52


def test_old_entries_are_pruned_in_batches(journal: Journal) -> None:
    for stream in "abab":
        journal.append(stream, number)
    assert journal.prune(time.time() + 1, limit=3) == 3
    assert (journal.first("a"), journal.first("b")) == (3, 2)
    assert journal.prune(time.time() - 60, limit=3) == 0


def test_numbers_are_never_used_again_after_pruning(journal: Journal) -> None:
    journal.append("a", number)
    end = journal.end()
    journal.prune(time.time() + 1, limit=10)
    assert (journal.first("a"), journal.last("a")) == (2, 1)
    assert journal.append("a", number) == 2
    assert journal.end() > end


def test_an_unknown_stream_begins_at_one(journal: Journal) -> None:
    assert (journal.first("a"), journal.last("a"), journal.end()) == (1, 0, 0)
    assert journal.read("a", 0, 10) == []


def test_what_was_written_is_there_when_the_file_is_opened_again(journal: Journal) -> None:
    journal.append("a", number)
    journal.close()
    assert journal.append("a", number) == 2


def test_threads_share_the_connection(journal: Journal) -> None:
    def append() -> None:
        for _ in range(50):
            journal.append("a", number)

    threads = [threading.Thread(target=append) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [entry.seq for entry in journal.read("a", 0, 1000)] == list(range(1, 201))


def test_processes_share_the_file_and_a_tail_sees_each_commit_once_in_order(journal: Journal, tmp_path: Path) -> None:
    writers = [run(APPEND, tmp_path / "journal.db", stream, 100) for stream in "aabc"]
    seen: list[Entry] = []
    give_up_at = time.monotonic() + 60
    while len(seen) < 400 and time.monotonic() < give_up_at:
        seen += journal.tail(seen[-1].pos if seen else 0, 50)
    for writer in writers:
        finish(writer)
    for stream, count in (("a", 200), ("b", 100), ("c", 100)):
        assert [entry.seq for entry in seen if entry.stream == stream] == list(range(1, count + 1))


def test_a_killed_writer_loses_nothing_that_it_had_written(journal: Journal, tmp_path: Path) -> None:
    for _ in range(3):
        writer = run(APPEND, tmp_path / "journal.db", "a", 1_000_000)
        assert writer.stdout is not None
        told = [int(writer.stdout.readline()) for _ in range(20)]
        writer.kill()
        told += map(int, writer.communicate()[0].split())
        assert told[-1] <= journal.last("a") <= told[-1] + 1
    assert [entry.seq for entry in journal.read("a", 0, 1_000_000)] == list(range(1, journal.last("a") + 1))
    assert journal.append("a", number) == journal.last("a")


def test_a_journal_can_be_used_on_both_sides_of_a_fork(journal: Journal, tmp_path: Path) -> None:
    finish(run(FORK, tmp_path / "journal.db"))
    assert sorted(blocks(journal.read("s", 0, 10))) == [b"child", b"parent", b"parent"]


def test_a_short_lock_of_another_process_is_waited_for(journal: Journal, tmp_path: Path) -> None:
    journal.append("a", number)
    other = sqlite3.connect(tmp_path / "journal.db", isolation_level=None, check_same_thread=False)
    other.execute("BEGIN IMMEDIATE")
    release = threading.Timer(0.1, other.execute, ["COMMIT"])
    release.start()
    assert journal.append("a", number) == 2
    release.join()
    other.close()


def test_a_long_lock_ends_in_a_typed_error(journal: Journal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    journal.append("a", number)
    monkeypatch.setattr("answers.sqlite_journal.BUSY_TIMEOUT_MS", 10)
    journal.close()
    other = sqlite3.connect(tmp_path / "journal.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(JournalError, match="locked"):
        journal.append("a", number)
    other.close()
    assert journal.append("a", number) == 2


def test_a_file_that_is_no_journal_ends_in_a_typed_error(tmp_path: Path) -> None:
    (tmp_path / "journal.db").write_bytes(b"no database" * 100)
    with pytest.raises(JournalError) as caught:
        Journal(tmp_path / "journal.db").last("a")
    assert caught.value.retriable and str(tmp_path) not in str(caught.value)


def test_a_missing_folder_ends_in_a_typed_error(tmp_path: Path) -> None:
    with pytest.raises(JournalError):
        Journal(tmp_path / "missing" / "journal.db").append("a", number)
