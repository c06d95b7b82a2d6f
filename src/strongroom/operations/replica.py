"""How far a replica is behind: for each source the newest snapshot that is whole in it.

A replica is a store that another one's objects are copied into, by S3 itself in any order, or a
repository of its own that ``copy`` fills. Nothing is written, and of packs only trees are read.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

from strongroom.aws.rds.record import JOURNAL_KIND
from strongroom.errors import RefusedError
from strongroom.model.snapshot import PRE_RESTORE, ListedSnapshot
from strongroom.repository import layout
from strongroom.repository.records import CopyOf
from strongroom.repository.repository import History, Listing, Repository
from strongroom.repository.wholeness import Lack, Stock

_JOURNAL: Final = JOURNAL_KIND.encode()


class Waiting(NamedTuple):
    """A snapshot that is not whole in the replica; ``lack`` is None where its commit is not there.

    ``seconds``: how long it has been waited for, since it was made.
    """

    snapshot: ListedSnapshot
    lack: Lack | None
    seconds: int


class SeriesState(NamedTuple):
    """The snapshots of one source of a host: the newest whole one, and what newer ones lack.

    ``age``: seconds since the newest whole one began; None if none is whole. ``lag``: how long the
    one has been waited for that has been for the longest, 0 if none is.
    """

    host: bytes
    source: bytes
    saved: str
    newest: ListedSnapshot | None
    waiting: Sequence[Waiting]
    age: int | None
    lag: int


@dataclass(frozen=True, slots=True)
class ReplicaState:
    """What a replica holds. ``lag`` in seconds, the longest of all.

    ``heads``: keys of commits and orders that others name and that are not there. ``unreadable``:
    how many cannot be read as long as something else is missing. ``damage`` is there, and is not
    what it should be. ``looked``: how many snapshots were looked at.
    """

    series: Sequence[SeriesState]
    heads: Sequence[str]
    unreadable: int
    damage: Sequence[str]
    lag: int
    looked: int


class Objective(NamedTuple):
    """What is promised of a replica, in seconds; None: nothing is said of it."""

    lag: int | None = None
    age: int | None = None


@dataclass(frozen=True, slots=True)
class Original:
    """What the repository that is copied from shows: its id, and its snapshots."""

    repository_id: bytes
    listing: Listing


def missed(state: ReplicaState, objective: Objective) -> list[str]:
    """Say in sentences which objectives are missed; without one for the lag, nothing may wait."""
    found = [] if state.series else ["it holds no snapshot"]
    if objective.lag is None:
        if state.heads or any(one.waiting for one in state.series):
            found.append("not everything has arrived")
    elif state.lag > objective.lag:
        found.append("something has been waited for for longer than it may")
    if objective.age is not None:
        old = [one.saved for one in state.series if one.age is None or one.age > objective.age]
        found += [f"no whole snapshot of {saved} is recent enough" for saved in old]
    return found


def replica_state(
    replica: Repository, original: Original | None, now_ns: int, *, every: bool = False
) -> ReplicaState:
    """Look at a replica; with ``original``, also for what is only there.

    ``every``: look at all snapshots, not only until the newest whole one of each source.
    """
    replica.keyring.require_reader()
    history = replica.read_history()
    here = replica.listing(history)
    look = _Look(replica, history, now_ns)
    candidates = _candidates(replica.id, here, original)
    series = [look.series(key, found, every=every) for key, found in sorted(candidates.items())]
    lags = [one.lag for one in series]
    unread, damage = _unreadable(replica, history)
    damage += [str(error) for error in look.stock.index_damage]
    damage += look.stock.wrong_size.values()
    damage += look.damage()
    return ReplicaState(
        series=series,
        heads=history.lost,
        unreadable=unread + here.unreadable - sum(map(_is_commit, history.damaged)),
        damage=list(dict.fromkeys(damage)),
        lag=max([*lags, _lag_of_heads(history, now_ns)], default=0),
        looked=len(look.lacks),
    )


def original_of(replica: Repository, source: Repository) -> Original:
    """Read what is there to be copied; ``RefusedError`` for one and the same store."""
    if replica.store.url == source.store.url:
        raise RefusedError(
            f"{source.store.url} is the replica itself",
            hint="With --source, name the repository that it is a replica of.",
        )
    return Original(source.id, source.list_snapshots())


class _Key(NamedTuple):
    """What makes a series."""

    host: bytes
    source: bytes


class _Candidate(NamedTuple):
    """A snapshot of the series; ``here`` is what it is in the replica, None if it is not there."""

    snapshot: ListedSnapshot
    here: ListedSnapshot | None
    saved: str


class _Look:
    """Looks at snapshots of a replica, at each once."""

    def __init__(self, replica: Repository, history: History, now_ns: int) -> None:
        self.stock = Stock(replica, history)
        self.lacks: dict[str, Lack] = {}
        self._now_ns = now_ns

    def damage(self) -> Iterator[str]:
        """Yield what is damaged of the snapshots that were looked at."""
        for lack in self.lacks.values():
            yield from lack.damage

    def series(self, key: _Key, found: Sequence[_Candidate], *, every: bool) -> SeriesState:
        """Look at the snapshots of a series, the newest first."""
        newest: ListedSnapshot | None = None
        waiting = []
        for one in found:
            lack = self._lack(one.here) if one.here is not None else None
            if lack is not None and lack.is_whole:
                newest = newest or one.here
                if not every:
                    break
            elif newest is None or lack is not None:
                since = self._now_ns - one.snapshot.snapshot.ended_ns
                waiting.append(Waiting(one.snapshot, lack, _seconds(since)))
        age = None if newest is None else _seconds(self._now_ns - newest.snapshot.started_ns)
        lag = max((one.seconds for one in waiting), default=0)
        return SeriesState(*key, found[0].saved, newest, waiting, age, lag)

    def _lack(self, listed: ListedSnapshot) -> Lack:
        if listed.key not in self.lacks:
            self.lacks[listed.key] = self.stock.lack(listed)
        return self.lacks[listed.key]


def _candidates(
    replica_id: bytes, here: Listing, original: Original | None
) -> Mapping[_Key, Sequence[_Candidate]]:
    """Return the snapshots by series, the newest first; what is forgotten is not waited for."""
    standing = here.history.standing
    known: dict[CopyOf, _Candidate] = {
        standing.identity(replica_id, one.key): _Candidate(one, one, "") for one in here.found
    }
    dropped = {standing.identity(replica_id, one.key) for one in here.forgotten}
    if original is not None:
        there = original.listing
        identity = there.history.standing.identity
        killed = there.history.runs.absent().killed_commits
        gone = {one.key for one in there.forgotten} | killed
        dropped |= {identity(original.repository_id, key) for key in gone}
        for one in there.found:
            same = known.get(identity(original.repository_id, one.key))
            found = _Candidate(one, None if same is None else same.here, "")
            known[identity(original.repository_id, one.key)] = found
    series: dict[_Key, list[_Candidate]] = {}
    for candidate in (known[one] for one in known.keys() - dropped):
        for key, saved in _series_of(candidate.snapshot):
            series.setdefault(key, []).append(candidate._replace(saved=saved))
    for each in series.values():
        each.sort(key=_newest_first)
    return series


def _newest_first(candidate: _Candidate) -> tuple[int, str]:
    listed = candidate.snapshot
    return -listed.snapshot.started_ns, listed.id


def _series_of(listed: ListedSnapshot) -> Iterator[tuple[_Key, str]]:
    """Yield what a snapshot is of; not what restores and recoveries save for their undo."""
    snapshot = listed.snapshot
    if snapshot.type == PRE_RESTORE:
        return
    for source in snapshot.sources:
        if source.kind != _JOURNAL:
            paths = " ".join(path.decode("utf-8", "backslashreplace") for path in source.paths)
            name = paths or source.name.decode("utf-8", "backslashreplace")
            host = snapshot.host.decode("utf-8", "backslashreplace")
            yield _Key(snapshot.host, source.name), f"{name} of {host}"


def _lag_of_heads(history: History, now_ns: int) -> int:
    """Return for how long a commit or order is missing that others name: it is older than these."""
    lost = set(history.lost)
    since = [
        one.commit.committed_ns
        for one in history.decisions
        if one.commit is not None and not lost.isdisjoint(head.key for head in one.heads)
    ]
    return max((_seconds(now_ns - at) for at in since), default=0)


def _unreadable(replica: Repository, history: History) -> tuple[int, list[str]]:
    """Tell how many commits cannot be read as their writer is not there, and what is damaged."""
    writers = {info.key for info in replica.store.list(layout.WRITERS)}
    waiting, damage = 0, []
    for key, error in sorted(history.damaged.items()):
        ids = layout.commit_ids(key)
        if ids is not None and layout.writer(ids[0]) not in writers:
            waiting += 1
        else:
            damage.append(error.message)
    return waiting, damage


def _is_commit(key: str) -> bool:
    return key.startswith(layout.COMMITS)


def _seconds(ns: int) -> int:
    return max(0, ns) // 1_000_000_000
