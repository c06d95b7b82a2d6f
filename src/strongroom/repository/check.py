"""Check a repository from its root to the last byte; nothing is repaired here.

In this order: the objects that make it a repository, sessions, decisions and heads, index and
packs, the bytes of packs (as many as asked for), and last the trees, so that what is damaged below
is said with the names of files and snapshots.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from functools import partial
from typing import Final

from strongroom.compression.codec import Decompressor
from strongroom.crypto.primitives import sha256
from strongroom.errors import DamageError, ObjectMissingError
from strongroom.model.events import Advanced, PhaseBegan
from strongroom.model.snapshot import ListedSnapshot
from strongroom.repository import layout
from strongroom.repository.cache import NoCache
from strongroom.repository.columns import MAX_PACK, FrameRecord, decode_columns
from strongroom.repository.commits import open_saving, open_snapshot
from strongroom.repository.envelope import ForeignObjectError, Kind, unwrap
from strongroom.repository.findings import CheckResult
from strongroom.repository.index import ChunkIndex
from strongroom.repository.loading import Choice, load_index, read_segment
from strongroom.repository.opening import OpenedConfig, read_config, read_slot
from strongroom.repository.pack import read_whole_pack
from strongroom.repository.records import (
    Heartbeat,
    IndexedPack,
    PackColumns,
    SessionBody,
    read_body,
)
from strongroom.repository.repository import Repository
from strongroom.repository.runs import Absent
from strongroom.repository.standing import voids_of
from strongroom.repository.tags import additions
from strongroom.repository.treecheck import TreeCheck
from strongroom.repository.voids import void_segments
from strongroom.repository.walcheck import check_wal_objects

_BYTES_AHEAD: Final = 128 << 20  # of packs


PackChoice = Callable[[Sequence[tuple[bytes, int]]], Sequence[bytes]]
"""From (id, size) of every pack, sorted by id, to the ids of those whose bytes are read."""


class Check:
    """One run of a check."""

    def __init__(self, repository: Repository) -> None:
        self._repository = repository
        self._store = repository.store
        self.result = CheckResult()
        self._listed: dict[bytes, int] = {}
        self._indexed: dict[bytes, IndexedPack] = {}
        self._bad_packs: set[bytes] = set()
        self.read: dict[bytes, bool] = {}  # the packs that were read, and whether they were good
        self._quarantined: frozenset[bytes] = frozenset()
        self._void: frozenset[bytes] = frozenset()
        self._decompressor = Decompressor()

    def run(
        self,
        choose: PackChoice,
        only: ListedSnapshot | None = None,
        *,
        read_wal: bool = False,
    ) -> CheckResult:
        """Check everything; of the packs, read those that ``choose`` names, and WAL if asked to.

        With ``only``, trees of that one snapshot.
        """
        self._repository.keyring.require_reader()
        sink = self._repository.around.sink
        sink(PhaseBegan("check structure"))
        self._roots()
        self._sessions()
        snapshots = self._decisions()
        self._index()
        self._packs()
        chosen = choose(sorted(self._listed.items()))
        sink(PhaseBegan("read data", len(chosen), sum(self._listed[pack] for pack in chosen)))
        self._read_packs(chosen)
        self._wal(read_data=read_wal)
        wanted = [only] if only is not None else snapshots
        sink(PhaseBegan("check snapshots", len(wanted)))
        self._trees(wanted)
        return self.result

    # -- what makes it a repository

    def _roots(self) -> None:
        store = self._store
        self._guard(layout.CONFIG, lambda: read_config(store))
        self._slots()
        self._writers()
        for key in self._absent().unreadable:
            self.result.damaged(key, "cannot be read")
        for info in store.list(""):
            ours = info.key == layout.CONFIG or info.key.startswith(layout.PREFIXES)
            if not ours and layout.manifest_day(info.key) is None:
                self.result.note(info.key, "no object of this repository; ignored")

    def _slots(self) -> None:
        store = self._store
        slots = self._repository.read_slots(lambda _key, _error: None, cached=False)
        config = self._repository.config._replace(slots=slots.digests)
        for slot_id in config.slots:
            self._guard(layout.slot(slot_id), partial(self._slot, config, slot_id))
        if slots.gap:
            self.result.damaged(layout.ORDERS, "an order that removed a key slot is gone")
        for info in store.list(layout.SLOTS):
            found = layout.object_id(info.key)
            if found in slots.removed:
                text = "a key slot that was removed, and is still there; 'key remove' it again"
                self.result.note(info.key, text)
            elif found not in slots.digests:
                self.result.note(info.key, "a slot that this repository does not name; ignored")

    def _slot(self, config: OpenedConfig, slot_id: bytes) -> None:
        try:
            read_slot(self._store, config, slot_id)
        except DamageError:
            now = self._repository.read_slots(lambda _key, _error: None)
            if slot_id not in now.removed:  # else somebody removed it meanwhile
                raise

    def _absent(self) -> Absent:
        orders = self._repository.orders.read_all(lambda _key, _error: None)
        return self._repository.read_runs(voids_of(orders), cached=False).absent()

    def _writers(self) -> None:
        keyring = self._repository.keyring
        keys = {info.key for info in self._store.list(layout.WRITERS)}
        main = layout.writer(keyring.writer().id) if keyring.is_full else None
        if main is not None:
            keys.add(main)
        for key in sorted(keys):
            self._guard(key, partial(self._writer, key, must_be_ours=key == main))

    def _writer(self, key: str, *, must_be_ours: bool) -> None:
        try:
            self._repository.writers.read(key)
        except ForeignObjectError:
            if must_be_ours:
                raise
            self.result.note(key, "a writer of an init that lost or stopped; ignored")

    def _guard(self, key: str, read: Callable[[], object]) -> None:
        try:
            read()
        except ObjectMissingError:
            self.result.damaged(key, f"{key} is missing", missing=True)
        except DamageError as error:
            self.result.damaged(key, error.message)

    def _sessions(self) -> None:
        for info in self._store.list(layout.SESSIONS):
            self._guard(info.key, partial(self._session, info.key))

    def _session(self, key: str) -> None:
        ids = layout.session_ids(key)
        if ids is None:
            msg = f"{key} is no key of a session"
            raise DamageError(msg)
        kind = Kind.HEARTBEAT if ids[2] else Kind.SESSION
        try:
            data = self._store.get(key)
        except ObjectMissingError:
            return
        envelope = unwrap(data, kind, key, self._repository.id)
        envelope.check(self._repository.writers.writer(ids[0]).public_key)
        read_body(key, envelope.body, Heartbeat if ids[2] else SessionBody)

    def _decisions(self) -> list[ListedSnapshot]:
        history = self._repository.read_history(cached=False)
        for key, error in history.damaged.items():
            self.result.damaged(key, error.message)
        for key in history.lost:
            self.result.damaged(key, f"{key} is gone, and it was seen before", missing=True)
        for claim in history.claimed:
            text = f"{claim.key} is not there, and an agent's commit says it was: {claim.said_by}"
            self.result.damaged(claim.key, text, missing=True)
        standing = history.standing
        self._quarantined = standing.quarantined
        self._void = void_segments(self._store, standing.voids)
        for one in sorted(standing.voids, key=lambda void: void.key):
            self.result.note(one.key, "an order declared it void: it counts as absent")
        snapshots = []
        doubtful = history.runs.absent().doubtful.commits  # somebody may have begun to remove them
        for decision in history.decisions:
            try:
                listed = open_snapshot(decision, self._repository.keyring)
                open_saving(decision, self._repository.keyring)
            except DamageError as error:
                self.result.damaged(decision.key, error.message)
                continue
            if listed is not None and listed.key not in doubtful:
                snapshots.append(listed)
        additions(snapshots, history.orders, self._repository.keyring, self._unopened)
        self.result.snapshots = len(snapshots)
        return snapshots

    def _unopened(self, key: str, error: DamageError) -> None:
        self.result.damaged(key, error.message)

    # -- index and packs

    def _index(self) -> None:
        for info in self._store.list(layout.INDEX):
            if layout.segment_id(info.key) in self._void:
                continue
            try:
                _domain, body = read_segment(self._store, self._repository.keyring, NoCache(), info)
                ChunkIndex().add(info.key, body.packs)
            except ObjectMissingError:
                continue
            except DamageError as error:
                self.result.damaged(info.key, error.message)
                continue
            for pack in body.packs:
                if self._indexed.setdefault(pack.pack_id, pack) != pack:
                    key = layout.pack(pack.pack_id)  # which of the two is right, only it can tell
                    text = f"{info.key} and another segment differ on what is in {key}"
                    self.result.damaged(key, text)

    def _packs(self) -> None:
        """Compare packs with the index; listed after it, so that what it names must be there."""
        for info in self._store.list(layout.PACKS):
            pack_id = layout.pack_id(info.key)
            if pack_id is None:
                self.result.note(info.key, "no pack; ignored")
            else:
                self._listed[pack_id] = info.size
        self.result.packs = len(self._listed)
        missing = self._indexed.keys() - self._listed.keys()
        absent = self._absent() if missing else Absent()
        gone = absent.killed_packs | absent.doubtful.packs
        for pack_id in sorted(missing - gone):
            self._bad_pack(pack_id, f"{layout.pack(pack_id)} is missing", missing=True)
        if collected := len(missing & gone):
            text = f"{collected:,} pack(s) that were collected are still listed; no matter"
            self.result.note(layout.INDEX, text)
        self._bad_packs |= missing | self._quarantined
        for pack_id in sorted(self._indexed.keys() & self._listed.keys()):
            key, size = layout.pack(pack_id), self._listed[pack_id]
            stated = self._indexed[pack_id].size
            if size != stated:
                self._bad_pack(pack_id, f"{key} is {size} bytes long, the index says {stated}")
        orphans = self._listed.keys() - self._indexed.keys()
        self.result.unreferenced_packs = len(orphans)
        if orphans:
            self.result.note(
                layout.PACKS, f"{len(orphans)} pack(s) of unfinished sessions, in no index"
            )

    def _bad_pack(self, pack_id: bytes, text: str, *, missing: bool = False) -> None:
        """Tell of a pack that cannot be used.

        It is no damage if an order says so already: what is lost with it is said by the trees.
        """
        key = layout.pack(pack_id)
        self._bad_packs.add(pack_id)
        if pack_id in self._quarantined:
            self.result.note(key, f"{text}; it is quarantined, so nobody relies on it")
        else:
            self.result.damaged(key, text, missing=missing)

    # -- bytes

    def _read_packs(self, chosen: Sequence[bytes]) -> None:
        """Read packs, as many at once as there are threads for and ``_BYTES_AHEAD`` leaves room."""
        running: deque[tuple[bytes, Future[int]]] = deque()
        executor = self._repository.around.workers.transfer
        ahead = 0
        for pack_id in chosen:
            ahead += self._listed[pack_id]
            while running and ahead > _BYTES_AHEAD:
                ahead -= self._listed[running[0][0]]
                self._take(*running.popleft())
            running.append((pack_id, executor.submit(self._read_pack, pack_id)))
        while running:
            self._take(*running.popleft())

    def _take(self, pack_id: bytes, future: Future[int]) -> None:
        size = 0
        try:
            size = future.result()
        except ObjectMissingError:
            if pack_id in self._absent().killed_packs:
                self._bad_packs.add(pack_id)  # collected meanwhile
            else:
                self._bad_pack(pack_id, f"{layout.pack(pack_id)} is missing", missing=True)
        except DamageError as error:
            self._bad_pack(pack_id, error.message)
        self.read[pack_id] = pack_id not in self._bad_packs
        self.result.packs_read += 1
        self.result.bytes_read += size
        self._repository.around.sink(Advanced(1, size))

    def _read_pack(self, pack_id: bytes) -> int:
        key = layout.pack(pack_id)
        if self._listed[pack_id] > MAX_PACK:
            msg = f"{key} is damaged: {self._listed[pack_id]} bytes are no length of a pack"
            raise DamageError(msg)
        data = self._store.get(key)
        if sha256(data) != pack_id:
            msg = f"{key} is damaged: its bytes are not those its name says"
            raise DamageError(msg)
        opener, frames = read_whole_pack(key, data, self._repository.keyring)
        view = memoryview(data)
        for frame in frames:
            sealed = view[frame.offset : frame.offset + frame.sealed_length]
            opener.frame(frame, sealed, self._decompressor)
        self._check_listed(key, pack_id, frames)
        return len(data)

    def _check_listed(self, key: str, pack_id: bytes, frames: list[FrameRecord]) -> None:
        pack = self._indexed.get(pack_id)
        if pack is None:
            return
        listed = decode_columns(key, PackColumns(pack.frames, pack.ids, pack.lengths))
        if listed != frames:
            msg = f"{key} holds other chunks than the index lists"
            raise DamageError(msg)

    # -- write-ahead log

    def _wal(self, *, read_data: bool) -> None:
        self._repository.around.sink(PhaseBegan("check WAL"))
        counts = check_wal_objects(
            self._repository,
            lambda one: self.result.damaged(one.key, one.text, missing=one.missing),
            lambda key: self.result.note(key, "no WAL file; ignored"),
            read_data=read_data,
        )
        self.result.wal_files = counts.files
        self.result.wal_read = counts.read
        self.result.bytes_read += counts.bytes_read

    # -- trees

    def _trees(self, snapshots: Sequence[ListedSnapshot]) -> None:
        repository = self._repository
        reader = repository.reader()
        usable = load_index(
            self._store,
            repository.keyring,
            repository.around.cache,
            Choice(usable=lambda pack: pack.pack_id not in self._bad_packs, absent=self._void),
            repository.index_memory,
        )
        check = TreeCheck(reader, usable.index, self.result.add)
        for listed in snapshots:
            check.snapshot(listed)
            repository.around.sink(Advanced(1, 0))
        self.result.chunks = check.chunks_seen
