"""The collector: numbered runs, each of which any host may finish (``docs/format.md`` 16).

1. read commits, orders and gc; 2. list packs and index, mark, put ``tombs``; 3. list sessions, put
``waits``, wait; 4. read everything again, put ``kills``; 5. delete, put ``done``. Whichever object
of a run is there rules, whoever put it. Nothing here trusts a clock for what it deletes: time only
ends the wait for a session, by an ABORT that the store lets only one of the two put.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from strongroom.errors import DamageError, FencedError, ObjectExistsError, ObjectMissingError
from strongroom.model.events import Notice, PhaseBegan
from strongroom.model.snapshot import ListedSnapshot
from strongroom.repository import layout
from strongroom.repository.canonical import encode
from strongroom.repository.collection.alone import Alone
from strongroom.repository.collection.compacting import compact, worth_compacting
from strongroom.repository.collection.proving import Prover
from strongroom.repository.collection.removing import remove
from strongroom.repository.collection.repacking import Repacked, Repacker
from strongroom.repository.collection.shrinking import ShrinkLimits, worth_repacking
from strongroom.repository.collection.survey import Keep, MovedOnError, Survey, survey
from strongroom.repository.collection.verdict import Staying, kills, tombs
from strongroom.repository.collection.waiting import Waiting
from strongroom.repository.collection.walexpiry import Judged, wal_object
from strongroom.repository.envelope import Kind, wrap
from strongroom.repository.records import Done, Removals, Waits, split
from strongroom.repository.repository import Repository
from strongroom.repository.runs import NOTHING, Run, RunPart

_TRIES: Final = 20
_KINDS: Final = {
    "tombs": Kind.TOMBS,
    "waits": Kind.WAITS,
    "kills": Kind.KILLS,
    "done": Kind.DONE,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class CollectLimits:
    """How long things are kept and waited for, nanoseconds and seconds; what is written anew.

    ``dead``: the first digits of sessions that a person says are dead.
    ``wal_keep_ns``: how far back every moment of a cluster can be reached; None: as its base
    backups do.
    ``max_unused``: part of all that is kept that may stay unused. ``max_repack_bytes`` and
    ``repack_seconds`` bound the writing of one run.
    """

    grace_ns: int
    silent_ns: int
    wait_seconds: float
    max_unused: float
    wal_keep_ns: int | None = None
    max_repack_bytes: int | None = None
    repack_seconds: float | None = None
    dead: Sequence[str] = ()

    @property
    def keep(self) -> Keep:
        """How long what is not needed stays."""
        return Keep(self.grace_ns, self.wal_keep_ns)


@dataclass(slots=True)
class Collected:
    """What was done; sizes in bytes. ``last_good``: forgotten, and kept as the last of a source.

    ``wal``: what of each cluster goes, and why. ``removed``: the keys of all that was deleted.
    """

    finished: int = 0
    packs: int = 0
    bytes: int = 0
    commits: int = 0
    segments: int = 0
    wal_files: int = 0
    wal_bytes: int = 0
    wal: Sequence[Judged] = ()
    repacked: Repacked = field(default_factory=lambda: Repacked([]))
    compacted: int = 0
    kept_packs: int = 0
    kept_bytes: int = 0
    unused_bytes: int = 0
    in_grace: int = 0
    last_good: Sequence[ListedSnapshot] = ()
    removed: list[str] = field(default_factory=list)


class Collector:
    """Collects in one repository; needs a full key, and a store that lets it delete."""

    def __init__(self, repository: Repository, limits: CollectLimits) -> None:
        """``KeyRefusedError`` unless the key is full."""
        self._repository = repository
        self._limits = limits
        self._admin = repository.keyring.admin_signer()
        self._alone = Alone(repository) if repository.config.is_weaker else None
        self._waiting = Waiting(repository, limits.silent_ns, limits.wait_seconds, self._show)
        self._prover = Prover(repository)
        self._alarm: DamageError | None = None
        self.result = Collected()

    def run(self) -> Collected:
        """Finish what others left, then collect once.

        ``BusyError`` if a session does not end in time, or another collector is at work and the
        store does not decide between two; ``DamageError`` if something that decides cannot be read
        or is missing. In all cases nothing is lost, and the next run goes on.
        """
        for text in self._limits.dead:
            unfinished = self._next_unfinished()
            waits = self._sessions(unfinished.number) if unfinished is not None else ()
            killed = self._killed_commits()
            self._waiting.give_up(text, set(waits) - set(self._waiting.decided(waits, killed)))
        if self._alone is None:
            return self._run()
        with self._alone:
            return self._run()

    def _run(self) -> Collected:
        reason = "other collectors began one run after the other"
        for _ in range(_TRIES):
            unfinished = self._next_unfinished()
            if unfinished is not None:
                self._finish(unfinished)
                self.result.finished += 1
                continue
            try:
                self._collect(self._survey())
            except MovedOnError as error:
                reason = str(error)
                continue
            return self.result
        raise _gave_up(reason)

    @property
    def pack_size(self) -> int:
        """Bytes of a full pack."""
        return self._repository.config.core.pack_size

    def look(self) -> Survey:
        """Return what a run would find now, unfinished ones or not; nothing is written."""
        reason = ""
        for _ in range(_TRIES):
            try:
                return survey(self._repository, self._limits.keep, begins=False)
            except MovedOnError as error:
                reason = str(error)
        raise _gave_up(reason)

    def _next_unfinished(self) -> Run | None:
        history = self._repository.checked_history()
        runs = self._repository.read_runs(history.standing.voids)
        blocking = [key for key in runs.unreadable if not key.endswith("/tombs")]
        if blocking:
            raise DamageError(
                f"{blocking[0]} cannot be read, so nobody knows what may be removed",
                hint="Restore it from a copy of the repository, or run 'strongroom repair'.",
            )
        return runs.unfinished

    def _survey(self) -> Survey:
        self._repository.around.sink(PhaseBegan("look at what is needed"))
        return survey(self._repository, self._limits.keep)

    # -- steps 1 and 2

    def _collect(self, found: Survey) -> None:
        kept = found.kept_packs(self._prover)
        self.count(found, kept)
        listed = found.listed
        again = self._shrink(found, kept)
        kept -= set(again)
        segments = list(listed.segments)
        ended = found.past.killed_packs - listed.packs.keys()
        for group in worth_compacting(segments, ended, found.past.doubtful.index):
            try:
                segments.append(compact(self._repository, group, ended))
            except ObjectMissingError as error:
                raise MovedOnError(error.message) from error
            self.result.compacted += len(group)
        after = listed._replace(segments=segments)
        named = tombs(after, kept, found.expired(), found.past)
        if named == NOTHING and not self._waiting.has_ended_sessions():
            return
        store = self._repository.store
        store.sync([*self._repository.relied_prefixes(), layout.GC])
        self._put(found.next_run, "tombs", encode(named))
        rules = self._removals(found.next_run, "tombs")
        self._finish(Run(found.next_run, rules, waits=None, kills=None, done=False))

    def count(self, found: Survey, kept: set[bytes]) -> None:
        """Note in the result what stays."""
        result, listed = self.result, found.listed
        result.kept_packs = len(kept)
        result.kept_bytes = sum(listed.packs[pack] for pack in kept)
        result.in_grace = len(found.in_grace)
        result.last_good = found.liveness.last_good
        result.wal = found.wal.judge(found.expired().wal)

    def _shrink(self, found: Survey, kept: set[bytes]) -> list[bytes]:
        """Repack what is worth it; return the old packs, which may go now."""
        uses = found.uses(kept)
        limits = self._limits
        chosen = worth_repacking(
            uses, ShrinkLimits(limits.max_unused, limits.max_repack_bytes, self.pack_size)
        )
        self.result.unused_bytes = round(sum(pack.unused for pack in uses))
        if not chosen:
            return []
        clock = self._repository.around.clock
        began = clock.elapsed()

        def may_go_on() -> bool:
            self._show()
            most = limits.repack_seconds
            return most is None or clock.elapsed() - began < most

        sizes = sum(pack.size for pack in chosen)
        self._repository.around.sink(PhaseBegan("write packs anew", len(chosen), sizes))
        names = list(dict.fromkeys(found.census.packs[pack.number] for pack in chosen))
        census = found.census
        done = Repacker(self._repository, census.are_needed, census.take).run(names, may_go_on)
        self._prover.know(done.made)
        self.result.repacked = done
        gone = set(done.packs)
        rest = [pack for pack in chosen if found.census.packs[pack.number] not in gone]
        untouched = [pack for pack in uses if pack not in chosen]
        self.result.unused_bytes = round(sum(pack.unused for pack in [*untouched, *rest]))
        return done.packs

    # -- steps 3 to 5, by whoever finds the run

    def _finish(self, run: Run) -> None:
        number = run.number
        if run.kills is None:
            if run.blind or run.tombs is None:
                self._put(number, "kills", encode(NOTHING))
            elif run.tombs == NOTHING:  # only the sessions that ended are to go
                self._put_waits(run)
                self._put(number, "kills", encode(NOTHING))
            else:
                self._put_waits(run)
                self._wait(number)
                self._decide(number, run.tombs)
        names = self._removals(number, "kills")
        self._delete(number, names)
        self._put(number, "done", encode(Done(self._repository.around.clock.now_ns())))
        alarm, self._alarm = self._alarm, None
        if alarm is not None and names == NOTHING:  # else another collector found it all
            raise alarm

    def _put_waits(self, run: Run) -> None:
        if run.waits is None:
            own = {self._alone.session} if self._alone is not None else set()
            sessions = Waits(tuple(sorted(self._waiting.listed().keys() - own)))
            self._put(run.number, "waits", encode(sessions))

    def _wait(self, number: int) -> None:
        """Step 3."""
        self._repository.around.sink(PhaseBegan("wait for sessions at work"))
        waits = self._part(number, "waits")  # unreadable is not nobody
        listed = waits.sessions if isinstance(waits, Waits) else ()
        self._waiting.wait(listed, self._killed_commits())

    def _decide(self, number: int, named: Removals) -> None:
        """Step 4: look again at everything, and put what of the tombs goes in the end."""
        repository = self._repository
        reason = ""
        for _ in range(_TRIES):
            try:
                found = survey(repository, self._limits.keep, within=(number, named))
            except MovedOnError as error:
                if self._has_kills(number):
                    return
                reason = str(error)
                continue
            except DamageError as error:
                self._put(number, "kills", encode(NOTHING))
                self._alarm = error
                return
            spared = found.spared(split(named.packs, layout.HASH_SIZE, "tombs"), self._prover)
            staying = Staying(spared, found.roots, found.wal.needs.spared(named.wal))
            names = kills(named, found.listed, staying, found.past)
            repository.store.sync([*repository.relied_prefixes(), layout.GC])
            self._put(number, "kills", encode(names))
            return
        raise _gave_up(reason)

    def _killed_commits(self) -> frozenset[str]:
        """Return commits that were there once, so that their sessions are decided."""
        absent = self._repository.read_history().runs.absent()
        return absent.killed_commits | absent.doubtful.commits

    def _has_kills(self, number: int) -> bool:
        try:
            self._repository.store.size(layout.run_object(number, "kills"))
        except ObjectMissingError:
            return False
        return True

    def _delete(self, number: int, names: Removals) -> None:
        """Step 5."""
        repository = self._repository
        if self._alone is not None:
            self._alone.require()
        packs = split(names.packs, layout.HASH_SIZE, "kills")
        segments = split(names.index, layout.HASH_SIZE, "kills")
        wal = [key for key in names.wal if wal_object(key, 0) is not None]
        total = len(packs) + len(segments) + len(names.commits) + len(wal)
        repository.around.sink(PhaseBegan("remove", total))
        repository.store.sync([layout.GC])  # whoever put the kills may have died before that
        sizes = {i.key: i.size for i in repository.store.list(layout.PACKS)} if packs else {}
        wal_sizes = {i.key: i.size for i in repository.store.list(layout.WAL)} if wal else {}
        for keys in (
            [layout.index_segment(name) for name in segments],
            [layout.pack(name) for name in packs],
            names.commits,
            wal,  # the oldest first, so that what stays is one piece
        ):
            self._remove(keys)
        killed = {*names.commits, *self._killed_commits()}
        ended = self._waiting.decided(self._sessions(number), killed)
        self._remove(self._waiting.objects_of(ended))
        there = [sizes[key] for key in map(layout.pack, packs) if key in sizes]
        self.result.packs += len(there)
        self.result.bytes += sum(there)
        self.result.commits += len(names.commits)
        self.result.segments += len(segments)
        self.result.wal_files += len(wal_sizes.keys() & set(wal))
        self.result.wal_bytes += sum(wal_sizes.get(key, 0) for key in wal)

    def _remove(self, keys: Sequence[str]) -> None:
        remove(self._repository, keys)
        self.result.removed += keys

    # -- the objects of a run

    def _put(self, number: int, part: RunPart, body: bytes) -> None:
        """Put a part; where there is one already, that one rules."""
        key = layout.run_object(number, part)
        data = wrap(
            _KINDS[part],
            self._repository.id,
            key,
            body,
            self._admin.sign,
            version=self._repository.keyring.version,
        )
        if self._alone is not None:
            self._alone.require()
        try:
            self._repository.store.put(key, data)
        except ObjectExistsError:
            self._repository.around.sink(Notice(f"{key} was put by another collector"))
            return
        if self._alone is not None:
            self._alone.require(key)

    def _show(self) -> None:
        if self._alone is not None:
            self._alone.show()

    def _part(self, number: int, part: RunPart) -> Removals | Waits | Done:
        return self._repository.run_reader().part(number, part)

    def _removals(self, number: int, part: RunPart) -> Removals:
        found = self._part(number, part)
        return found if isinstance(found, Removals) else NOTHING

    def _sessions(self, number: int) -> Sequence[str]:
        try:
            found = self._part(number, "waits")
        except (ObjectMissingError, DamageError):
            return ()  # it ended without waiting; sessions are left to a later run
        return found.sessions if isinstance(found, Waits) else ()


def _gave_up(reason: str) -> FencedError:
    return FencedError(
        f"the repository does not hold still for a collector: {reason}",
        hint="Nothing is lost. Run the same command again; if it stays so, the listings of the "
        "store are not to be trusted: run 'strongroom verify'.",
    )
