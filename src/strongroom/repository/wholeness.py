"""Whether snapshots are whole in a store: what a tree needs against what a listing shows.

For a store that is filled in any order, as a replica that S3 makes: a commit can be there before
its packs, a pack before the index segment that says what is in it. Nothing is read but the index
and the trees; a pack counts if it is listed with the size that the index states.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from strongroom.errors import DamageError, MissingObjectError
from strongroom.model.snapshot import ListedSnapshot
from strongroom.repository import layout
from strongroom.repository.findings import Finding
from strongroom.repository.index import ChunkIndex
from strongroom.repository.loading import Choice, LoadedIndex
from strongroom.repository.reader import Reader
from strongroom.repository.records import IndexedPack, split
from strongroom.repository.repository import History, Repository
from strongroom.repository.treecheck import TreeCheck
from strongroom.repository.voids import void_segments

_MOST_TEXTS: Final = 10


class Lack(NamedTuple):
    """What of a snapshot is not in a store; all empty if it is whole.

    ``packs`` are needed and not there, with ``bytes`` as far as the index states their sizes.
    ``unindexed``: it needs chunks that no index segment lists, so there may be more packs.
    ``damage`` says what is there and is not what it should be.
    """

    packs: frozenset[bytes] = frozenset()
    bytes: int = 0
    unindexed: bool = False
    damage: tuple[str, ...] = ()

    @property
    def is_whole(self) -> bool:
        """Whether nothing is lacking, and nothing damaged."""
        return not (self.packs or self.unindexed or self.damage)

    @property
    def is_absent(self) -> bool:
        """Whether something of it is not there."""
        return bool(self.packs or self.unindexed)


@dataclass(slots=True)
class _Found:
    """What the check of one snapshot comes to."""

    packs: set[bytes] = field(default_factory=set)
    unindexed: bool = False
    unreadable: list[str] = field(default_factory=list)
    findings: list[str] = field(default_factory=list)


class Stock:
    """What a store holds now: index first, then packs, so that what is listed may be newer."""

    def __init__(self, repository: Repository, history: History) -> None:
        self._repository = repository
        self._history = history
        self._sizes: dict[bytes, int] = {}
        void = void_segments(repository.store, history.standing.voids)
        self._index = repository.load_index(Choice(usable=self._noted, absent=void))
        self._listed: dict[bytes, int] = {}
        for info in repository.store.list(layout.PACKS):
            pack = layout.pack_id(info.key)
            if pack is not None:
                self._listed[pack] = info.size
        gone = history.runs.absent()
        self._killed = gone.killed_packs | gone.doubtful.packs
        self._packs = {
            one.key: split(one.commit.packs, layout.HASH_SIZE, one.key)
            for one in history.decisions
            if one.commit is not None
        }
        self._bad = self._missing | self.wrong_size.keys() | history.standing.quarantined
        self._usable = self._index
        if not self._bad.isdisjoint(self._sizes):
            choice = Choice(usable=lambda pack: pack.pack_id not in self._bad, absent=void)
            self._usable = repository.load_index(choice)
        self._watch = _Watch(self.reader(), self._index.index, self._usable.index)
        self._check = TreeCheck(self._watch, self._watch, self._watch.found)

    def _noted(self, pack: IndexedPack) -> bool:
        self._sizes[pack.pack_id] = pack.size
        return True

    def reader(self) -> Reader:
        """Begin to read chunks, by the index that was read; it is read anew where it is too old."""
        self._repository.keyring.require_reader()
        first: list[LoadedIndex] = [self._usable]
        repository = self._repository
        return Reader(
            repository.store,
            repository.keyring,
            lambda: first.pop() if first else repository.load_index(),
            repository.around.workers,
        )

    @property
    def _missing(self) -> frozenset[bytes]:
        return frozenset(self._sizes.keys() - self._listed.keys())

    @property
    def wrong_size(self) -> dict[bytes, str]:
        """By pack what is wrong with it, for those that are there and not as long as stated."""
        return {
            pack: f"{layout.pack(pack)} is {self._listed[pack]} bytes long, the index says {size}"
            for pack, size in self._sizes.items()
            if pack in self._listed and self._listed[pack] != size
        }

    @property
    def index_damage(self) -> Sequence[DamageError]:
        """Index segments that could not be read."""
        return self._index.damaged

    @property
    def _has_gaps(self) -> bool:
        """Whether the index is damaged, or lists what is not there though no collector took it."""
        return bool(self._index.damaged or self._missing - self._killed or self.wrong_size)

    @property
    def has_lost(self) -> bool:
        """Whether anything that the index lists cannot be had, or is in quarantine."""
        return self._has_gaps or not self._history.standing.quarantined.isdisjoint(self._sizes)

    def shows_gaps(self, listed: ListedSnapshot) -> bool:
        """Whether anything hints that a snapshot is not whole; its tree is not read.

        Where this is False, all that writers named is there: their commits, packs and index. What
        a collector put together may not be, where its removals went ahead of what it wrote.
        """
        named = self._packs.get(listed.key, ())
        return bool(
            self._history.lost
            or self._history.damaged
            or self._has_gaps
            or self._listed.keys() - self._sizes.keys()
            or any(pack not in self._sizes and pack not in self._killed for pack in named)
        )

    def lack(self, listed: ListedSnapshot) -> Lack:
        """Read the trees of a snapshot, as far as they are not known yet, and say what it lacks."""
        found = self._watch.begin()
        self._check.snapshot(listed)
        packs = set(found.packs)
        if found.unindexed:
            named = self._packs.get(listed.key, ())
            packs.update(pack for pack in named if pack not in self._listed)
        wrong = self.wrong_size
        damage = [wrong[pack] for pack in sorted(packs) if pack in wrong]
        quarantined = self._history.standing.quarantined
        damage += [f"{layout.pack(p)} is in quarantine" for p in sorted(packs & quarantined)]
        damage += found.unreadable
        if not packs and not found.unindexed:
            damage += [text for text in found.findings if text not in damage]
        absent = frozenset(packs - self._listed.keys())
        size = sum(self._sizes.get(pack, 0) for pack in absent)
        return Lack(absent, size, found.unindexed, tuple(damage[:_MOST_TEXTS]))


class _Watch:
    """Answers a check of trees, and notes what could not be had.

    What is not usable is not asked for: the reader would list the index again for each chunk.
    """

    def __init__(self, reader: Reader, index: ChunkIndex, usable: ChunkIndex) -> None:
        self._reader = reader
        self._index = index
        self._usable = usable
        self._now = _Found()

    def begin(self) -> _Found:
        """Begin with a snapshot; what is returned grows."""
        self._now = _Found()
        return self._now

    def fetch(self, ids: list[bytes]) -> list[bytes]:
        """Return chunks; ``DamageError``."""
        known = self._usable.known(ids)
        lacking = [one for one, is_known in zip(ids, known, strict=True) if not is_known]
        if lacking:
            self._miss(lacking)
            msg = f"chunk {lacking[0].hex()[:16]} is not there"
            raise MissingObjectError(msg)
        try:
            return self._reader.fetch(ids)
        except MissingObjectError:  # a pack went since they were listed: where to, is not known
            self._now.unindexed = True
            raise
        except DamageError as error:
            if error.message not in self._now.unreadable:
                self._now.unreadable.append(error.message)
            raise

    def lengths(self, ids: Sequence[bytes]) -> list[int | None]:
        """Return the lengths of chunks that are usable."""
        found = self._usable.lengths(ids)
        lacking = [one for one, length in zip(ids, found, strict=True) if length is None]
        if lacking:
            self._miss(lacking)
        return found

    def found(self, finding: Finding) -> None:
        """Take what the check says; a few of it are enough."""
        if len(self._now.findings) < _MOST_TEXTS:
            self._now.findings.append(finding.text)

    def _miss(self, ids: Sequence[bytes]) -> None:
        for place in self._index.find(ids):
            if place is None:
                self._now.unindexed = True
            else:
                self._now.packs.add(self._index.frame(place.frame).pack_id)
