"""Chunkers: from a stream of bytes to chunks, reading ahead by at most one largest chunk.

``FastCdc`` cuts at content-defined places (Xia and others, 2020, normalised chunking, gear table of
the reference implementation): an insertion moves only the cuts around it. ``Blocks`` cuts every
``size`` bytes, for data that is rewritten in place. Cut places decide what deduplicates between
versions of the program, so golden tests hold them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final, Literal, NamedTuple, Protocol

from pyfastcdc import FastCDC

from strongroom.model.fs import Buffer

READ_SIZE: Final = 8 * 1024 * 1024
PUSHED_SIZE: Final = 1024 * 1024

ReadInto = Callable[[memoryview], int]


class ChunkerParameters(NamedTuple):
    """Sizes in bytes; part of the repository's configuration."""

    whole_below: int = 1 << 20
    average: int = 1 << 20
    minimum: int = 1 << 18
    maximum: int = 4 << 20
    normalisation: Literal[0, 1, 2, 3] = 1


ROWS: Final = ChunkerParameters(1 << 16, 1 << 14, 1 << 12, 1 << 16, 3)
"""For rows as text, of which some here and there change. On rows of pgbench these give chunks of
24 KiB, and a changed row costs about 25 KiB; an average of 32 KiB, which is much alike, gives 76.
"""


class Cutter(Protocol):
    """Finds cut places in a buffer."""

    @property
    def maximum(self) -> int:
        """The longest chunk in bytes."""
        ...

    def lengths(self, data: memoryview) -> Iterator[int]:
        """Yield chunk lengths from the start; the last ones are sure only at the end of data."""
        ...


class FastCdc:
    """Content-defined chunks; not to be shared between threads."""

    def __init__(self, parameters: ChunkerParameters) -> None:
        self.maximum = parameters.maximum
        self._cdc = FastCDC(
            parameters.average,
            min_size=parameters.minimum,
            max_size=parameters.maximum,
            normalized_chunking=parameters.normalisation,
        )

    def lengths(self, data: memoryview) -> Iterator[int]:
        """See ``Cutter``."""
        for chunk in self._cdc.cut_buf(data):
            yield chunk.length


class Cutting:
    """A stream that comes in pieces of any length, cut as ``cut_stream`` cuts it."""

    def __init__(self, cutter: Cutter, whole_below: int, size: int = PUSHED_SIZE) -> None:
        """Cut no stream of fewer than ``whole_below`` bytes; hold at most about ``size``."""
        self._cutter = cutter
        self._whole_below = whole_below
        self._buffer = bytearray(max(size, 2 * cutter.maximum, whole_below))
        self._view = memoryview(self._buffer)
        self._filled = 0
        self._begun = False

    def put(self, data: Buffer) -> Iterator[bytes]:
        """Take the next piece; yield chunks whose ends are sure."""
        rest = memoryview(data)
        while rest:
            piece = rest[: len(self._buffer) - self._filled]
            self._view[self._filled : self._filled + len(piece)] = piece
            self._filled += len(piece)
            rest = rest[len(piece) :]
            if self._filled == len(self._buffer):
                yield from self._cut(self._cutter.maximum)

    def finish(self) -> Iterator[bytes]:
        """Yield what is left: the stream has ended."""
        if not self._begun and self._filled < self._whole_below:
            if self._filled:
                yield bytes(self._view[: self._filled])
        else:
            yield from self._cut(0)

    def _cut(self, ahead: int) -> Iterator[bytes]:
        """Yield the chunks that begin at least ``ahead`` bytes before the end of what is there."""
        self._begun = True
        view, done = self._view, 0
        for length in self._cutter.lengths(view[: self._filled]):
            if self._filled - done < ahead:
                break
            yield bytes(view[done : done + length])
            done += length
        self._filled -= done
        view[: self._filled] = bytes(view[done : done + self._filled])


class Blocks:
    """A stream that comes in pieces of any length, cut every ``size`` bytes."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._held: list[memoryview] = []
        self._missing = size

    def put(self, data: Buffer) -> list[Buffer]:
        """Take the next piece, which must stay as it is; the chunks that are whole, in place."""
        piece = memoryview(data)
        if len(piece) < self._missing:
            self._held.append(piece)
            self._missing -= len(piece)
            return []
        held, first, size = self._held, self._missing, self._size
        rest = (len(piece) - first) % size
        whole = len(piece) - rest
        self._held = [piece[whole:]] if rest else []
        self._missing = size - rest
        begun: Buffer = b"".join((*held, piece[:first])) if held else piece[:first]
        return [begun, *(piece[at : at + size] for at in range(first, whole, size))]

    def finish(self) -> list[Buffer]:
        """Return what is left, a chunk or none: the stream has ended."""
        held, self._held, self._missing = self._held, [], self._size
        return [b"".join(held)] if any(held) else []


def cut_stream(
    cutter: Cutter, readinto: ReadInto, size: int = READ_SIZE, most: int | None = None
) -> Iterator[bytes]:
    """Yield the chunks of a stream, each as bytes of its own.

    ``readinto`` fills a buffer and returns the number of bytes, 0 at the end. A cut is taken only
    while at least ``cutter.maximum`` bytes lie ahead or the stream has ended, so that it never
    depends on how the reads fell. ``most``: the stream is no longer than this, and a short one
    takes a small buffer.
    """
    whole = max(size, 2 * cutter.maximum)
    buffer = bytearray(whole if most is None else min(whole, most + 1))  # one more sees the end
    view = memoryview(buffer)
    filled, ended = 0, False
    while True:
        while filled < len(buffer) and not ended:
            count = readinto(view[filled:])
            ended = count == 0
            filled += count
        done = 0
        for length in cutter.lengths(view[:filled]):
            if not ended and filled - done < cutter.maximum:
                break
            yield bytes(view[done : done + length])
            done += length
        view[: filled - done] = bytes(view[done:filled])
        filled -= done
        if ended and filled == 0:
            return
