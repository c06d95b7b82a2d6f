"""Which snapshots a collector must keep, and why. Pure (DESIGN 5, step 1)."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

from strongroom.model.snapshot import ListedSnapshot, Status
from strongroom.repository.orders import Order
from strongroom.repository.standing import Standing

_LONG_AGO: Final = -(1 << 64)

Group = tuple[str, bytes, tuple[tuple[bytes, bytes], ...]]


def group_of(listed: ListedSnapshot) -> Group:
    """Return what makes snapshots be of one source: writer, host, and its sources by name.

    The writer is proven. A host or a name that a writer makes up begins a group of its own, and
    takes nothing away from the snapshots of another.
    """
    sources = sorted((source.kind, source.name) for source in listed.snapshot.sources)
    return listed.writer, listed.snapshot.host, tuple(sources)


@dataclass(frozen=True, slots=True)
class Liveness:
    """``roots``: snapshots that stay, by the keys of their COMMITs. ``expired``: those that may go.

    ``last_good``: roots that are forgotten, and stay only as the last good one of their source.
    """

    roots: Mapping[str, ListedSnapshot]
    expired: Mapping[str, ListedSnapshot]
    last_good: Sequence[ListedSnapshot]


class GraceTime(NamedTuple):
    """How long a forgotten snapshot stays, nanoseconds.

    ``stored_ns``: when each order was put, by the store's clock; ``now_ns`` by the same clock. An
    order of which it is not known counts by its own time.
    """

    stored_ns: Mapping[str, int]
    now_ns: int
    grace_ns: int

    def is_over(self, forgets: Sequence[Order], releases: Sequence[Order] = ()) -> bool:
        """Whether the grace of a snapshot is over, which these orders forgot, and let go of.

        It begins with the first forget, and anew when a hold is released, so that whoever does that
        by mistake has time to notice.
        """
        since = max(min(map(self._put_ns, forgets)), *map(self._put_ns, releases), _LONG_AGO)
        return self.now_ns - since >= self.grace_ns

    def _put_ns(self, order: Order) -> int:
        return self.stored_ns.get(order.key, order.body.time_ns)


def liveness(
    snapshots: Sequence[ListedSnapshot],
    standing: Standing,
    time: GraceTime,
    doubtful: Collection[str] = (),
) -> Liveness:
    """Decide about all snapshots, given oldest first.

    ``doubtful``: those of which a run that nobody can read any more may have removed something;
    their grace was over then, and stays so. They are the last good one of nothing.
    """
    kept = last_good([one for one in snapshots if one.key not in doubtful], standing)
    roots: dict[str, ListedSnapshot] = {}
    expired: dict[str, ListedSnapshot] = {}
    saved: list[ListedSnapshot] = []
    for listed in snapshots:
        key = listed.key
        if not standing.is_forgotten(key):
            roots[key] = listed
        elif key in doubtful:
            expired[key] = listed
        elif not time.is_over(standing.forgets[key], standing.releases.get(key, ())):
            roots[key] = listed
        elif key in kept:
            roots[key] = listed
            saved.append(listed)
        else:
            expired[key] = listed
    return Liveness(roots, expired, saved)


def last_good(snapshots: Sequence[ListedSnapshot], standing: Standing) -> frozenset[str]:
    """Return the last complete snapshot of each source that has none any more that is wanted.

    Of a source that was never complete, the last one. Never one that an order lets go all the same:
    what nobody said that of stays then. Given oldest first; keys of COMMITs.
    """
    best: dict[Group, ListedSnapshot] = {}
    for wanted in (False, True):  # what is wanted stands for its source before what is forgotten
        for listed in snapshots:
            if standing.is_forgotten(listed.key) is wanted:
                continue
            if not wanted and listed.key in standing.may_be_empty:
                continue
            group = group_of(listed)
            before = best.get(group)
            if before is None or _is_complete(listed) or not _is_complete(before):
                best[group] = listed
    return frozenset(listed.key for listed in best.values())


def _is_complete(listed: ListedSnapshot) -> bool:
    return listed.snapshot.status is Status.COMPLETE
