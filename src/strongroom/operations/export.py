"""A snapshot as a source: what takes files from a disk takes them from a repository."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import groupby
from typing import Final, NamedTuple, cast

import msgspec

from strongroom.archive.writing import LARGE
from strongroom.errors import DamageError
from strongroom.model.entry import EXTENT, HOLE, Entry, EntryKind, Extent
from strongroom.model.snapshot import ListedSnapshot, Status
from strongroom.model.source import Content, Item, Loaded, Problem, Report
from strongroom.operations.restore import Wanted, selected_entries
from strongroom.repository.content import flatten, lists_ahead
from strongroom.repository.problems import read_problems
from strongroom.repository.reader import ReadChunk, Reader
from strongroom.repository.tree import is_below

WINDOW: Final = 16 << 20  # bytes of a large file that are read while those before are used
_NOT_HELD: Final = {
    int(EntryKind.SOCKET): "it is a socket, and a tar has no type for it",
    int(EntryKind.STREAM): "it is a stream, and a tar has no type for it",
    int(EntryKind.RECORD): "it is a record, and a tar has no type for it",
}


class _Found(NamedTuple):
    """An entry; ``brings``: its bytes come with it, and not with another name of the same file."""

    entry: Entry
    brings: bool


class SnapshotSource:
    """An ``InspectableSource`` of what a snapshot holds at or below a path, in its order.

    Names are relative to that path. What its own sources could not save is a problem here as well,
    and so is what no archive can hold. Every chunk is verified; one that cannot be read ends it all
    with a ``DamageError``: who needs what is still sound restores it.
    """

    kind = "snapshot"

    def __init__(
        self,
        reader: Reader,
        listed: ListedSnapshot,
        top: bytes = b"",
        wanted: Wanted | None = None,
        *,
        window: int = WINDOW,
    ) -> None:
        self._reader = reader
        self._window = window
        self._listed = listed
        self._top = top
        self._wanted = wanted
        self.name = listed.id

    def walk(self, report: Report) -> Iterator[Sequence[Item]]:
        """See ``Source``; ``NotFoundError`` if the path is not there."""
        firsts: dict[bytes, Entry] = {}
        for batch in selected_entries(
            self._reader, self._listed, self._top, self._wanted, object_attributes=True
        ):
            items = []
            for entry in batch:
                cause = _NOT_HELD.get(entry.kind)
                if cause is not None:
                    report(Problem(entry.path, cause))
                    continue
                found = _grouped(entry, firsts)
                items.append(Item(entry.path, b"", _to_read(*found), found))
            yield items
        for problem in snapshot_problems(self._reader, self._listed, self._top):
            report(problem)

    def load(self, items: Sequence[Item]) -> list[Loaded]:
        """See ``Source``; all that these items need is read at once."""
        entries = [_entry_of(item) for item in items]
        bring = [entry for item, entry in zip(items, entries, strict=True) if _brings(item)]
        fetch = lists_ahead(bring, self._reader.fetch)
        pieces = [
            _pieces(entry, flatten(_shown(entry), entry.content, entry.depth, fetch))
            if _brings(item)
            else []
            for item, entry in zip(items, entries, strict=True)
        ]
        wanted = dict.fromkeys(p.chunk_id for of in pieces for p in of if p.chunk_id != HOLE)
        found = dict(zip(wanted, self._reader.fetch(list(wanted)), strict=True))
        return [
            _loaded(item, b"".join(_bytes_of(entry, piece, found) for piece in of))
            for item, entry, of in zip(items, entries, pieces, strict=True)
        ]

    def look(self, items: Sequence[Item]) -> list[Loaded]:
        """See ``InspectableSource``."""
        return [_loaded(item, b"") for item in items]

    @contextmanager
    def open(self, item: Item) -> Iterator[Content]:
        """See ``Source``."""
        content = _SnapshotContent(self._reader, item, self._window)
        try:
            yield content
        finally:
            content.close()


def snapshot_problems(
    reader: Reader, listed: ListedSnapshot, top: bytes = b""
) -> Iterator[Problem]:
    """Yield what the sources of a snapshot could not save, at or below a path; relative to it.

    A source that is not complete and names no problem is one itself.
    """
    for source in listed.snapshot.sources:
        where = f"snapshot {listed.short_id}"
        found = list(read_problems(where, source.problems, reader.fetch))
        for problem in found:
            if is_below(problem.path, top):
                yield problem._replace(path=problem.path[len(top) :].lstrip(b"/") or problem.path)
        if not found and source.status != Status.COMPLETE:
            name = source.name.decode("utf-8", "backslashreplace")
            status = Status(source.status).name.lower()
            yield Problem(b"", f"the source {name} is {status} in the snapshot", missing=False)


class _SnapshotContent:
    """``Content`` of a large file; offsets only go on."""

    def __init__(self, reader: Reader, item: Item, window: int) -> None:
        self._reader = reader
        self._item = item
        self._size = window
        entry = self._entry = _entry_of(item)
        self._pieces = _pieces(
            entry, flatten(_shown(entry), entry.content, entry.depth, reader.fetch)
        )
        self._next = 0
        self._begins = 0
        self._at = 0
        self._held: Mapping[bytes, bytes] = {}
        self._coming: _Window | None = None

    def extents(self) -> Iterator[tuple[int, int, bool]]:
        """See ``Content``."""
        offset = 0
        for is_data, length in _runs(self._pieces):
            yield offset, length, is_data
            offset += length

    def readinto(self, offset: int, buffer: memoryview) -> int:
        """See ``Content``."""
        if offset < self._at:
            msg = f"{_shown(self._entry)} is read from {self._at} on, not from {offset}"
            raise ValueError(msg)
        done = 0
        while done < len(buffer):
            piece = self._piece_at(offset + done)
            if piece is None:
                break
            start = offset + done - self._begins
            length = min(piece.length - start, len(buffer) - done)
            whole = self._bytes(piece)
            buffer[done : done + length] = whole[start : start + length] if whole else bytes(length)
            done += length
        self._at = offset + done
        return done

    def finish(self, size_read: int) -> Loaded:
        """See ``Content``."""
        del size_read
        return _loaded(self._item, b"")

    def _piece_at(self, offset: int) -> Extent | None:
        while self._next < len(self._pieces):
            piece = self._pieces[self._next]
            if offset < self._begins + piece.length:
                return piece
            self._begins += piece.length
            self._next += 1
        return None

    def _bytes(self, piece: Extent) -> bytes:
        """Return a piece, nothing for a hole; those after it are read along, within bounds."""
        if piece.chunk_id == HOLE:
            return b""
        if piece.chunk_id not in self._held:
            window = self._coming
            if window is None or self._next not in window.numbers:
                self.close()
                window = self._window(self._next)
            self._coming = None
            self._held = window.finish()
            if window.numbers.stop < len(self._pieces):
                self._coming = self._window(window.numbers.stop)
        return _bytes_of(self._entry, piece, self._held)

    def _window(self, first: int) -> _Window:
        size, end = 0, first
        while end < len(self._pieces) and size < self._size:
            size += self._pieces[end].length if self._pieces[end].chunk_id != HOLE else 0
            end += 1
        return _Window(self._reader, range(first, end), self._pieces[first:end])

    def close(self) -> None:
        """Ask for no more."""
        if self._coming is not None:
            self._coming.cancel()
            self._coming = None


class _Window:
    """Some pieces of a file in a row, being read."""

    def __init__(self, reader: Reader, numbers: range, pieces: Sequence[Extent]) -> None:
        self.numbers = numbers
        self._found: dict[bytes, bytes] = {}
        ids = dict.fromkeys(one.chunk_id for one in pieces if one.chunk_id != HOLE)
        self._stream = reader.begin(ids, self._keep)

    def _keep(self, chunks: Sequence[ReadChunk]) -> None:
        self._found.update((one.chunk_id, bytes(one.data)) for one in chunks)

    def finish(self) -> Mapping[bytes, bytes]:
        """Wait for the chunks; ``DamageError``."""
        for lost in self._stream.finish():
            raise lost.error
        return self._found

    def cancel(self) -> None:
        """Ask for no more."""
        self._stream.cancel()


def _grouped(entry: Entry, firsts: dict[bytes, Entry]) -> _Found:
    """Say whether an entry brings its bytes; one that changed while its group was saved does.

    Such a name is no further name in the archive, as in a restore.
    """
    if not entry.link:
        return _Found(entry, brings=True)
    first = firsts.setdefault(entry.link, entry)
    if first is entry:
        return _Found(entry, brings=True)
    if _held_by(first) != _held_by(entry):
        return _Found(msgspec.structs.replace(entry, link=b""), brings=True)
    return _Found(entry, brings=False)


def _held_by(entry: Entry) -> tuple[object, ...]:
    return entry.kind, entry.size, entry.content, entry.depth, entry.target, entry.rdev


def _runs(pieces: Iterable[Extent]) -> Iterator[tuple[bool, int]]:
    """Yield runs of data and of holes, each with its length."""
    for is_data, run in groupby(pieces, key=lambda piece: piece.chunk_id != HOLE):
        yield is_data, sum(piece.length for piece in run)


def _to_read(entry: Entry, brings: bool) -> int:  # noqa: FBT001
    """Return the bytes of an item; enough to be opened for one with holes, which ``load`` loses."""
    if not brings:
        return 0
    content = entry.content
    has_lists = entry.depth > 0
    holes = any(content.startswith(HOLE, at) for at in range(0, len(content), EXTENT.size))
    return max(entry.size, LARGE) if has_lists or holes else entry.size


def _entry_of(item: Item) -> Entry:
    return cast(_Found, item.handle).entry


def _brings(item: Item) -> bool:
    return cast(_Found, item.handle).brings


def _shown(entry: Entry) -> str:
    return entry.path.decode("utf-8", "backslashreplace")


def _pieces(entry: Entry, found: Iterable[Extent]) -> list[Extent]:
    pieces = list(found)
    if pieces and sum(piece.length for piece in pieces) != entry.size:
        raise DamageError(f"{_shown(entry)} is damaged: its chunks do not add up to its size")
    return pieces


def _bytes_of(entry: Entry, piece: Extent, found: Mapping[bytes, bytes]) -> bytes:
    if piece.chunk_id == HOLE:
        return bytes(piece.length)
    data = found[piece.chunk_id]
    if len(data) != piece.length:
        raise DamageError(f"{_shown(entry)} is damaged: one of its chunks has another size")
    return data


def _loaded(item: Item, data: bytes) -> Loaded:
    """Return what was captured, in the terms of a source: an entry knows no chunks."""
    entry = msgspec.structs.replace(_entry_of(item), content=b"", depth=0)
    return Loaded(item, entry, data, b"")
