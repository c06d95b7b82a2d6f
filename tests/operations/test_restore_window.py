"""Pieces on their way into files, joined where they follow each other."""

from __future__ import annotations

import random
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from strongroom.operations.restore_window import Joined, LargeFile, Piece
from strongroom.repository.reader import ReadChunk
from tests.support.fakes import file_entry

pytestmark = pytest.mark.spec("B5")


class Opened:
    """An ``OpenFile`` in memory, that counts what it is told."""

    def __init__(self, size: int) -> None:
        self.data = bytearray(size)
        self.calls = 0
        self.finished = False

    def write(self, offset: int, data: object) -> None:
        """See ``OpenFile``."""
        view = memoryview(data)  # type: ignore[arg-type]
        assert not self.finished
        self.data[offset : offset + len(view)] = view
        self.calls += 1

    def finish(self) -> None:
        """See ``OpenFile``."""
        self.finished = True

    def abandon(self) -> None:
        """See ``OpenFile``."""


@pytest.mark.parametrize("seed", range(5))
def test_every_piece_is_written_where_it_belongs(seed: int) -> None:
    """Small and large ones of two files, in order or not: the bytes are right, each file is ended
    once, and pieces that follow each other in the file and in a frame take one call together.
    """
    dice = random.Random(seed)
    files, wanted, pieces = [], [], []
    for _ in range(2):
        lengths = [dice.choice([100, 8192, 40_000]) for _ in range(40)]
        data = dice.randbytes(sum(lengths))
        frame = memoryview(b"before" + data)
        opened = Opened(len(data))
        large = LargeFile(file_entry(b"a", len(data)), opened, len(lengths))
        offset = 0
        for length in lengths:
            at = offset + len(b"before")
            chunk = ReadChunk(b"", frame[at : at + length], frame, at)
            pieces.append((Piece(large, offset, length), chunk))
            offset += length
        files.append(opened)
        wanted.append(data)
    if seed:
        dice.shuffle(pieces)
    joined = Joined()
    for one in pieces:
        joined.add(*one)
    joined.flush()
    assert joined.finished == 2
    assert [bytes(one.data) for one in files] == wanted
    assert all(one.finished for one in files)
    if not seed:
        assert [one.calls for one in files] == [1, 1]


def test_a_chunk_that_is_there_twice_is_written_twice() -> None:
    """What follows in the file and is the same place of a frame, or another one, is no run."""
    frame, other = memoryview(b"abcabc"), memoryview(b"abcabc")
    opened = Opened(12)
    large = LargeFile(file_entry(b"a", 12), opened, 4)
    joined = Joined()
    for number, (data, at) in enumerate([(frame, 0), (frame, 0), (frame, 3), (other, 3)]):
        joined.add(Piece(large, 3 * number, 3), ReadChunk(b"", data[at : at + 3], data, at))
    joined.flush()
    assert bytes(opened.data) == b"abc" * 4
    assert (opened.calls, opened.finished, joined.finished) == (3, True, 1)


def test_one_thread_at_a_time_writes_into_a_file() -> None:
    """Others wait for their turn, asleep."""
    inside = threading.Semaphore(1)

    class Alone(Opened):
        """An ``OpenFile`` that nobody may enter twice."""

        def write(self, offset: int, data: object) -> None:
            """See ``OpenFile``."""
            assert inside.acquire(blocking=False)
            time.sleep(0.001)
            super().write(offset, data)
            inside.release()

    opened = Alone(400)
    large = LargeFile(file_entry(b"a", 400), opened, 40)
    with ThreadPoolExecutor(4) as threads:
        done = list(threads.map(lambda n: large.write(10 * n, bytes([n]) * 10), range(40)))
    assert bytes(opened.data) == b"".join(bytes([n]) * 10 for n in range(40))
    assert (done.count(True), opened.finished) == (1, True)
