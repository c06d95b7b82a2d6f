"""Finding out what is wrong, and what would help: everything a repair needs to know, read only."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

from strongroom.compression.codec import Decompressor
from strongroom.crypto.primitives import sha256
from strongroom.errors import DamageError, ObjectMissingError, RefusedError, UsageError
from strongroom.model.events import PhaseBegan
from strongroom.model.snapshot import ListedSnapshot
from strongroom.repository import layout
from strongroom.repository.cache import NoCache
from strongroom.repository.check import Check, PackChoice
from strongroom.repository.columns import FrameRecord, encode_columns
from strongroom.repository.commits import Decision, open_saving, open_snapshot
from strongroom.repository.findings import CheckResult
from strongroom.repository.loading import read_segment
from strongroom.repository.pack import read_whole_pack
from strongroom.repository.payloads import is_voidable
from strongroom.repository.records import CopyOf, IndexedPack, Voided
from strongroom.repository.repair.healing import Healed, Healer
from strongroom.repository.repair.holdings import Holdings, take_stock
from strongroom.repository.repair.repairplan import Facts
from strongroom.repository.repair.replica import Back, Replica
from strongroom.repository.repository import History, Repository
from strongroom.repository.voids import void_segments


@dataclass(slots=True)
class Ailing:
    """Objects that cannot be used, and why: packs that are damaged or gone, segments by key."""

    bad: dict[bytes, str] = field(default_factory=dict)
    missing: dict[bytes, str] = field(default_factory=dict)
    segments: dict[str, str] = field(default_factory=dict)

    @property
    def packs(self) -> set[bytes]:
        """All packs that cannot be used."""
        return {*self.bad, *self.missing}

    @property
    def segment_ids(self) -> set[bytes]:
        """The segments that cannot be used."""
        return {name for key in self.segments if (name := layout.segment_id(key)) is not None}


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """What was found; ``voids``: what a person named, with the digest of what is there.

    ``elsewhere``: snapshots that a replica can give back, whose commits cannot be read here.
    """

    check: CheckResult
    history: History
    ailing: Ailing
    holdings: Holdings
    healed: Healed
    back: Sequence[Back]
    elsewhere: Sequence[ListedSnapshot]
    commit_again: Sequence[str]
    voids: Mapping[str, Voided]

    def facts(self) -> Facts:
        """Return what a plan is made of."""
        return Facts(
            bad_packs=self.ailing.bad,
            missing_packs=self.ailing.missing,
            quarantined=self.history.standing.quarantined,
            bad_segments=self.ailing.segments,
            listed_again=tuple(self.holdings.adopted),
            chunks=len(self.healed.chunks | self.healed.lost),
            put_back={one.key: one.reason for one in self.back},
            commit_again=self.commit_again,
            blind=[
                layout.run_object(run.number, "kills")
                for run in self.history.runs.runs
                if run.blind and not run.done
            ],
            void=tuple(self.voids),
            damage=tuple(self.check.damage),
        )


class Diagnostician:
    """Looks at a repository, and at a replica of it if there is one."""

    def __init__(
        self,
        repository: Repository,
        replica: Repository | None,
        available: Collection[CopyOf] = (),
    ) -> None:
        """``available``: the snapshots of a copy that is no replica, by where they were made."""
        self._repository = repository
        self._replica = replica
        self._available = available
        self._ailing = Ailing()

    def look(self, choose: PackChoice, void: Collection[str]) -> Diagnosis:
        """Check, and find out what has no sound place; ``void`` are keys that a person names.

        ``UsageError`` or ``RefusedError`` for a key that cannot be declared void.
        """
        repository = self._repository
        check = Check(repository).run(choose)
        history = repository.read_history(cached=False)
        for finding in check.damage:
            if finding.subject.startswith(layout.INDEX):
                self._ailing.segments.setdefault(finding.subject, finding.text)
        packs = {layout.pack_id(finding.subject) for finding in check.damage}
        self._examine({pack for pack in packs if pack is not None}, history)
        missed = [finding.subject for finding in check.damage if finding.missing]
        theirs = self._replica
        replica = Replica(repository, theirs, history) if theirs is not None else None
        back = replica.missing(missed) if replica is not None else []
        again = self._to_commit_again(history, replica, void)
        elsewhere = self._elsewhere(replica, back, again) if replica is not None else []
        snapshots = [*self.snapshots(history), *elsewhere]
        holdings, healed = self._walk(history, snapshots)
        self._ailing.bad.update(holdings.unreadable)
        if replica is not None and healed.chunks:
            index = replica.repository.load_index().index
            known = {one.key for one in back}
            more = replica.packs_with(sorted(healed.chunks), index)
            back += [one for one in more if one.key not in known]
        voids = {key: self._void(key, history, missed) for key in sorted(set(void))}
        return Diagnosis(
            check, history, self._ailing, holdings, healed, back, elsewhere, again, voids
        )

    def snapshots(self, history: History) -> list[ListedSnapshot]:
        """Return all snapshots that can be read."""
        found = []
        for decision in history.decisions:
            try:
                listed = open_snapshot(decision, self._repository.keyring)
            except DamageError:
                continue
            if listed is not None:
                found.append(listed)
        return found

    @staticmethod
    def _elsewhere(
        replica: Replica, back: Sequence[Back], again: Sequence[str]
    ) -> list[ListedSnapshot]:
        keys = [*(one.key for one in back if one.key.startswith(layout.COMMITS)), *again]
        found = (replica.snapshot(key) for key in keys)
        return [listed for listed in found if listed is not None]

    def as_void(self, key: str) -> Voided:
        """Return what declares void what is at a key now."""
        return Voided(key, sha256(self._repository.store.get(key)))

    # -- packs and segments

    def _walk(
        self, history: History, snapshots: Sequence[ListedSnapshot]
    ) -> tuple[Holdings, Healed]:
        """Walk all trees, and once more when a pack turns out to be bad that seemed sound."""
        repository = self._repository
        while True:
            known = self._ailing.packs, self._ailing.segment_ids
            holdings = take_stock(repository, history, *known)
            readers = [holdings.reader(repository)]
            if self._replica is not None:
                readers.append(self._replica.reader())
            repository.around.sink(PhaseBegan("look at what is needed", len(snapshots)))
            healed = Healer(holdings, readers).run(snapshots, repository.around.sink)
            self._examine(healed.suspects - self._ailing.packs, history)
            if known == (self._ailing.packs, self._ailing.segment_ids):
                return holdings, healed

    def _examine(self, packs: Collection[bytes], history: History) -> None:
        """Read packs that something is said of; where they are sound, what lists them is not."""
        sound: dict[bytes, IndexedPack] = {}
        for pack_id in sorted(packs):
            key = layout.pack(pack_id)
            try:
                frames, size = self._read(key, pack_id)
            except ObjectMissingError:
                self._ailing.missing[pack_id] = f"{key} is missing"
            except DamageError as error:
                self._ailing.bad[pack_id] = error.message
            else:
                columns = encode_columns(frames)
                sound[pack_id] = IndexedPack(
                    pack_id, size, columns.frames, columns.ids, columns.lengths
                )
        if sound:
            self._find_liars(sound, history)

    def _read(self, key: str, pack_id: bytes) -> tuple[list[FrameRecord], int]:
        data = self._repository.store.get(key)
        if sha256(data) != pack_id:
            msg = f"{key} is damaged: its bytes are not those its name says"
            raise DamageError(msg)
        opener, frames = read_whole_pack(key, data, self._repository.keyring)
        view, decompressor = memoryview(data), Decompressor()
        for frame in frames:
            sealed = view[frame.offset : frame.offset + frame.sealed_length]
            opener.frame(frame, sealed, decompressor)
        return frames, len(data)

    def _find_liars(self, packs: Mapping[bytes, IndexedPack], history: History) -> None:
        """Find the segments that list sound packs as what they are not."""
        repository = self._repository
        void = void_segments(repository.store, history.standing.voids)
        for info in repository.store.list(layout.INDEX):
            if layout.segment_id(info.key) in void:
                continue
            try:
                _, body = read_segment(repository.store, repository.keyring, NoCache(), info)
            except (DamageError, ObjectMissingError):
                continue
            if any(packs.get(entry.pack_id, entry) != entry for entry in body.packs):
                text = f"{info.key} lists a pack as what it is not"
                self._ailing.segments.setdefault(info.key, text)

    # -- commits and what a person names

    def _to_commit_again(
        self, history: History, replica: Replica | None, void: Collection[str]
    ) -> list[str]:
        """Return the commits that count as absent, or cannot be read, whose snapshots others have.

        Not those that are gone and missed, unless a person names them: no session begins then.
        """
        own = self._repository.id
        identity = history.standing.identity
        unopened = self._unopened(history)
        commits = [one for one in history.decisions if one.commit is not None]
        here = {identity(own, one.key) for one in commits if one.key not in unopened}
        killed = history.runs.absent().commits
        absent = {*history.damaged, *(one.key for one in history.standing.voids), *void}
        return [
            key
            for key in sorted(absent - killed)
            if layout.commit_ids(key) is not None
            and (made := identity(own, key)) not in here
            and (
                made in self._available
                or (replica is not None and replica.snapshot(key) is not None)
            )
        ]

    def _unopened(self, history: History) -> dict[str, bytes]:
        """Return the digests of the commits that are signed as they must be, and do not open.

        Whoever signs can seal anything, and what is in such a commit nobody will ever read.
        """
        return {one.key: one.sha256 for one in history.decisions if not self._opens(one)}

    def _opens(self, decision: Decision) -> bool:
        try:
            open_snapshot(decision, self._repository.keyring)
            open_saving(decision, self._repository.keyring)
        except DamageError:
            return False
        return True

    def _void(self, key: str, history: History, missed: Collection[str]) -> Voided:
        if not is_voidable(key):
            raise UsageError(
                f"--void {key}: no object that an order can declare void",
                hint="Name a commit, an order or an index segment by its whole key, or a 'kills' "
                "or 'done' below gc/, as 'strongroom verify' says it.",
            )
        try:
            digest = sha256(self._repository.store.get(key))
        except ObjectMissingError:
            if key not in missed:
                raise RefusedError(f"--void {key}: it is not there, and nobody misses it") from None
            return Voided(key, b"")
        unreadable = {*history.damaged, *history.runs.unreadable, *self._ailing.segments}
        if key not in unreadable and self._unopened(history).get(key) != digest:
            raise RefusedError(
                f"--void {key}: it can be read, so it counts",
                hint="Only what is damaged or gone can be declared void.",
            )
        return Voided(key, digest)
