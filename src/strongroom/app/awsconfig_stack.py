"""Restore a stack of CloudFormation: a change set is made, shown, and carried out if confirmed."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from strongroom.app.awsconfig_records import records_of
from strongroom.app.awsconfig_restore import BEFORE, account_for, save_before, source_in_snapshot
from strongroom.app.environments import admitted
from strongroom.app.listing import path_in_snapshot
from strongroom.app.machine import Run
from strongroom.app.named_files import read_named
from strongroom.app.opening import Opened, opened_repository
from strongroom.aws import cloudformation
from strongroom.aws.account import Account
from strongroom.aws.asking import Service
from strongroom.aws.clients import Clients
from strongroom.aws.errors import AwsError
from strongroom.aws.records import STACK, Record, file_of, folder_of
from strongroom.config.environments import environment_of
from strongroom.errors import NotFoundError, UsageError
from strongroom.model.events import PhaseBegan
from strongroom.model.snapshot import ListedSnapshot
from strongroom.operations.listing import dump, snapshot_to_restore
from strongroom.policy.landing import NOWHERE, Landing
from strongroom.restore.awsconfig.stacks import ChangeSet, StackChange, request_of

_LARGEST_FILE = 1 << 20

__all__ = ["StackChange", "StackPlan", "StackReport", "StackRequest", "restore_stack"]


@dataclass(frozen=True, slots=True, kw_only=True)
class StackRequest:
    """What the command line says; ``values``: a file with values of parameters. ``to``: its name.

    With ``dry_run`` no change set is made either.
    """

    snapshot: str
    stack: str
    to: str = ""
    source: str = ""
    region: str = ""
    environment: str = ""
    values: str = ""
    pre_backup: bool = True
    dry_run: bool = False


@dataclass(frozen=True, slots=True)
class StackPlan:
    """What a restore would do. ``changes``: None as long as no change set was made."""

    snapshot: ListedSnapshot
    source: str
    stack: str
    account: Account
    region: str
    exists: bool
    kept: Sequence[str]
    changes: Sequence[StackChange] | None
    into: Landing = NOWHERE


@dataclass(frozen=True, slots=True)
class StackReport:
    """What a restore came to; ``calls``: what was set besides; ``before``: what was there."""

    plan: StackPlan
    before: ListedSnapshot | None
    changed: bool
    calls: Sequence[str]
    seconds: float


def restore_stack(
    run: Run, request: StackRequest, decide: Callable[[StackPlan], bool]
) -> StackReport | None:
    """Make a change set, let ``decide`` see it, carry it out if it says so; None if it does not.

    A change set that is not carried out is deleted again. ``RolledBackError``, ``RestoreError``.
    """
    began = run.machine.clock.elapsed()
    with opened_repository(run) as opened:
        work = _Work(run, opened, request)
        if request.dry_run:
            decide(work.plan(None))
            return None
        run.sink(PhaseBegan("plan"))
        found = work.carry_out(decide)
    if found is None:
        return None
    plan, calls = found
    seconds = run.machine.clock.elapsed() - began
    return StackReport(plan, work.before, bool(plan.changes), calls, seconds)


class _Work:
    def __init__(self, run: Run, opened: Opened, request: StackRequest) -> None:
        self.run = run
        self.asked = request
        self.opened = opened
        self.before: ListedSnapshot | None = None
        self.listed, reader = snapshot_to_restore(opened.repository, request.snapshot)
        of = source_in_snapshot(self.listed, request.source)
        name = of.name.decode("utf-8", "surrogateescape")
        self.source = name.removesuffix(f"@{BEFORE}")
        records = records_of(reader, self.listed, of)
        self.record = _stack(request.stack, self.listed, (one for _, one in records))
        template = bytearray()
        file = file_of(STACK, request.stack, cloudformation.ORIGINAL)
        place = path_in_snapshot(f"{folder_of(name)}/{file}")
        dump(opened.repository, self.listed, place, template.extend)
        environment = request.environment or environment_of(self.source)
        known = bool(request.environment) or environment in run.settings.environments
        self.into = admitted(run.settings, environment if known else "", self.listed)
        self.account = account_for(run, self.source, request.environment, request.region)
        clients = Clients(self.account)
        self.region = clients.region()
        self.service = Service(clients, cloudformation.SERVICE, "", run.machine.clock.sleep)
        self.name = request.to or request.stack
        live = cloudformation.described(self.service, self.name)
        waits = live is not None and live.get("StackStatus") == cloudformation.NOTHING_YET
        self.live = None if waits else live
        self.request = request_of(
            self.record, bytes(template), self.name, self.live, _values(run, request.values)
        )

    def plan(self, changes: Sequence[StackChange] | None) -> StackPlan:
        """Return what would be done, as far as it is known."""
        parameters = self.request["Parameters"]
        return StackPlan(
            snapshot=self.listed,
            source=self.source,
            stack=self.name,
            account=self.account,
            region=self.region,
            exists=self.live is not None,
            kept=[one["ParameterKey"] for one in parameters if "UsePreviousValue" in one],
            changes=changes,
            into=self.into,
        )

    def carry_out(
        self, decide: Callable[[StackPlan], bool]
    ) -> tuple[StackPlan, Sequence[str]] | None:
        """Make the change set, and carry it out if that is decided."""
        clock = self.run.machine.clock
        name = f"strongroom-{self.listed.short_id}-{clock.now_ns()}"
        change_set = ChangeSet(self.service, self.request, name, clock.sleep)
        executed = False
        try:
            plan = self.plan(change_set.make())
            if not plan.changes:
                return plan, ()
            if not decide(plan):
                return None
            if self.asked.pre_backup:
                self._save()
            executed = True
        finally:
            if not executed:
                self._discard(change_set)
        self.run.sink(PhaseBegan("restore"))
        change_set.execute(lambda status: self.run.tell(f"stack {self.name}: {status}"))
        return plan, change_set.finish(self.record)

    def _save(self) -> None:
        """Save the stack as it is; a new one was nothing before."""
        if self.live is None:
            return
        found = cloudformation.captured(self.service, self.live)
        environment = self.into.name or self.listed.snapshot.environment.decode(
            "utf-8", "surrogateescape"
        )
        self.before = save_before(self.run, self.opened, self.source, [found], environment)

    def _discard(self, change_set: ChangeSet) -> None:
        """Whatever else went wrong is what counts."""
        try:
            change_set.discard()
        except AwsError as error:
            self.run.warn(f"the change set stays: {error.message}")


def _stack(name: str, listed: ListedSnapshot, records: Iterable[Record]) -> Record:
    found = [one for one in records if one["Kind"] == STACK and one["Name"] == name]
    if not found:
        raise NotFoundError(
            f"snapshot {listed.short_id} has no stack '{name}'",
            hint=f"See what it holds: strongroom ls {listed.short_id}.",
        )
    return found[0]


def _values(run: Run, path: str) -> Mapping[str, str]:
    if not path:
        return {}
    where = Path(run.settings.folder / path)
    data = read_named(where, f"the file of parameters {path}", _LARGEST_FILE)
    try:
        read = json.loads(data)
    except ValueError:
        read = None
    if not isinstance(read, dict) or not all(isinstance(one, str) for one in read.values()):
        raise UsageError(f'{path} is not a JSON object of texts: {{"NAME": "value"}}')
    return read
