"""Try what a store does, before a repository relies on it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from strongroom.app.machine import Run
from strongroom.app.stores import OpenStore, opened_store
from strongroom.errors import RefusedError
from strongroom.operations.probing import Check, Probe, Verdict

__all__ = ["Check", "Validation", "Verdict", "probe_for_init", "validate_store"]


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


def validate_store(run: Run) -> Validation:
    """Try everything with the store that the settings name; what was put is deleted again."""
    began = run.machine.clock.elapsed()
    with opened_store(run) as store:
        checks = list(_probe(run, store).thorough())
        return Validation(
            url=store.store.url,
            checks=checks,
            requests=store.traffic().requests,
            seconds=run.machine.clock.elapsed() - began,
        )


def probe_for_init(run: Run, store: OpenStore) -> None:
    """Try what a repository cannot do without; ``RefusedError`` if the store lacks it."""
    for check in list(_probe(run, store).quick()):  # to its end, which deletes what was put
        if check.verdict is Verdict.MISSING:
            raise RefusedError(
                f"{store.store.url} cannot hold a repository: {check.name}: {check.text}",
                hint="With such a store two hosts could overwrite each other's work. Use another "
                "one; 'strongroom store validate' says everything that it lacks.",
            )
        if check.verdict is Verdict.WARNING:
            run.warn(f"{check.name}: {check.text}")


def _probe(run: Run, store: OpenStore) -> Probe:
    return Probe(store.store, run.machine.clock, run.machine.randomness)
