"""Restore parameters and secrets into an account: plan, decide, save what is there, change."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Final

from strongroom import __version__
from strongroom.app.awsconfig_found import require_configurations
from strongroom.app.awsconfig_records import records_of
from strongroom.app.environments import admitted
from strongroom.app.folders import walks_of
from strongroom.app.machine import Run
from strongroom.app.opening import Opened, opened_repository
from strongroom.aws import secretsmanager, ssm
from strongroom.aws.account import Account
from strongroom.aws.asking import Service
from strongroom.aws.clients import Clients
from strongroom.aws.patterns import Patterns, is_exact
from strongroom.aws.records import JOURNAL, PARAMETER, SECRET, Captured, Record, record_of
from strongroom.clock import rfc3339
from strongroom.config.environments import environment_of
from strongroom.errors import NotFoundError, UsageError
from strongroom.model.events import Advanced, PhaseBegan
from strongroom.model.snapshot import PRE_RESTORE, ListedSnapshot, SourceRecord
from strongroom.operations.backup import Circumstances, PlannedSource, back_up
from strongroom.operations.listing import snapshot_to_restore
from strongroom.policy.landing import NOWHERE, Landing
from strongroom.restore.awsconfig.changing import (
    SERVICES,
    Change,
    Intent,
    carry_out,
    decide,
    look,
)
from strongroom.restore.awsconfig.steps import Rules, Step
from strongroom.sources.awsconfig.remembered import RecordsSource

BEFORE: Final = PRE_RESTORE.decode()
_READERS: Final = 4
_LISTED: Final = {PARAMETER: ssm.listed, SECRET: secretsmanager.listed}

__all__ = ["Change", "ConfigurationPlan", "ConfigurationReport", "ConfigurationRequest", "Step"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfigurationRequest:
    """What the command line says. ``everything``: all parameters and secrets of the source.

    ``mapped``: pairs of how names begin, and how they begin where they are restored. ``delete``:
    what is meant and the snapshot does not have goes. ``undo``: the snapshot is one that was made
    before a restore, and that restore is undone. ``key``: the KMS key to use for all.
    """

    snapshot: str
    source: str = ""
    parameters: Sequence[str] = ()
    secrets: Sequence[str] = ()
    everything: bool = False
    mapped: Sequence[tuple[str, str]] = ()
    region: str = ""
    environment: str = ""
    key: str = ""
    delete: bool = False
    undo: bool = False
    pre_backup: bool = True

    def texts(self, kind: str) -> Sequence[str]:
        """Return the names that are meant of a kind."""
        if self.everything:
            return ("*",)
        return self.parameters if kind == PARAMETER else self.secrets


@dataclass(frozen=True, slots=True)
class ConfigurationPlan:
    """What a restore would do, request by request; ``same``: how many are right already."""

    snapshot: ListedSnapshot
    source: str
    account: Account
    region: str
    changes: Sequence[Change]
    same: int
    refused: Sequence[Change]
    pre_backup: bool
    into: Landing = NOWHERE


@dataclass(frozen=True, slots=True)
class ConfigurationReport:
    """What a restore came to; ``before``: the snapshot of what was there, if one was made."""

    plan: ConfigurationPlan
    before: ListedSnapshot | None
    seconds: float


def account_for(run: Run, source: str, environment: str, region: str) -> Account:
    """Return who we are to AWS where something is restored to."""
    where = environment or environment_of(source)
    account = run.settings.account_in(where)
    return replace(account, region=region) if region else account


def source_in_snapshot(listed: ListedSnapshot, name: str) -> SourceRecord:
    """Return the source of configuration that is meant; ``NotFoundError``, ``UsageError``."""
    found = require_configurations(listed, name)
    if len(found) > 1:
        names = ", ".join(one.name.decode("utf-8", "replace") for one in found)
        raise UsageError(f"several sources are there: {names}", hint="Say which with --source.")
    return found[0]


def restore_configuration(
    run: Run, request: ConfigurationRequest, decide_on: Callable[[ConfigurationPlan], bool]
) -> ConfigurationReport | None:
    """Plan, let ``decide_on`` see the plan, and restore if it says so; None if it does not.

    What is there is saved into the repository first. ``RolledBackError`` if something failed and
    all is as it was; ``RestoreError`` if it is not.
    """
    began = run.machine.clock.elapsed()
    with opened_repository(run) as opened:
        work = _Work(run, opened, request)
        plan = work.plan()
        if not decide_on(plan):
            return None
        before = work.save(plan) if plan.changes and request.pre_backup else None
        work.carry_out(plan)
        return ConfigurationReport(plan, before, run.machine.clock.elapsed() - began)


def save_before(
    run: Run, opened: Opened, source: str, found: Sequence[Captured], environment: str
) -> ListedSnapshot:
    """Make a snapshot of what a restore of a source is about to replace."""
    repository, machine = opened.repository, run.machine
    records = RecordsSource(f"{source}@{BEFORE}", found, machine.clock)
    result = back_up(
        repository,
        [PlannedSource(records, [b"/" + records.top])],
        Circumstances(
            host=machine.host,
            user=machine.user,
            program=f"strongroom {__version__}",
            tags=(BEFORE,),
            environment=environment,
            type=BEFORE,
        ),
        walks_of(run, repository.id),
    )
    return result.snapshot


class _Work:
    def __init__(self, run: Run, opened: Opened, request: ConfigurationRequest) -> None:
        self.run = run
        self.opened = opened
        self.request = request
        self.listed, reader = snapshot_to_restore(opened.repository, request.snapshot)
        self.record = source_in_snapshot(self.listed, request.source)
        name = self.record.name.decode("utf-8", "surrogateescape")
        self.source = name.removesuffix(f"@{BEFORE}")
        self.records = [record for _, record in records_of(reader, self.listed, self.record)]
        region = request.region or self._region_of_journal()
        self.account = account_for(run, self.source, request.environment, region)
        clients = Clients(self.account)
        self.region = clients.region()
        sleep = run.machine.clock.sleep
        self.services = {kind: Service(clients, name, "", sleep) for kind, name in SERVICES.items()}
        self.rules = Rules(
            region=self.region,
            now=rfc3339(run.machine.clock.now_ns()),
            key=request.key,
            exact=request.delete or request.undo,
        )

    # -- the plan

    def plan(self) -> ConfigurationPlan:
        """Read what is there and compare; nothing is changed."""
        self.run.sink(PhaseBegan("plan"))
        environment = self.request.environment or environment_of(self.source)
        known = environment in self.run.settings.environments or self.request.environment
        into = admitted(self.run.settings, environment if known else "", self.listed)
        wanted = dict(self._undone() if self.request.undo else self._wanted())
        if self.request.delete:
            wanted = {**dict.fromkeys(self._others(wanted)), **wanted}
        changes = [decide(intent, self.rules) for intent in self._intents(wanted)]
        refused = [one for one in changes if one.decision.refused]
        to_make = [one for one in changes if one.decision.steps]
        return ConfigurationPlan(
            snapshot=self.listed,
            source=self.source,
            account=self.account,
            region=self.region,
            changes=to_make,
            same=len(changes) - len(to_make) - len(refused),
            refused=refused,
            pre_backup=self.request.pre_backup,
            into=into,
        )

    def _wanted(self) -> Iterator[tuple[tuple[str, str], Record | None]]:
        """Yield what is meant of the snapshot, by kind and the name that it will have."""
        for kind in SERVICES:
            patterns = Patterns(self.request.texts(kind))
            found = [one for one in self.records if one["Kind"] == kind]
            names = [one["Name"] for one in found]
            for text in patterns.unmet(names):
                if is_exact(text) and self.request.delete:
                    continue  # it will be gone, as it was then
                if not self.request.everything:
                    raise NotFoundError(
                        f"snapshot {self.listed.short_id} has no {_WORDS[kind]} '{text}'",
                        hint=f"See what it holds: strongroom ls {self.listed.short_id}.",
                    )
            for record in found:
                if patterns.fit(record["Name"]):
                    yield (kind, self._mapped(record["Name"])), record

    def _mapped(self, name: str) -> str:
        for old, new in self.request.mapped:
            if name.startswith(old):
                return new + name.removeprefix(old)
        return name

    def _others(self, wanted: Mapping[tuple[str, str], Record | None]) -> list[tuple[str, str]]:
        """Return what is meant and is there, and that the snapshot does not have."""
        found = []
        for kind in SERVICES:
            patterns = Patterns([self._mapped(text) for text in self._scope(kind)])
            if patterns.texts:
                there = _LISTED[kind](self.services[kind], patterns)
                found += [(kind, name) for name in there if (kind, name) not in wanted]
        return found

    def _scope(self, kind: str) -> Sequence[str]:
        """Return what texts mean that delete: never more than the source itself saves."""
        if not self.request.everything:
            return self.request.texts(kind)
        settings = self.run.settings.configurations.get(self.source)
        if settings is None:
            raise UsageError(
                f"which names '{self.source}' means is not in the configuration, so which of "
                "the others go is not known",
                hint="Name what may be deleted: --parameter /app/ --delete.",
            )
        return settings.ssm_parameters if kind == PARAMETER else settings.secrets

    def _intents(self, wanted: Mapping[tuple[str, str], Record | None]) -> list[Intent]:
        def intent(one: tuple[tuple[str, str], Record | None]) -> Intent:
            (kind, name), record = one
            before = look(self.services, kind, name)
            self.run.sink(Advanced(1, 0, name.encode()))
            return Intent(kind, name, record, before)

        with ThreadPoolExecutor(_READERS, thread_name_prefix="aws") as readers:
            return list(readers.map(intent, sorted(wanted.items(), key=lambda one: one[0])))

    # -- undoing

    def _journal(self) -> Record | None:
        return next((one for one in self.records if one["Kind"] == JOURNAL), None)

    def _region_of_journal(self) -> str:
        journal = self._journal()
        return str(journal["Region"]) if self.request.undo and journal is not None else ""

    def _undone(self) -> Iterator[tuple[tuple[str, str], Record | None]]:
        journal = self._journal()
        if journal is None:
            raise UsageError(
                f"snapshot {self.listed.short_id} was not made before a restore",
                hint="See which were: strongroom snapshots --tag pre-restore.",
            )
        known = {(one["Kind"], one["Name"]): one for one in self.records}
        for kind in SERVICES:
            for name in journal["Changed"].get(kind, ()):
                yield (kind, name), known.get((kind, name))

    # -- changing

    def save(self, plan: ConfigurationPlan) -> ListedSnapshot:
        """Save what is there of what will change, into a snapshot of its own."""
        intents = [change.intent for change in plan.changes]
        journal = record_of(
            JOURNAL,
            self.listed.id,
            Region=self.region,
            Changed={kind: [one.name for one in intents if one.kind == kind] for kind in SERVICES},
        )
        there = [Captured(one.before) for one in intents if one.before is not None]
        environment = plan.into.name or self.listed.snapshot.environment.decode(
            "utf-8", "surrogateescape"
        )
        return save_before(
            self.run, self.opened, self.source, [*there, Captured(journal)], environment
        )

    def carry_out(self, plan: ConfigurationPlan) -> None:
        """Make the changes, all of them or none."""
        self.run.sink(PhaseBegan("restore", sum(len(c.decision.steps) for c in plan.changes)))

        def tell(step: Step) -> None:
            self.run.sink(Advanced(1, 0, step.name.encode()))

        carry_out(self.services, plan.changes, self.rules, tell)


_WORDS: Final = {PARAMETER: "parameter", SECRET: "secret"}
