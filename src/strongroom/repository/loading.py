"""Reading the index: all segments for a reader, only what may be relied on for a writer."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

from strongroom.errors import DamageError, ObjectMissingError, RangeError
from strongroom.model.store import ObjectInfo, StoreReading
from strongroom.repository import layout
from strongroom.repository.cache import ObjectCache
from strongroom.repository.index import ChunkIndex, Spill
from strongroom.repository.keyring import Keys
from strongroom.repository.records import IndexBody, IndexedPack
from strongroom.repository.segment import (
    DOMAIN_WITHIN,
    MAX_SEGMENT,
    open_segment,
    segment_domain,
    stated_domain,
)


class ListedSegment(NamedTuple):
    """A segment that was read: whose it is, what it lists and replaces; ``size`` in bytes."""

    name: bytes
    size: int
    domain: bytes
    packs: tuple[bytes, ...]
    supersedes: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class LoadedIndex:
    """An index, the segments that were listed, and those that could not be used."""

    index: ChunkIndex
    segments: tuple[ListedSegment, ...]
    damaged: tuple[DamageError, ...]


def _any(_pack: IndexedPack) -> bool:
    return True


class Choice(NamedTuple):
    """What counts: one domain or all, packs that are ``usable``, no segment in ``absent``."""

    domain_id: bytes | None = None
    usable: Callable[[IndexedPack], bool] = _any
    absent: frozenset[bytes] = frozenset()


class IndexMemory(NamedTuple):
    """How an index is kept: ``spill`` as of ``ChunkIndex``, ``room`` in bytes of segments."""

    spill: Spill | None = None
    room: int = 64 << 20


EVERYTHING: Final = Choice()
IN_PLACE: Final = IndexMemory()


class _Segment(NamedTuple):
    """A segment that was read; ``body`` is None where it was not kept."""

    info: ObjectInfo
    listed: ListedSegment
    body: IndexBody | None


def read_segment(
    store: StoreReading, keyring: Keys, cache: ObjectCache, listed: ObjectInfo
) -> tuple[bytes, IndexBody]:
    """Return (domain id, body) of a listed segment; ``DamageError``, ``ObjectMissingError``."""
    key = listed.key
    name = layout.segment_id(key)
    if name is None or listed.size > MAX_SEGMENT:
        msg = f"{key} ({listed.size} bytes) is no index segment"
        raise DamageError(msg)
    data = cache.get(key)
    if data is not None:
        try:
            return _opened(key, name, data, keyring)
        except DamageError:
            cache.forget(key)
    data = store.get(key)
    opened = _opened(key, name, data, keyring)
    cache.put(key, data)
    return opened


def _opened(key: str, name: bytes, data: bytes, keyring: Keys) -> tuple[bytes, IndexBody]:
    domain = segment_domain(key, data, keyring.repository_id)
    return domain, open_segment(key, name, data, keyring.domain(domain), keyring.admin_key)


def _is_foreign(store: StoreReading, keyring: Keys, cache: ObjectCache, listed: ObjectInfo) -> bool:
    """Whether a segment is of a domain that the key does not hold; its beginning says so."""
    if keyring.only_domain is None:
        return False
    data = cache.get(listed.key) or b""
    if len(data) < DOMAIN_WITHIN:
        try:
            data = store.get_range(listed.key, 0, DOMAIN_WITHIN)
        except (ObjectMissingError, RangeError):
            return True
    foreign = stated_domain(data) != keyring.only_domain
    if foreign:
        cache.put(listed.key, data[:DOMAIN_WITHIN])
    return foreign


def load_index(
    store: StoreReading,
    keyring: Keys,
    cache: ObjectCache,
    choice: Choice = EVERYTHING,
    memory: IndexMemory = IN_PLACE,
) -> LoadedIndex:
    """Read the segments that are listed now, without those that another listed one supersedes.

    All are read before the first is used; those that there is no room to keep are read again.
    """
    found: dict[bytes, _Segment] = {}
    damaged: list[DamageError] = []
    room = memory.room
    for info in store.list(layout.INDEX):
        name = layout.segment_id(info.key)
        if name in choice.absent or _is_foreign(store, keyring, cache, info):
            continue
        try:
            domain, body = read_segment(store, keyring, cache, info)
        except ObjectMissingError:
            continue
        except DamageError as error:
            damaged.append(error)
            continue
        if name is not None and choice.domain_id in {None, domain}:
            room -= info.size
            packs = tuple(pack.pack_id for pack in body.packs)
            listed = ListedSegment(name, info.size, domain, packs, tuple(_ids(body.supersedes)))
            found[name] = _Segment(info, listed, body if room >= 0 else None)
    superseded = superseded_by([segment.listed for segment in found.values()])
    index = ChunkIndex(memory.spill)
    for name, segment in found.items():
        if name in superseded:
            continue
        try:
            body = segment.body or read_segment(store, keyring, cache, segment.info)[1]
            index.add(segment.info.key, filter(choice.usable, body.packs))
        except ObjectMissingError:
            continue
        except DamageError as error:
            damaged.append(error)
    listed_segments = tuple(segment.listed for segment in found.values())
    return LoadedIndex(index, listed_segments, tuple(damaged))


def superseded_by(segments: Sequence[ListedSegment]) -> frozenset[bytes]:
    """Return the names of those that another one of their own domain replaces."""
    replaced = {(segment.domain, name) for segment in segments for name in segment.supersedes}
    return frozenset(s.name for s in segments if (s.domain, s.name) in replaced)


def _ids(joined: bytes) -> list[bytes]:
    size = layout.HASH_SIZE
    return [joined[i : i + size] for i in range(0, len(joined), size)]
