"""Copy snapshots into another repository."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from strongroom.app.choosing import Chosen, choice_of
from strongroom.app.machine import Run
from strongroom.app.opening import opened_repository
from strongroom.app.other import opened_other
from strongroom.config.settings import Settings
from strongroom.model.snapshot import ListedSnapshot
from strongroom.operations.choosing import choose, refuse_none
from strongroom.operations.copy import (
    Copied,
    NotCopied,
    There,
    not_whole,
    plan_copy,
    refuse_same,
    size_of,
)
from strongroom.operations.copy import copy as copy_planned
from strongroom.operations.listing import refuse_unreadable

__all__ = [
    "OPTION",
    "Chosen",
    "Copied",
    "CopyReport",
    "CopyRequest",
    "NotCopied",
    "There",
    "copy",
    "size_of",
]

OPTION = "--to"


@dataclass(frozen=True, slots=True, kw_only=True)
class CopyRequest:
    """What the command line says; ``to`` are the settings of the destination."""

    chosen: Chosen
    to: Settings
    dry_run: bool = False


@dataclass(frozen=True, slots=True)
class CopyReport:
    """What became of the snapshots; ``wanted``: those that a dry run would copy.

    ``not_whole``: those of ``there`` of which data is lost in the destination.
    ``unreadable`` counts snapshots of the source that nobody can read, where all were meant.
    ``requests`` are those to both stores.
    """

    wanted: Sequence[ListedSnapshot]
    there: Sequence[There]
    not_whole: Sequence[There]
    copied: Sequence[Copied]
    failed: Sequence[NotCopied]
    unreadable: int
    url: str
    seconds: float
    requests: int


def copy(run: Run, request: CopyRequest) -> CopyReport:
    """Copy every snapshot that is meant and not in the destination yet."""
    clock = run.machine.clock
    began = clock.elapsed()
    chosen = request.chosen
    with opened_repository(run) as opened, opened_other(run, request.to, OPTION) as other:
        source, destination = opened.repository, other.repository
        refuse_same(source, destination)
        listing = source.list_snapshots()
        refuse_unreadable(listing, chosen.names)
        choice = choice_of(run, chosen)
        found = choose(listing.found, choice)
        if not listing.unreadable:  # else one that fits may be among those
            refuse_none(found, choice)
        plan = plan_copy(
            found,
            (source.id, listing.history),
            (destination.id, destination.list_snapshots()),
        )
        copied: Sequence[Copied] = ()
        failed: Sequence[NotCopied] = ()
        if not request.dry_run:
            result = copy_planned(source, destination, plan, listing.history)
            copied, failed = result.copied, result.failed
        return CopyReport(
            wanted=plan.wanted,
            there=plan.there,
            not_whole=not_whole(destination, plan.there),
            copied=copied,
            failed=failed,
            unreadable=0 if chosen.names else listing.unreadable,
            url=destination.store.url,
            seconds=clock.elapsed() - began,
            requests=opened.store.traffic().requests + other.store.traffic().requests,
        )
