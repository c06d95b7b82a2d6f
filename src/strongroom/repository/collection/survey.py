"""What a collector sees: everything listed in the order of the protocol, and what is needed of it.

Commits and orders are read before packs and index, so that of everything a COMMIT relies on is
seen what it had. What cannot be read stops the collector: unreadable is not absent.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np

from strongroom.errors import DamageError
from strongroom.model.events import Advanced, PhaseBegan
from strongroom.model.snapshot import ListedSnapshot
from strongroom.model.store import ObjectInfo
from strongroom.repository import layout
from strongroom.repository.collection.census import Bools, Census
from strongroom.repository.collection.liveness import GraceTime, Liveness, liveness
from strongroom.repository.collection.marking import Marker
from strongroom.repository.collection.proving import Prover
from strongroom.repository.collection.shrinking import PackUse
from strongroom.repository.collection.verdict import Expired, Listed
from strongroom.repository.collection.walneeds import Counting, WalSurvey, survey_wal
from strongroom.repository.commits import oldest_first, open_snapshot
from strongroom.repository.heads import lost_heads
from strongroom.repository.loading import Choice
from strongroom.repository.reader import Reader
from strongroom.repository.records import Removals
from strongroom.repository.repository import History, Repository
from strongroom.repository.runs import Absent
from strongroom.repository.voids import void_segments

_HINT: Final = (
    "Nothing is removed until this is settled. Restore the object from a copy of the "
    "repository; if there is none, 'strongroom repair' says what can be done."
)


class MovedOnError(Exception):
    """What was read does not fit together: somebody went on meanwhile, so it is read again."""


class Keep(NamedTuple):
    """How long a forgotten snapshot stays, and WAL between base backups; nanoseconds.

    ``wal_ns``: None, as long as a base backup is there that needs it.
    """

    grace_ns: int
    wal_ns: int | None = None


@dataclass(frozen=True, slots=True)
class Survey:
    """``roots``: commits that stay, everything they need marked in ``census``.

    ``weak``: packs that count for nothing while another holds the same. ``in_grace``: forgotten
    snapshots that stay for now.
    """

    history: History
    listed: Listed
    census: Census
    liveness: Liveness
    roots: frozenset[str]
    weak: frozenset[bytes]
    wal: WalSurvey

    @property
    def past(self) -> Absent:
        """What collectors took away so far."""
        return self.history.runs.absent()

    @property
    def next_run(self) -> int:
        """The number of a run that begins with this."""
        return self.history.runs.next_number

    def expired(self) -> Expired:
        """What nothing needs any more."""
        killed = self.past.killed_wal | self.past.doubtful.wal
        return Expired(self.liveness.expired, self.wal.expired(killed))

    @property
    def in_grace(self) -> list[ListedSnapshot]:
        """Forgotten snapshots that stay because their grace is not over."""
        good = {listed.key for listed in self.liveness.last_good}
        forgotten = self.history.standing.is_forgotten
        roots = self.liveness.roots.values()
        return [one for one in roots if forgotten(one.key) and one.key not in good]

    def needed_packs(self) -> set[bytes]:
        """Return every pack that is said to hold a chunk that is needed, also where several do."""
        shares = self.census.shares()
        return {name for name, share in zip(self.census.packs, shares, strict=True) if share > 0}

    def kept_packs(self, prover: Prover | None = None) -> set[bytes]:
        """Return packs that hold all that is needed, the fullest where a chunk lies twice.

        With a ``prover``, what takes the place of others is proven.
        """
        unproven: set[bytes] = set()
        while True:
            weak = self._among([*self.weak, *unproven])
            rank = np.empty(len(weak), dtype=np.int64)
            rank[np.lexsort((-self.census.shares(), weak))] = np.arange(len(weak))
            kept = self.census.keepers(rank)
            names = {name for name, stays in zip(self.census.packs, kept, strict=True) if stays}
            kept = self._among(names)  # a pack that is listed twice is one pack
            covering = self.census.covering(~kept, kept & ~weak) if prover else {}
            more = prover.unproven(covering) if prover else set()
            if not more:
                return names
            unproven |= more

    def spared(self, tombed: Collection[bytes], prover: Prover) -> set[bytes]:
        """Return the tombed packs that hold what no staying pack is proven to hold."""
        names = self.census.packs
        gone, staying = self._among(tombed), ~self._among([*tombed, *self.weak])
        unproven = prover.unproven(self.census.covering(gone, staying))
        spared = self.census.spared(gone, staying & ~self._among(unproven))
        return {name for name, stays in zip(names, spared, strict=True) if stays}

    def _among(self, chosen: Collection[bytes]) -> Bools:
        wanted = frozenset(chosen)
        return np.array([name in wanted for name in self.census.packs], dtype=bool)

    def uses(self, kept: Collection[bytes]) -> list[PackUse]:
        """Return how much of each kept pack is needed."""
        shares = self.census.shares()
        sizes = self.listed.packs
        return [
            PackUse(number, sizes[name], float(shares[number]))
            for number, name in enumerate(self.census.packs)
            if name in kept
        ]


def survey(
    repository: Repository,
    keep: Keep,
    within: tuple[int, Removals] | None = None,
    *,
    begins: bool = True,
) -> Survey:
    """Look at everything. ``within``: the run that is being decided, and its tombs.

    Then every commit that is not in the tombs stays, whatever was decided about it since. Without
    it a run ``begins``, so that none may be unfinished; or somebody only looks.
    ``DamageError`` if something that decides is not to be had, ``MovedOnError`` if that is because
    another collector went on.
    """
    history = repository.read_history()
    _refuse_unreadable(history)
    if within is None and begins and history.runs.unfinished is not None:
        raise MovedOnError("another collector began a run")  # which has to be done first
    _refuse_unlisted(history, exact=not repository.config.is_weaker)
    store = repository.store
    stored_ns = {i.key: i.stored_ns for i in store.list(layout.ORDERS) if i.stored_ns is not None}
    listed_commits = list(store.list(layout.COMMITS))
    commits = [info.key for info in listed_commits]
    store_ns = store.time_ns()
    now_ns = repository.around.clock.now_ns() if store_ns is None else store_ns
    snapshots = _opened(repository, history)
    past = history.runs.absent()
    time = GraceTime(stored_ns, now_ns, keep.grace_ns)
    alive = liveness(snapshots, history.standing, time, past.doubtful.commits)
    roots = dict(alive.roots)
    if within is not None:
        tombed = set(within[1].commits)
        roots |= {listed.key: listed for listed in snapshots if listed.key not in tombed}
    packs: dict[bytes, int] = {}
    for info in store.list(layout.PACKS):
        pack_id = layout.pack_id(info.key)
        if pack_id is not None:
            packs[pack_id] = info.size
    try:
        listed, census, weak = _census(repository, history, packs, commits, list(roots.values()))
    except DamageError:
        if _moved_on(repository, history, within):
            raise MovedOnError("another collector went on") from None
        raise
    since_ns = now_ns - keep.wal_ns if keep.wal_ns is not None else None
    wal = survey_wal(repository, roots.values(), _counting(history, listed_commits, since_ns))
    return Survey(history, listed, census, alive, frozenset(roots), weak, wal)


def _counting(history: History, commits: Iterable[ObjectInfo], since_ns: int | None) -> Counting:
    seen_ns = {info.key: info.stored_ns for info in commits if info.stored_ns is not None}
    for key, first_ns in history.standing.first_seen.items():
        seen_ns[key] = min(first_ns, seen_ns.get(key, first_ns))
    agents = frozenset(one.key for one in history.decisions if one.by_agent)
    keys = (one.key for one in history.decisions)
    forgotten = frozenset(filter(history.standing.is_forgotten, keys))
    return Counting(agents, forgotten, seen_ns, since_ns)


def _opened(repository: Repository, history: History) -> list[ListedSnapshot]:
    try:
        opened = [open_snapshot(one, repository.keyring) for one in history.decisions]
    except DamageError as error:
        raise DamageError(f"cannot collect: {error.message}", hint=_HINT) from error
    found = [one for one in opened if one is not None]
    return oldest_first(found, history.seen, history.standing.copied)


def _census(
    repository: Repository,
    history: History,
    packs: dict[bytes, int],
    commits: Sequence[str],
    roots: Sequence[ListedSnapshot],
) -> tuple[Listed, Census, frozenset[bytes]]:
    past = history.runs.absent()
    loaded = repository.load_index(
        Choice(
            usable=lambda pack: pack.pack_id in packs and pack.pack_id not in past.killed_packs,
            absent=past.killed_index | void_segments(repository.store, history.standing.voids),
        )
    )
    if loaded.damaged:
        raise loaded.damaged[0]
    around = repository.around
    reader = Reader(repository.store, repository.keyring, lambda: loaded, around.workers)
    census = Census(loaded.index)
    around.sink(PhaseBegan("mark what is needed", len(roots)))
    Marker(census, reader.fetch).mark(roots, lambda _listed: around.sink(Advanced(1, 0)))
    sound = {
        pack
        for segment in loaded.segments
        if segment.name not in past.doubtful.index
        for pack in segment.packs
    }
    doubtful = past.doubtful.packs | history.standing.quarantined
    weak = frozenset(name for name in census.packs if name in doubtful or name not in sound)
    named = (layout.segment_id(info.key) for info in repository.store.list(layout.INDEX))
    index = [name for name in named if name is not None]
    found = Listed(packs, loaded.segments, commits, history.decisions, history.orders, index)
    return found, census, weak


def _refuse_unreadable(history: History) -> None:
    for error in history.damaged.values():
        raise DamageError(f"cannot collect: {error.message}", hint=_HINT)
    if history.runs.unreadable:
        raise DamageError(f"cannot collect: {history.runs.unreadable[0]} is damaged", hint=_HINT)
    for key in history.lost:
        raise DamageError(f"cannot collect: {key} is gone, and it was seen before", hint=_HINT)
    for claim in history.claimed:
        raise DamageError(
            f"cannot collect: {claim.key} is not there, and an agent's commit "
            f"({claim.said_by}) says that it was",
            hint=_HINT,
        )


def _refuse_unlisted(history: History, *, exact: bool) -> None:
    """``MovedOnError`` if something is there, others name it, and the listing did not show it.

    It was put while the listing went on, or the store lists less than it has: a shorter list is
    never evidence that something is gone.
    """
    remembered = history.known.heads if history.known is not None else {}
    heads = {key: bytes.fromhex(digest) for key, digest in remembered.items()}
    past = history.runs.absent()
    void = {one.key for one in history.standing.voids}
    explained = past.killed_commits | past.doubtful.commits | void
    for key in lost_heads(history.seen, heads, history.runs.heads, exact=exact):
        if key not in explained:
            raise MovedOnError(f"{key} is there, and is not listed")


def _moved_on(repository: Repository, before: History, within: tuple[int, Removals] | None) -> bool:
    runs = repository.read_runs(before.standing.voids)
    if within is None:
        return runs != before.runs
    return any(run.number == within[0] and run.kills is not None for run in runs.runs)
