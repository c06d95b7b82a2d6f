"""Whether a restore that changes something may go on: asked, or said before."""

from __future__ import annotations

import shlex
from dataclasses import dataclass

from strongroom.cli.job import Job
from strongroom.cli.prompts import confirmed, typed
from strongroom.errors import RefusedError
from strongroom.policy.landing import Landing, refuse_unconfirmed


@dataclass(frozen=True, slots=True)
class Consent:
    """What was said before: to ask nothing, or nothing if the target is ``name``."""

    name: str | None = None
    unasked: bool = False

    def __bool__(self) -> bool:
        """Whether anything was said."""
        return self.unasked or self.name is not None


def landed(one: Job, into: Landing, consent: Consent) -> Consent:
    """Return what is left to agree to; nothing where the name of a protected environment was typed.

    ``RefusedError`` if it was not: to ask nothing is not enough.
    """
    if not into.protected:
        return consent
    name = consent.name
    if not consent and one.on_terminal:
        question = f"Environment '{into.name}' is protected. Type its name to go on"
        name = typed(question).strip()
    refuse_unconfirmed(into, name)
    return Consent(unasked=True)


def agreed(one: Job, consent: Consent, name: str, why: str, question: str) -> bool:
    """Whether to change ``name``; ``why`` says what makes it a question.

    ``RefusedError`` if another name was confirmed, or there is nobody to ask.
    """
    if consent.name is not None and consent.name != name:
        raise RefusedError(f"--confirm {consent.name!r} is not what would change: that is {name!r}")
    if consent:
        return True
    if not one.on_terminal:
        raise RefusedError(
            f"{why}, and there is no terminal to confirm it at",
            hint=f"Add --no-confirm, or --confirm {shlex.quote(name)}, to go on without being "
            "asked.",
        )
    return confirmed(question)
