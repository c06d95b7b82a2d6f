"""Bring forgotten snapshots back, hold snapshots, and release them."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass

from strongroom import __version__
from strongroom.app.choosing import Chosen, choice_of
from strongroom.app.machine import Run
from strongroom.app.opening import opened_repository
from strongroom.errors import DamageError
from strongroom.model.snapshot import ListedSnapshot
from strongroom.operations.choosing import choose, refuse_none
from strongroom.operations.forget import bring_back, choose_forgotten, keep, release
from strongroom.operations.listing import refuse_unreadable
from strongroom.repository.commits import open_saving
from strongroom.repository.records import Saving
from strongroom.repository.repository import Repository

__all__ = [
    "Chosen",
    "HeldSnapshot",
    "Released",
    "held_snapshots",
    "hold",
    "release_holds",
    "undelete",
]


@dataclass(frozen=True, slots=True)
class HeldSnapshot:
    """A snapshot that a hold keeps; who said so, when (nanoseconds since 1970), and why."""

    listed: ListedSnapshot
    host: bytes
    user: bytes
    since_ns: int
    note: bytes


@dataclass(frozen=True, slots=True)
class Released:
    """The snapshots whose holds ended, and those that were meant and that nothing held."""

    released: Sequence[ListedSnapshot]
    not_held: Sequence[ListedSnapshot]


def undelete(run: Run, chosen: Chosen, *, dry_run: bool) -> list[ListedSnapshot]:
    """Bring forgotten snapshots back; return them."""
    with opened_repository(run) as opened:
        repository = opened.repository
        repository.keyring.admin_signer()
        found = choose_forgotten(repository.list_snapshots(), choice_of(run, chosen))
        if not dry_run:
            bring_back(repository, found, _saying(run, ""))
        return found


def hold(run: Run, chosen: Chosen, note: str, *, dry_run: bool) -> list[ListedSnapshot]:
    """Keep snapshots whatever any policy says, until they are released; return them."""
    with opened_repository(run) as opened:
        found = _chosen(run, opened.repository, chosen)
        if not dry_run:
            for listed in found:  # a hold each, so that each can be released by itself
                keep(opened.repository, [listed], _saying(run, note))
        return found


def release_holds(run: Run, chosen: Chosen, *, dry_run: bool) -> Released:
    """End the holds of snapshots."""
    with opened_repository(run) as opened:
        repository = opened.repository
        found = _chosen(run, repository, chosen)
        listing = repository.list_snapshots()
        held = [one for one in found if one.key in listing.history.standing.held]
        if not dry_run:
            release(repository, listing, held)
        return Released(held, [one for one in found if one not in held])


def held_snapshots(run: Run) -> list[HeldSnapshot]:
    """Return what is held, oldest first."""
    with opened_repository(run) as opened:
        repository = opened.repository
        listing = repository.list_snapshots()
        decisions = {one.key: one for one in listing.history.decisions}
        found = []
        for listed in [*listing.found, *listing.forgotten]:
            for one in listing.history.standing.holds:
                if listed.key not in one.targets:
                    continue
                decision = decisions[one.key]
                try:
                    saying = open_saving(decision, repository.keyring)
                except DamageError as error:
                    run.warn(error.message)
                    saying = None
                committed = decision.commit.committed_ns if decision.commit is not None else 0
                who = saying or Saving(b"", b"", b"", b"")
                found.append(HeldSnapshot(listed, who.host, who.user, committed, who.note))
        return found


def _chosen(run: Run, repository: Repository, chosen: Chosen) -> list[ListedSnapshot]:
    repository.keyring.admin_signer()
    listing = repository.list_snapshots()
    refuse_unreadable(listing, chosen.names)
    choice = choice_of(run, chosen)
    found = choose(listing.found, choice)
    refuse_none(found, choice)
    return found


def _saying(run: Run, note: str) -> Saving:
    return Saving(
        host=os.fsencode(run.machine.host),
        user=os.fsencode(run.machine.user),
        program=f"strongroom {__version__}".encode(),
        note=os.fsencode(note),
    )
