"""Manifests: JSON beside the repository that says to people what was backed up and where it lies.

``docs/format.md`` 18. They are derived and prove nothing: no decision reads them, and whoever may
write to the store may write what he likes into them. What is there and not ours is left alone.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Final, TypeVar

import msgspec

from strongroom.clock import as_utc, rfc3339
from strongroom.errors import FencedError, ObjectExistsError, ObjectMissingError, RefusedError
from strongroom.model.snapshot import ListedSnapshot, Status
from strongroom.model.store import Store
from strongroom.repository import layout
from strongroom.repository.putting import put_own
from strongroom.repository.repository import Repository

_VERSION: Final = 1
_TRIES: Final = 10
_LAST_NS: Final = 253_402_300_800 * 1_000_000_000  # the year 10000, which no folder is of
Found = TypeVar("Found", "Manifest", "DayList")


class InManifest(msgspec.Struct, frozen=True):
    """One source: what kind it is of, how complete, and what it came to; never what it is called.

    ``bytes``: as in the source.
    """

    type: str
    status: str
    entries: int
    files: int
    bytes: int
    problems: int


class StoredObject(msgspec.Struct, frozen=True):
    """An object of the repository; ``size`` in bytes."""

    key: str
    size: int
    sha256: str


class Told(msgspec.Struct, frozen=True):
    """What a manifest and the list of its day both say.

    ``bytes`` as in the sources; ``added_bytes`` of them were new, and take ``stored_bytes``. Times
    are RFC 3339, in UTC.
    """

    name: str
    id: str
    status: str
    started: str
    ended: str
    entries: int
    files: int
    bytes: int
    added_bytes: int
    stored_bytes: int
    problems: int


class Manifest(Told, frozen=True):
    """One backup. ``objects``: those that it put, and not what it shares with earlier ones."""

    version: int
    repository: str
    environment: str
    type: str
    program: str
    sources: tuple[InManifest, ...]
    objects: tuple[StoredObject, ...]


class Listed(Told, frozen=True):
    """A backup in the list of its day; ``manifest``: the key of its own."""

    manifest: str


class DayList(msgspec.Struct, frozen=True):
    """The backups of one day, type and environment, in the order of their keys."""

    version: int
    repository: str
    environment: str
    type: str
    date: str
    backups: tuple[Listed, ...]


def manifest_of(
    repository: Repository,
    listed: ListedSnapshot,
    added: tuple[int, int],
    objects: tuple[StoredObject, ...],
) -> Manifest:
    """Return what is told of a snapshot. ``added``: bytes that were new, and what they take."""
    snapshot = listed.snapshot
    sources = tuple(
        InManifest(
            type=_text(one.kind),
            status=Status(one.status).name.lower(),
            entries=one.counts.entries,
            files=one.counts.files,
            bytes=one.counts.bytes,
            problems=one.counts.problems,
        )
        for one in snapshot.sources
    )
    return Manifest(
        name=_text(snapshot.name),
        id=listed.id,
        status=snapshot.status.name.lower(),
        started=rfc3339(snapshot.started_ns),
        ended=rfc3339(snapshot.ended_ns),
        entries=sum(one.entries for one in sources),
        files=sum(one.files for one in sources),
        bytes=sum(one.bytes for one in sources),
        added_bytes=added[0],
        stored_bytes=added[1],
        problems=sum(one.problems for one in sources),
        version=_VERSION,
        repository=repository.id.hex(),
        environment=_text(snapshot.environment),
        type=_text(snapshot.type),
        program=_text(snapshot.program),
        sources=sources,
        objects=objects,
    )


def put_manifest(repository: Repository, listed: ListedSnapshot, manifest: Manifest) -> str:
    """Put a manifest and bring the list of its day up to date; return its key.

    ``RefusedError`` where something else lies there, ``StoreError``.
    """
    keys = _keys_of(listed)
    if not keys:
        raise RefusedError(f"snapshot {listed.short_id} has a name that no key can have")
    data = _json(manifest)
    try:
        key = keys[0]
        put_own(repository.store, key, data)
    except ObjectExistsError:  # another host began one in the same second
        key = keys[1]
        put_own(repository.store, key, data)
    found = layout.manifest_day(key)
    if found is not None:
        _list_day(repository, found[0], {key: manifest})
    return key


def environments_of(repository: Repository) -> set[str]:
    """Return the environments of which there can be manifests, of forgotten snapshots too."""
    listing = repository.list_snapshots()
    snapshots = [*listing.found, *listing.forgotten]
    return {_text(one.snapshot.environment) for one in snapshots if _keys_of(one)}


def drop_old_manifests(repository: Repository, environments: Collection[str]) -> None:
    """Delete the manifests in these environments whose snapshot is gone; no run is needed for it.

    A manifest is put after its COMMIT, and listed here before these are: so one that is at work
    loses nothing. A day is listed without them first, so that the next call finds what a crash
    left. ``RefusedError`` where something else lies in the place of a list.
    """
    store = repository.store
    there: dict[str, str] = {}
    for environment in sorted(environments):
        for info in store.list(f"{environment}/"):
            found = layout.manifest_day(info.key)
            if found is not None and found[1]:
                there[info.key] = found[0]
    if not there:
        return
    listing = repository.list_snapshots()
    if listing.unreadable:
        return  # whose they are is not known
    kept = set()
    for listed in (*listing.found, *listing.forgotten):
        kept |= set([key for key in _keys_of(listed) if key in there][-1:])
    gone = [key for key in there if key not in kept]
    ours = [key for key in gone if _read(repository, key) is not None]
    for day in sorted({there[key] for key in ours}):
        _list_day(repository, day, {}, ours)
    for key in ours:
        store.delete(key)


def _keys_of(listed: ListedSnapshot) -> tuple[str, ...]:
    """Return the key of a manifest, and the one if that is taken; nothing if it can have none.

    Agents write none, so what they say of themselves is not looked at.
    """
    snapshot = listed.snapshot
    if listed.agent or not snapshot.name or not 0 <= snapshot.started_ns < _LAST_NS:
        return ()
    date = as_utc(snapshot.started_ns)
    day = f"{_text(snapshot.environment)}/{_text(snapshot.type)}/{date:%Y/%m/%d}"
    names = _text(snapshot.name), f"{_text(snapshot.name)}-{listed.short_id}"
    keys = tuple(f"{day}/{name}/{layout.MANIFEST}" for name in names)
    return keys if all(layout.manifest_day(key) for key in keys) else ()


def _list_day(
    repository: Repository, day: str, known: Mapping[str, Told], without: Collection[str] = ()
) -> None:
    """Write the list of a day, and again as long as manifests come or go meanwhile.

    Whoever puts a manifest lists afterwards, and looks once more after that; so of several at once
    the last to write has seen them all.
    """
    before: frozenset[str] | None = None
    told = dict(known)
    for _ in range(_TRIES):
        infos = repository.store.list(f"{day}/")
        found = {info.key: layout.manifest_day(info.key) for info in infos}
        keys = frozenset(key for key, of in found.items() if of is not None and of[1])
        keys -= frozenset(without)
        if keys == before:
            return
        before = keys if _replace(repository, day, keys, told) else None
    raise FencedError(f"the list of {day} does not hold still")


def _replace(
    repository: Repository, day: str, keys: Collection[str], told: dict[str, Told]
) -> bool:
    """Write a list of these manifests; whether nobody else put one at the same moment."""
    store, key = repository.store, f"{day}/{layout.MANIFEST}"
    old = _bytes_of(store, key)
    said = _decoded(repository, old, DayList) if old is not None else None
    if old is not None and said is None:
        raise RefusedError(
            f"{key} is there, and is nothing that this repository wrote",
            hint="Take it away, or say manifests = false in the environment.",
        )
    for listed in said.backups if said is not None else ():
        told.setdefault(listed.manifest, listed)
    for one in sorted(keys):
        manifest = _read(repository, one) if one not in told else None
        if manifest is not None:
            told[one] = manifest
    data = _day_list(repository, day, {one: told[one] for one in sorted(keys) if one in told})
    if data == old:
        return True
    if old is not None:
        store.delete(key)
    try:
        if data is not None:
            store.put(key, data)
    except ObjectExistsError:
        return False
    return True


def _day_list(repository: Repository, day: str, told: Mapping[str, Told]) -> bytes | None:
    environment, kind, date = day.split("/", 2)
    backups = tuple(
        Listed(**{name: getattr(one, name) for name in Told.__struct_fields__}, manifest=key)
        for key, one in told.items()
    )
    new = DayList(
        version=_VERSION,
        repository=repository.id.hex(),
        environment=environment,
        type=kind,
        date=date.replace("/", "-"),
        backups=backups,
    )
    return _json(new) if backups else None


def _read(repository: Repository, key: str) -> Manifest | None:
    data = _bytes_of(repository.store, key)
    return _decoded(repository, data, Manifest) if data is not None else None


def _bytes_of(store: Store, key: str) -> bytes | None:
    try:
        return store.get(key)
    except ObjectMissingError:
        return None


def _decoded(repository: Repository, data: bytes, kind: type[Found]) -> Found | None:
    """Return what one says; None if this repository did not write it."""
    try:
        found = msgspec.json.decode(data, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    return found if found.repository == repository.id.hex() else None


def _json(value: Manifest | DayList) -> bytes:
    return msgspec.json.format(msgspec.json.encode(value), indent=2) + b"\n"


def _text(name: bytes) -> str:
    return name.decode("utf-8", "replace")
