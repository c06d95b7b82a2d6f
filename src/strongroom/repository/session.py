"""A backup session: the writer's half of the protocol (``docs/format.md`` 13), in its order."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from typing import Final, NamedTuple, TypeVar

from strongroom.compression.codec import DEFAULT_LEVEL, Compressor
from strongroom.crypto.primitives import sha256
from strongroom.errors import (
    DamageError,
    ObjectExistsError,
    StrongroomError,
)
from strongroom.model.events import Notice
from strongroom.model.snapshot import ListedSnapshot, Snapshot
from strongroom.repository import layout
from strongroom.repository.canonical import encode
from strongroom.repository.commits import Decision, seal_record, unseal_snapshot
from strongroom.repository.deciding import put_decision
from strongroom.repository.envelope import Kind, wrap
from strongroom.repository.heads import heads_of
from strongroom.repository.keyring import SessionKeys, WriterKeys
from strongroom.repository.lease import lease_of
from strongroom.repository.loading import Choice, load_index
from strongroom.repository.pack import SealedPack
from strongroom.repository.packer import Packer, PackLimits
from strongroom.repository.presence import Held
from strongroom.repository.putting import put_own
from strongroom.repository.records import (
    ABORT,
    COMMIT,
    Abort,
    AbortReason,
    Commit,
    Heartbeat,
    IndexedPack,
    Purpose,
    SessionBody,
    WalPosition,
)
from strongroom.repository.repository import History, Repository
from strongroom.repository.runs import Absent
from strongroom.repository.segment import seal_segment
from strongroom.repository.voids import void_segments
from strongroom.repository.writer import ChunkWriter

HEARTBEAT_SECONDS: Final = 3600.0
Part = TypeVar("Part")


class _Seen(NamedTuple):
    """What the session found when it began."""

    history: History
    absent: Absent
    packs: frozenset[bytes]


class Stored(NamedTuple):
    """An object that a session put; ``size`` in bytes."""

    key: str
    size: int
    sha256: bytes


class BackupSession:
    """One run of a writer. ``begin``, save through ``writer``, then ``commit`` or ``abort``."""

    def __init__(self, repository: Repository, compression_level: int = DEFAULT_LEVEL) -> None:
        self._repository = repository
        self._level = compression_level
        self._identity: WriterKeys = repository.keyring.writer()
        self.id = repository.around.randomness.take(layout.ID_SIZE)
        self._keys: SessionKeys = repository.keyring.begin_session(repository.around.randomness)
        self._domain = self._keys.domain
        self._announced = False
        self._beats = 0
        self._positions: tuple[WalPosition, ...] | None = None
        self._last_beat = repository.around.clock.elapsed()
        self._seen: _Seen | None = None
        self._packer: Packer | None = None
        self._writer: ChunkWriter | None = None
        self._held: Held | None = None
        self._listed: list[Stored] = []  # index segments, and the commit

    def use_level(self, level: int | None) -> None:
        """Let zstd try so hard, from 1 to 19, for what is saved from now on; None: as usual."""
        level = level or DEFAULT_LEVEL
        if level != self._level:
            self._level = level
            _begun(self._packer).compress_with(Compressor(level))

    @property
    def writer(self) -> ChunkWriter:
        """Where chunks are saved, once the session began."""
        return _begun(self._writer)

    @property
    def history(self) -> History:
        """The decisions that were there when the session began."""
        return _begun(self._seen).history

    @property
    def key(self) -> str:
        """The key of the decision of this session."""
        return layout.commit(self._identity.id, self.id)

    def begin(self) -> None:
        """Steps 1 to 4: announce the session, then read what it may rely on."""
        repository = self._repository
        history = repository.checked_history()
        self.announce()
        absent = repository.read_runs(history.standing.voids).absent()
        self._tell_of(absent.unreadable)
        void = void_segments(repository.store, history.standing.voids)
        self._seen = _Seen(history, absent, self._listed_packs())
        loaded = load_index(
            repository.store,
            repository.keyring,
            repository.around.cache,
            Choice(self._domain.domain_id, self._may_rely_on, absent.index | void),
            repository.index_memory,
        )
        self._tell_of(tuple(map(str, loaded.damaged)))
        core = repository.config.core
        self._packer = Packer(
            self._keys,
            self._put_pack,
            repository.around.workers,
            PackLimits(core.frame_size, core.pack_size),
            repository.around.randomness,
            Compressor(self._level),
        )
        self._writer = ChunkWriter(
            self._domain,
            loaded.index,
            self._packer,
            self._put_segment,
            repository.around.clock,
        )

    def _listed_packs(self) -> frozenset[bytes]:
        found = (layout.pack_id(i.key) for i in self._repository.store.list(layout.PACKS))
        return frozenset(pack_id for pack_id in found if pack_id is not None)

    def _may_rely_on(self, pack: IndexedPack) -> bool:
        seen = _begun(self._seen)
        return (
            not seen.absent.unreadable
            and pack.pack_id in seen.packs
            and pack.pack_id not in seen.absent.packs
            and pack.pack_id not in seen.history.standing.quarantined
        )

    def _tell_of(self, damaged: Sequence[str]) -> None:
        for what in damaged:
            self._repository.around.sink(
                Notice(f"warning: {what}; this backup does not rely on it. Run 'strongroom verify'")
            )

    def announce(self) -> None:
        """Put the session, so that collectors wait for its decision."""
        body = SessionBody(
            Purpose.BACKUP, self._repository.around.clock.now_ns(), self._domain.domain_id, None
        )
        self._announced = True
        self._held = self._repository.around.presence.hold(self.id)
        self._put(Kind.SESSION, layout.session(self._identity.id, self.id), encode(body))

    def _put(self, kind: Kind, key: str, body: bytes) -> bytes:
        data = wrap(
            kind,
            self._repository.id,
            key,
            body,
            self._identity.sign,
            version=self._repository.keyring.version,
        )
        put_own(self._repository.store, key, data)
        return data

    def _put_pack(self, sealed: SealedPack) -> None:
        put_own(self._repository.store, layout.pack(sealed.pack_id), sealed.data)

    def _put_segment(self, packs: Sequence[IndexedPack]) -> None:
        salt = _begun(self._packer).fresh_salt(b"".join(pack.pack_id for pack in packs))
        data = seal_segment(packs, self._domain, salt)
        digest = sha256(data)
        key = layout.index_segment(digest)
        put_own(self._repository.store, key, data)
        self._listed.append(Stored(key, len(data), digest))

    def beat(self) -> None:
        """Show a sign of life once an hour; called now and then while work goes on."""
        clock = self._repository.around.clock
        if clock.elapsed() - self._last_beat >= HEARTBEAT_SECONDS:
            self._show()

    def need_wal(self, position: WalPosition) -> None:
        """Say from where on this session needs the WAL of a cluster."""
        self._positions = (*(self._positions or ()), position)
        self._show()

    def absent_wal(self) -> frozenset[str] | None:
        """Return the keys of WAL that counts as absent; None if nobody can say what does."""
        absent = _begun(self._seen).absent
        return None if absent.unreadable else absent.wal

    def _show(self) -> None:
        clock = self._repository.around.clock
        self._beats += 1
        self._last_beat = clock.elapsed()
        key = layout.session(self._identity.id, self.id, self._beats)
        self._put(Kind.HEARTBEAT, key, encode(Heartbeat(clock.now_ns(), self._positions)))

    def commit(self, snapshot: Snapshot) -> ListedSnapshot:
        """Steps 6 to 9: everything is stored, so decide. ``FencedError`` if somebody ended us."""
        self.writer.finish()
        repository = self._repository
        repository.store.sync(repository.relied_prefixes())
        salt = _begun(self._packer).fresh_salt(encode(snapshot))
        commitment, sealed = seal_record(snapshot, self._keys, self.key, salt)
        body = Commit(
            decision=COMMIT,
            purpose=Purpose.BACKUP,
            committed_ns=repository.around.clock.now_ns(),
            domain_id=self._domain.domain_id,
            epoch=self._keys.epoch,
            heads=heads_of(_begun(self._seen).history.seen),
            packs=b"".join(self.writer.pack_ids),
            targets=(),
            sealed_session_key=self._keys.sealed,
            salt=salt,
            commitment=commitment,
            sealed=sealed,
        )
        data = wrap(
            Kind.COMMIT,
            repository.id,
            self.key,
            encode(body),
            self._identity.sign,
            version=repository.keyring.version,
        )
        decision = Decision(self.key, sha256(data), body, by_agent=not repository.keyring.is_full)
        listed = unseal_snapshot(self.key, body, self._keys.secret)
        if listed.snapshot != snapshot:
            msg = "the new commit did not read back as it was written; nothing was stored"
            raise DamageError(msg, hint="Check the memory of this machine.")
        session = layout.session(self._identity.id, self.id)
        lease = lease_of(repository.store, repository.config, session)
        if lease is not None:
            self._show()
        put_decision(repository.store, repository.log, self.key, data, lease)
        self._listed.append(Stored(self.key, len(data), decision.sha256))
        self._let_go()
        repository.remember(_begun(self._seen).history, decision)
        return listed

    @property
    def stored(self) -> list[Stored]:
        """What this session put and others read: packs, then index segments, then its commit."""
        sizes = zip(self.writer.pack_ids, self.writer.pack_sizes, strict=True)
        return [*(Stored(layout.pack(name), size, name) for name, size in sizes), *self._listed]

    def abort(self) -> None:
        """End without a commit; packs that are stored stay useful to the next run."""
        if not self._announced:
            return
        body = Abort(ABORT, AbortReason.FAILED, self._repository.around.clock.now_ns())
        try:
            if self._writer is not None:
                self._writer.keep_what_is_stored()
        finally:
            with contextlib.suppress(ObjectExistsError):
                self._put(Kind.COMMIT, self.key, encode(body))
            self._let_go()

    def _let_go(self) -> None:
        if self._held is not None:
            self._held.let_go()

    def give_up(self) -> None:
        """As ``abort``, on the way out of an error that matters more than one of ours."""
        try:
            self.abort()
        except StrongroomError as error:
            self._repository.around.sink(Notice(f"the session could not be closed: {error}"))


def _begun(part: Part | None) -> Part:
    if part is None:
        msg = "the session has not begun"
        raise RuntimeError(msg)
    return part
