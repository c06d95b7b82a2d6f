"""What a file contains, as extents: lists that grow too long are kept in chunks of their own.

``docs/format.md`` 8. Lists are cut where the ids decide, so that a change in a large file changes
one list on each level.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from typing import Final

from strongroom.errors import DamageError
from strongroom.model.entry import EXTENT, HOLE, Entry, Extent, extents
from strongroom.repository.layout import HASH_SIZE

INLINE: Final = 64
_LEAST, _MOST, _DIVISOR = 64, 4096, 1024
MAX_DEPTH: Final = 8

SaveTree = Callable[[bytes], bytes]
FetchTree = Callable[[list[bytes]], list[bytes]]


class ContentBuilder:
    """Collects the extents of one file; ``save_tree`` stores a list and returns its chunk id."""

    def __init__(self, save_tree: SaveTree) -> None:
        self._save_tree = save_tree
        self._levels: list[list[bytes]] = [[]]
        self._list_ids: list[bytes] = []
        self.size = 0

    @property
    def list_ids(self) -> list[bytes]:
        """Ids of the tree chunks that hold lists of this file."""
        return self._list_ids

    def add(self, chunk_id: bytes, length: int) -> None:
        """Append a piece; HOLE is a hole, and adjacent holes become one."""
        self.size += length
        records = self._levels[0]
        if chunk_id == HOLE and records and records[-1][:HASH_SIZE] == HOLE:
            length += EXTENT.unpack(records.pop())[1]
        self._append(0, EXTENT.pack(chunk_id, length))

    def finish(self) -> tuple[bytes, int]:
        """Return (content, depth) of the entry."""
        depth = 0
        while len(self._levels[depth]) > INLINE or depth < len(self._levels) - 1:
            if self._levels[depth]:
                self._cut(depth)
            depth += 1
        return b"".join(self._levels[depth]), depth

    def _append(self, depth: int, record: bytes) -> None:
        if self._is_cut(self._levels[depth]):
            self._cut(depth)
        self._levels[depth].append(record)

    @staticmethod
    def _is_cut(records: list[bytes]) -> bool:
        """Whether the list ends after these; asked when more follows, so it has more than 64."""
        if len(records) < _LEAST:
            return False
        tail = int.from_bytes(records[-1][HASH_SIZE - 2 : HASH_SIZE], "big")
        return len(records) >= _MOST or tail % _DIVISOR == 0

    def _cut(self, depth: int) -> None:
        records, self._levels[depth] = self._levels[depth], []
        if depth + 1 == len(self._levels):
            self._levels.append([])
        length = sum(EXTENT.unpack(record)[1] for record in records)
        list_id = self._save_tree(b"".join(records))
        self._list_ids.append(list_id)
        self._append(depth + 1, EXTENT.pack(list_id, length))


def lists_ahead(entries: Iterable[Entry], fetch: FetchTree) -> FetchTree:
    """Read the first lists of all these entries at once; the rest is read when it is needed."""
    ids = [
        extent.chunk_id
        for entry in entries
        if entry.depth == 1
        for extent in _extents_if_any(entry.content)
    ]
    known: dict[bytes, bytes] = {}
    with suppress(DamageError):  # whose list it is, is seen when they are read one by one
        known = dict(zip(ids, fetch(ids), strict=True)) if ids else {}

    def fetch_lists(wanted: list[bytes]) -> list[bytes]:
        found = [known.get(chunk_id) for chunk_id in wanted]
        missing = [i for i, one in zip(wanted, found, strict=True) if one is None]
        more = iter(fetch(missing) if missing else ())
        return [next(more) if one is None else one for one in found]

    return fetch_lists


def _extents_if_any(content: bytes) -> list[Extent]:
    """Return extents; none if they are damaged, which is told of where they are used."""
    with suppress(ValueError):
        return extents(content)
    return []


def flatten(where: str, content: bytes, depth: int, fetch: FetchTree) -> Iterator[Extent]:
    """Yield the data extents and holes of a content in order; ``DamageError`` names ``where``."""
    if not 0 <= depth <= MAX_DEPTH:
        msg = f"{where} is damaged: its list of chunks is {depth} levels deep"
        raise DamageError(msg)
    try:
        records = extents(content)
    except ValueError as error:
        msg = f"{where} is damaged: {error}"
        raise DamageError(msg) from error
    if depth == 0:
        yield from records
        return
    for start in range(0, len(records), INLINE):
        part = records[start : start + INLINE]
        for record, nested in zip(part, fetch([r.chunk_id for r in part]), strict=True):
            below: Iterable[Extent] = flatten(where, nested, depth - 1, fetch)
            if depth == 1:  # as a list, no longer than a chunk: half of the time
                below = list(below)
                length = sum(extent.length for extent in below)
                yield from below
            else:
                length = 0
                for extent in below:
                    length += extent.length
                    yield extent
            if length != record.length:
                msg = f"{where} is damaged: a list of its chunks has another length than stated"
                raise DamageError(msg)
