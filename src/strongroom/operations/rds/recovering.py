"""Carry out the recovery of an instance or a cluster; it goes on wherever it stopped.

Every step looks first whether it is done. What clients use is not touched before the last one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple

from strongroom.aws.errors import AwsError
from strongroom.aws.rds.pointers import Pointer
from strongroom.aws.rds.record import INSTANCE, Role, endpoints_of, roles_of
from strongroom.aws.rds.service import Answer, Rds, own_tag
from strongroom.aws.rds.settings import (
    Difference,
    Settings,
    changes,
    cluster_settings,
    differences,
    instance_settings,
    member_settings,
    request_of,
    tag_list,
)
from strongroom.aws.rds.window import as_aws
from strongroom.clock import Clock
from strongroom.errors import InterruptError, RefusedError, RestoreError, StrongroomError
from strongroom.operations.rds.plan import NewMember, RecoveryPlan, Swap, create_request
from strongroom.operations.rds.waiting import READY, Waiting

_TO_CHANGE: Final = 3600.0  # seconds until a changed setting must be seen
_TO_BEGIN: Final = 120.0  # seconds in which a change that was asked for may not show yet
_REBOOT: Final = "pending-reboot"
_RESTORE: Final = {
    INSTANCE: ("RestoreDBInstanceToPointInTime", "restore_db_instance_to_point_in_time"),
    "cluster": ("RestoreDBClusterToPointInTime", "restore_db_cluster_to_point_in_time"),
}
_TAKEN: Final = frozenset(
    {"DBInstanceAlreadyExists", "DBInstanceAlreadyExistsFault", "DBClusterAlreadyExistsFault"}
)

Named = tuple[str, Difference]


class Tools(NamedTuple):
    """What a recovery works with.

    ``pointer`` gives what a swap changes. ``check`` asks the new database, by its endpoints and
    port, and says what it found; None: nobody can ask. ``note`` is told before each step.
    """

    rds: Rds
    clock: Clock
    tell: Callable[[str], None]
    pointer: Callable[[Swap], Pointer]
    check: Callable[[str, int], str] | None
    note: Callable[[str], None]


class Swapped(NamedTuple):
    """A pointer, what it said, and what it says now."""

    name: str
    old: str
    new: str


class Outcome(NamedTuple):
    """What a recovery came to; ``checked`` is empty where nobody could ask."""

    endpoints: Mapping[str, str]
    port: int
    differing: list[Named]
    checked: str
    swapped: list[Swapped]


class Recovery:
    """One recovery; ``despite``: swap although settings differ."""

    def __init__(self, plan: RecoveryPlan, tools: Tools, *, despite: bool = False) -> None:
        self._plan = plan
        self._tools = tools
        self._despite = despite
        self._waiting = Waiting(tools.rds, tools.clock, tools.tell)

    def run(self) -> Outcome:
        """Do what is left of it; ``RestoreError`` if something new is there and in nobody's use."""
        self._create()
        try:
            return self._after()
        except (RestoreError, RefusedError, InterruptError):
            raise
        except StrongroomError as error:
            raise RestoreError(
                f"{error.message}; {self._plan.new} is there, and nothing that clients use was "
                "changed",
                hint=f"{error.hint} {_next(self._plan)}".strip(),
            ) from error

    def _after(self) -> Outcome:
        plan, tools = self._plan, self._tools
        document = self._waiting.ready(plan.kind, plan.new)
        for member in plan.members:
            self._member(member)
        self._adapt(plan.kind, plan.new, plan.settings)
        for member in plan.members:
            self._adapt(INSTANCE, member.identifier, member.settings, of_cluster=True)
        self._roles()
        for name in [one.identifier for one in plan.members] or [plan.new]:
            self._settle(name)
        tools.note("compare")
        differing = self._compare()
        document = self._waiting.ready(plan.kind, plan.new)
        endpoints, port = endpoints_of(plan.kind, document), _port(document)
        checked = ""
        if tools.check is not None:
            tools.note("check")
            checked = self._checked(tools.check, endpoints["writer"], port)
        if differing and plan.swaps and not self._despite:
            raise RestoreError(
                f"{plan.new} is there, but not all its settings are as they were, so clients were "
                f"not sent to it: {_said(differing)}",
                hint="Set them by hand and add --resume; or swap all the same with --resume "
                "--despite-differences.",
            )
        swapped = [self._swap(one, endpoints) for one in plan.swaps]
        return Outcome(endpoints, port, differing, checked, swapped)

    # -- something new

    def _create(self) -> None:
        plan, rds = self._plan, self._tools.rds
        if self._is_ours(plan.kind, plan.new):
            return
        operation, request = _RESTORE[plan.kind]
        takes = rds.takes(operation)
        said = create_request(plan)
        for name in ("RestoreTime", "RestoreToTime"):
            if name in said:
                said[name] = as_aws(said[name])
        said = {**request_of(plan.settings, takes, plan.id), **said}
        self._tools.note(operation)
        self._make(f"restoring {plan.of} onto {plan.new}", request, plan.kind, plan.new, said)

    def _member(self, member: NewMember) -> None:
        plan, rds = self._plan, self._tools.rds
        if not self._is_ours(INSTANCE, member.identifier):
            said = request_of(member.settings, rds.takes("CreateDBInstance"), plan.id)
            said |= {
                "DBInstanceIdentifier": member.identifier,
                "DBClusterIdentifier": plan.new,
            }
            self._tools.note(f"CreateDBInstance {member.identifier}")
            doing = f"making {member.identifier} in {plan.new}"
            self._make(doing, "create_db_instance", INSTANCE, member.identifier, said)
        self._waiting.ready(INSTANCE, member.identifier)

    def _make(self, doing: str, request: str, kind: str, name: str, said: dict[str, Any]) -> None:
        try:
            self._tools.rds.call(doing, request, **said)
        except AwsError as error:
            # an answer that was lost on the way: then it is there, and ours
            if error.said not in _TAKEN or not self._is_ours(kind, name):
                raise

    def _is_ours(self, kind: str, name: str) -> bool:
        found = self._tools.rds.described(kind, name)
        if found is None:
            return False
        if own_tag(found) != self._plan.id:
            raise RefusedError(
                f"{name} exists, and this recovery did not make it",
                hint="Name another one: --into NAME.",
            )
        return True

    # -- its settings

    def _adapt(self, kind: str, name: str, wanted: Settings, *, of_cluster: bool = False) -> None:
        """Change what the restore did not take, and wait until that is seen."""
        rds = self._tools.rds
        operation, request, by = {
            INSTANCE: ("ModifyDBInstance", "modify_db_instance", "DBInstanceIdentifier"),
        }.get(kind, ("ModifyDBCluster", "modify_db_cluster", "DBClusterIdentifier"))
        takes = rds.takes(operation)
        read = member_settings if of_cluster else _reader(kind)
        key = "DBInstanceStatus" if kind == INSTANCE else "Status"
        document = self._waiting.ready(kind, name)
        self._tag(document, wanted, read(document))
        said = changes(wanted, read(document), takes)
        if not said:
            return
        self._tools.note(f"{operation} {name}: {', '.join(said)}")
        rds.call(
            f"setting {', '.join(said)} of {name}",
            request,
            **{by: name, "ApplyImmediately": True, **said},
        )
        asked = self._tools.clock.elapsed()

        def seen(found: Answer) -> bool:
            if found[key] not in READY or found.get("PendingModifiedValues"):
                return False
            waited = self._tools.clock.elapsed() - asked > _TO_BEGIN
            return waited or not changes(wanted, read(found), takes)

        self._waiting.until(name, lambda: rds.described(kind, name), key, seen, most=_TO_CHANGE)

    def _tag(self, document: Answer, wanted: Settings, found: Settings) -> None:
        tags = wanted.get("Tags", {})
        missing = {key: value for key, value in tags.items() if found["Tags"].get(key) != value}
        arn = document.get("DBInstanceArn") or document.get("DBClusterArn")
        if missing:
            self._tools.rds.call(
                f"tagging {arn}",
                "add_tags_to_resource",
                ResourceName=arn,
                Tags=tag_list(missing),
            )

    def _roles(self) -> None:
        plan, rds = self._plan, self._tools.rds
        for role in self._missing_roles():
            self._tools.note(f"role {role.arn}")
            doing = f"giving {plan.new} the role {role.arn}"
            if plan.kind == INSTANCE:
                rds.call(
                    doing,
                    "add_role_to_db_instance",
                    DBInstanceIdentifier=plan.new,
                    RoleArn=role.arn,
                    FeatureName=role.feature,
                )
                continue
            feature = {"FeatureName": role.feature} if role.feature else {}
            rds.call(
                doing,
                "add_role_to_db_cluster",
                DBClusterIdentifier=plan.new,
                RoleArn=role.arn,
                **feature,
            )

    def _missing_roles(self) -> list[Role]:
        if not self._plan.roles:
            return []
        found = self._waiting.ready(self._plan.kind, self._plan.new)
        there = roles_of(found)
        return [role for role in self._plan.roles if role not in there]

    def _settle(self, name: str) -> None:
        """Restart an instance whose parameter group waits for that."""
        rds = self._tools.rds
        if _settled(self._waiting.ready(INSTANCE, name)):
            return
        self._tools.note(f"RebootDBInstance {name}")
        rds.call(f"restarting {name}", "reboot_db_instance", DBInstanceIdentifier=name)
        self._waiting.until(
            name,
            lambda: rds.described(INSTANCE, name),
            "DBInstanceStatus",
            lambda found: found["DBInstanceStatus"] in READY and _settled(found),
            most=_TO_CHANGE,
        )

    def _compare(self) -> list[Named]:
        plan = self._plan
        document = self._waiting.ready(plan.kind, plan.new)
        found = [
            (plan.new, one) for one in differences(plan.settings, _reader(plan.kind)(document))
        ]
        for member in plan.members:
            said = self._waiting.ready(INSTANCE, member.identifier)
            found += [
                (member.identifier, one)
                for one in differences(member.settings, member_settings(said))
            ]
        missing = [role.arn for role in self._missing_roles()]
        if missing:
            found.append((plan.new, Difference("AssociatedRoles", missing, None)))
        return found

    # -- its use

    def _checked(self, check: Callable[[str, int], str], host: str, port: int) -> str:
        try:
            return check(host, port)
        except StrongroomError as error:
            raise RestoreError(
                f"{self._plan.new} is there, and does not answer as it should: {error.message}",
                hint=f"{error.hint} Clients were not sent to it. {_next(self._plan)} With "
                "--no-check nothing is asked.".strip(),
            ) from error

    def _swap(self, swap: Swap, endpoints: Mapping[str, str]) -> Swapped:
        new = swap.new(endpoints)
        pointer = self._tools.pointer(swap)
        self._tools.note(f"swap {swap.name}")
        set_pointer(pointer, swap, swap.old, new)
        return Swapped(swap.name, swap.old, new)


def set_pointer(pointer: Pointer, swap: Swap, before: str, after: str) -> bool:
    """Make a pointer say ``after``, if it says ``before``; whether it had to be changed.

    ``RefusedError`` if it says something else: somebody meant that.
    """
    said = pointer.read().value
    if said == after:
        return False
    if said != before:
        raise RefusedError(
            f"{swap.name} says {said!r} meanwhile, which is neither {before!r} nor {after!r}",
            hint="Somebody changed it. Set it to one of the two, then --resume or --undo.",
        )
    pointer.write(after, swap.details)
    return True


def _reader(kind: str) -> Callable[[Answer], Settings]:
    return instance_settings if kind == INSTANCE else cluster_settings


def _settled(document: Answer) -> bool:
    groups = document.get("DBParameterGroups") or []
    return all(one.get("ParameterApplyStatus") != _REBOOT for one in groups)


def _port(document: Answer) -> int:
    endpoint = document.get("Endpoint")
    if isinstance(endpoint, Mapping):
        return int(endpoint.get("Port") or 0)
    return int(document.get("Port") or 0)


def _said(differing: list[Named]) -> str:
    return "; ".join(
        f"{one.name} of {name} is {one.found!r}, not {one.wanted!r}" for name, one in differing
    )


def _next(plan: RecoveryPlan) -> str:
    return (
        f"'strongroom recover {plan.source} --resume' goes on from here, --undo --delete-new "
        "removes what was made."
    )
