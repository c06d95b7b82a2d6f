"""Recover an instance of RDS or a cluster of Aurora to a moment: plan, decide, carry out, undo."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple

import msgspec

from strongroom.app.environments import landing_on
from strongroom.app.machine import Run
from strongroom.app.rds import clients_of, rds_source
from strongroom.app.rds_check import checker
from strongroom.app.rds_journal import Journals, opened_journals
from strongroom.aws.clients import Clients
from strongroom.aws.rds.pointers import SSM, CanonicalName, Parameter, Pointer
from strongroom.aws.rds.record import Record
from strongroom.aws.rds.service import Rds
from strongroom.aws.rds.window import chosen, whole_second
from strongroom.clock import as_utc, rfc3339
from strongroom.config.moments import parse_moment
from strongroom.config.rds import RdsSettings
from strongroom.errors import RefusedError, UsageError
from strongroom.operations.rds.plan import (
    BEGUN,
    DONE,
    UNDOING,
    UNDONE,
    Journal,
    Known,
    RecoveryPlan,
    Swap,
    calls_of,
    new_identifier,
    new_members,
    plan_warnings,
    refuse_identifier,
    refuse_kind,
    swap_of,
)
from strongroom.operations.rds.recovering import Outcome, Recovery, Swapped, Tools
from strongroom.operations.rds.undoing import Undo, Undone, UndoTools, final_snapshot
from strongroom.policy.landing import Landing

__all__ = [
    "Outcome",
    "RdsReport",
    "RdsRequest",
    "ShownPlan",
    "ShownUndo",
    "Swapped",
    "Undone",
    "recover_rds",
    "resume_rds",
    "undo_rds",
]

_REQUESTS = (
    "RestoreDBInstanceToPointInTime",
    "RestoreDBClusterToPointInTime",
    "CreateDBInstance",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class RdsRequest:
    """What the command line says; an empty ``text`` is the latest moment there is.

    ``into``: the new name, and clients are not sent there. ``snapshot``: whose settings count.
    ``alone``: the journal is kept on this machine only. ``checks``: whether the new one is asked.
    """

    source: str
    text: str = ""
    into: str = ""
    snapshot: str = ""
    alone: bool = False
    checks: bool = True
    despite: bool = False


class ShownPlan(NamedTuple):
    """A plan, the requests that it means, whether it goes on, and where it lands."""

    plan: RecoveryPlan
    calls: list[str]
    into: Landing
    resumed: bool = False


class ShownUndo(NamedTuple):
    """What an undo would do; ``snapshot``: made before NEW is deleted, empty if it stays."""

    plan: RecoveryPlan
    state: str
    snapshot: str
    into: Landing


class RdsReport(NamedTuple):
    """What a recovery came to."""

    plan: RecoveryPlan
    outcome: Outcome
    seconds: float


def recover_rds(
    run: Run, request: RdsRequest, decide: Callable[[ShownPlan], bool], *, dry_run: bool
) -> RdsReport | None:
    """Plan, let ``decide`` see the plan, and recover if it says so; None if it does not.

    What cannot be reached is refused before anything is made.
    """
    with opened_journals(run, request.source, alone=request.alone) as journals:
        work = _Work(run, request, journals)
        if not dry_run:
            _refuse_unfinished(journals.newest(), request.source)
        plan, record = work.plan()
        if not decide(work.shown(plan)):
            return None
        journal = Journal(plan=plan)
        journals.save(journal, record)
        return work.carry_out(journal)


def resume_rds(
    run: Run, request: RdsRequest, decide: Callable[[ShownPlan], bool]
) -> RdsReport | None:
    """Go on with the recovery that was begun last, as it was planned; None if ``decide`` says no.

    ``RefusedError`` if there is none.
    """
    with opened_journals(run, request.source, alone=request.alone) as journals:
        work = _Work(run, request, journals)
        journal = journals.newest()
        if journal is None or journal.state != BEGUN:
            raise RefusedError(
                f"no recovery of '{request.source}' waits to be finished",
                hint="'strongroom recover' begins one.",
            )
        if not decide(work.shown(journal.plan, resumed=True)):
            return None
        journals.save(journal)
        return work.carry_out(journal)


def undo_rds(
    run: Run, request: RdsRequest, decide: Callable[[ShownUndo], bool], *, delete: bool
) -> Undone | None:
    """Send clients back to what they used; with ``delete`` remove what the recovery made."""
    with opened_journals(run, request.source, alone=request.alone) as journals:
        work = _Work(run, request, journals)
        journal = journals.newest()
        if journal is None:
            raise RefusedError(
                f"no recovery of '{request.source}' is known",
                hint="It is known where it was made, and in the repository that it used.",
            )
        plan = journal.plan
        snapshot = final_snapshot(plan) if delete else ""
        shown = ShownUndo(plan, journal.state, snapshot, landing_on(run.settings, plan.source))
        if not decide(shown):
            return None
        journal = msgspec.structs.replace(journal, state=UNDOING)
        journals.save(journal)
        done = work.undo(journal, delete=delete)
        journals.save(msgspec.structs.replace(journal, state=UNDONE))
        return done


def _refuse_unfinished(journal: Journal | None, source: str) -> None:
    if journal is not None and journal.state in {BEGUN, UNDOING}:
        raise RefusedError(
            f"a recovery of '{source}' onto {journal.plan.new} was not finished",
            hint=f"'strongroom recover {source} --resume' goes on with it, --undo takes it back.",
        )


@dataclass
class _Work:
    """One recovery: what is known, and what it works with."""

    run: Run
    request: RdsRequest
    journals: Journals
    _clients: Clients = field(init=False)
    _rds: Rds = field(init=False)
    _of: RdsSettings = field(init=False)

    def __post_init__(self) -> None:
        _, self._of = rds_source(self.run, self.request.source)
        self._clients = clients_of(self.run, self.request.source)
        self._rds = Rds(self._clients)

    # -- planning

    def plan(self) -> tuple[RecoveryPlan, Record]:
        """Decide everything; nothing is changed."""
        request, now_ns = self.request, self.run.machine.clock.now_ns()
        moment_ns = (
            whole_second(parse_moment(request.text, "--to-time", now_ns)) if request.text else None
        )
        known = self._known(moment_ns)
        record, window = known.record, known.window
        refuse_kind(record)
        new = (request.into or new_identifier(self._of.identifier, now_ns)).lower()
        refuse_identifier(new)
        if self._rds.described(self._of.kind, new) is not None:
            raise RefusedError(f"{new} exists already", hint="Name another one: --into NAME.")
        swaps = [] if request.into else self._swaps(record)
        if moment_ns is not None and moment_ns == whole_second(window.latest_ns):
            moment_ns = None  # AWS takes moments before the latest one only, or 'the latest'
        stamp = f"{as_utc(now_ns):%Y%m%dT%H%M%SZ}"
        plan = RecoveryPlan(
            id=f"{stamp}-{self.run.machine.randomness.take(4).hex()}",
            source=request.source,
            kind=self._of.kind,
            of=self._of.identifier,
            resource=window.resource,
            live=window.live,
            region=self._rds.region,
            moment_ns=moment_ns,
            earliest_ns=window.earliest_ns,
            latest_ns=window.latest_ns,
            new=new,
            engine=record.engine,
            settings=record.settings,
            members=new_members(record, new),
            roles=record.roles,
            swaps=swaps,
            learned=known.learned,
            warnings=plan_warnings(record, swaps=swaps, beside=bool(request.into)),
        )
        return plan, record

    def _known(self, moment_ns: int | None) -> Known:
        """Return the settings that count, and the backups that hold the moment."""
        kind, identifier = self._of.kind, self._of.identifier
        windows = self._rds.windows(kind, identifier)
        shown = [f"from {_said(one.earliest_ns)} to {_said(one.latest_ns)}" for one in windows]
        window = chosen(windows, moment_ns, identifier, shown)
        live = None if self.request.snapshot else self._rds.record(kind, identifier)
        if live is not None:
            return Known(live, "what it has now", window)
        record, snapshot = self.journals.record(self.request.snapshot)
        if record.kind != kind:
            raise RefusedError(f"snapshot {snapshot} knows a {record.kind}, and this is a {kind}")
        return Known(record, f"snapshot {snapshot}", window)

    def _swaps(self, record: Record) -> list[Swap]:
        return [
            swap_of(
                one.kind,
                one.name,
                one.zone,
                self._place(one.kind, one.name, one.zone).read(),
                record.endpoints,
            )
            for one in self._of.swaps
        ]

    def shown(self, plan: RecoveryPlan, *, resumed: bool = False) -> ShownPlan:
        """Return a plan as a person sees it."""
        takes = {name: self._rds.takes(name) for name in _REQUESTS}
        landing = landing_on(self.run.settings, plan.source)
        return ShownPlan(plan, calls_of(plan, takes), landing, resumed)

    # -- at work

    def carry_out(self, journal: Journal) -> RdsReport:
        """Do what is left of a plan, and write down that it is done."""
        run, plan = self.run, journal.plan
        began = run.machine.clock.elapsed()

        def note(step: str) -> None:
            run.tell(step)
            self.journals.note(msgspec.structs.replace(journal, step=step))

        tools = Tools(
            rds=self._in(plan),
            clock=run.machine.clock,
            tell=run.tell,
            pointer=self._pointer,
            check=checker(run, plan.source) if self.request.checks else None,
            note=note,
        )
        outcome = Recovery(plan, tools, despite=self.request.despite).run()
        self.journals.save(
            msgspec.structs.replace(journal, state=DONE, endpoints=dict(outcome.endpoints))
        )
        return RdsReport(plan, outcome, run.machine.clock.elapsed() - began)

    def undo(self, journal: Journal, *, delete: bool) -> Undone:
        """Undo what a plan did."""
        tools = UndoTools(
            self._in(journal.plan), self.run.machine.clock, self.run.tell, self._pointer
        )
        return Undo(journal, tools).run(delete=delete)

    def _in(self, plan: RecoveryPlan) -> Rds:
        if plan.region != self._rds.region:
            raise UsageError(
                f"the recovery is in {plan.region}, and requests go to {self._rds.region}",
                hint="Set the region below [aws], or AWS_REGION.",
            )
        return self._rds

    def _pointer(self, swap: Swap) -> Pointer:
        return self._place(swap.kind, swap.name, swap.zone)

    def _place(self, kind: str, name: str, zone: str) -> Pointer:
        if kind == SSM:
            return Parameter(self._clients, name)
        return CanonicalName(self._clients, zone, name, self.run.machine.clock)


def _said(moment_ns: int) -> str:
    return rfc3339(moment_ns)[:19] + "Z"
