"""``strongroom restore --database NAME --undo`` and ``--resume``."""

from __future__ import annotations

from typing import NamedTuple

from strongroom.app.database_swap import SwapPlan, resume, undo
from strongroom.app.environments import target_server
from strongroom.cli.consent import Consent, agreed, landed
from strongroom.cli.job import Job, job
from strongroom.cli.quantities import counted
from strongroom.errors import RefusedError


class Where(NamedTuple):
    """Whose server is meant: of a source, or of its counterpart in an environment."""

    source: str
    server: str
    environment: str


def run_swap(database: str, where: Where, consent: Consent, *, back: bool, dry_run: bool) -> int:
    """Give a database its name back, or put in place what is ready; or say what that would do."""
    with job() as one:
        settings = one.run.settings
        server = target_server(settings, where.server, where.environment, where.source)

        def decide(plan: SwapPlan) -> bool:
            _tell_plan(one, plan, dry_run=dry_run)
            return not dry_run and _may_go_on(one, plan, landed(one, plan.into, consent))

        done = (undo if back else resume)(one.run, database, server, decide)
        if done is not None:
            _tell(one, done)
        elif dry_run:
            one.output.line("dry run: nothing was changed")
        else:
            raise RefusedError("nothing was changed: it was not confirmed")
    return 0


def _may_go_on(one: Job, plan: SwapPlan, consent: Consent) -> bool:
    if not plan.goes:
        return True
    question = f"Replace {plan.database!r} by {plan.comes.name!r}, and disconnect who uses it?"
    why = f"database {plan.database!r} exists on {plan.place}"
    return agreed(one, consent, plan.database, why, question)


def _tell_plan(one: Job, plan: SwapPlan, *, dry_run: bool) -> None:
    one.output.record(
        "plan",
        dry_run=dry_run,
        database=plan.database,
        server=plan.place,
        takes=plan.comes.name,
        kept_as=plan.goes or None,
    )
    one.output.line(f"{plan.comes.name!r} becomes {plan.database!r} on {plan.place}")
    if plan.goes:
        sessions = counted(plan.ground.sessions, "session")
        one.output.line(
            f"what is {plan.database!r} now, with all that was written to it, is kept as "
            f"{plan.goes!r}; {sessions} will be disconnected"
        )


def _tell(one: Job, plan: SwapPlan) -> None:
    one.output.record("summary", database=plan.database, kept_as=plan.goes or None)
    one.output.line(f"{plan.database!r} is what was {plan.comes.name!r}")
    if plan.goes:
        quoted = plan.goes.replace('"', '""')
        one.output.line(f"what it was before is kept as {plan.goes!r}")
        one.output.line(f'when it is not needed any more: DROP DATABASE "{quoted}";')
