"""Base backups that need WAL of the archive: an export brings it along, so that each can start."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Final, NamedTuple, cast

import msgspec

from strongroom.errors import DamageError
from strongroom.model.entry import Entry, EntryKind
from strongroom.model.snapshot import ListedSnapshot, SourceRecord
from strongroom.model.source import Content, InspectableSource, Item, Loaded, Report
from strongroom.operations.restore import tree_of
from strongroom.postgres.cluster import DATA, KIND, Position, cluster_path, read_position
from strongroom.postgres.wal.names import WalName, segment_name
from strongroom.repository.reader import Reader
from strongroom.repository.tree import is_below
from strongroom.repository.wal import StoredWal, WalArchive

_WAL: Final = "pg_wal"
_MODE: Final = 0o600


class NeededWal(NamedTuple):
    """A segment, where it lies in the archive, and the entry that it is in the data directory."""

    places: Sequence[StoredWal]
    entry: Entry


def needed_wal(
    reader: Reader, listed: ListedSnapshot, top: bytes, archive: WalArchive
) -> list[NeededWal]:
    """Return the WAL of base backups that are at or below ``top`` and do not have theirs in them.

    Paths are relative to ``top``. ``DamageError`` if a segment is not in the archive.
    """
    found = []
    for source in listed.snapshot.sources:
        position = needs_wal(source)
        name = source.name.decode("utf-8", "surrogateescape")
        folder = os.fsencode(cluster_path(name))
        if position is None or not is_below(folder, top):
            continue
        owner = _data_directory(reader, listed, source, folder)
        for number in range(position.first_segment, position.last_segment + 1):
            segment = segment_name(position.timeline, number, position.segment_size)
            places = archive.find(position.system, segment)
            if not places:
                raise _missing(name, segment)
            path = b"/".join([folder, DATA.encode(), _WAL.encode(), segment.text.encode()])
            entry = msgspec.structs.replace(
                owner,
                path=path[len(top) + 1 :] if top else path,
                kind=int(EntryKind.FILE),
                mode=_MODE,
                size=position.segment_size,
            )
            found.append(NeededWal(places, entry))
    return found


def needs_wal(source: SourceRecord) -> Position | None:
    """Return the position of a base backup whose WAL is not in it; None for everything else."""
    position = read_position(source.position) if source.kind == KIND.encode() else None
    return None if position is None or position.standalone else position


def _data_directory(
    reader: Reader, listed: ListedSnapshot, source: SourceRecord, folder: bytes
) -> Entry:
    path = folder + b"/" + DATA.encode()
    for batch in tree_of(reader, listed, source).entries(path):
        if batch:
            return batch[0]
    raise DamageError(f"the base backup in snapshot {listed.short_id} has no data directory")


def _missing(source: str, segment: WalName) -> DamageError:
    return DamageError(
        f"the base backup of {source} needs {segment.text}, which is not in the archive any more",
        hint="No server starts without it. 'strongroom restore' brings back the files alone.",
    )


class WithWal:
    """An ``InspectableSource``: what another one has, and after it segments of WAL.

    None is so small that it would be loaded with others.
    """

    def __init__(
        self, source: InspectableSource, archive: WalArchive, needed: Sequence[NeededWal]
    ) -> None:
        self.kind, self.name = source.kind, source.name
        self._source = source
        self._archive = archive
        self._needed = needed

    def walk(self, report: Report) -> Iterator[Sequence[Item]]:
        """See ``Source``."""
        yield from self._source.walk(report)
        yield [Item(one.entry.path, b"", one.entry.size, one) for one in self._needed]

    def load(self, items: Sequence[Item]) -> list[Loaded]:
        """See ``Source``."""
        return self._source.load(items)

    def look(self, items: Sequence[Item]) -> list[Loaded]:
        """See ``InspectableSource``."""
        others = iter(self._source.look([one for one in items if _segment(one) is None]))
        return [next(others) if _segment(one) is None else _loaded(one) for one in items]

    @contextmanager
    def open(self, item: Item) -> Iterator[Content]:
        """See ``Source``; ``DamageError`` for a segment that cannot be read."""
        segment = _segment(item)
        if segment is None:
            with self._source.open(item) as content:
                yield content
        else:
            yield _Segment(item, self._archive.get_agreed(segment.places))


class _Segment:
    """``Content`` of a segment."""

    def __init__(self, item: Item, data: bytearray) -> None:
        self._item = item
        self._data = memoryview(data)

    def extents(self) -> Iterator[tuple[int, int, bool]]:
        """See ``Content``."""
        yield 0, len(self._data), True

    def readinto(self, offset: int, buffer: memoryview) -> int:
        """See ``Content``."""
        piece = self._data[offset : offset + len(buffer)]
        buffer[: len(piece)] = piece
        return len(piece)

    def finish(self, size_read: int) -> Loaded:
        """See ``Content``."""
        del size_read
        return _loaded(self._item)


def _segment(item: Item) -> NeededWal | None:
    return item.handle if isinstance(item.handle, NeededWal) else None


def _loaded(item: Item) -> Loaded:
    return Loaded(item, cast(NeededWal, item.handle).entry, b"", b"")
