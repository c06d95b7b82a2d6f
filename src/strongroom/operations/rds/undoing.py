"""Undo the recovery of an instance or a cluster: clients go back, and what was made may go."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from strongroom.aws.errors import AwsError
from strongroom.aws.rds.pointers import Pointer
from strongroom.aws.rds.record import CLUSTER, INSTANCE, endpoints_of
from strongroom.aws.rds.service import Answer, Rds, own_tag
from strongroom.clock import Clock
from strongroom.errors import RefusedError
from strongroom.operations.rds.plan import Journal, RecoveryPlan, Swap
from strongroom.operations.rds.recovering import Swapped, set_pointer
from strongroom.operations.rds.waiting import Waiting

_DELETING = "deleting"


class UndoTools(NamedTuple):
    """What an undo works with; see ``Tools``."""

    rds: Rds
    clock: Clock
    tell: Callable[[str], None]
    pointer: Callable[[Swap], Pointer]


class Undone(NamedTuple):
    """What an undo came to; ``snapshot`` is the last one of what was deleted, if it was."""

    swapped: list[Swapped]
    deleted: list[str]
    snapshot: str


def final_snapshot(plan: RecoveryPlan) -> str:
    """Return the name of the snapshot that is made before the new instance is deleted."""
    return f"{plan.new}-final"


class Undo:
    """One undo; it goes on wherever it stopped."""

    def __init__(self, journal: Journal, tools: UndoTools) -> None:
        self._journal = journal
        self._plan = journal.plan
        self._tools = tools
        self._waiting = Waiting(tools.rds, tools.clock, tools.tell)

    def run(self, *, delete: bool) -> Undone:
        """Send clients back; with ``delete`` remove the new one, after a last snapshot of it."""
        swapped = self._swap_back()
        deleted = self._delete() if delete else []
        return Undone(swapped, deleted, final_snapshot(self._plan) if deleted else "")

    def _swap_back(self) -> list[Swapped]:
        """Give each pointer its old value."""
        plan, done = self._plan, []
        found = self._tools.rds.described(plan.kind, plan.new) if plan.swaps else None
        live = endpoints_of(plan.kind, found) if found is not None else {}
        endpoints = live or self._journal.endpoints
        for swap in plan.swaps:
            new = swap.new(endpoints) if endpoints else swap.old
            if set_pointer(self._tools.pointer(swap), swap, new, swap.old):
                done.append(Swapped(swap.name, new, swap.old))
        return done

    def _delete(self) -> list[str]:
        plan, rds = self._plan, self._tools.rds
        deleted: list[str] = []
        if plan.kind == INSTANCE:
            found = self._ours(INSTANCE, plan.new)
            if found is not None:
                self._delete_instance(found, plan.new)
                deleted.append(plan.new)
            return deleted
        for member in reversed(plan.members):  # the writer last
            if self._ours(INSTANCE, member.identifier) is not None:
                self._request(
                    INSTANCE, member.identifier, "delete_db_instance", SkipFinalSnapshot=True
                )
                deleted.append(member.identifier)
        for member in plan.members:
            self._waiting.gone(INSTANCE, member.identifier)
        found = self._ours(CLUSTER, plan.new)
        if found is not None:
            if found.get("DeletionProtection"):
                rds.call(
                    f"allowing that {plan.new} is deleted",
                    "modify_db_cluster",
                    DBClusterIdentifier=plan.new,
                    DeletionProtection=False,
                    ApplyImmediately=True,
                )
            self._delete_last(CLUSTER, plan.new, "delete_db_cluster")
            deleted.append(plan.new)
        return deleted

    def _delete_instance(self, found: Answer, name: str) -> None:
        if found.get("DeletionProtection"):
            self._tools.rds.call(
                f"allowing that {name} is deleted",
                "modify_db_instance",
                DBInstanceIdentifier=name,
                DeletionProtection=False,
                ApplyImmediately=True,
            )
        self._delete_last(INSTANCE, name, "delete_db_instance")

    def _delete_last(self, kind: str, name: str, request: str) -> None:
        """Delete what holds the data, with a last snapshot of it."""
        snapshot = final_snapshot(self._plan)
        self._request(kind, name, request, FinalDBSnapshotIdentifier=snapshot)
        self._waiting.gone(kind, name)

    def _request(self, kind: str, name: str, request: str, **said: object) -> None:
        by = "DBInstanceIdentifier" if kind == INSTANCE else "DBClusterIdentifier"
        status = "DBInstanceStatus" if kind == INSTANCE else "Status"
        found = self._tools.rds.described(kind, name)
        if found is None or found[status] == _DELETING:
            return
        self._tools.tell(f"{name} is deleted")
        try:
            self._tools.rds.call(f"deleting {name}", request, **{by: name, **said})
        except AwsError:
            # an answer that was lost on the way: then it goes already
            again = self._tools.rds.described(kind, name)
            if again is not None and again[status] != _DELETING:
                raise

    def _ours(self, kind: str, name: str) -> Answer | None:
        found = self._tools.rds.described(kind, name)
        if found is not None and own_tag(found) != self._plan.id:
            raise RefusedError(
                f"{name} was not made by this recovery, so it is not deleted",
                hint="Delete it by hand, if it is not needed.",
            )
        return found
