"""Which parts of a sparse file hold data: maps, and their text in GNU's sparse format 1.0."""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator
from typing import Final

from strongroom.archive.headers import padding

MOST_PARTS: Final = 1 << 20  # 16 MB of memory; what is behind that many is stored with its zeros
LEAST_HOLE: Final = 4096
_ZEROS: Final = bytes(LEAST_HOLE)


class SparseMap:
    """The parts of a file that hold data, in order, as (offset, length); the rest is holes.

    ``data``: the bytes of all parts. ``end``: where the last part ends;
    ``reached``: the same of an empty part behind it.
    """

    def __init__(self) -> None:
        self._numbers = array("Q")
        self.reached = 0
        self.data = 0
        self.end = 0

    def __len__(self) -> int:
        """Return the number of parts."""
        return len(self._numbers) // 2

    def __iter__(self) -> Iterator[tuple[int, int]]:
        """Yield the parts."""
        numbers = iter(self._numbers)
        return zip(numbers, numbers, strict=True)

    def add(self, offset: int, length: int) -> None:
        """Add a part that is behind all others, and may join the last; ValueError if it is not."""
        numbers = self._numbers
        if offset < self.reached:
            msg = f"the part at {offset} begins before the one before it ends"
            raise ValueError(msg)
        self.reached = offset + length
        if not length:
            return
        if numbers and offset == self.end:
            numbers[-1] += length
        else:
            numbers.extend((offset, length))
        self.data += length
        self.end = offset + length


def map_of(extents: Iterable[tuple[int, int, bool]]) -> tuple[SparseMap, int]:
    """Return the parts that hold data, and the size of the file.

    Holes too small to be worth a line of the map are taken for data: reading gives their zeros.
    """
    found = SparseMap()
    size = 0
    for offset, length, is_data in extents:
        size = offset + length
        if is_data or length < LEAST_HOLE or len(found) >= MOST_PARTS:
            found.add(offset, length)
    return found, size


def map_of_zeros(data: bytes) -> SparseMap:
    """Return the parts of ``data`` that are not whole 4 KiB of zeros."""
    found = SparseMap()
    size = len(data)
    for offset in range(0, size, LEAST_HOLE):
        if not data.startswith(_ZEROS, offset):
            found.add(offset, min(LEAST_HOLE, size - offset))
    return found


def map_text(found: SparseMap, size: int) -> bytes:
    """Return the blocks that stand before the data: decimal numbers, a line each.

    A file that ends with a hole has a last part without bytes where it ends, as GNU tar wants it.
    """
    parts = list(found)
    if found.end < size or not parts:
        parts.append((size, 0))
    text = b"%d\n%b" % (len(parts), b"".join([b"%d\n%d\n" % part for part in parts]))
    return text + padding(len(text))
