"""Pieces on their way into files, joined where they follow each other."""

from __future__ import annotations

import random

import pytest

from strongroom.operations.restore_window import Joined, LargeFile, Piece
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
    once, and small pieces that follow each other take one call together.
    """
    dice = random.Random(seed)
    files, wanted, pieces = [], [], []
    for _ in range(2):
        lengths = [dice.choice([100, 8192, 40_000]) for _ in range(40)]
        data = dice.randbytes(sum(lengths))
        opened = Opened(len(data))
        large = LargeFile(file_entry(b"a", len(data)), opened, len(lengths))
        offset = 0
        for length in lengths:
            pieces.append(
                (Piece(large, offset, length), memoryview(data)[offset : offset + length])
            )
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
        assert sum(one.calls for one in files) < len(pieces)
