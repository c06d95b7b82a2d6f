"""Programs that are fed through pipes: each as fast as it reads, whatever the others do."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator

import pytest

from strongroom.errors import DamageError
from strongroom.operations.feeding import feed

PIECE = 40_000


class _Program:
    """The end of a pipe that a program would read."""

    def __init__(self) -> None:
        self.output, self.input = os.pipe()
        self.pulled = 0
        self.ended = False

    def end_input(self) -> None:
        """See ``Fed``."""
        if not self.ended:
            self.ended = True
            os.close(self.input)

    def pieces(self, number: int, count: int) -> Iterator[bytes]:
        """Yield pieces, some of them empty, and count them."""
        for piece in range(count):
            self.pulled += 1
            yield bytes([number, piece % 256]) * (PIECE // 2)
            yield b""

    def read(self) -> bytes:
        """Read all that comes."""
        with os.fdopen(self.output, "rb") as file:
            return file.read()


def test_each_is_fed_as_fast_as_it_reads() -> None:
    """Who reads nothing yet holds nobody up and gets little; each gets all of its own, in order."""
    programs = [_Program() for _ in range(3)]
    feeds = [(one, one.pieces(number, 300)) for number, one in enumerate(programs)]
    feeding = threading.Thread(target=feed, args=(feeds, lambda: False))
    feeding.start()
    for number, one in reversed(list(enumerate(programs))):
        assert one.read() == b"".join(
            bytes([number, piece % 256]) * (PIECE // 2) for piece in range(300)
        )
        assert one.ended
        assert all(slow.pulled < 100 for slow in programs[:number]), "a pipe, and what is next"
    feeding.join()


def test_who_reads_no_more_ends_it() -> None:
    """Nobody waits for the others to be fed for nothing; who had all of its own ended well."""
    gone, other = _Program(), _Program()
    os.close(gone.output)
    assert not feed([(other, other.pieces(1, 3)), (gone, gone.pieces(0, 50))], lambda: False)
    assert not gone.ended
    gone.end_input()
    other.end_input()
    assert len(other.read()) <= 3 * PIECE


def test_a_reader_may_go_when_it_has_all() -> None:
    """That its end of the pipe is closed then, before ours, is no failure."""
    one = _Program()

    def read() -> None:
        left = 50 * PIECE
        while left:
            left -= len(os.read(one.output, left))
        os.close(one.output)

    reading = threading.Thread(target=read)
    reading.start()
    assert feed([(one, one.pieces(0, 50))], lambda: False)
    reading.join()
    assert one.ended


def test_it_ends_with_the_programs() -> None:
    """A pipe that is held open by somebody who reads nothing keeps nobody waiting."""
    held = _Program()
    assert not feed([(held, held.pieces(0, 50))], lambda: True)
    held.end_input()
    os.close(held.output)


def test_what_cannot_be_read_is_raised() -> None:
    """The input is not closed then: its end would look like the end of what was to come."""

    def damaged() -> Iterator[bytes]:
        yield b"a"
        raise DamageError("gone")

    one = _Program()
    with pytest.raises(DamageError, match="gone"):
        feed([(one, damaged())], lambda: False)
    assert not one.ended
    one.end_input()
    os.close(one.output)
