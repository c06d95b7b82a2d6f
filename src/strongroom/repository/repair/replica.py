"""A replica: a store with the same objects, from which those that are missing may be put back.

Whoever put an object back that was removed for a reason would undo the removal, so each must be
proven good, and be missed here: a slot that ``config`` or an order names, by its digest; a pack
that the index names, by its hash; a commit or an order that a head names, by its digest. A COMMIT
that nobody here names is put back as well, by its signature, unless a collector killed it: the last
snapshot of a repository is named by nobody. Orders that nobody names stay where they are, or a
replica that was used on its own could forget snapshots here. Nothing below ``gc/`` is put back.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from functools import partial
from typing import NamedTuple

from strongroom.crypto.primitives import sha256
from strongroom.errors import DamageError, ObjectExistsError, ObjectMissingError
from strongroom.model.snapshot import ListedSnapshot
from strongroom.model.store import Store, StoreReading
from strongroom.repository import layout
from strongroom.repository.commits import Decision, open_snapshot
from strongroom.repository.index import ChunkIndex
from strongroom.repository.putting import put_own
from strongroom.repository.records import Purpose
from strongroom.repository.remembered import Remembered
from strongroom.repository.repository import History, Repository


class Back(NamedTuple):
    """An object that can be put back, and why."""

    key: str
    reason: str


class Replica:
    """Another store of ``ours``, opened as ``theirs``."""

    def __init__(self, ours: Repository, theirs: Repository, history: History) -> None:
        self._ours = ours
        self._theirs = theirs
        self._history = history

    @property
    def repository(self) -> Repository:
        """The repository in the other store."""
        return self._theirs

    def missing(self, missed: Collection[str]) -> list[Back]:
        """Return what can be put back; ``missed``: keys that a check misses."""
        return [*self._slots(), *self._writers(), *self._packs(missed), *self._logs(missed)]

    def packs_with(self, ids: Sequence[bytes], index: ChunkIndex) -> list[Back]:
        """Return the packs that are missing here, and of which ``index`` says that they hold these.

        ``index`` is the replica's: ours may have been lost with them.
        """
        frames = {place.frame for place in index.find(ids) if place is not None}
        packs = {layout.pack(index.frame(frame).pack_id) for frame in frames}
        return list(self._packs(packs))

    def put_back(self, key: str) -> bool:
        """Put an object under its name; False if the replica's is not good, or the name taken."""
        data = self._good(key)
        if data is None:
            return False
        try:
            put_own(self._ours.store, key, data)
        except ObjectExistsError:
            return False
        return True

    def snapshot(self, key: str) -> ListedSnapshot | None:
        """Return the snapshot that the replica has at a key; None if it has none that is good."""
        try:
            decision = self._theirs.log.read(key, cached=False)
            return open_snapshot(decision, self._ours.keyring)
        except (DamageError, ObjectMissingError):
            return None

    def _slots(self) -> Iterator[Back]:
        slots = self._ours.read_slots(lambda _key, _error: None, cached=False)
        for slot_id in slots.digests:
            key = layout.slot(slot_id)
            if self._is_missing(key) and self._good(key) is not None:
                yield Back(key, "a key slot that is missing")

    def _writers(self) -> Iterator[Back]:
        for info in self._theirs.store.list(layout.WRITERS):
            if self._is_missing(info.key) and self._good(info.key) is not None:
                yield Back(info.key, "a writer that is missing")

    def _packs(self, missed: Collection[str]) -> Iterator[Back]:
        absent = self._history.runs.absent().packs | self._history.standing.quarantined
        for key in sorted(missed):
            pack_id = layout.pack_id(key)
            if pack_id is None or pack_id in absent or not self._is_missing(key):
                continue
            if self._good(key) is not None:
                yield Back(key, "a pack that is missing")

    def _logs(self, missed: Collection[str]) -> Iterator[Back]:
        for key in sorted(missed):
            if layout.can_be_head(key) and self._is_missing(key) and self._good(key) is not None:
                yield Back(key, "it was seen before, and is missing")
        killed = self._history.runs.absent()
        gone = killed.commits | {one.key for one in self._history.standing.voids}
        for info in self._theirs.store.list(layout.COMMITS):
            if info.key in missed or info.key in gone or not self._is_missing(info.key):
                continue
            decision = self._decision(info.key)
            commit = decision.commit if decision is not None else None
            if commit is not None and commit.purpose == Purpose.BACKUP:
                yield Back(info.key, "a snapshot that is missing")

    def _decision(self, key: str) -> Decision | None:
        try:
            return self._theirs.log.read(key, cached=False)
        except (DamageError, ObjectMissingError):
            return None

    def _is_missing(self, key: str) -> bool:
        return not _is_there(self._ours.store, key)

    def _good(self, key: str) -> bytes | None:
        """Return the replica's object if it is proven to be what belongs at this key."""
        try:
            data = self._theirs.store.get(key)
            return data if self._is_good(key, data) else None
        except (DamageError, ObjectMissingError):
            return None

    def _is_good(self, key: str, data: bytes) -> bool:
        pack_id = layout.pack_id(key)
        if pack_id is not None:
            return sha256(data) == pack_id
        if key.startswith(layout.SLOTS):
            slots = self._ours.read_slots(lambda _key, _error: None, cached=False)
            return slots.digests.get(layout.object_id(key) or b"") == sha256(data)
        if key.startswith(layout.WRITERS):
            self._theirs.writers.read(key)
            return True
        read = partial(
            self._theirs.log.read if key.startswith(layout.COMMITS) else self._theirs.orders.read,
            cached=False,
        )
        found = read(key)
        expected = expected_digests(self._history).get(key)
        return found.sha256 == sha256(data) and (not expected or found.sha256 in expected)


def expected_digests(history: History) -> Mapping[str, set[bytes]]:
    """Return by key the digests under which commits and orders are named as heads."""
    found: dict[str, set[bytes]] = {}
    for one in history.seen:
        for head in one.heads:
            found.setdefault(head.key, set()).add(head.sha256)
    for head in history.runs.heads:
        found.setdefault(head.key, set()).add(head.sha256)
    if history.known is not None:
        for key, digest in history.known.heads.items():
            found.setdefault(key, set()).add(bytes.fromhex(digest))
    return found


def can_give_config(store: StoreReading, theirs: Repository, known: Remembered | None) -> bool:
    """Whether ``config`` is missing in a store that ``theirs`` is proven to be a replica of.

    By what this host remembers of the store, or by a key slot there that ``theirs`` names.
    """
    if _is_there(store, layout.CONFIG):
        return False
    if known is not None:
        return known.repository_id == theirs.id.hex()
    for slot_id, digest in theirs.config.slots.items():
        key = layout.slot(slot_id)
        if _is_there(store, key) and sha256(store.get(key)) == digest:
            return True
    return False


def give_config(store: Store, theirs: Repository) -> None:
    """Put ``config`` back: without it nothing else can be looked at."""
    put_own(store, layout.CONFIG, theirs.store.get(layout.CONFIG))


def _is_there(store: StoreReading, key: str) -> bool:
    try:
        store.size(key)
    except ObjectMissingError:
        return False
    return True
