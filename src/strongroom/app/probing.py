"""Try what a store does, before a repository relies on it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from strongroom.app.machine import Run
from strongroom.app.stores import OpenStore, opened_store
from strongroom.errors import RefusedError
from strongroom.operations.probing import AT_ONCE, CONDITIONAL, TWICE, Check, Probe, Verdict
from strongroom.repository.records import Mode

__all__ = ["Check", "Validation", "Verdict", "probe_for_init", "validate_store"]

_ELSE: Final = "Use another one; 'strongroom store validate' says everything that it lacks."
_WEAKER: Final = (
    "With such a store two hosts could overwrite each other's work. Use another one, or say "
    "--weaker-mode: 'prune' then runs on one host at a time, and waits for what was killed until "
    "a person says that it is dead (docs/s3.md)."
)


@dataclass(frozen=True, slots=True)
class Validation:
    """What a store did; ``missing`` is the first thing that a repository cannot do without."""

    url: str
    checks: Sequence[Check]
    requests: int
    seconds: float

    @property
    def missing(self) -> Check | None:
        """The first check that a repository depends on, and that went wrong."""
        return next((one for one in self.checks if one.verdict is Verdict.MISSING), None)

    @property
    def is_weaker(self) -> bool:
        """Whether conditional puts are all that is missing."""
        missing = {one.name for one in self.checks if one.verdict is Verdict.MISSING}
        return bool(missing) and missing <= {TWICE, AT_ONCE}


def validate_store(run: Run) -> Validation:
    """Try everything with the store that the settings name; what was put is deleted again."""
    began = run.machine.clock.elapsed()
    with opened_store(run) as store:
        checks = list(_probe(run, store).thorough())
        refusal = checks[0]
        if refusal.verdict is Verdict.MISSING:  # all puts with a condition, perhaps, and no others
            store.adapt(Mode.WEAKER)
            again = list(_probe(run, store).thorough())
            if again[0].verdict is not Verdict.MISSING:
                checks = [
                    Check(one.name, Verdict.MISSING, refusal.text)
                    if one.name in {TWICE, AT_ONCE}
                    else one
                    for one in again
                ]
        return Validation(
            url=store.store.url,
            checks=checks,
            requests=store.traffic().requests,
            seconds=run.machine.clock.elapsed() - began,
        )


def probe_for_init(run: Run, store: OpenStore, *, weaker: bool) -> Mode:
    """Try what a repository cannot do without; ``RefusedError`` if the store lacks it.

    ``weaker``: it may lack conditional puts, and is not asked for any from then on.
    """
    lacks = _lacking(run, store, Probe.quick)
    if lacks is None:
        return Mode.FULL
    if lacks.name in CONDITIONAL:
        store.adapt(Mode.WEAKER)
        other = _lacking(run, store, Probe.without_conditions)
        if other is None and weaker:
            return Mode.WEAKER
        if other is None:
            raise _refusal(store, lacks, _WEAKER)
        lacks = other
    raise _refusal(store, lacks, _ELSE)


def _refusal(store: OpenStore, lacks: Check, hint: str) -> RefusedError:
    text = f"{store.store.url} cannot hold a repository: {lacks.name}: {lacks.text}"
    return RefusedError(text, hint=hint)


def _lacking(
    run: Run, store: OpenStore, checks: Callable[[Probe], Iterator[Check]]
) -> Check | None:
    """Return the first thing that is missing; to its end, which deletes what was put."""
    found = list(checks(_probe(run, store)))
    for check in found:
        if check.verdict is Verdict.WARNING:
            run.warn(f"{check.name}: {check.text}")
    return next((one for one in found if one.verdict is Verdict.MISSING), None)


def _probe(run: Run, store: OpenStore) -> Probe:
    return Probe(store.store, run.machine.clock, run.machine.randomness)
