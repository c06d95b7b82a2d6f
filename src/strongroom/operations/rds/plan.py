"""What a recovery of RDS will do: decided once, written down, and the same when it goes on. Pure.

How far a recovery came is seen from what is there, so nothing else need be written down: the new
instance bears the id of its plan as a tag, and a pointer says which of two values it has.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from typing import Any, Final, NamedTuple

import msgspec

from strongroom.aws.rds.pointers import SSM, PointerState
from strongroom.aws.rds.record import (
    CLUSTER,
    INSTANCE,
    JOURNAL_KIND,
    SETTINGS_FILE,
    Record,
    Role,
)
from strongroom.aws.rds.window import Window
from strongroom.clock import as_utc
from strongroom.errors import DamageError, RefusedError

FORMAT: Final = 1
BEGUN: Final = "begun"
DONE: Final = "done"
UNDOING: Final = "undoing"
UNDONE: Final = "undone"
_RANKS: Final = (BEGUN, DONE, UNDOING, UNDONE)
_LONGEST: Final = 63
_MADE_BY_US: Final = re.compile(r"-r[0-9]{8}-[0-9]{6}$")
_IDENTIFIER: Final = re.compile(r"[a-z](?:-?[a-z0-9])*")
_FILE: Final = "recovery.json"


class NewMember(msgspec.Struct, frozen=True):
    """An instance of the new cluster."""

    identifier: str
    settings: dict[str, Any]


class Swap(msgspec.Struct, frozen=True, kw_only=True):
    """A pointer that changes: what it says now, and which endpoint of the source that names.

    ``zone`` is that of a CNAME; ``details`` must stay as they are.
    """

    kind: str
    name: str
    zone: str = ""
    old: str
    old_host: str
    endpoint: str
    details: dict[str, str | int] = {}

    def new(self, endpoints: Mapping[str, str]) -> str:
        """Return what it says of the new instance with these endpoints."""
        return _host(self.old_host).sub(endpoints[self.endpoint], self.old)


class RecoveryPlan(msgspec.Struct, frozen=True, kw_only=True):
    """A recovery of ``of`` onto ``new``, a name that is not taken.

    ``moment_ns``: None for the latest that there is. ``resource``: the id of what the backups are
    of, which may be deleted (``live``). ``learned``: where the settings come from, in words.
    ``id`` is the tag of what it makes.
    """

    format: int = FORMAT
    id: str
    source: str
    kind: str
    of: str
    resource: str
    live: bool
    region: str
    moment_ns: int | None
    earliest_ns: int
    latest_ns: int
    new: str
    engine: str
    settings: dict[str, Any]
    members: list[NewMember] = []
    roles: list[Role] = []
    swaps: list[Swap] = []
    learned: str
    warnings: list[str] = []


class Journal(msgspec.Struct, frozen=True, kw_only=True):
    """A plan, and what became of it: the last ``step`` that began, where the new one is reached."""

    plan: RecoveryPlan
    state: str = BEGUN
    step: str = ""
    endpoints: dict[str, str] = {}

    @property
    def rank(self) -> tuple[str, int]:
        """What grows from one to the next."""
        return self.plan.id, _RANKS.index(self.state)

    def encoded(self) -> bytes:
        """Return it as JSON."""
        return msgspec.json.format(msgspec.json.encode(self)) + b"\n"


class Known(NamedTuple):
    """What is known of a source before a plan is made."""

    record: Record
    learned: str
    window: Window


def journal_source(source: str) -> str:
    """Return the name that journals of a source are saved by, which no source can have."""
    return f"{source}:recovery"


def journal_path(source: str) -> str:
    """Return where a snapshot keeps the journal."""
    return f"{JOURNAL_KIND}/{source}/{_FILE}"


def record_path(source: str) -> str:
    """Return where a snapshot with a journal keeps what was known of the source."""
    return f"{JOURNAL_KIND}/{source}/{SETTINGS_FILE}"


def read_journal(data: bytes, where: str) -> Journal:
    """Read a journal; ``DamageError`` if it is none."""
    try:
        journal = msgspec.json.decode(data, type=Journal)
        if journal.plan.format != FORMAT or journal.state not in _RANKS:
            raise DamageError(
                f"{where} is of another version of strongroom",
                hint="Go on with the version that began this recovery.",
            )
    except msgspec.DecodeError as error:
        raise DamageError(f"{where} is no journal of a recovery: {error}") from error
    return journal


def new_identifier(of: str, now_ns: int) -> str:
    """Return a name for the new instance: that of the old one, and when."""
    stamp = as_utc(now_ns).strftime("-r%Y%m%d-%H%M%S")
    base = _MADE_BY_US.sub("", of)[: _LONGEST - len(stamp) - len("-99")]
    return base.rstrip("-") + stamp


def refuse_identifier(name: str) -> None:
    """``RefusedError`` unless RDS takes a name."""
    if len(name) > _LONGEST or _IDENTIFIER.fullmatch(name) is None:
        raise RefusedError(
            f"{name!r} is no name that RDS takes",
            hint="Small letters, digits and single hyphens, a letter first, at most 63.",
        )


def refuse_kind(record: Record) -> None:
    """``RefusedError`` for what cannot be recovered with all its settings yet."""
    if record.kind == CLUSTER and not str(record.document.get("Engine", "")).startswith("aurora"):
        raise RefusedError(
            f"{record.identifier} is a Multi-AZ cluster that is none of Aurora's, and those "
            "strongroom does not recover yet",
            hint="Restore it with AWS's tools, or a dump of it: strongroom restore --database.",
        )
    if record.kind == INSTANCE and record.document.get("DBClusterIdentifier"):
        cluster = record.document["DBClusterIdentifier"]
        raise RefusedError(
            f"{record.identifier} is an instance of the cluster {cluster}, which is recovered as a "
            "whole",
            hint=f'Name that in strongroom.toml: rds = {{ cluster = "{cluster}" }}.',
        )


def new_members(record: Record, new: str) -> list[NewMember]:
    """Return the instances of a new cluster, the writer first."""
    return [
        NewMember(f"{new}-{number}", settings)
        for number, settings in enumerate(record.members_settings(), 1)
    ]


def swap_of(
    kind: str, name: str, zone: str, state: PointerState, endpoints: Mapping[str, str]
) -> Swap:
    """Return how a pointer changes; ``RefusedError`` if it does not name the source."""
    for endpoint, host in endpoints.items():
        if _host(host).search(state.value):
            return Swap(
                kind=kind,
                name=name,
                zone=zone,
                old=state.value,
                old_host=host,
                endpoint=endpoint,
                details=state.details,
            )
    hosts = " or ".join(endpoints.values()) or "an address that is known"
    raise RefusedError(
        f"{name} does not name the source: it should hold {hosts}",
        hint="Clients find something else by it. Correct it, or rds in strongroom.toml; or recover "
        "--into NAME, which swaps nothing.",
    )


def plan_warnings(record: Record, *, swaps: Sequence[Swap], beside: bool) -> list[str]:
    """Return what a person should know before such a recovery."""
    document, found = record.document, []
    if document.get("MasterUserSecret"):
        found.append(
            "the password of the master user is kept by Secrets Manager: the new one gets a secret "
            "of its own, by another name"
        )
    if document.get("ReadReplicaDBInstanceIdentifiers"):
        found.append("its read replicas are not made again")
    if document.get("CustomEndpoints"):
        found.append("its custom endpoints are not made again")
    if document.get("GlobalClusterIdentifier"):
        found.append("the new cluster is no part of the global one")
    if beside:
        return found
    if not swaps:
        found.append("no swap is configured: clients stay with the old one until you tell them")
    elif record.kind == CLUSTER and all(one.endpoint == "writer" for one in swaps):
        found.append("clients of the reader endpoint stay with the old one: swap names no reader")
    return found


def create_request(plan: RecoveryPlan) -> dict[str, Any]:
    """Return what says which moment of what goes where."""
    instance = plan.kind == INSTANCE
    target = "TargetDBInstanceIdentifier" if instance else "DBClusterIdentifier"
    by_name = "SourceDBInstanceIdentifier" if instance else "SourceDBClusterIdentifier"
    by_id = "SourceDbiResourceId" if instance else "SourceDbClusterResourceId"
    said: dict[str, Any] = {target: plan.new}
    said |= {by_name: plan.of} if plan.live else {by_id: plan.resource}
    if not instance:
        said["RestoreType"] = "full-copy"
    if plan.moment_ns is None:
        said["UseLatestRestorableTime"] = True
    else:
        said["RestoreTime" if instance else "RestoreToTime"] = plan.moment_ns
    return said


def _host(host: str) -> re.Pattern[str]:
    """Return a pattern of a host that is no part of a longer name."""
    return re.compile(rf"(?<![\w.-]){re.escape(host)}(?![\w-]|\.\w)", re.IGNORECASE)


def calls_of(plan: RecoveryPlan, takes: Mapping[str, Collection[str]]) -> list[str]:
    """Return every request that changes something, in order; ``takes``: what each may say."""
    instance = plan.kind == INSTANCE
    what = "DBInstance" if instance else "DBCluster"
    restore = f"Restore{what}ToPointInTime"
    rest = sorted(plan.settings.keys() - set(takes[restore]) - {"Tags"})
    named = ", ".join(sorted(plan.settings.keys() & set(takes[restore])))
    found = [f"{restore} {plan.of} -> {plan.new}, with {named}"]
    found += [
        f"CreateDBInstance {one.identifier} in {plan.new}, as {one.settings['DBInstanceClass']}"
        for one in plan.members
    ]
    if rest:
        found.append(f"Modify{what} {plan.new}: {', '.join(rest)}")
    for one in plan.members:
        of_member = sorted(one.settings.keys() - set(takes["CreateDBInstance"]) - {"Tags"})
        if of_member:
            found.append(f"ModifyDBInstance {one.identifier}: {', '.join(of_member)}")
    found += [f"AddRoleTo{what} {plan.new}: {role.arn}" for role in plan.roles]
    for swap in plan.swaps:
        request = "PutParameter" if swap.kind == SSM else "ChangeResourceRecordSets"
        found.append(f"{request} {swap.name}: {swap.old} -> the {swap.endpoint} of {plan.new}")
    return found
