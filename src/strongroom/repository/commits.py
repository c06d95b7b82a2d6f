"""Commits: the decisions of sessions, who made them, and which ones nobody has seen followed."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from graphlib import TopologicalSorter
from typing import NamedTuple

from strongroom.crypto.primitives import Cipher, OpenError, same, sha256
from strongroom.errors import DamageError, NoRepositoryError, ObjectMissingError
from strongroom.model.snapshot import ListedSnapshot, Order, Snapshot, SourceRecord, Status
from strongroom.model.store import StoreReading
from strongroom.repository import layout
from strongroom.repository.cache import ObjectCache
from strongroom.repository.canonical import FormatError, encode, pad, unpad
from strongroom.repository.envelope import MAX_OBJECT, Kind, unwrap
from strongroom.repository.keyring import Keyring, SessionKeys, writer_id
from strongroom.repository.records import (
    ABORT,
    COMMIT,
    Abort,
    Commit,
    Head,
    Purpose,
    Writer,
    read_body,
)
from strongroom.repository.tree import MAX_LEVELS

_NONCE = bytes(12)
_LONG_AGO = -(1 << 64)
_SHOWN = 100


class Decision(NamedTuple):
    """An object under ``commits/``, verified. ``commit`` is None for an ABORT."""

    key: str
    sha256: bytes
    commit: Commit | None


class WriterDirectory:
    """Public keys of writers, read from ``writers/`` and checked against the admin key.

    A full key knows the writer ``main`` without reading, so that what it signed does not depend on
    one small object.
    """

    def __init__(self, store: StoreReading, keyring: Keyring) -> None:
        self._store = store
        self._repository_id = keyring.repository_id
        self._admin_key = keyring.admin_key
        self._known: dict[bytes, bytes] = {}
        if keyring.is_full:
            main = keyring.main_writer()
            self._known[main.id] = main.public_key

    def public_key(self, writer: bytes) -> bytes:
        """Return the key of the writer with this id; ``DamageError`` if it is not to be had."""
        if writer not in self._known:
            self._known[writer] = self.read(layout.writer(writer)).public_key
        return self._known[writer]

    def read(self, key: str) -> Writer:
        """Return the writer described at ``key``; ``DamageError``."""
        try:
            data = self._store.get(key)
        except ObjectMissingError as error:
            msg = f"{key} is missing, so what this writer signed cannot be checked"
            raise DamageError(msg) from error
        envelope = unwrap(data, Kind.WRITER, key, self._repository_id)
        envelope.check(self._admin_key)
        body = read_body(key, envelope.body, Writer)
        if key != layout.writer(writer_id(body.public_key)):
            msg = f"{key} is damaged: its public key belongs to another writer"
            raise DamageError(msg)
        return body


class CommitLog:
    """Reads decisions, through a cache: they never change."""

    def __init__(
        self,
        store: StoreReading,
        repository_id: bytes,
        admin_key: bytes,
        cache: ObjectCache,
        writers: WriterDirectory,
    ) -> None:
        self._store = store
        self._repository_id = repository_id
        self._admin_key = admin_key
        self._cache = cache
        self._writers = writers

    def read(self, key: str, *, cached: bool = True) -> Decision:
        """Return the decision at ``key``; ``DamageError``, ``ObjectMissingError``."""
        data = self._cache.get(key) if cached else None
        if data is not None:
            try:
                return self._decode(key, data)
            except DamageError:
                self._cache.forget(key)
        data = self._store.get(key)
        decision = self._decode(key, data)
        if cached:
            self._cache.put(key, data)
        return decision

    def _decode(self, key: str, data: bytes) -> Decision:
        ids = layout.commit_ids(key)
        if ids is None:
            msg = f"{key} is no key of a commit"
            raise DamageError(msg)
        envelope = unwrap(data, Kind.COMMIT, key, self._repository_id)
        public_key = self._writers.public_key(ids[0])
        if envelope.body[1:2] == bytes([ABORT]):
            try:
                envelope.check(public_key)
            except DamageError:
                envelope.check(self._admin_key)
            read_body(key, envelope.body, Abort)
            return Decision(key, sha256(data), None)
        envelope.check(public_key)
        commit = read_body(key, envelope.body, Commit)
        if commit.decision != COMMIT or len(commit.packs) % layout.HASH_SIZE:
            msg = f"{key} is damaged: it is neither COMMIT nor ABORT"
            raise DamageError(msg)
        check_heads(key, commit.heads)
        return Decision(key, sha256(data), commit)

    def read_all(
        self, on_damage: Callable[[str, DamageError], None], *, cached: bool = True
    ) -> Iterator[Decision]:
        """Yield every decision in the order of keys; those that cannot be read are reported."""
        for info in list(self._store.list(layout.COMMITS)):
            if info.size > MAX_OBJECT:
                what = f"{info.key} is damaged: {info.size} bytes are no length of an object"
                on_damage(info.key, DamageError(what))
                continue
            try:
                yield self.read(info.key, cached=cached)
            except ObjectMissingError:
                continue
            except DamageError as error:
                on_damage(info.key, error)


def check_heads(key: str, heads: Sequence[Head]) -> None:
    """``DamageError`` unless every head that the object at ``key`` names can be one."""
    for head in heads:
        if len(head.sha256) != layout.HASH_SIZE or not layout.can_be_head(head.key):
            msg = f"{key} is damaged: it names {head.key[:_SHOWN]!r}, which is no commit or order"
            raise DamageError(msg)


def heads_of(decisions: list[Decision]) -> tuple[Head, ...]:
    """Return those that no other decision names, sorted by key."""
    named = {
        (head.key, head.sha256)
        for decision in decisions
        if decision.commit
        for head in decision.commit.heads
    }
    return tuple(
        Head(decision.key, decision.sha256)
        for decision in sorted(decisions)
        if (decision.key, decision.sha256) not in named
    )


def lost_heads(decisions: list[Decision], remembered: dict[str, bytes]) -> list[str]:
    """Return keys that a commit or this host has seen, and that are gone or other bytes now."""
    present = {decision.key: decision.sha256 for decision in decisions}
    expected = dict(remembered)
    for decision in decisions:
        if decision.commit:
            expected.update({head.key: head.sha256 for head in decision.commit.heads})
    return sorted(key for key, digest in expected.items() if present.get(key) != digest)


def oldest_first(
    found: Sequence[ListedSnapshot], decisions: Sequence[Decision]
) -> list[ListedSnapshot]:
    """Sort snapshots by when they began, but each after all that its writer had seen.

    So that a host whose clock was wrong for a day does not own the latest snapshot for years.
    """
    there = {(decision.key, decision.sha256) for decision in decisions}
    seen = {
        decision.key: [h.key for h in decision.commit.heads if (h.key, h.sha256) in there]
        for decision in decisions
        if decision.commit
    }
    claimed = {listed.key: listed.snapshot.started_ns for listed in found}
    moments: dict[str, int] = {}
    for key in TopologicalSorter(seen).static_order():
        after = [moments[head] + 1 for head in seen.get(key, ())]
        moments[key] = max([claimed.get(key, _LONG_AGO), *after])
    return sorted(found, key=lambda listed: (moments[listed.key], listed.id))


def seal_snapshot(
    snapshot: Snapshot, keys: SessionKeys, key: str, salt: bytes
) -> tuple[bytes, bytes]:
    """Return (commitment, sealed) of a snapshot for the commit at ``key``."""
    commit_key, commitment = keys.secret.commit_key(key, salt)
    return commitment, Cipher(commit_key).seal(_NONCE, pad(encode(snapshot)))


def open_snapshot(decision: Decision, keyring: Keyring) -> ListedSnapshot | None:
    """Return the snapshot in a decision; None if it holds none; ``DamageError``."""
    commit = decision.commit
    ids = layout.commit_ids(decision.key)
    if commit is None or ids is None or commit.purpose in {Purpose.UNFORGET, Purpose.HOLD}:
        return None
    if commit.purpose != Purpose.BACKUP:
        msg = f"{decision.key} is of purpose {commit.purpose}, which no commit is"
        raise DamageError(msg)
    secret = keyring.session_secret(
        commit.domain_id, commit.epoch, commit.sealed_session_key, decision.key
    )
    key, commitment = secret.commit_key(decision.key, commit.salt)
    if not same(commitment, commit.commitment):
        msg = f"{decision.key} is damaged: its sealed part does not verify"
        raise DamageError(msg)
    try:
        plain = unpad(Cipher(key).unseal(_NONCE, commit.sealed))
    except (OpenError, FormatError) as error:
        msg = f"{decision.key} is damaged: its sealed part does not open"
        raise DamageError(msg) from error
    snapshot = read_body(decision.key, plain, Snapshot)
    if not all(map(_is_possible, snapshot.sources)):
        msg = f"{decision.key} is damaged: it states what no source is"
        raise DamageError(msg)
    return ListedSnapshot(
        id=ids[1].hex(),
        writer=ids[0].hex(),
        key=decision.key,
        domain=commit.domain_id,
        snapshot=snapshot,
    )


def _is_possible(source: SourceRecord) -> bool:
    levels = range(1, MAX_LEVELS + 1) if source.root else range(1)
    return (
        source.order in set(Order)
        and source.status in set(Status)
        and len(source.root) in {0, layout.HASH_SIZE}
        and source.levels in levels
    )


def refuse_orders(store: StoreReading) -> None:
    """``NoRepositoryError`` if the repository holds orders, which this version does not know."""
    for info in store.list(layout.ORDERS):
        raise NoRepositoryError(
            f"this repository holds orders ({info.key}) of a newer strongroom",
            hint="Use the strongroom release that wrote them, or a later one.",
        )
