"""Repair a repository: say what is wrong, make good what can be, and say what is lost.

Everything is an order or a new object (``repository/repair/repairing.py`` says why that is safe
beside backups and collectors). A repair that is stopped anywhere has changed nothing that counted,
and the next one finds what is left to do.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from contextlib import suppress
from dataclasses import dataclass

from strongroom.errors import DamageError, ObjectExistsError, RefusedError
from strongroom.model.events import Advanced, Notice, PhaseBegan
from strongroom.model.snapshot import ListedSnapshot
from strongroom.operations.copy import CopyPlan, copy
from strongroom.repository import layout
from strongroom.repository.canonical import encode
from strongroom.repository.check import Check, PackChoice
from strongroom.repository.copying import SourceCopier
from strongroom.repository.envelope import Kind, wrap
from strongroom.repository.findings import CheckResult
from strongroom.repository.ordering import put_order
from strongroom.repository.putting import put_own
from strongroom.repository.reader import Reader
from strongroom.repository.records import (
    ABORT,
    Abort,
    AbortReason,
    CopyOf,
    OrderKind,
    Origin,
    PackIds,
    Voided,
)
from strongroom.repository.repair.diagnosing import Diagnosis, Diagnostician
from strongroom.repository.repair.healing import Healer
from strongroom.repository.repair.holdings import take_stock
from strongroom.repository.repair.repairing import InDomain, RepairSession
from strongroom.repository.repair.repairplan import RepairPlan, Step, plan_repair
from strongroom.repository.repair.replica import Replica
from strongroom.repository.repair.teaching import Side, teach
from strongroom.repository.repository import Listing, Repository
from strongroom.repository.runs import NOTHING
from strongroom.repository.session import BackupSession
from strongroom.repository.translating import Translation
from strongroom.repository.writer import Written


@dataclass(frozen=True, slots=True)
class RepairResult:
    """What was planned and done; ``after``: what a check finds then, None if nothing was done.

    ``before``: what one found at first.
    """

    plan: RepairPlan
    before: CheckResult
    after: CheckResult | None = None
    written: Written | None = None

    @property
    def left(self) -> CheckResult:
        """What is found in the end."""
        return self.after if self.after is not None else self.before


class Other:
    """A repository to take from: a replica of ours, or one that ``copy`` made in any direction."""

    def __init__(self, ours: Repository, theirs: Repository) -> None:
        """List its snapshots; errors as of ``list_snapshots``."""
        theirs.keyring.require_reader()
        self.repository = theirs
        self.is_replica = theirs.id == ours.id
        self.listing: Listing | None = None if self.is_replica else theirs.list_snapshots()
        self._reader: Reader | None = None
        self._translation: Translation | None = None

    def copies(self) -> dict[CopyOf, ListedSnapshot]:
        """Return its snapshots by where they were first made; none of a replica."""
        if self.listing is None:
            return {}
        identity = self.listing.history.standing.identity
        every = [*self.listing.forgotten, *self.listing.found]
        return {identity(self.repository.id, one.key): one for one in every}

    def reading(self) -> tuple[Reader, Translation]:
        """Return what reads its chunks, and what is known of their ids in ours."""
        if self._reader is None or self._translation is None:
            self._reader = self.repository.reader()
            self._translation = Translation(self._reader.index)
        return self._reader, self._translation


def repair(
    repository: Repository,
    other: Other | None,
    choose: PackChoice,
    void: Collection[str] = (),
    *,
    dry_run: bool,
) -> RepairResult:
    """Repair, or say what a repair would do; ``choose``: the packs whose bytes are read.

    ``void``: keys that a person declares void. ``KeyRefusedError`` unless the key is full.
    """
    repository.keyring.require_reader()
    repository.keyring.admin_signer()
    theirs = other.repository if other is not None and other.is_replica else None
    available = other.copies() if other is not None else {}
    doctor = Diagnostician(repository, theirs, available)
    found = doctor.look(choose, void)
    plan = plan_repair(found.facts())
    if dry_run or not plan.does_something:
        return RepairResult(plan, found.check)
    work = _Repair(repository, other, doctor, found, plan)
    written = work.run()
    repository.around.sink(PhaseBegan("check again"))
    return RepairResult(plan, found.check, Check(repository).run(choose), written)


class _Repair:
    """Carries a plan out."""

    def __init__(
        self,
        repository: Repository,
        other: Other | None,
        doctor: Diagnostician,
        found: Diagnosis,
        plan: RepairPlan,
    ) -> None:
        self._repository = repository
        self._other = other
        self._doctor = doctor
        self._found = found
        self._plan = plan
        theirs = other.repository if other is not None and other.is_replica else None
        self._replica = Replica(repository, theirs, found.history) if theirs is not None else None

    def run(self) -> Written:
        """Do it; the order is that of ``Step``, and what may be lost comes before what decides."""
        self._end_runs()
        session = RepairSession(self._repository)
        try:
            commits = self._put_back_all_but_commits()
            written = self._write(session)
            for key in commits:
                self._put_back(key)
            self._quarantine()
            self._declare_void()
            self._commit_again()
        except BaseException:
            session.give_up()
            raise
        session.end()
        return written

    def _end_runs(self) -> None:
        """Put an empty ``kills``: of any run that is safe. If one is there, that one rules."""
        repository = self._repository
        admin = repository.keyring.admin_signer()
        for key in self._plan.keys(Step.END_RUN):
            body = encode(NOTHING)
            with suppress(ObjectExistsError):
                put_own(
                    repository.store, key, wrap(Kind.KILLS, repository.id, key, body, admin.sign)
                )

    # -- what a replica gives back

    def _put_back_all_but_commits(self) -> list[str]:
        """Commits come back when everything that they need is there."""
        keys = self._plan.keys(Step.PUT_BACK)
        commits = [key for key in keys if key.startswith(layout.COMMITS)]
        for key in keys:
            if key not in commits:
                self._put_back(key)
        return commits

    def _put_back(self, key: str) -> None:
        if self._replica is not None and not self._replica.put_back(key):
            self._tell(f"warning: {key} is not put back: somebody changed one of the two meanwhile")

    # -- chunks and index

    def _write(self, session: RepairSession) -> Written:
        repository, found = self._repository, self._found
        history = repository.read_history(cached=False)
        gone = {pack for pack in found.ailing.missing if not self._is_back(pack)}
        unusable = gone | found.ailing.bad.keys()
        holdings = take_stock(repository, history, unusable, found.ailing.segment_ids)
        session.write_into(holdings.sound)
        readers = [holdings.reader(repository)]
        if self._replica is not None:
            readers.append(self._replica.repository.reader())
        here = self._doctor.snapshots(history)
        keys = {listed.key for listed in here}
        snapshots = [*here, *(one for one in found.elsewhere if one.key not in keys)]
        repository.around.sink(PhaseBegan("give every chunk a place", len(snapshots)))

        def told(event: Advanced) -> None:
            session.beat()
            repository.around.sink(event)

        healed = Healer(holdings, readers, session.writer).run(snapshots, told)
        for listed in healed.broken:
            self._from_copy(session, listed, readers[0])
        written = session.finish()
        session.list_again(holdings.adopted.values())
        return written

    def _is_back(self, pack_id: bytes) -> bool:
        return layout.pack(pack_id) in self._plan.keys(Step.PUT_BACK)

    def _from_copy(self, session: RepairSession, listed: ListedSnapshot, here: Reader) -> None:
        """Make a snapshot anew from its copy: the same bytes have the same ids here again.

        Of what has a place ``here``, nothing is read there.
        """
        if self._other is None or self._other.is_replica:
            return
        copies = self._other.copies()
        standing = self._found.history.standing
        copy_of = copies.get(standing.identity(self._repository.id, listed.key))
        if copy_of is None:
            self._tell(f"snapshot {listed.short_id} is not in {self._other.repository.store.url}")
            return
        where = f"snapshot {copy_of.short_id} of {self._other.repository.store.url}"
        self._tell(f"snapshot {listed.short_id} is made whole from {where}")
        reader, translation = self._other.reading()
        sink = self._repository.around.sink
        into = InDomain(session, listed.domain)
        both = zip(listed.snapshot.sources, copy_of.snapshot.sources, strict=False)
        try:
            for ours, theirs in both:
                teach(translation, Side(theirs, reader.fetch), Side(ours, here.fetch))
                copier = SourceCopier(where, reader, into, translation, sink)
                made = copier.copy(theirs)
                if (made.root, made.levels) != (ours.root, ours.levels):
                    self._tell(f"warning: {where} has another tree: not all of it may be the same")
        except DamageError as error:
            self._tell(f"warning: {error.message}")

    # -- orders

    def _quarantine(self) -> None:
        keys = self._plan.keys(Step.QUARANTINE)
        packs = sorted(pack for key in keys if (pack := layout.pack_id(key)) is not None)
        if packs:
            self._order(OrderKind.QUARANTINE, PackIds(b"".join(packs)))

    def _declare_void(self) -> None:
        """Segments that are listed again, and what a person named."""
        named = dict(self._found.voids)
        for key in self._plan.keys(Step.VOID):
            if key not in named:
                named[key] = self._doctor.as_void(key)
        for key, one in named.items():
            if not one.sha256 and layout.commit_ids(key) is not None:
                self._end_session(key)
        if named:
            self._order(OrderKind.VOID, tuple(named[key] for key in sorted(named)))

    def _end_session(self, key: str) -> None:
        """Put an ABORT where a commit is gone, or a late COMMIT of that session would count."""
        repository = self._repository
        body = encode(Abort(ABORT, AbortReason.FENCED, repository.around.clock.now_ns()))
        admin = repository.keyring.admin_signer()
        put_own(repository.store, key, wrap(Kind.COMMIT, repository.id, key, body, admin.sign))

    def _order(self, kind: OrderKind, payload: PackIds | tuple[Voided, ...]) -> None:
        put_order(self._repository, self._repository.read_history(), kind, payload)

    # -- snapshots whose commit cannot be read

    def _commit_again(self) -> None:
        decisions = self._repository.read_history(cached=False).decisions
        readable = {one.key for one in decisions if one.commit is not None}
        keys = [key for key in self._plan.keys(Step.COMMIT) if key not in readable]
        if not keys or self._other is None:
            return
        try:
            if self._replica is not None:
                for key in keys:
                    self._commit_from_replica(self._replica, key)
            elif self._other.listing is not None:
                copies = self._other.copies()
                identity = self._found.history.standing.identity
                wanted = [copies[identity(self._repository.id, key)] for key in keys]
                plan = CopyPlan(wanted, [])
                source = self._other.repository
                result = copy(source, self._repository, plan, self._other.listing.history)
                for failed in result.failed:
                    self._tell(f"warning: {failed.error.message}")
        except RefusedError as error:  # a commit is gone that nobody explained
            self._tell(f"warning: no snapshot is committed again: {error.message}")

    def _commit_from_replica(self, replica: Replica, key: str) -> None:
        listed = replica.snapshot(key)
        if listed is None:
            return
        repository = self._repository
        standing = self._found.history.standing
        seen = standing.first_seen.get(key, listed.snapshot.ended_ns)
        session = BackupSession(repository)
        try:
            session.begin()
            origin = Origin(session.key, seen, standing.identity(repository.id, key))
            put_order(repository, session.history, OrderKind.ORIGINS, (origin,))
            session.commit(listed.snapshot)
        except BaseException:
            session.give_up()
            raise

    def _tell(self, text: str) -> None:
        self._repository.around.sink(Notice(text))


def lost_snapshots(result: CheckResult) -> Sequence[str]:
    """Return the short ids of the snapshots of which something is lost, sorted."""
    return sorted({finding.snapshot for finding in result.damage if finding.snapshot})
