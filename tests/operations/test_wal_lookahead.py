"""WAL that waits is archived ahead, and nothing is answered before it is durable."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from strongroom.errors import RefusedError, SourceError
from strongroom.operations.wal.lookahead import LookAhead
from strongroom.system.posix import PosixFs
from tests.support.wal import history, numbered, segment

pytestmark = pytest.mark.spec("C6")

WAIT = 20.0


class Archive:
    """Stands for the repository: notes what is archived, and waits or fails as told."""

    def __init__(self) -> None:
        self.pushed: list[str] = []
        self.failing: set[str] = set()
        self.gate = threading.Event()
        self.gate.set()

    def push(self, path: bytes) -> None:
        """Archive a file."""
        name = os.fsdecode(path.rpartition(b"/")[2])
        self.pushed.append(name)
        assert self.gate.wait(WAIT)
        if name in self.failing:
            msg = f"{name} is refused"
            raise RefusedError(msg)


class Server:
    """A pg_wal folder with files that wait."""

    def __init__(self, folder: Path) -> None:
        self.wal = folder / "pg_wal"
        (self.wal / "archive_status").mkdir(parents=True)

    def waits(self, *numbers: int) -> None:
        """Let segments wait."""
        for number in numbers:
            (self.wal / numbered(number).text).write_bytes(segment(numbered(number), filled=10))
            self.ready(numbered(number).text)

    def ready(self, name: str) -> None:
        """Mark a file as waiting."""
        (self.wal / "archive_status" / f"{name}.ready").touch()

    def done(self, number: int) -> None:
        """Take the mark away, as the server does when it was answered."""
        (self.wal / "archive_status" / f"{numbered(number).text}.ready").unlink()

    def path(self, number: int) -> bytes:
        """The path of a segment."""
        return os.fsencode(self.wal / numbered(number).text)


@pytest.fixture
def archive() -> Archive:
    """What is archived into."""
    return Archive()


@pytest.fixture
def server(tmp_path: Path) -> Server:
    """A folder with files that wait."""
    return Server(tmp_path)


@pytest.fixture
def one_thread() -> Iterator[ThreadPoolExecutor]:
    """One worker, so that the order is seen."""
    with ThreadPoolExecutor(1) as executor:
        yield executor


@pytest.fixture
def threads() -> Iterator[ThreadPoolExecutor]:
    """Several workers."""
    with ThreadPoolExecutor(4) as executor:
        yield executor


def _names(*numbers: int) -> list[str]:
    return [numbered(number).text for number in numbers]


def test_what_waits_is_archived_once_and_in_order(
    archive: Archive, server: Server, one_thread: ThreadPoolExecutor
) -> None:
    """Histories come first, then segments by name; each is answered later without a second time."""
    server.waits(5, 3, 4)
    (server.wal / "00000002.history").write_bytes(history((1, "0/1")))
    server.ready("00000002.history")
    ahead = LookAhead(PosixFs(), archive.push, one_thread)
    ahead.archive(server.path(3), WAIT)
    for number in (4, 5):
        ahead.archive(server.path(number), WAIT)
    assert archive.pushed == [*_names(3), "00000002.history", *_names(4, 5)]


def test_no_more_than_a_number_is_begun(
    archive: Archive, server: Server, one_thread: ThreadPoolExecutor
) -> None:
    """A long queue is not read into memory as a whole."""
    server.waits(*range(1, 10))
    ahead = LookAhead(PosixFs(), archive.push, one_thread, ahead=2)
    ahead.archive(server.path(1), WAIT)
    one_thread.submit(lambda: None).result(WAIT)
    assert archive.pushed == _names(1, 2, 3)


def test_nothing_is_answered_before_it_is_durable(
    archive: Archive, server: Server, threads: ThreadPoolExecutor
) -> None:
    """While the repository has not answered, nor does this; it says so when the time is over."""
    server.waits(1)
    ahead = LookAhead(PosixFs(), archive.push, threads)
    archive.gate.clear()
    with pytest.raises(TimeoutError):
        ahead.archive(server.path(1), 0.05)
    with pytest.raises(TimeoutError):
        ahead.archive(server.path(1), 0.05)
    archive.gate.set()
    ahead.archive(server.path(1), WAIT)
    assert archive.pushed == _names(1)


def test_a_failure_is_told_and_tried_again(
    archive: Archive, server: Server, one_thread: ThreadPoolExecutor
) -> None:
    """A file that failed ahead of time fails for who asks only if it fails again."""
    server.waits(1, 2)
    archive.failing = set(_names(2))
    ahead = LookAhead(PosixFs(), archive.push, one_thread)
    ahead.archive(server.path(1), WAIT)
    one_thread.submit(lambda: None).result(WAIT)
    with pytest.raises(RefusedError):
        ahead.archive(server.path(2), WAIT)
    archive.failing = set()
    ahead.archive(server.path(2), WAIT)
    assert archive.pushed == _names(1, 2, 2, 2)


def test_another_file_of_the_name_is_archived_anew(
    archive: Archive, server: Server, one_thread: ThreadPoolExecutor
) -> None:
    """An answer is about the file that was read: replaced by another one, it counts no more."""
    server.waits(1)
    ahead = LookAhead(PosixFs(), archive.push, one_thread)
    ahead.archive(server.path(1), WAIT)
    path = Path(os.fsdecode(server.path(1)))
    other = path.with_name("other")
    other.write_bytes(segment(numbered(1), "other"))
    other.replace(path)
    ahead.archive(server.path(1), WAIT)
    assert archive.pushed == _names(1, 1)


def test_a_file_that_changes_meanwhile_is_not_answered(
    archive: Archive, server: Server, threads: ThreadPoolExecutor
) -> None:
    """What was read may be neither the old nor the new content."""
    server.waits(1)
    path = Path(os.fsdecode(server.path(1)))

    def push(where: bytes) -> None:
        archive.push(where)
        os.utime(path, ns=(1, 1))

    ahead = LookAhead(PosixFs(), push, threads)
    with pytest.raises(SourceError, match="changed while it was archived"):
        ahead.archive(server.path(1), WAIT)


def test_what_does_not_wait_any_more_is_forgotten(
    archive: Archive, server: Server, one_thread: ThreadPoolExecutor
) -> None:
    """Memory does not grow with the days."""
    server.waits(1, 2)
    ahead = LookAhead(PosixFs(), archive.push, one_thread)
    for number in (1, 2):
        ahead.archive(server.path(number), WAIT)
        server.done(number)
    server.waits(3)
    ahead.archive(server.path(3), WAIT)
    assert list(ahead._known) == [server.path(3)]


def test_what_is_no_wal_file_is_refused(
    archive: Archive, server: Server, threads: ThreadPoolExecutor
) -> None:
    """Nobody can have other files archived, and a file that is not there is told."""
    ahead = LookAhead(PosixFs(), archive.push, threads)
    with pytest.raises(SourceError, match="no WAL file"):
        ahead.archive(b"/etc/passwd", WAIT)
    with pytest.raises(SourceError, match="cannot read"):
        ahead.archive(server.path(9), WAIT)
    assert archive.pushed == []
