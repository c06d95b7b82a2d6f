"""What snapshots hold and what they take, each part of a tree read once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from strongroom.errors import DamageError
from strongroom.model.entry import HOLE, Entry, EntryKind
from strongroom.model.events import Advanced, PhaseBegan
from strongroom.model.snapshot import ListedSnapshot, SourceRecord
from strongroom.operations.diff import damage
from strongroom.operations.restore import cursor_of
from strongroom.repository.content import flatten
from strongroom.repository.findings import Finding
from strongroom.repository.reader import Reader
from strongroom.repository.repository import Repository
from strongroom.repository.usage import Distinct, Need, Usage

_WITH_CONTENT: Final = frozenset({EntryKind.FILE, EntryKind.STREAM, EntryKind.RECORD})


@dataclass(slots=True)
class Growth:
    """One snapshot: the bytes it restores to, and what no older one of those counted needs."""

    snapshot: ListedSnapshot
    size: int
    added: Need = field(default_factory=Need)


@dataclass(slots=True)
class SourceStats:
    """One source: its snapshots, the size of the newest in bytes, and what all of them added."""

    name: bytes
    host: bytes
    paths: tuple[bytes, ...]
    snapshots: int = 0
    size: int = 0
    added: Need = field(default_factory=Need)


@dataclass(slots=True)
class Stats:
    """All of it; sizes in bytes. ``objects``: bytes of all objects by the kind of their keys."""

    size: int = 0
    files: int = 0
    distinct_files: int = 0
    distinct_size: int = 0
    data: Need = field(default_factory=Need)
    trees: Need = field(default_factory=Need)
    growth: list[Growth] = field(default_factory=list)
    sources: list[SourceStats] = field(default_factory=list)
    objects: dict[str, int] = field(default_factory=dict)
    damaged: list[Finding] = field(default_factory=list)

    @property
    def plain(self) -> int:
        """Bytes of all different chunks that are needed."""
        return self.data.plain + self.trees.plain

    @property
    def stored(self) -> int:
        """Bytes that they take in packs."""
        return round(self.data.stored + self.trees.stored)


def stats(repository: Repository, snapshots: Sequence[ListedSnapshot]) -> Stats:
    """Add up snapshots, given oldest first; what cannot be read is in the result."""
    found = Stats()
    for info in repository.store.list(""):
        kind = info.key.partition("/")[0]
        found.objects[kind] = found.objects.get(kind, 0) + info.size
    work = _Adding(repository.reader(), found)
    repository.around.sink(PhaseBegan("add up", len(snapshots)))
    for listed in snapshots:
        work.snapshot(listed)
        repository.around.sink(Advanced(1, 0))
    found.distinct_files, found.distinct_size = work.distinct.totals()
    return found


class _Adding:
    """Goes through snapshots and marks what they need."""

    def __init__(self, reader: Reader, found: Stats) -> None:
        self._reader = reader
        self._found = found
        self._usage = Usage(reader.index)
        self._seen: set[bytes] = set()
        self._sources: dict[tuple[str, bytes], SourceStats] = {}
        self.distinct = Distinct()

    def snapshot(self, listed: ListedSnapshot) -> None:
        sources = listed.snapshot.sources
        growth = Growth(listed, sum(source.counts.bytes for source in sources))
        self._found.growth.append(growth)
        self._found.size += growth.size
        self._found.files += sum(source.counts.files for source in sources)
        for source in sources:
            added = self._source(listed, source)
            growth.added.add(added)
            known = self._known(listed, source)
            known.snapshots += 1
            known.size = source.counts.bytes
            known.added.add(added)

    def _known(self, listed: ListedSnapshot, source: SourceRecord) -> SourceStats:
        key = (listed.writer, source.name)
        if key not in self._sources:
            made = SourceStats(source.name, listed.snapshot.host, source.paths)
            self._sources[key] = made
            self._found.sources.append(made)
        return self._sources[key]

    def _source(self, listed: ListedSnapshot, source: SourceRecord) -> Need:
        added = Need()
        cursor = cursor_of(self._reader, listed, source)
        while (part := cursor.part) is not None:
            if part.chunk_id in self._seen:
                cursor.skip()
                continue
            try:
                entries = cursor.enter(self._seen.__contains__) or ()
                self._entries(entries, added)
            except DamageError as error:
                self._found.damaged.append(damage(listed, part.first, error))
            else:
                self._seen.add(part.chunk_id)
            self._need(self._found.trees, [part.chunk_id], added)
        try:
            self._contents([(source.problems.content, source.problems.depth)], added)
        except DamageError as error:
            self._found.damaged.append(damage(listed, b"", error))
        return added

    def _entries(self, entries: Sequence[Entry], added: Need) -> None:
        files = [entry for entry in entries if entry.kind in _WITH_CONTENT]
        for entry in files:
            self.distinct.add(entry.content, entry.depth, entry.size)
        self._contents([(entry.content, entry.depth) for entry in files], added)

    def _contents(self, contents: Sequence[tuple[bytes, int]], added: Need) -> None:
        lists: list[bytes] = []

        def fetch(ids: list[bytes]) -> list[bytes]:
            lists.extend(ids)
            return self._reader.fetch(ids)

        ids = [
            extent.chunk_id
            for content, depth in contents
            for extent in flatten("a file", content, depth, fetch)
            if extent.chunk_id != HOLE
        ]
        self._need(self._found.data, ids, added)
        self._need(self._found.trees, lists, added)

    def _need(self, kind: Need, ids: list[bytes], added: Need) -> None:
        need = self._usage.need(ids)
        kind.add(need)
        added.add(need)
