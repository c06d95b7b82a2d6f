"""Restore objects into a bucket: compare with what is there, put what differs, read back.

Tree and listing are both in the order of their keys, so that nothing of either is kept.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, field
from itertools import chain
from typing import Final, NamedTuple

from strongroom.aws.attributes import Stated
from strongroom.aws.errors import AwsError
from strongroom.aws.listxml import Listed
from strongroom.clock import rfc3339
from strongroom.errors import DamageError, NotFoundError, StrongroomError, UsageError
from strongroom.model.entry import HOLE, Entry
from strongroom.model.events import Advanced, ProblemFound, Sink
from strongroom.model.snapshot import ListedSnapshot, Order, SourceRecord
from strongroom.model.source import Problem
from strongroom.operations.listing import dump_entry
from strongroom.operations.restore import tree_of
from strongroom.repository.content import flatten
from strongroom.repository.reader import Reader
from strongroom.repository.tree import is_below
from strongroom.restore.bucket.journal import Journal
from strongroom.restore.bucket.target import BucketTarget, Made, in_parts

_BATCH_ITEMS: Final = 256
_BATCH_BYTES: Final = 32 << 20
_OF_ONE: Final = (AwsError, UsageError)  # S3, or boto3 before it asks, does not take one object

List = Callable[[bytes], Iterable[Sequence[Listed]]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Chosen:
    """What is restored, and where to.

    ``top``: what paths of objects begin with in the snapshot. ``key``: an object, or what lies
    below it as below a folder; everything that begins with it if it ends in a slash, or is empty.
    ``within``: what all saved keys begin with. ``prefix`` comes before every key in the bucket.
    ``own``: it is the bucket that was saved, to the same keys.
    """

    listed: ListedSnapshot
    source: SourceRecord
    top: bytes
    key: bytes = b""
    within: bytes = b""
    prefix: bytes = b""
    own: bool = False

    @property
    def scope(self) -> bytes:
        """What keys of the bucket begin with that are looked at."""
        return self.prefix + max(self.key, self.within, key=len)

    def has(self, key: bytes) -> bool:
        """Whether a key of the bucket is one that the snapshot would have.

        What was asked for may be more than was saved: the rest of it is not in the snapshot
        because it was never looked at, and not because it was not there.
        """
        if not key.startswith(self.prefix + self.within):
            return False
        return not self.key or is_below(key, self.prefix + self.key, Order.RAW)


class Pair(NamedTuple):
    """A key of the bucket: what the snapshot has, and what the bucket has."""

    key: bytes
    entry: Entry | None
    present: Listed | None


@dataclass(slots=True)
class BucketPlan:
    """What a restore would do; ``size`` in bytes. ``extras``: keys that only the bucket has."""

    puts: int = 0
    size: int = 0
    replaced: int = 0
    same: int = 0
    extras: list[bytes] = field(default_factory=list)


@dataclass(slots=True)
class BucketResult:
    """What a restore came to; sizes in bytes."""

    objects: int = 0
    bytes: int = 0
    same: int = 0
    deleted: int = 0
    verified: int = 0
    different: int = 0
    damaged: list[Problem] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)


class BucketRestore:
    """Plans and carries out one restore into one bucket."""

    def __init__(
        self, reader: Reader, chosen: Chosen, target: BucketTarget, listing: List, sink: Sink
    ) -> None:
        self._reader = reader
        self._chosen = chosen
        self._target = target
        self._listing = listing
        self._sink = sink
        self.result = BucketResult()

    def plan(self) -> BucketPlan:
        """Compare; nothing is changed. ``NotFoundError`` if the snapshot has no such key."""
        plan = BucketPlan()
        found = False
        for pair in self._pairs():
            found = found or pair.entry is not None
            if pair.entry is None:
                plan.extras.append(pair.key)
            elif self._is_same(pair):
                plan.same += 1
            else:
                plan.puts += 1
                plan.size += pair.entry.size
                plan.replaced += pair.present is not None
        if not found and self._chosen.key:
            shown = self._chosen.key.decode("utf-8", "backslashreplace")
            raise NotFoundError(
                f"no key {shown!r} in snapshot {self._chosen.listed.short_id}",
                hint=f"See what it holds with 'strongroom ls {self._chosen.listed.short_id}'.",
            )
        return plan

    def carry_out(
        self, threads: Executor, journal: Journal | None, doomed: Sequence[bytes]
    ) -> BucketResult:
        """Put what differs; then delete ``doomed``, unless something could not be restored."""
        small: list[tuple[bytes, Entry]] = []
        size = 0
        for pair in self._pairs():
            entry = pair.entry
            if entry is None:
                continue
            if self._is_same(pair):
                self.result.same += 1
            elif in_parts(Stated(entry.xattrs), entry.size):
                self._put_large(pair.key, entry, threads, journal)
            else:
                small.append((pair.key, entry))
                size += entry.size
                if len(small) >= _BATCH_ITEMS or size >= _BATCH_BYTES:
                    self._put_small(small, threads, journal)
                    small, size = [], 0
        self._put_small(small, threads, journal)
        if doomed and not self.result.damaged and not self.result.problems:
            self._delete(doomed, journal)
        return self.result

    def verify(self, hashed: Callable[[bytes], bytes]) -> None:
        """Read every object back and compare bytes, headers, metadata and tags."""
        for pair in self._pairs():
            if pair.entry is None:
                continue
            self.result.verified += 1
            what = "it is not there"
            if pair.present is not None:
                try:
                    what = self._difference(pair.entry, pair.present, hashed)
                except AwsError as error:
                    what = error.message
            if what:
                self.result.different += 1
                self._problem(pair.key, f"differs: {what}")
            self._sink(Advanced(1, pair.entry.size))

    def _difference(self, entry: Entry, present: Listed, hashed: Callable[[bytes], bytes]) -> str:
        if Stated(entry.xattrs).lasting() != self._target.stated(present).lasting():
            return "its headers, metadata or tags"
        where = repr(entry.path)
        body = self._target.read(present.key)
        for extent in flatten(where, entry.content, entry.depth, self._reader.fetch):
            data = body.read(extent.length)
            same = not any(data) if extent.chunk_id == HOLE else hashed(data) == extent.chunk_id
            if len(data) != extent.length or not same:
                return "its bytes"
        return "its bytes" if body.read() else ""

    def _pairs(self) -> Iterator[Pair]:
        """Yield every key of either side, in their order."""
        chosen = self._chosen
        tree = tree_of(self._reader, chosen.listed, chosen.source).entries(chosen.top + chosen.key)
        entries = chain.from_iterable(tree)
        present = (
            one for one in chain.from_iterable(self._listing(chosen.scope)) if chosen.has(one.key)
        )
        cut = len(chosen.top)
        entry, there = next(entries, None), next(present, None)
        while entry is not None or there is not None:
            key = chosen.prefix + entry.path[cut:] if entry is not None else None
            if key is not None and (there is None or key < there.key):
                yield Pair(key, entry, None)
                entry = next(entries, None)
            elif there is not None and (key is None or there.key < key):
                yield Pair(there.key, None, there)
                there = next(present, None)
            elif key is not None:
                yield Pair(key, entry, there)
                entry, there = next(entries, None), next(present, None)

    def _is_same(self, pair: Pair) -> bool:
        """Whether an object need not be put: the same version, or equal in all that S3 says."""
        entry, present = pair.entry, pair.present
        if entry is None or present is None or entry.size != present.size:
            return False
        stated = Stated(entry.xattrs)
        if self._chosen.own and present.version and present.version == stated.fact("version"):
            return True
        if not present.etag or present.etag != stated.fact("etag"):
            return False
        if self._chosen.own and rfc3339(entry.mtime_ns)[:19] == present.modified[:19]:
            return True
        return stated.lasting() == self._target.stated(present).lasting()

    def _put_small(
        self,
        batch: Sequence[tuple[bytes, Entry]],
        threads: Executor,
        journal: Journal | None,
    ) -> None:
        ready = [
            (key, entry, data) for key, entry in batch if (data := self._bytes(entry)) is not None
        ]
        if journal is not None:
            journal.will([key for key, _, _ in ready])

        def put(one: tuple[bytes, Entry, bytes]) -> Made | StrongroomError:
            try:
                return self._target.put(one[0], Stated(one[1].xattrs), one[2])
            except _OF_ONE as error:
                return error

        done = list(threads.map(put, ready))
        made = [one for one in done if isinstance(one, Made)]
        if journal is not None:
            journal.did([(one.key, one.version) for one in made])
        for (key, entry, _), one in zip(ready, done, strict=True):
            if isinstance(one, StrongroomError):
                self._problem(key, one.message)
            else:
                self._count(entry)

    def _bytes(self, entry: Entry) -> bytes | None:
        whole = bytearray()
        try:
            dump_entry(self._reader.fetch, self._chosen.listed, entry, whole.extend)
        except DamageError as error:
            self._damaged(entry, error)
            return None
        return bytes(whole)

    def _put_large(
        self, key: bytes, entry: Entry, threads: Executor, journal: Journal | None
    ) -> None:
        if journal is not None:
            journal.will([key])
        try:
            made = self._target.put_parts(
                key,
                Stated(entry.xattrs),
                entry.size,
                threads,
                lambda write: dump_entry(self._reader.fetch, self._chosen.listed, entry, write),
            )
        except DamageError as error:
            self._damaged(entry, error)
        except _OF_ONE as error:
            self._problem(key, error.message)
        else:
            if journal is not None:
                journal.did([(key, made.version)])
            self._count(entry)

    def _delete(self, keys: Sequence[bytes], journal: Journal | None) -> None:
        for start in range(0, len(keys), 1000):
            part = keys[start : start + 1000]
            if journal is not None:
                journal.will(part)
            made = self._target.delete(part)
            if journal is not None:
                journal.did([(one.key, one.version) for one in made])
            self.result.deleted += len(made)
            gone = {one.key for one in made}
            for key in part:
                if key not in gone:
                    self._problem(key, "it could not be deleted")

    def _count(self, entry: Entry) -> None:
        self.result.objects += 1
        self.result.bytes += entry.size
        self._sink(Advanced(1, entry.size, entry.path))

    def _problem(self, key: bytes, cause: str) -> None:
        problem = Problem(key, cause)
        self.result.problems.append(problem)
        self._sink(ProblemFound(problem))

    def _damaged(self, entry: Entry, error: DamageError) -> None:
        problem = Problem(entry.path, error.message)
        self.result.damaged.append(problem)
        self._sink(ProblemFound(problem))
