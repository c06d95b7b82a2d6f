"""Commits: the decisions of sessions, who made them, and which ones nobody has seen followed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from graphlib import TopologicalSorter
from typing import Final, NamedTuple

from strongroom.crypto.primitives import Cipher, OpenError, same, sha256
from strongroom.errors import DamageError, ObjectMissingError
from strongroom.model.snapshot import ListedSnapshot, Order, Snapshot, SourceRecord, Status
from strongroom.model.store import StoreReading
from strongroom.repository import layout
from strongroom.repository.cache import ObjectCache
from strongroom.repository.canonical import FormatError, encode, pad, unpad
from strongroom.repository.envelope import ForeignObjectError, Kind, unwrap
from strongroom.repository.heads import Seen, check_heads
from strongroom.repository.keyring import (
    MAIN,
    Keys,
    SessionKeys,
    SessionSecret,
    domain_id,
    writer_id,
)
from strongroom.repository.records import (
    ABORT,
    COMMIT,
    Abort,
    Body,
    Commit,
    Head,
    Purpose,
    Saving,
    Writer,
    read_body,
)
from strongroom.repository.signedlog import SignedLog
from strongroom.repository.tree import MAX_LEVELS

NO_COPIES: Final[Mapping[str, int]] = {}
_NONCE = bytes(12)
_LONG_AGO = -(1 << 64)
LATEST_NS = (1 << 63) - 1


class Decision(NamedTuple):
    """An object under ``commits/``, verified.

    ``commit`` is None for an ABORT; ``by_agent`` tells whose word it is (``heads.Seen``).
    """

    key: str
    sha256: bytes
    commit: Commit | None
    by_agent: bool = False

    @property
    def heads(self) -> tuple[Head, ...]:
        """What its writer had seen."""
        return self.commit.heads if self.commit is not None else ()


class WriterDirectory:
    """Who the writers are, read from ``writers/`` and checked against the admin key.

    A full key knows the writer ``main`` without reading, so that what it signed does not depend on
    one small object.
    """

    def __init__(self, store: StoreReading, keyring: Keys) -> None:
        self._store = store
        self._repository_id = keyring.repository_id
        self._admin_key = keyring.admin_key
        self._known: dict[bytes, Writer] = {}
        if keyring.is_full:
            main = keyring.writer()
            domain = domain_id(keyring.repository_id, MAIN)
            self._known[main.id] = Writer(MAIN, main.public_key, domain, 0)

    def writer(self, writer: bytes) -> Writer:
        """Return the writer with this id; ``DamageError`` if it is not to be had."""
        if writer not in self._known:
            self._known[writer] = self.read(layout.writer(writer))
        return self._known[writer]

    def read(self, key: str) -> Writer:
        """Return the writer described at ``key``; ``DamageError``."""
        try:
            data = self._store.get(key)
        except ObjectMissingError as error:
            msg = f"{key} is missing, which says how this writer signs"
            raise DamageError(msg) from error
        envelope = unwrap(data, Kind.WRITER, key, self._repository_id)
        envelope.check(self._admin_key)
        body = read_body(key, envelope.body, Writer)
        if key != layout.writer(writer_id(body.public_key)):
            msg = f"{key} is damaged: its public key belongs to another writer"
            raise DamageError(msg)
        return body

    def read_all(self) -> dict[bytes, Writer | DamageError]:
        """Return every writer that is listed, by id; those of other repositories are left out."""
        found: dict[bytes, Writer | DamageError] = {}
        for info in self._store.list(layout.WRITERS):
            writer = layout.object_id(info.key)
            if writer is None:
                continue
            try:
                found[writer] = self.read(info.key)
            except ForeignObjectError:
                continue
            except DamageError as error:
                found[writer] = error
        return found

    def is_main(self, writer: bytes) -> bool:
        """Whether an id is that of the writer that full keys share; ``DamageError``."""
        return self.writer(writer).name == MAIN

    def is_of_agent(self, key: str) -> bool:
        """Whether a key of a commit is below the name of an agent that ``writers/`` knows."""
        ids = layout.commit_ids(key)
        try:
            return ids is not None and self.writer(ids[0]).name != MAIN
        except DamageError:
            return False


class CommitLog(SignedLog[Decision]):
    """Reads decisions, through a cache: they never change."""

    def __init__(
        self,
        store: StoreReading,
        repository_id: bytes,
        admin_key: bytes,
        cache: ObjectCache,
        writers: WriterDirectory,
    ) -> None:
        super().__init__(store, layout.COMMITS, cache, self._decision)
        self._repository_id = repository_id
        self._admin_key = admin_key
        self._writers = writers

    def _decision(self, key: str, data: bytes) -> Decision:
        ids = layout.commit_ids(key)
        if ids is None:
            msg = f"{key} is no key of a commit"
            raise DamageError(msg)
        envelope = unwrap(data, Kind.COMMIT, key, self._repository_id)
        try:
            writer = self._writers.writer(ids[0])
        except DamageError as error:
            msg = f"{key} cannot be checked: {error.message}"
            raise DamageError(msg) from error
        by_agent = writer.name != MAIN
        if envelope.body[1:2] == bytes([ABORT]):
            try:
                envelope.check(writer.public_key)
            except DamageError:
                envelope.check(self._admin_key)
            read_body(key, envelope.body, Abort)
            return Decision(key, sha256(data), None, by_agent)
        envelope.check(writer.public_key)
        commit = read_body(key, envelope.body, Commit)
        if commit.decision != COMMIT or len(commit.packs) % layout.HASH_SIZE:
            msg = f"{key} is damaged: it is neither COMMIT nor ABORT"
            raise DamageError(msg)
        if commit.domain_id != writer.domain_id:
            msg = f"{key} is damaged: its domain is not that of its writer"
            raise DamageError(msg)
        check_heads(key, commit.heads)
        _check_purpose(key, commit, by_agent=by_agent)
        return Decision(key, sha256(data), commit, by_agent)


def _check_purpose(key: str, commit: Commit, *, by_agent: bool) -> None:
    """``DamageError`` unless the targets of a COMMIT are those of its purpose and signer."""
    targets = commit.targets
    snapshots = [target for target in targets if layout.commit_ids(target) is not None]
    orders = [
        target
        for target in targets
        if target.startswith(layout.ORDERS) and layout.object_id(target) is not None
    ]
    fits = not targets
    if commit.purpose in {Purpose.UNFORGET, Purpose.HOLD}:
        unforgets = commit.purpose == Purpose.UNFORGET
        sorted_once = list(targets) == sorted(set(targets))
        known = len(snapshots) + len(orders) == len(targets)
        fits = not by_agent and sorted_once and known and bool(snapshots)
        fits = fits and bool(orders) == unforgets
    elif commit.purpose != Purpose.BACKUP:
        msg = f"{key} is of purpose {commit.purpose}, which no commit is"
        raise DamageError(msg)
    if not fits:
        msg = f"{key} is damaged: it is about what no commit of its purpose is about"
        raise DamageError(msg)


def oldest_first(
    found: Sequence[ListedSnapshot],
    history: Sequence[Seen],
    copied: Mapping[str, int] = NO_COPIES,
) -> list[ListedSnapshot]:
    """Sort snapshots by when they began, but each after all that its writer had seen.

    So that a host whose clock was wrong for a day does not own the latest snapshot for years.
    Orders are part of the ``history``: what a writer saw may lie behind one. ``copied``: by the key
    of a copy, when its original was first seen. Whoever copied it had seen newer ones, so a copy
    stands where its original would, and no later than when that was seen; a bucket says that in
    whole seconds, and of two in one second their own times decide.
    """
    there = {(one.key, one.sha256) for one in history}
    seen = {
        one.key: [head.key for head in one.heads if (head.key, head.sha256) in there]
        for one in history
    }
    claimed = {listed.key: listed.snapshot.started_ns for listed in found}
    moments: dict[str, int] = {}
    for key in TopologicalSorter(seen).static_order():
        after = [moments[head] + 1 for head in seen.get(key, ())]
        moments[key] = max([claimed.get(key, _LONG_AGO), *after])
    for listed in found:
        if listed.key in copied:
            moments[listed.key] = min(claimed[listed.key], copied[listed.key])
    return sorted(found, key=lambda one: (moments[one.key], claimed[one.key], one.id))


def seal_record(
    record: Snapshot | Saving, keys: SessionKeys, key: str, salt: bytes
) -> tuple[bytes, bytes]:
    """Return (commitment, sealed) of what the commit at ``key`` says."""
    commit_key, commitment = keys.secret.commit_key(key, salt)
    return commitment, Cipher(commit_key).seal(_NONCE, pad(encode(record)))


def open_snapshot(decision: Decision, keyring: Keys) -> ListedSnapshot | None:
    """Return the snapshot in a decision; None if it holds none; ``DamageError``."""
    commit = decision.commit
    if commit is None or commit.purpose != Purpose.BACKUP:
        return None
    secret = keyring.session_secret(
        commit.domain_id, commit.epoch, commit.sealed_session_key, decision.key
    )
    return unseal_snapshot(decision.key, commit, secret)


def unseal_snapshot(where: str, commit: Commit, secret: SessionSecret) -> ListedSnapshot:
    """Return the snapshot in the COMMIT at the key ``where`` of the session with this secret."""
    writer, session = layout.commit_ids(where) or (b"", b"")
    snapshot = _unsealed(where, commit, secret, Snapshot)
    if not all(map(_is_possible, snapshot.sources)) or not _has_times(snapshot):
        msg = f"{where} is damaged: it states what no source is"
        raise DamageError(msg)
    return ListedSnapshot(
        id=session.hex(),
        writer=writer.hex(),
        key=where,
        domain=commit.domain_id,
        snapshot=snapshot,
    )


def open_saving(decision: Decision, keyring: Keys) -> Saving | None:
    """Return what an un-forget or a hold says of itself; None for others; ``DamageError``."""
    commit = decision.commit
    if commit is None or commit.purpose == Purpose.BACKUP:
        return None
    secret = keyring.session_secret(
        commit.domain_id, commit.epoch, commit.sealed_session_key, decision.key
    )
    return _unsealed(decision.key, commit, secret, Saving)


def _unsealed(where: str, commit: Commit, secret: SessionSecret, kind: type[Body]) -> Body:
    key, commitment = secret.commit_key(where, commit.salt)
    if not same(commitment, commit.commitment):
        msg = f"{where} is damaged: its sealed part does not verify"
        raise DamageError(msg)
    try:
        plain = unpad(Cipher(key).unseal(_NONCE, commit.sealed))
    except (OpenError, FormatError) as error:
        msg = f"{where} is damaged: its sealed part does not open"
        raise DamageError(msg) from error
    return read_body(where, plain, kind)


def _is_possible(source: SourceRecord) -> bool:
    levels = range(1, MAX_LEVELS + 1) if source.root else range(1)
    return (
        source.order in set(Order)
        and source.status in set(Status)
        and len(source.root) in {0, layout.HASH_SIZE}
        and source.levels in levels
    )


def _has_times(snapshot: Snapshot) -> bool:
    return max(abs(snapshot.started_ns), abs(snapshot.ended_ns)) <= LATEST_NS
