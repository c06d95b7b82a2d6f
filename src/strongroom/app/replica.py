"""Look at a replica of a repository, and at the repository that it is a replica of."""

from __future__ import annotations

from dataclasses import dataclass, replace

from strongroom.app.machine import Run
from strongroom.app.opening import opened_repository
from strongroom.app.other import opened_other
from strongroom.config.settings import Settings
from strongroom.errors import StoreError
from strongroom.operations.replica import (
    Objective,
    Original,
    ReplicaState,
    SeriesState,
    Waiting,
    missed,
    original_of,
    replica_state,
)
from strongroom.repository.repository import Repository

__all__ = [
    "OPTION",
    "Objective",
    "ReplicaReport",
    "ReplicaRequest",
    "SeriesState",
    "Waiting",
    "look_at_replica",
]

OPTION = "--source"


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplicaRequest:
    """What the command line says; ``source``: the settings of the original, if it was named."""

    source: Settings | None = None
    objective: Objective
    every: bool = False


@dataclass(frozen=True, slots=True)
class ReplicaReport:
    """What was found; ``missed``: objectives, in sentences.

    ``source_away``: why the original could not be looked at, empty if it was, or was not meant to.
    """

    state: ReplicaState
    missed: list[str]
    source_away: str
    url: str
    seconds: float
    requests: int


def look_at_replica(run: Run, request: ReplicaRequest) -> ReplicaReport:
    """Say what the repository that the settings name holds; nothing is written to it."""
    clock = run.machine.clock
    began = clock.elapsed()
    with opened_repository(run) as opened:
        replica = opened.repository
        original, away, requests = None, "", 0
        if request.source is not None:
            try:
                original, requests = _original(run, replica, request.source)
            except StoreError as error:  # gone, as in the disaster that a replica is for
                away = error.message
        state = replica_state(replica, original, clock.now_ns(), every=request.every)
        return ReplicaReport(
            state=state,
            missed=missed(state, request.objective),
            source_away=away,
            url=replica.store.url,
            seconds=clock.elapsed() - began,
            requests=requests + opened.store.traffic().requests,
        )


def _original(run: Run, replica: Repository, settings: Settings) -> tuple[Original, int]:
    """Read the original; where nothing says what opens it, what opens the replica may do so."""
    if not settings.secrets:
        settings = replace(settings, secrets=run.settings.secrets)
    with opened_other(run, settings, OPTION) as source:
        return original_of(replica, source.repository), source.store.traffic().requests
