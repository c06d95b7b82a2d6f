"""Sources that do what plain files in memory do not: holes, waiting, failing, growing."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence

from strongroom.model.source import Content, Item, Loaded, Report
from tests.support.fakes import MemorySource, file_entry

BLOCK = 4096


class _Sparse:
    """``Content`` whose blocks of zeros are holes."""

    def __init__(self, item: Item, data: bytes) -> None:
        self._item = item
        self._data = data

    def extents(self) -> Sequence[tuple[int, int, bool]]:
        """See ``Content``."""
        found: list[tuple[int, int, bool]] = []
        for offset in range(0, len(self._data), BLOCK):
            block = self._data[offset : offset + BLOCK]
            is_data = any(block)
            if found and found[-1][2] == is_data:
                start, length, _ = found.pop()
                found.append((start, length + len(block), is_data))
            else:
                found.append((offset, len(block), is_data))
        return found

    def readinto(self, offset: int, buffer: memoryview) -> int:
        """See ``Content``."""
        piece = self._data[offset : offset + len(buffer)]
        buffer[: len(piece)] = piece
        return len(piece)

    def finish(self, size_read: int) -> Loaded:
        """See ``Content``."""
        entry = file_entry(self._item.path, size_read)
        return Loaded(self._item, entry, b"", self._item.token)


class SparseSource(MemorySource):
    """Files in memory whose blocks of zeros are holes, if they are large."""

    @contextlib.contextmanager
    def open(self, item: Item) -> Iterator[Content]:
        """See ``Source``."""
        yield _Sparse(item, self.files[item.path])


class StirringSource(MemorySource):
    """Files in memory; ``stir`` is called with each path before it is read.

    It may move a clock, change a store, or raise.
    """

    def __init__(
        self, files: Mapping[bytes, bytes], stir: Callable[[bytes], None], name: str = "test"
    ) -> None:
        super().__init__(files, name)
        self._stir = stir

    def walk(self, report: Report) -> Iterator[Sequence[Item]]:
        """See ``Source``."""
        for items in super().walk(report):
            for item in items:
                yield [item]

    def load(self, items: Sequence[Item]) -> list[Loaded]:
        """See ``Source``."""
        for item in items:
            self._stir(item.path)
        return super().load(items)
