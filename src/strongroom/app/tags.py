"""Change the tags of snapshots."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass

from strongroom.app.choosing import Chosen, choice_of
from strongroom.app.machine import Run
from strongroom.app.opening import opened_repository
from strongroom.errors import UsageError
from strongroom.operations.choosing import choose
from strongroom.operations.listing import refuse_unreadable
from strongroom.repository.tagging import Retagged, TagEdit, plan_tags, put_tags

__all__ = ["Chosen", "Retagged", "TagReport", "TagRequest", "retag"]


@dataclass(frozen=True, slots=True, kw_only=True)
class TagRequest:
    """What the command line says; ``exactly`` is None where tags are added and removed."""

    chosen: Chosen
    add: Sequence[str] = ()
    remove: Sequence[str] = ()
    exactly: Sequence[str] | None = None
    dry_run: bool = False


@dataclass(frozen=True, slots=True)
class TagReport:
    """Which snapshots were meant, and which of them changed."""

    snapshots: int
    changed: Sequence[Retagged]


def retag(run: Run, request: TagRequest) -> TagReport:
    """Change tags, of all snapshots that are meant at once."""
    add, remove = _bytes(request.add), _bytes(request.remove)
    if both := add & remove:
        tag = os.fsdecode(min(both))
        raise UsageError(f"the tag '{tag}' is to be added and removed")
    exactly = None if request.exactly is None else _bytes(request.exactly)
    with opened_repository(run) as opened:
        repository = opened.repository
        listing = repository.list_snapshots()
        refuse_unreadable(listing, request.chosen.names)
        snapshots = choose(listing.found, choice_of(run, request.chosen))
        plan = plan_tags(snapshots, listing.additions, TagEdit(add, remove, exactly))
        if not request.dry_run:
            put_tags(repository, listing, plan)
        return TagReport(len(snapshots), plan.changed)


def _bytes(tags: Sequence[str]) -> frozenset[bytes]:
    return frozenset(os.fsencode(tag) for tag in tags)
