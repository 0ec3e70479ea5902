"""What only the journal on SQLite has: a file that processes share, lock, fork with, and are killed over."""

from __future__ import annotations

import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from answers import sqlite_file
from answers.entries import Batch, Entry
from answers.sqlite_entries import FILED_AT_ONCE, PRUNE_BATCH, TRIM_BATCH
from answers.sqlite_journal import SqliteJournal
from relay.errors import JournalError
from tests.file_lock import FileLock

ROOT = Path(__file__).parent.parent
COMMIT = """
import sys
from pathlib import Path
from answers.entries import Batch, Entry
from answers.sqlite_journal import SqliteJournal
journal, stream, count = SqliteJournal(Path(sys.argv[1])), sys.argv[2], int(sys.argv[3])
journal.take(stream, stream, 600.0)
first = journal.bounds(stream)[1] + 1
for seq in range(first, first + count):
    assert not journal.commit([Batch(stream, stream, [Entry(stream, seq, b"%d" % seq)])])
    print(seq, flush=True)
"""
FORK = """
import os, sys
from pathlib import Path
from answers.sqlite_journal import SqliteJournal
journal = SqliteJournal(Path(sys.argv[1]))
journal.publish("s", lambda seq: b"parent", 100)
child = os.fork()
journal.publish("s", lambda seq: b"child" if child == 0 else b"parent", 100)
if child:
    sys.exit(os.waitpid(child, 0)[1])
"""
FIRST_SCHEMA = """
CREATE TABLE streams(stream TEXT PRIMARY KEY, last INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE entries(pos INTEGER PRIMARY KEY AUTOINCREMENT, stream TEXT NOT NULL, seq INTEGER NOT NULL,
  block BLOB NOT NULL, at REAL NOT NULL, UNIQUE(stream, seq));
INSERT INTO streams VALUES ('a', 2);
INSERT INTO entries(stream, seq, block, at) VALUES ('a', 1, x'31', 5.0), ('a', 2, x'32', 5.0);
"""
SECOND_SCHEMA = """
CREATE TABLE streams(stream TEXT PRIMARY KEY, last INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE entries(pos INTEGER PRIMARY KEY, stream TEXT NOT NULL, seq INTEGER NOT NULL, block BLOB NOT NULL,
  final INTEGER NOT NULL, at REAL NOT NULL, UNIQUE(stream, seq));
CREATE TABLE leases(stream TEXT PRIMARY KEY, owner TEXT NOT NULL, expires_at REAL NOT NULL, read_at REAL) WITHOUT ROWID;
INSERT INTO streams VALUES ('a', 3), ('b', 1), ('gone', 7);
INSERT INTO entries VALUES (2, 'a', 2, x'32', 0, 5.0), (3, 'b', 1, x'31', 1, 5.0), (5, 'a', 3, x'33', 0, 5.0);
INSERT INTO leases VALUES ('a', 'me', 99999999999, NULL);
PRAGMA user_version = 2;
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "journal.db"


@pytest.fixture
def journal(path: Path) -> Iterator[SqliteJournal]:
    journal = SqliteJournal(path)
    yield journal
    journal.close()


def run(script: str, *arguments: object) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", script, *map(str, arguments)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT)


def finish(process: subprocess.Popen[str], returncode: int = 0) -> str:
    """Let a process come to its end, and return what it has said since."""
    assert process.stdout
    with process.stdout:
        said = process.stdout.read()
    assert process.wait(60) == returncode
    return said


def number(seq: int) -> bytes:
    return b"%d" % seq


def pages_written(path: Path) -> int:
    """Count the pages in the write-ahead log."""
    return (Path(f"{path}-wal").stat().st_size - 32) // (24 + 4096)


def batch(stream: str, first: int, count: int = 1) -> Batch:
    return Batch(stream, "me", [Entry(stream, seq, number(seq)) for seq in range(first, first + count)])


@pytest.fixture
def locked(path: Path, journal: SqliteJournal) -> Iterator[FileLock]:
    """Let another process hold the write lock."""
    journal.publish("a", number, 10)
    with FileLock(path) as lock:
        yield lock


def test_processes_share_the_file_and_every_news_comes_once_in_order(journal: SqliteJournal, path: Path) -> None:
    journal.wait("abc", 0)
    writers = [run(COMMIT, path, stream, 150) for stream in "abc"]
    found: list[Entry] = []
    give_up_at = time.monotonic() + 60
    while len(found) < 450 and time.monotonic() < give_up_at:
        found += journal.wait("abc", 1.0)
    for writer in writers:
        finish(writer)
    for stream in "abc":
        assert [entry.seq for entry in found if entry.stream == stream] == list(range(1, 151))


def test_a_killed_writer_loses_nothing_that_it_had_written(journal: SqliteJournal, path: Path) -> None:
    for _ in range(3):
        writer = run(COMMIT, path, "a", 1_000_000)
        assert writer.stdout is not None
        told = [int(writer.stdout.readline()) for _ in range(20)]
        writer.kill()
        told += map(int, finish(writer, -signal.SIGKILL).split())
        assert told[-1] <= journal.bounds("a")[1] <= told[-1] + 1
    last = journal.bounds("a")[1]
    assert [entry.seq for entry in journal.read("a", 0, 1_000_000)] == list(range(1, last + 1))
    assert journal.take("a", "a", 1.0)


def test_a_journal_can_be_used_on_both_sides_of_a_fork(journal: SqliteJournal, path: Path) -> None:
    finish(run(FORK, path))
    assert sorted(entry.block for entry in journal.read("s", 0, 10)) == [b"child", b"parent", b"parent"]


def test_a_short_lock_of_another_process_is_waited_for(journal: SqliteJournal, locked: FileLock) -> None:
    release = threading.Timer(0.2, locked.release)
    release.start()
    assert journal.publish("a", number, 10) == 2
    release.join()


def test_a_long_lock_ends_in_a_typed_error(
    journal: SqliteJournal, locked: FileLock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite_file, "BUSY_S", 0.1)
    with pytest.raises(JournalError, match="locked"):
        journal.publish("a", number, 10)
    locked.release()
    assert journal.publish("a", number, 10) == 2


def test_readers_go_on_while_another_process_writes(journal: SqliteJournal, locked: FileLock) -> None:
    journal.check()
    assert journal.wait(["a"], 0) == []
    assert journal.bounds("a") == (1, 1)


def test_a_lock_lets_the_other_threads_go_on(journal: SqliteJournal, locked: FileLock) -> None:
    blocked = threading.Thread(target=journal.publish, args=("a", number, 10))
    blocked.start()
    for _ in range(10):
        assert journal.read("a", 0, 10) == [Entry("a", 1, b"1")]
    assert blocked.is_alive()
    locked.release()
    blocked.join()


def test_a_commit_costs_no_more_statements_than_it_did(journal: SqliteJournal) -> None:
    for stream in "abc":
        journal.take(stream, "me", 60.0)
    statements: list[str] = []
    journal.file.run(lambda cursor: cursor.connection.set_trace_callback(statements.append))
    journal.commit([batch("a", 1)])
    assert len(statements) == 4, statements
    statements.clear()
    journal.commit([batch("b", 1)])
    assert len(statements) == 1, statements
    statements.clear()
    journal.commit([batch("a", 2, 10), batch("b", 2, 10), batch("c", 1, 10)])
    assert len(statements) == 3 + 30, statements


def test_a_commit_writes_one_page_whatever_its_streams(journal: SqliteJournal, path: Path) -> None:
    streams = [f"answer:{number}" for number in range(20)]
    for stream in streams:
        journal.take(stream, "me", 60.0)
    before = pages_written(path)
    for seq in range(1, 51):
        assert journal.commit([batch(streams[seq % 20], 1 + (seq - 1) // 20)]) == set()
    assert pages_written(path) - before <= 50 + 4  # now and then a page is full
    before = pages_written(path)
    assert journal.commit([batch(stream, journal.bounds(stream)[1] + 1) for stream in streams]) == set()
    assert pages_written(path) - before <= 3


def test_what_is_young_is_found_like_what_is_in_the_index(journal: SqliteJournal) -> None:
    for stream in "ab":
        journal.take(stream, "me", 60.0)
    for first in range(1, FILED_AT_ONCE, 100):
        assert journal.commit([batch("a", first, 100), batch("b", first, 100)]) == set()
    last = journal.bounds("a")[1]
    [(filed, places)] = journal.file.read("SELECT filed, (SELECT count(*) FROM places) FROM head")
    assert FILED_AT_ONCE <= filed == places < 2 * last
    other = SqliteJournal(journal.file.path)
    for handle in (journal, other):
        assert (handle.bounds("a"), handle.bounds("b")) == ((1, last), (1, last))
        assert [entry.seq for entry in handle.read("b", 0, 10_000)] == list(range(1, last + 1))
        assert handle.read("a", last - 2, 10) == batch("a", last - 1, 2).entries
    assert (journal.publish("a", number, 10_000), other.publish("a", number, 10_000)) == (last + 1, last + 2)
    other.close()


def test_a_commit_that_failed_half_way_is_tried_again_as_if_it_had_never_been(
    journal: SqliteJournal, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal.take("a", "me", 60.0)
    journal.commit([batch("a", 1)])
    journal.file.run(lambda cursor: cursor.execute("PRAGMA max_page_count = 1"))
    with pytest.raises(JournalError):
        journal.commit([Batch("a", "me", [Entry("a", 2, b"x" * 100_000)])])
    journal.file.run(lambda cursor: cursor.execute("PRAGMA max_page_count = 100000"))
    assert journal.commit([batch("a", 2)]) == set()
    assert journal.bounds("a") == (1, 2)


def test_who_took_a_lease_over_and_back_knows_what_was_written_meanwhile(journal: SqliteJournal, path: Path) -> None:
    other = SqliteJournal(path)
    assert journal.take("a", "me", 0.0) and journal.commit([batch("a", 1)]) == set()
    assert other.take("a", "you", 0.0) and other.commit([Batch("a", "you", [Entry("a", 2, b"2")])]) == set()
    assert journal.take("a", "me", 60.0)
    assert journal.commit([batch("a", 2, 1)]) == set()  # the very same
    assert journal.commit([Batch("a", "me", [Entry("a", 2, b"another")])]) == {"a"}
    assert journal.commit([batch("a", 3)]) == set()
    other.close()


def test_looking_for_news_costs_one_statement_where_there_are_none(journal: SqliteJournal) -> None:
    journal.wait(["a"], 0)
    statements: list[str] = []
    journal.file.run(lambda cursor: cursor.connection.set_trace_callback(statements.append))
    journal.wait(["a"], 0)
    assert statements == ["PRAGMA data_version"]
    journal.publish("a", number, 10)
    statements.clear()
    assert len(journal.wait(["a"], 0)) == 1 and len(statements) == 3


def test_looking_for_news_goes_through_no_history(journal: SqliteJournal) -> None:
    plan = journal.file.read(
        "EXPLAIN QUERY PLAN SELECT pos FROM entries WHERE pos > ? AND +stream IN (SELECT value FROM json_each(?))"
        " ORDER BY pos LIMIT ?",
        *(1, "[]", 1),
    )
    assert "SEARCH entries USING INTEGER PRIMARY KEY (rowid>?)" in [row[3] for row in plan]


def test_a_bound_that_was_lowered_is_reached_in_batches(journal: SqliteJournal) -> None:
    for _ in range(TRIM_BATCH + 50):
        journal.publish("a", number, 1000)
    journal.publish("a", number, 1)
    assert journal.bounds("a")[0] == TRIM_BATCH + 1
    journal.publish("a", number, 1)
    assert journal.bounds("a") == (TRIM_BATCH + 52, TRIM_BATCH + 52)


def test_a_large_bound_is_kept_to_but_for_a_few(journal: SqliteJournal) -> None:
    for seq in range(1, 131):
        journal.publish("a", number, 100)
        first = journal.bounds("a")[0]
        assert max(1, seq - 99 - 5) <= first <= max(1, seq - 99)


def test_old_entries_are_pruned_in_batches_and_their_room_is_used_again(journal: SqliteJournal, path: Path) -> None:
    for _ in range(3):
        for _ in range(2 * PRUNE_BATCH):
            journal.publish("a", lambda _seq: b"x" * 2000, 10_000)
        assert journal.prune(time.time() + 5, 1 << 40) == PRUNE_BATCH
        while journal.prune(time.time() + 5, 1 << 40):
            pass
    assert path.stat().st_size < 2 * 2 * PRUNE_BATCH * 2000


def test_the_newest_entry_of_all_stays_so_that_no_place_comes_twice(journal: SqliteJournal) -> None:
    journal.publish("a", number, 10)
    journal.wait(["a"], 0)
    assert journal.prune(time.time() + 5, 0) == 0
    journal.publish("a", number, 10)
    assert [entry.seq for entry in journal.wait(["a"], 0)] == [2]


def test_a_connection_that_was_opened_again_misses_no_news(journal: SqliteJournal, path: Path) -> None:
    journal.wait(["a"], 0)
    finish(run(COMMIT, path, "a", 3))
    journal.close()
    assert [entry.seq for entry in journal.wait(["a"], 0)] == [1, 2, 3]


def with_schema(path: Path, schema: str) -> SqliteJournal:
    """Open a file that an older version has made."""
    with sqlite3.connect(path) as connection:
        connection.executescript(schema)
    connection.close()
    return SqliteJournal(path)


def test_the_first_schema_is_brought_up_to_date_with_all_that_it_holds(path: Path) -> None:
    journal = with_schema(path, FIRST_SCHEMA)
    assert journal.read("a", 0, 10) == [Entry("a", 1, b"1"), Entry("a", 2, b"2")]
    assert journal.take("a", "me", 60.0) and journal.commit([batch("a", 3)]) == set()
    journal.close()


def test_the_second_schema_is_brought_up_to_date_with_all_that_it_holds(path: Path) -> None:
    journal = with_schema(path, SECOND_SCHEMA)
    assert journal.read("a", 0, 10) == [Entry("a", 2, b"2"), Entry("a", 3, b"3")]
    assert (journal.bounds("a"), journal.bounds("b"), journal.bounds("gone")) == ((2, 3), (1, 1), (8, 7))
    assert journal.commit([batch("a", 4)]) == set() and journal.commit([batch("b", 2)]) == {"b"}
    assert journal.publish("gone", number, 10) == 8
    journal.close()


def test_workers_that_open_a_new_file_at_once_all_can(path: Path) -> None:
    journals = [SqliteJournal(path) for _ in range(8)]
    threads = [threading.Thread(target=journal.publish, args=("a", number, 10)) for journal in journals]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert journals[0].bounds("a") == (1, 8)
    for journal in journals:
        journal.close()


def test_a_file_that_is_no_journal_ends_in_a_typed_error(tmp_path: Path) -> None:
    (tmp_path / "journal.db").write_bytes(b"no database" * 100)
    with pytest.raises(JournalError) as caught:
        SqliteJournal(tmp_path / "journal.db").check()
    assert caught.value.retriable and str(tmp_path) not in str(caught.value)


def test_a_missing_folder_ends_in_a_typed_error(tmp_path: Path) -> None:
    with pytest.raises(JournalError):
        SqliteJournal(tmp_path / "missing" / "journal.db").publish("a", number, 10)
