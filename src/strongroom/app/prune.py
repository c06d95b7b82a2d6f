"""Free the room that nothing needs any more."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from strongroom.app.holding import held_after
from strongroom.app.machine import Run
from strongroom.app.opening import opened_repository
from strongroom.errors import StrongroomError
from strongroom.operations.holding import Hidden
from strongroom.repository.collection.collect import Collected, CollectLimits, Collector
from strongroom.repository.collection.removing import drop_old_ledgers
from strongroom.repository.collection.shrinking import ShrinkLimits, worth_repacking
from strongroom.repository.collection.verdict import tombs
from strongroom.repository.collection.walexpiry import Judged
from strongroom.repository.manifests import drop_old_manifests, environments_of
from strongroom.repository.repository import Repository

__all__ = ["CollectLimits", "Hidden", "Judged", "PruneReport", "prune"]


@dataclass(frozen=True, slots=True)
class PruneReport:
    """What a collection did; sizes in bytes. With ``dry_run``: what it would do.

    ``hidden``: what became of it in a bucket that keeps versions; None elsewhere.
    """

    collected: Collected
    seconds: float
    requests: int
    dry_run: bool
    hidden: Hidden | None = None


def prune(run: Run, limits: CollectLimits, *, dry_run: bool) -> PruneReport:
    """Finish what other collectors left, then collect once; or say what would go."""
    clock = run.machine.clock
    began = clock.elapsed()
    with opened_repository(run) as opened:
        collector = Collector(opened.repository, limits)
        environments = set() if dry_run else environments_of(opened.repository)
        found = _planned(collector, limits) if dry_run else collector.run()
        if not dry_run:
            drop_old_ledgers(opened.repository)
            _drop_old_manifests(run, opened.repository, environments)
        transfer = opened.repository.around.workers.transfer
        held = held_after(run, found.removed, transfer, clock.now_ns())
        requests = opened.store.traffic().requests + held.requests
        return PruneReport(found, clock.elapsed() - began, requests, dry_run, held.hidden)


def _drop_old_manifests(run: Run, repository: Repository, environments: Collection[str]) -> None:
    """Remove the manifests of what is gone; nothing depends on it."""
    try:
        drop_old_manifests(repository, {*environments, *run.settings.environments})
    except StrongroomError as error:
        run.warn(f"manifests of snapshots that are gone stay: {error.message}")


def _planned(collector: Collector, limits: CollectLimits) -> Collected:
    found = collector.look()
    kept = found.kept_packs()
    names = tombs(found.listed, kept, found.expired(), found.past)
    uses = found.uses(kept)
    chosen = worth_repacking(
        uses, ShrinkLimits(limits.max_unused, limits.max_repack_bytes, collector.pack_size)
    )
    sizes = found.listed.packs
    going = [pack for pack in sizes if pack not in kept]
    result = collector.result
    collector.count(found, kept)
    result.packs = len(going) + len(chosen)
    result.bytes = sum(sizes[pack] for pack in going) + sum(pack.size for pack in chosen)
    result.commits = len(names.commits)
    result.segments = len(names.index) // 32
    going_wal = [one for one in found.wal.listed if one.key in set(names.wal)]
    result.wal_files = len(going_wal)
    result.wal_bytes = sum(one.size for one in going_wal)
    result.repacked.packs = [found.census.packs[pack.number] for pack in chosen]
    result.repacked.read = sum(pack.size for pack in chosen)
    result.repacked.written = round(sum(pack.size * pack.needed for pack in chosen))
    result.unused_bytes = round(sum(p.unused for p in uses if p not in chosen))
    return result
