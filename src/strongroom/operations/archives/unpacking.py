"""Put the tree of an archive into an empty folder, and read it back from there."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Final, Protocol

from strongroom.archive.member import Member
from strongroom.archive.shelf import Shelf, Shelved
from strongroom.archive.tarreading import read_tar
from strongroom.errors import DamageError
from strongroom.model.entry import HOLE, Entry, EntryKind, Extent
from strongroom.model.events import Advanced, PhaseBegan, Sink
from strongroom.model.source import Difference, Problem, Target
from strongroom.operations.archives.contents import Unseal, hashed, opened
from strongroom.operations.archives.reading import ArchiveTree

_PLACED_AT_ONCE: Final = 1000
_COMPARED_AT_ONCE: Final = 200
_READERS: Final = 4  # threads: a file that was just written has to come from the disk again
_SMALL: Final = 1 << 20
_BATCH: Final = 8 << 20
_PIECE: Final = 1 << 20

IdOf = Callable[[memoryview], bytes]


class Comparison(Protocol):
    """Compares what is on a disk with an entry."""

    def differences(
        self, entry: Entry, pieces: Sequence[Extent] | None, id_of: IdOf
    ) -> list[Difference]:
        """Return what is not as the entry says; without ``pieces`` no bytes are read."""
        ...


@dataclass(slots=True)
class Unpacked:
    """What was written: of each file its pieces, by which it can be read back."""

    pieces: dict[bytes, list[Extent]] = field(default_factory=dict)


def unpack(
    shelf: Shelf, tree: ArchiveTree, target: Target, unseal: Unseal | None, sink: Sink
) -> Unpacked:
    """Write the tree into ``target``, whose problems go where it was told.

    ``DamageError`` if an archive is not any more what it was when its tree was read.
    """
    sink(PhaseBegan("unpack", len(tree.entries), tree.size))
    wanted: dict[tuple[str, bytes], Entry] = {}
    for start in range(0, len(tree.entries), _PLACED_AT_ONCE):
        for entry in target.place(tree.entries[start : start + _PLACED_AT_ONCE]):
            leaf = tree.leaves[entry.path]
            wanted[leaf.archive, leaf.path] = entry
    done = Unpacked()
    for archive in tree.archives:
        mine = {path: entry for (name, path), entry in wanted.items() if name == str(archive.id)}
        if mine:
            with ThreadPoolExecutor(1, thread_name_prefix="unpack") as writer:
                _Unpacking(target, tree, done, writer, sink).run(shelf, archive, mine, unseal)
    target.finish()
    return done


class _Unpacking:
    """Writes the files of one archive; ``writer`` makes the small ones while the next are read."""

    def __init__(
        self, target: Target, tree: ArchiveTree, done: Unpacked, writer: Executor, sink: Sink
    ) -> None:
        self._target = target
        self._tree = tree
        self._done = done
        self._writer = writer
        self._writing: Future[int] | None = None
        self._sink = sink
        self._batch: list[tuple[Entry, bytes]] = []
        self._held = 0

    def run(
        self, shelf: Shelf, one: Shelved, wanted: Mapping[bytes, Entry], unseal: Unseal | None
    ) -> None:
        left = dict(wanted)
        with opened(shelf.below(one), one.name, unseal) as archive:
            for member in read_tar(archive.tar):
                entry = left.pop(member.entry.path, None)
                if entry is not None:
                    self._write(one, entry, member)
                    self._sink(Advanced(1, entry.size, entry.path))
        self._flush()
        self._wait()
        if left:
            raise _changed(one)

    def _write(self, one: Shelved, entry: Entry, member: Member) -> None:
        pieces = _Pieces()
        if entry.size < _SMALL:
            self._write_small(one, entry, member, pieces)
        else:
            self._write_large(one, entry, member, pieces)
        self._done.pieces[entry.path] = pieces.finish(entry.size)

    def _write_small(self, one: Shelved, entry: Entry, member: Member, pieces: _Pieces) -> None:
        data = bytearray(entry.size)

        def take(offset: int, piece: memoryview) -> None:
            pieces.add(offset, piece)
            data[offset : offset + len(piece)] = piece

        self._check(one, entry, hashed(member, take))
        self._batch.append((entry, bytes(data)))
        self._held += len(data)
        if self._held >= _BATCH:
            self._flush()

    def _write_large(self, one: Shelved, entry: Entry, member: Member, pieces: _Pieces) -> None:
        file = self._target.open(entry)

        def take(offset: int, piece: memoryview) -> None:
            pieces.add(offset, piece)
            if file is not None:  # else it could not be made, which was reported
                file.write(offset, piece)

        try:
            self._check(one, entry, hashed(member, take))
        except BaseException:
            if file is not None:
                file.abandon()
            raise
        if file is not None:
            file.finish()

    def _check(self, one: Shelved, entry: Entry, sha256: bytes) -> None:
        if sha256 != self._tree.leaves[entry.path].sha256:
            raise _changed(one)

    def _flush(self) -> None:
        """Hand the batch to the writer, which has at most one."""
        self._wait()
        self._writing = self._writer.submit(self._target.write, self._batch)
        self._batch, self._held = [], 0

    def _wait(self) -> None:
        if self._writing is not None:
            self._writing.result()


class _Pieces:
    """Cuts what a file holds into pieces of bounded size, each with its hash."""

    def __init__(self) -> None:
        self._found: list[Extent] = []
        self._digest = hashlib.sha256()
        self._length = 0
        self._at = 0

    def add(self, offset: int, piece: memoryview) -> None:
        if offset > self._at:
            self._cut()
            self._found.append(Extent(HOLE, offset - self._at))
            self._at = offset
        while piece:
            part = piece[: _PIECE - self._length]
            self._digest.update(part)
            self._length += len(part)
            self._at += len(part)
            piece = piece[len(part) :]
            if self._length == _PIECE:
                self._cut()

    def finish(self, size: int) -> list[Extent]:
        self._cut()
        if self._at < size:
            self._found.append(Extent(HOLE, size - self._at))
        return self._found

    def _cut(self) -> None:
        if self._length:
            self._found.append(Extent(self._digest.digest(), self._length))
        self._digest, self._length = hashlib.sha256(), 0


def compare(
    tree: ArchiveTree, unpacked: Unpacked, comparison: Comparison, sink: Sink
) -> list[Problem]:
    """Read back everything that was written; what differs, in its bytes first of all."""
    leaves = tree.leaves
    by_leaf = {
        (leaves[path].archive, leaves[path].path): pieces
        for path, pieces in unpacked.pieces.items()
    }

    def pieces_of(entry: Entry) -> Sequence[Extent]:
        if entry.kind != EntryKind.FILE:
            return ()
        leaf = leaves[entry.path]
        return by_leaf.get((leaf.archive, leaf.path), ())

    sink(PhaseBegan("read back", len(tree.entries), tree.size))
    return _compared(tree.entries, comparison, pieces_of, sink)


def look_over(entries: Sequence[Entry], comparison: Comparison, sink: Sink) -> list[Problem]:
    """Compare all but the bytes of files, which were read back before these things moved."""
    sink(PhaseBegan("look over", len(entries)))
    return _compared(entries, comparison, lambda _entry: None, sink)


def _compared(
    entries: Sequence[Entry],
    comparison: Comparison,
    pieces_of: Callable[[Entry], Sequence[Extent] | None],
    sink: Sink,
) -> list[Problem]:
    """Compare on threads, which wait for the disk; problems are in the order of the tree."""

    def work(batch: Sequence[Entry]) -> list[Problem]:
        return [
            Problem(entry.path, what, missing=of_bytes)
            for entry in batch
            for what, of_bytes in comparison.differences(entry, pieces_of(entry), _sha256)
        ]

    starts = range(0, len(entries), _COMPARED_AT_ONCE)
    batches = [entries[start : start + _COMPARED_AT_ONCE] for start in starts]
    found = []
    executor = ThreadPoolExecutor(_READERS, thread_name_prefix="read-back")
    try:
        for batch, problems in zip(batches, executor.map(work, batches), strict=True):
            found += problems
            size = sum(entry.size for entry in batch if entry.kind == EntryKind.FILE)
            sink(Advanced(len(batch), size, batch[-1].path))
    finally:
        executor.shutdown(cancel_futures=True)
    return found


def _sha256(data: memoryview) -> bytes:
    return hashlib.sha256(data).digest()


def _changed(one: Shelved) -> DamageError:
    return DamageError(
        f"the archive {one.id} is not any more what it was a moment ago",
        hint="Somebody writes into its folder, or the disk is failing. Nothing was changed.",
    )
