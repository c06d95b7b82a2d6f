"""The files of a dump as they are in a snapshot: read where they are needed, never on a disk."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from strongroom.archive.writing import BATCH_BYTES, BATCH_ITEMS, LARGE
from strongroom.errors import DamageError
from strongroom.model.events import Advanced, Sink
from strongroom.model.snapshot import ListedSnapshot
from strongroom.model.source import Content, Item, Problem
from strongroom.operations.export import WINDOW, SnapshotSource
from strongroom.repository.reader import Reader

_PIECE: Final = 1 << 20


class StoredFiles:
    """``DumpFiles`` of a folder in a snapshot; every chunk is verified (``DamageError``)."""

    def __init__(
        self,
        reader: Reader,
        listed: ListedSnapshot,
        path: bytes,
        sink: Sink,
        window: int = WINDOW,
    ) -> None:
        """Find them; ``NotFoundError``. ``sink`` hears of the bytes that are read.

        ``window``: so many bytes of a file are read at once, while as many are used.
        """
        self._source = SnapshotSource(reader, listed, path, window=window)
        self._sink = sink
        self._items = {
            item.path.decode("utf-8", "surrogateescape"): item
            for batch in self._source.walk(_ignore)
            for item in batch
        }
        self._sizes = {
            name: loaded.entry.size if loaded.entry is not None else 0
            for name, loaded in zip(
                self._items, self._source.look(list(self._items.values())), strict=True
            )
        }

    def size(self, name: str) -> int:
        """See ``DumpFiles``."""
        self._item(name)
        return self._sizes[name]

    def read(self, name: str) -> bytes:
        """See ``DumpFiles``."""
        return b"".join(self._pieces(self._item(name)))

    def each(self, names: Sequence[str]) -> Iterator[Iterator[bytes]]:
        """See ``DumpFiles``; small ones that follow each other are read at once."""
        batch: list[Item] = []
        size = 0
        for name in names:
            item = self._item(name)
            if item.size >= LARGE:
                yield from self._loaded(batch)
                batch, size = [], 0
                yield self._pieces(item)
                continue
            batch.append(item)
            size += item.size
            if len(batch) >= BATCH_ITEMS or size >= BATCH_BYTES:
                yield from self._loaded(batch)
                batch, size = [], 0
        yield from self._loaded(batch)

    def _item(self, name: str) -> Item:
        try:
            return self._items[name]
        except KeyError:
            raise DamageError(f"{name} is missing in the dump") from None

    def _loaded(self, batch: Sequence[Item]) -> Iterator[Iterator[bytes]]:
        for loaded in self._source.load(batch):
            self._sink(Advanced(0, len(loaded.data)))
            yield iter([loaded.data])

    def _pieces(self, item: Item) -> Iterator[bytes]:
        with self._source.open(item) as content:
            yield from self._read(content)

    def _read(self, content: Content) -> Iterator[bytes]:
        offset = 0
        buffer = memoryview(bytearray(_PIECE))
        while count := content.readinto(offset, buffer):
            self._sink(Advanced(0, count))
            yield bytes(buffer[:count])
            offset += count


def _ignore(_problem: Problem) -> None:
    """Say nothing: what a backup could not save is no part of the dump."""
