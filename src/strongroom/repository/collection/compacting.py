"""Putting one index segment in the place of many small ones, before the run that removes them.

An entry is dropped only if a ``kills`` names its pack and the pack is gone.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Final

import msgspec

from strongroom.model.store import ObjectInfo
from strongroom.repository import layout
from strongroom.repository.loading import ListedSegment, read_segment, superseded_by
from strongroom.repository.records import IndexedPack
from strongroom.repository.relisting import put_segment
from strongroom.repository.repository import Repository

_SMALL: Final = 16 << 20  # bytes of a segment that is worth joining with others
_ENOUGH: Final = 8  # small segments of one domain that make it worth while
_JOINED: Final = 96 << 20  # bytes that are joined into one
_MUCH: Final = 4  # one dropped entry in so many makes a segment worth writing anew


def worth_compacting(
    segments: Sequence[ListedSegment], ended: Collection[bytes], doubtful: Collection[bytes]
) -> list[list[ListedSegment]]:
    """Choose groups of segments, each of one domain, to be joined. Pure.

    ``ended``: packs that were removed for good. ``doubtful`` segments may vanish, so they are
    always written anew.
    """
    old = superseded_by(segments)
    groups: list[list[ListedSegment]] = []
    for domain in sorted({segment.domain for segment in segments}):
        mine = [s for s in segments if s.domain == domain and s.name not in old]
        small = [segment for segment in mine if segment.size < _SMALL]
        chosen = small if len(small) >= _ENOUGH else []
        chosen += [
            segment
            for segment in mine
            if segment not in chosen and (_is_stale(segment, ended) or segment.name in doubtful)
        ]
        groups += _cut(sorted(chosen, key=lambda segment: segment.name))
    return groups


def _is_stale(segment: ListedSegment, ended: Collection[bytes]) -> bool:
    dropped = sum(pack in ended for pack in segment.packs)
    return dropped < len(segment.packs) < dropped * _MUCH


def _cut(segments: Sequence[ListedSegment]) -> list[list[ListedSegment]]:
    groups: list[list[ListedSegment]] = []
    room = 0
    for segment in segments:
        if segment.size > room:
            groups.append([])
            room = _JOINED
        groups[-1].append(segment)
        room -= segment.size
    return groups


def compact(
    repository: Repository, group: Sequence[ListedSegment], ended: Collection[bytes]
) -> ListedSegment:
    """Put one segment in the place of a group; return it.

    ``DamageError`` or ``ObjectMissingError`` if one is not to be had.

    Segments that list nothing any more are replaced by one that lists nothing.
    """
    packs: set[IndexedPack] = set()  # two that differ about one pack both stay: one is right
    for segment in group:
        info = ObjectInfo(layout.index_segment(segment.name), segment.size)
        _domain, body = read_segment(
            repository.store, repository.keyring, repository.around.cache, info
        )
        packs |= {pack for pack in body.packs if pack.pack_id not in ended}
    domain = group[0].domain
    names = sorted(segment.name for segment in group)
    kept = sorted(packs, key=msgspec.structs.astuple)
    name = put_segment(repository, domain, kept, names)
    size = repository.store.size(layout.index_segment(name))
    listed = tuple(pack.pack_id for pack in kept)
    return ListedSegment(name, size, domain, listed, tuple(names))
