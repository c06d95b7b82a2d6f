"""Copy snapshots into another repository.

Each is one session there, so what was copied stays if the rest fails, and a second run goes on
where the first one ended. A copy is known by where it was first made (``docs/format.md`` 10), so
copies of copies, in whatever direction, are not made twice.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple

import msgspec

from strongroom.errors import DamageError, UsageError
from strongroom.model.events import Advanced, PhaseBegan
from strongroom.model.snapshot import ListedSnapshot
from strongroom.repository import layout
from strongroom.repository.copying import SourceCopier
from strongroom.repository.ordering import put_order
from strongroom.repository.reader import Reader
from strongroom.repository.records import OrderKind, Origin
from strongroom.repository.repository import History, Listing, Repository
from strongroom.repository.session import BackupSession
from strongroom.repository.translating import Translation
from strongroom.repository.wholeness import Stock
from strongroom.repository.writer import Written

_LOOKS: Final = 2


class There(NamedTuple):
    """A snapshot that need not be copied, and what it is in the destination."""

    snapshot: ListedSnapshot
    there: ListedSnapshot
    forgotten: bool


@dataclass(frozen=True, slots=True)
class CopyPlan:
    """What has to be copied, oldest first, and what is in the destination already."""

    wanted: Sequence[ListedSnapshot]
    there: Sequence[There]

    @property
    def size(self) -> int:
        """Bytes of all files that have to be copied, before deduplication."""
        return sum(size_of(listed) for listed in self.wanted)


class Copied(NamedTuple):
    """A snapshot that was copied: what it is in the destination, what was read and written."""

    snapshot: ListedSnapshot
    copy: ListedSnapshot
    read: int
    written: Written


class NotCopied(NamedTuple):
    """A snapshot that could not be copied, and why."""

    snapshot: ListedSnapshot
    error: DamageError


@dataclass(slots=True)
class CopyResult:
    """What became of each snapshot that had to be copied."""

    copied: list[Copied] = field(default_factory=list)
    failed: list[NotCopied] = field(default_factory=list)


def plan_copy(
    chosen: Sequence[ListedSnapshot],
    source: tuple[bytes, History],
    destination: tuple[bytes, Listing],
) -> CopyPlan:
    """Say which of the snapshots have to be copied; nothing is written.

    ``source`` and ``destination`` are given with the ids of their repositories.
    """
    source_id, history = source
    destination_id, listing = destination
    standing = listing.history.standing
    there = {
        standing.identity(destination_id, listed.key): (listed, forgotten)
        for found, forgotten in ((listing.forgotten, True), (listing.found, False))
        for listed in found
    }
    wanted, known = [], []
    for listed in chosen:
        found = there.get(history.standing.identity(source_id, listed.key))
        if found is None:
            wanted.append(listed)
        else:
            known.append(There(listed, *found))
    return CopyPlan(wanted, known)


def refuse_same(source: Repository, destination: Repository) -> None:
    """``UsageError`` for two places of one repository; ``KeyRefusedError`` for keys too weak."""
    source.keyring.require_reader()
    destination.keyring.admin_signer()
    if source.id == destination.id:
        raise UsageError(
            f"{source.store.url} and {destination.store.url} are the same repository "
            f"({source.id.hex()[:8]})",
            hint="A copy goes into another repository: make one with 'strongroom init'.",
        )


def copy(
    source: Repository, destination: Repository, plan: CopyPlan, history: History
) -> CopyResult:
    """Carry a plan out; ``history`` is that of the source.

    A snapshot that is damaged is left out and told of; any other error ends it all, and what was
    committed by then stays.
    """
    result = CopyResult()
    if not plan.wanted:
        return result
    copier = _Copier(source, destination, history)
    for listed in plan.wanted:
        sink = destination.around.sink
        entries = sum(one.counts.entries for one in listed.snapshot.sources)
        sink(PhaseBegan(f"copy snapshot {listed.short_id}", entries, size_of(listed)))
        try:
            result.copied.append(copier.copy(listed))
        except DamageError as error:
            result.failed.append(NotCopied(listed, error))
    return result


def not_whole(destination: Repository, there: Sequence[There]) -> list[There]:
    """Return those of ``there`` that need what their repository has lost, as far as it knows.

    Trees are looked at only where it has lost anything, which is no loss where its chunks have
    another place, or nothing needs them any more. What lacks something is looked at again: a
    collector may have put its packs together.
    """
    left = [one for one in there if not one.forgotten]
    sink = destination.around.sink
    for _ in range(_LOOKS):
        if not left:
            break
        stock = Stock(destination, destination.read_history())
        if not stock.has_lost:
            return []
        sink(PhaseBegan("look at what is there already", len(left)))
        lacking = []
        for one in left:
            if not stock.lack(one.there).is_whole:
                lacking.append(one)
            sink(Advanced(1, 0))
        left = lacking
    return left


def size_of(listed: ListedSnapshot) -> int:
    """Bytes of all files of a snapshot."""
    return sum(source.counts.bytes for source in listed.snapshot.sources)


class _Copier:
    """Copies one snapshot after the other, and knows what it has seen of the source."""

    def __init__(self, source: Repository, destination: Repository, history: History) -> None:
        self._source = source
        self._destination = destination
        self._history = history
        self._reader: Reader = source.reader()
        self._translation = Translation(self._reader.index)
        infos = source.store.list(layout.COMMITS)
        self._stored = {i.key: i.stored_ns for i in infos if i.stored_ns is not None}
        self._claimed = {
            one.key: one.commit.committed_ns for one in history.decisions if one.commit is not None
        }

    def copy(self, listed: ListedSnapshot) -> Copied:
        """Copy one; nothing of it is listed if that fails."""
        session = BackupSession(self._destination)
        try:
            session.begin()
            copier = SourceCopier(
                f"snapshot {listed.short_id}",
                self._reader,
                session,
                self._translation,
                self._destination.around.sink,
            )
            sources = tuple(copier.copy(one) for one in listed.snapshot.sources)
            snapshot = msgspec.structs.replace(listed.snapshot, sources=sources)
            origins = (self._origin(session.key, listed.key),)
            put_order(self._destination, session.history, OrderKind.ORIGINS, origins)
            made = session.commit(snapshot)
        except BaseException:
            session.give_up()
            raise
        return Copied(listed, made, copier.read, session.writer.written)

    def _origin(self, key: str, of: str) -> Origin:
        """Say of the commit at ``key`` that it is a copy, and when the original was first seen."""
        standing = self._history.standing
        seen = standing.first_seen.get(of)
        if seen is None:
            seen = self._stored.get(of, self._claimed.get(of, 0))
        return Origin(key, seen, standing.identity(self._source.id, of))
