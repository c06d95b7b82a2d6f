"""The name of a protected environment, typed before anything is restored into it."""

from __future__ import annotations

from strongroom.cli.job import Job
from strongroom.cli.prompts import typed
from strongroom.policy.landing import Landing, refuse_unconfirmed


def confirm_landing(one: Job, into: Landing, given: str | None) -> None:
    """``RefusedError`` unless the environment needs no confirmation, or has it.

    ``given`` is what ``--confirm`` says; on a terminal the name is asked for.
    """
    if given is None and into.protected and one.on_terminal:
        question = f"Environment '{into.name}' is protected. Type its name to restore into it"
        given = typed(question).strip()
    refuse_unconfirmed(into, given)
