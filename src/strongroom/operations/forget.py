"""Forget snapshots, bring them back while it is time, and hold them: orders and COMMITs only."""

from __future__ import annotations

from collections.abc import Sequence

from strongroom.errors import NotFoundError, RefusedError
from strongroom.model.snapshot import ListedSnapshot
from strongroom.operations.choosing import Choice, choose, refuse_none
from strongroom.operations.retention import Judged
from strongroom.repository.ordering import put_order
from strongroom.repository.records import OrderKind, Origin, Saving, Targets
from strongroom.repository.repository import History, Listing, Repository
from strongroom.repository.saving import hold, unforget

_MOST_TARGETS = 1000  # of one order


def forget(repository: Repository, listing: Listing, snapshots: Sequence[ListedSnapshot]) -> None:
    """Put the orders that forget snapshots; ``KeyRefusedError`` unless the key is full."""
    repository.keyring.admin_signer()
    _order(repository, listing.history, OrderKind.FORGET, snapshots)


def allow_empty(
    repository: Repository, history: History, snapshots: Sequence[ListedSnapshot]
) -> None:
    """Let a collector remove these even where they are the last good ones of their source."""
    _order(repository, history, OrderKind.ALLOW_EMPTY, snapshots)


def forget_by_policy(repository: Repository, listing: Listing, judged: Judged) -> None:
    """Carry out what a policy decided; first-seen times are signed before anything goes by them."""
    repository.keyring.admin_signer()
    going = [verdict.listed for verdict in judged.verdicts if not verdict.keep]
    if judged.unsigned:
        origins: tuple[Origin, ...] = tuple(judged.unsigned)
        put_order(repository, listing.history, OrderKind.ORIGINS, origins)
    _order(repository, repository.read_history(), OrderKind.FORGET, going)


def _order(
    repository: Repository,
    history: History,
    kind: OrderKind,
    snapshots: Sequence[ListedSnapshot],
) -> None:
    keys = sorted({listed.key for listed in snapshots})
    for start in range(0, len(keys), _MOST_TARGETS):
        payload = Targets(tuple(keys[start : start + _MOST_TARGETS]))
        put_order(repository, history, kind, payload)


def choose_forgotten(listing: Listing, choice: Choice) -> list[ListedSnapshot]:
    """Return forgotten snapshots that are still there; ``NotFoundError`` if none is meant."""
    try:
        found = choose(listing.forgotten, choice)
        refuse_none(found, choice)
    except NotFoundError as error:
        raise NotFoundError(
            f"{error.message} among the forgotten ones",
            hint="See what can still be brought back with 'strongroom snapshots --forgotten'.",
        ) from error
    return found


def bring_back(repository: Repository, snapshots: Sequence[ListedSnapshot], saying: Saving) -> None:
    """Cancel the forgetting of snapshots, all by one COMMIT; errors as of ``saving.unforget``."""
    if snapshots:
        unforget(repository, [listed.key for listed in snapshots], saying)


def keep(repository: Repository, snapshots: Sequence[ListedSnapshot], saying: Saving) -> None:
    """Hold snapshots, all by one COMMIT; errors as of ``saving.hold``."""
    if snapshots:
        hold(repository, [listed.key for listed in snapshots], saying)


def release(repository: Repository, listing: Listing, snapshots: Sequence[ListedSnapshot]) -> int:
    """End every hold of these snapshots; return how many holds ended.

    ``RefusedError`` if a hold is about other snapshots too: it would end for them as well.
    """
    named = {listed.key for listed in snapshots}
    there = {listed.key for listed in [*listing.found, *listing.forgotten]}
    holds = [one for one in listing.history.standing.holds if named & set(one.targets)]
    for one in holds:
        others = sorted((set(one.targets) & there) - named)
        if others:
            shown = ", ".join(key.rpartition("/")[2][:8] for key in others[:5])
            raise RefusedError(
                f"one hold keeps snapshot {shown} as well, and would end for all of them",
                hint="Name all of its snapshots, or hold the others again first.",
            )
    if holds:
        payload = Targets(tuple(sorted(one.key for one in holds)))
        put_order(repository, listing.history, OrderKind.RELEASE, payload)
    return len(holds)
