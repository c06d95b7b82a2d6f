"""Reading the index: all segments for a reader, only what may be relied on for a writer."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from strongroom.errors import DamageError, ObjectMissingError
from strongroom.model.store import ObjectInfo, StoreReading
from strongroom.repository import layout
from strongroom.repository.cache import ObjectCache
from strongroom.repository.index import ChunkIndex
from strongroom.repository.keyring import Keyring
from strongroom.repository.records import IndexBody, IndexedPack
from strongroom.repository.segment import MAX_SEGMENT, open_segment, segment_domain


@dataclass(frozen=True, slots=True)
class LoadedIndex:
    """An index, the segments it came from, and those that could not be used."""

    index: ChunkIndex
    segments: tuple[bytes, ...]
    damaged: tuple[DamageError, ...]


def read_segment(
    store: StoreReading, keyring: Keyring, cache: ObjectCache, listed: ObjectInfo
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


def _opened(key: str, name: bytes, data: bytes, keyring: Keyring) -> tuple[bytes, IndexBody]:
    domain = segment_domain(key, data, keyring.repository_id)
    return domain, open_segment(key, name, data, keyring.domain(domain), keyring.admin_key)


def load_index(
    store: StoreReading,
    keyring: Keyring,
    cache: ObjectCache,
    *,
    domain_id: bytes | None = None,
    usable: Callable[[IndexedPack], bool] | None = None,
    absent: frozenset[bytes] = frozenset(),
) -> LoadedIndex:
    """Read the segments that are listed now.

    Only those of ``domain_id`` if given; only packs that are ``usable``; no segment in ``absent``
    or superseded by another listed one of its domain.
    """
    bodies: dict[bytes, tuple[bytes, IndexBody]] = {}
    damaged: list[DamageError] = []
    for info in store.list(layout.INDEX):
        name = layout.segment_id(info.key)
        if name is not None and name in absent:
            continue
        try:
            domain, body = read_segment(store, keyring, cache, info)
        except ObjectMissingError:
            continue
        except DamageError as error:
            damaged.append(error)
            continue
        if name is not None and domain_id in {None, domain}:
            bodies[name] = domain, body
    size = layout.HASH_SIZE
    superseded = {
        (domain, body.supersedes[i : i + size])
        for domain, body in bodies.values()
        for i in range(0, len(body.supersedes), size)
    }
    index = ChunkIndex()
    for name, (domain, body) in bodies.items():
        if (domain, name) in superseded:
            continue
        packs = body.packs if usable is None else tuple(p for p in body.packs if usable(p))
        try:
            index.add(layout.index_segment(name), packs)
        except DamageError as error:
            damaged.append(error)
    return LoadedIndex(index, tuple(bodies), tuple(damaged))
