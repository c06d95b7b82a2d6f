"""Parameters and secrets changed to what records say, all of them or none.

What is asked of AWS is only what was planned: whatever changed since then ends it. If anything
fails, what was changed is brought back to what it was, by the same decisions.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from strongroom.aws import secretsmanager, ssm
from strongroom.aws.asking import Service
from strongroom.aws.records import PARAMETER, SECRET, Record
from strongroom.errors import (
    InterruptError,
    RefusedError,
    RestoreError,
    RolledBackError,
    StrongroomError,
)
from strongroom.restore.awsconfig.parameters import parameter_decision
from strongroom.restore.awsconfig.secrets import secret_decision
from strongroom.restore.awsconfig.steps import Decision, Rules, Step

SERVICES: Final = {PARAMETER: ssm.SERVICE, SECRET: secretsmanager.SERVICE}
_DECIDE: Final = {PARAMETER: parameter_decision, SECRET: secret_decision}
_PAUSES: Final = (0.5, 1.0, 2.0, 4.0)  # seconds: AWS is consistent in the end
_LIVE: Final = {PARAMETER: ssm.live, SECRET: secretsmanager.live}

Services = Mapping[str, Service]


@dataclass(frozen=True, slots=True)
class Intent:
    """One thing and what it is to be: ``record``, or gone if that is None; ``before``: as it is."""

    kind: str
    name: str
    record: Record | None
    before: Record | None


@dataclass(frozen=True, slots=True)
class Change:
    """What was decided about one thing."""

    intent: Intent
    decision: Decision


def look(services: Services, kind: str, name: str) -> Record | None:
    """Return a parameter or a secret as it is now, None if there is none; ``AwsError``."""
    return _LIVE[kind](services[kind], name)


def decide(intent: Intent, rules: Rules) -> Change:
    """Decide what a thing takes. Pure."""
    decision = _DECIDE[intent.kind](intent.record, intent.before, intent.name, rules)
    return Change(intent, decision)


def carry_out(
    services: Services, changes: Sequence[Change], rules: Rules, tell: Callable[[Step], None]
) -> None:
    """Make every change and look whether all is as it should be.

    ``tell`` gets each step before it is made. ``RolledBackError`` if something failed and all is as
    it was; ``RestoreError`` if it is not. An interruption is rolled back as well.
    """
    begun: list[Change] = []
    try:
        for change in changes:
            _refuse_changed(services, change.intent)
            begun.append(change)
            _make(services, change.decision.steps, tell)
        for change in changes:
            _compare(services, change.intent, rules)
    except StrongroomError as error:
        if not begun:
            raise
        _roll_back(services, begun, rules, error, tell)
        if isinstance(error, InterruptError):
            raise
        raise RolledBackError(
            f"{error.message}; everything was brought back to what it was", hint=error.hint
        ) from None  # what it came from may quote a value


def _refuse_changed(services: Services, intent: Intent) -> None:
    if look(services, intent.kind, intent.name) != intent.before:
        raise RefusedError(
            f"{intent.name} was changed by somebody else since the plan was made",
            hint="Run it again, and look at the new plan.",
        )


def _make(services: Services, steps: Sequence[Step], tell: Callable[[Step], None]) -> None:
    by_name = {service.name: service for service in services.values()}
    for step in steps:
        tell(step)
        by_name[step.service].ask(step.call, step.name, secret=step.secret, **step.arguments)


def _compare(services: Services, intent: Intent, rules: Rules) -> None:
    """See whether nothing is left to do; what was changed may take a moment to show."""
    left = _left(services, intent, rules)
    for seconds in _PAUSES:
        if not left:
            return
        services[intent.kind].pause(seconds)
        left = _left(services, intent, rules)
    if left:
        raise StrongroomError(f"{intent.name} is not as it should be after the restore: {left}")


def _left(services: Services, intent: Intent, rules: Rules) -> str:
    """Return what is left to do, in words; empty if nothing is."""
    live = look(services, intent.kind, intent.name)
    decision = decide(replace(intent, before=live), rules).decision
    return decision.refused or ", ".join(step.call for step in decision.steps)


def _roll_back(
    services: Services,
    begun: Sequence[Change],
    rules: Rules,
    error: StrongroomError,
    tell: Callable[[Step], None],
) -> None:
    """Bring back what was changed, each by itself; ``RestoreError`` if not all could be."""
    exact = replace(rules, exact=True, key="")
    left: dict[str, str] = {}
    for change in reversed(begun):
        intent = change.intent
        try:
            _bring_back(
                services, Intent(intent.kind, intent.name, intent.before, None), exact, tell
            )
        except StrongroomError as failure:
            left[intent.name] = failure.message
    if left:
        why = "; ".join(f"{name}: {reason}" for name, reason in left.items())
        raise RestoreError(
            f"{error.message}; and it could not be brought back: {why}",
            hint="The snapshot that was made before says how it was: restore that with --undo.",
        ) from None


def _bring_back(
    services: Services, back: Intent, rules: Rules, tell: Callable[[Step], None]
) -> None:
    """Make one thing what it was; again if the last request was not to be seen at first."""
    for last in (False, True):
        now = look(services, back.kind, back.name)
        decision = decide(replace(back, before=now), rules).decision
        if decision.refused:
            raise StrongroomError(decision.refused)
        _make(services, decision.steps, tell)
        try:
            _compare(services, back, rules)
        except StrongroomError:
            if last:
                raise
        else:
            return
