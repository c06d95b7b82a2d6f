"""What a restore would write, before it writes anything."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from strongroom.errors import DamageError
from strongroom.model.entry import HOLE, Entry, EntryKind, extents
from strongroom.model.snapshot import ListedSnapshot
from strongroom.operations.restore import Wanted, selected_entries
from strongroom.repository.content import flatten
from strongroom.repository.reader import Reader

_BLOCK: Final = 4096

Fetch = Callable[[list[bytes]], list[bytes]]


@dataclass(slots=True)
class RestoreTotals:
    """Entries and bytes that a restore brings back.

    ``space`` is what the files take on a disk: in blocks, without holes, hard links once.
    """

    entries: int = 0
    files: int = 0
    bytes: int = 0
    space: int = 0


def stated_totals(listed: ListedSnapshot) -> RestoreTotals:
    """Return the totals of a whole snapshot as its record states them.

    ``space`` is then the most that it can take: nothing is known of holes and hard links.
    """
    counts = [source.counts for source in listed.snapshot.sources]
    entries, size = sum(c.entries for c in counts), sum(c.bytes for c in counts)
    return RestoreTotals(entries, sum(c.files for c in counts), size, size + entries * _BLOCK)


def restore_totals(
    reader: Reader, listed: ListedSnapshot, top: bytes, wanted: Wanted | None
) -> RestoreTotals:
    """Read the trees and add up; ``NotFoundError`` if ``top`` is not there."""
    totals = RestoreTotals()
    for batch in selected_entries(reader, listed, top, wanted):
        for entry in batch:
            totals.entries += 1
            if entry.kind != EntryKind.FILE:
                totals.space += _BLOCK if entry.kind == EntryKind.DIRECTORY else 0
                continue
            totals.files += 1
            totals.bytes += entry.size
            if not entry.link or entry.link == entry.path:
                totals.space += _space(entry, reader.fetch)
    return totals


def _space(entry: Entry, fetch: Fetch) -> int:
    if not entry.content:
        return 0
    try:
        pieces = (
            flatten("a file", entry.content, entry.depth, fetch)
            if entry.depth
            else extents(entry.content)
        )
        size = sum(piece.length for piece in pieces if piece.chunk_id != HOLE)
    except DamageError:
        size = entry.size
    return -(-size // _BLOCK) * _BLOCK
