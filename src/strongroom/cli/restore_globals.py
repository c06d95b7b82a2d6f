"""``strongroom restore SNAP --globals``."""

from __future__ import annotations

from strongroom.app.database_globals import GlobalsRequest, ServerPlan, restore_globals
from strongroom.cli.consent import Consent, agreed, landed
from strongroom.cli.job import Job, job
from strongroom.cli.quantities import counted
from strongroom.errors import RefusedError


def run_globals(request: GlobalsRequest, consent: Consent, *, dry_run: bool) -> int:
    """Make the roles and tablespaces that a server lacks, or say which."""
    with job() as one:

        def decide(plan: ServerPlan) -> bool:
            _tell_plan(one, plan, dry_run=dry_run)
            return not dry_run and _may_go_on(one, plan, landed(one, plan.into, consent))

        done = restore_globals(one.run, request, decide)
        if done is not None:
            _tell(one, done)
        elif dry_run:
            one.output.line("dry run: nothing was made")
        else:
            raise RefusedError("nothing was made: it was not confirmed")
    return 0


def _may_go_on(one: Job, plan: ServerPlan, consent: Consent) -> bool:
    if plan.plan.is_empty:
        return True
    made = counted(len(plan.plan.roles), "role")
    question = f"Make {made} on {plan.place}?"
    return agreed(one, consent, plan.name, f"{made} would be made on {plan.place}", question)


def _tell_plan(one: Job, plan: ServerPlan, *, dry_run: bool) -> None:
    found = plan.plan
    one.output.record(
        "plan",
        dry_run=dry_run,
        snapshot_id=plan.listed.id,
        server=plan.place,
        roles=found.roles,
        roles_kept=found.roles_kept,
        tablespaces=found.tablespaces,
        tablespaces_kept=found.tablespaces_kept,
        memberships=found.grants,
    )
    for what, made, kept in (
        ("role", found.roles, found.roles_kept),
        ("tablespace", found.tablespaces, found.tablespaces_kept),
    ):
        for name in made:
            one.output.line(f"  + {what} {name}")
        for name in kept:
            one.output.line(f"    {what} {name} is there and stays as it is")
    if found.grants:
        grants = counted(found.grants, "membership")
        one.output.line(f"  + {grants} of the new roles")


def _tell(one: Job, plan: ServerPlan) -> None:
    found = plan.plan
    one.output.record(
        "summary",
        snapshot_id=plan.listed.id,
        server=plan.place,
        roles=len(found.roles),
        tablespaces=len(found.tablespaces),
    )
    roles = counted(len(found.roles), "role")
    spaces = counted(len(found.tablespaces), "tablespace")
    one.output.line(f"made {roles} and {spaces} on {plan.place}")
