"""From an archive to a snapshot, as a stream: nothing is unpacked onto a disk.

The bytes of each file are saved when it is its turn. What else is known of it waits, packed, until
all came: then the order is that of a tree, whatever that of the archive was, and it is known which
files further names lead to.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import partial
from itertools import groupby
from typing import Final, NamedTuple

import msgspec

from strongroom.archive.hashing import FileHash
from strongroom.chunking.cutter import ChunkerParameters
from strongroom.model.entry import (
    CHANGED_WHILE_READ,
    EXTENT,
    SPARSE,
    Entry,
    EntryKind,
    without_object_attributes,
)
from strongroom.model.events import Advanced, PhaseBegan, Sink
from strongroom.model.snapshot import Order
from strongroom.model.source import Loaded, Problem
from strongroom.operations.archives.incoming import Delivered, Incoming
from strongroom.operations.backup import (
    BackupResult,
    Captured,
    Circumstances,
    chunking_of,
    save_snapshot,
)
from strongroom.operations.import_links import (
    FURTHER,
    LINKED,
    WANTED,
    Groups,
    damaged,
    shown,
)
from strongroom.operations.objects_as_files import key_of
from strongroom.repository.repository import Repository
from strongroom.repository.session import BackupSession
from strongroom.repository.spool import Spool, Spooled
from strongroom.repository.streaming import Streaming
from strongroom.repository.tally import Tally, source_record
from strongroom.repository.tree import Root, is_below

_FLAGS: Final = CHANGED_WHILE_READ | SPARSE


class Part(NamedTuple):
    """A source of what comes in: all that is at or below ``top``, a path in the tree.

    In the order of raw bytes it is one of objects, which come as files (``objects_as_files``) and
    whose keys are then their paths. ``position``: what it says in the record. ``lacking``: why it
    is not all of the source. ``needs``: files without which it is not what it says, with their
    sizes in bytes.
    """

    name: str
    kind: str
    paths: Sequence[bytes]
    top: bytes = b""
    order: Order = Order.COMPONENTS
    position: bytes = b""
    lacking: str = ""
    needs: Mapping[bytes, int] = {}


class Arrival(NamedTuple):
    """What comes in: the sources that it is from, its members, and what it lacks.

    What lies below none of the ``parts`` belongs to the first one. ``below``: the folder of the
    tree that all names are relative to. ``entries`` and ``size`` are what is to be expected, 0
    where that is not known.
    """

    parts: Sequence[Part]
    members: Iterable[Delivered]
    problems: Sequence[Problem] = ()
    entries: int = 0
    size: int = 0
    below: bytes = b""


def import_archive(
    repository: Repository, arrival: Arrival, circumstances: Circumstances
) -> BackupResult:
    """Make a snapshot of an archive.

    Nothing is committed unless all of it was read and is what it must be: ``DamageError``.
    """
    captured: list[Captured] = []

    def capture(session: BackupSession, number: int) -> Captured:
        if not captured:
            around = repository.around
            around.sink(PhaseBegan("import", arrival.entries, arrival.size))
            saving = [
                _Saving(part, chunking_of(repository, part.kind), session) for part in arrival.parts
            ]
            work = _Import(session, saving, arrival.below, around.sink)
            for delivered in arrival.members:
                work.take(delivered)
            captured.extend(work.finish(arrival.problems))
        return captured[number]

    captures = [partial(capture, number=number) for number in range(len(arrival.parts))]
    return save_snapshot(repository, captures, circumstances)


class _Content:
    """``Content`` of a member; its bytes come in order, and each once."""

    def __init__(self, member: Incoming, found: FileHash | None) -> None:
        self._member = member
        self._pieces = member.pieces()
        self._piece = memoryview(b"")
        self._found = found

    def extents(self) -> Iterator[tuple[int, int, bool]]:
        """See ``Content``."""
        return self._member.extents()

    def readinto(self, offset: int, buffer: memoryview) -> int:
        """See ``Content``."""
        if not self._piece:
            _, self._piece = next(self._pieces, (offset, memoryview(b"")))
        count = min(len(self._piece), len(buffer))
        buffer[:count] = self._piece[:count]
        if self._found is not None:
            self._found.add(offset, self._piece[:count])
        self._piece = self._piece[count:]
        return count

    def finish(self, size_read: int) -> Loaded:
        """See ``Content``; whoever saves a member knows its entry."""
        raise TypeError(size_read)


class _Saving:
    """A part that is being saved."""

    def __init__(self, part: Part, parameters: ChunkerParameters, session: BackupSession) -> None:
        self.part = part
        self.whole_below = parameters.whole_below
        self.streaming = Streaming(session, parameters)
        self.tally = Tally()
        self.needs = dict(part.needs)
        if part.lacking:
            self.tally.problems.append(Problem(part.top, part.lacking))
        self.objects = Spool(part.order)  # empty for files, which wait with those of other parts

    def count(self, entry: Entry) -> None:
        """Count an entry of its tree."""
        self.tally.count(entry)
        self.tally.new += 1
        if self.needs.get(entry.path) == entry.size and entry.kind == EntryKind.FILE:
            del self.needs[entry.path]

    def captured(self, root: Root) -> Captured:
        """Return what came of it."""
        part = self.part
        record = source_record(self.tally, (part.name, part.kind), root, self.streaming, part.order)
        record = msgspec.structs.replace(record, paths=tuple(part.paths), position=part.position)
        return Captured(record, self.tally)


class _Import:
    """Saves one archive into a session."""

    def __init__(
        self, session: BackupSession, saving: Sequence[_Saving], below: bytes, sink: Sink
    ) -> None:
        self._session = session
        self._writer = session.writer
        self._saving = saving
        self._below = below + b"/" if below else b""
        self._sink = sink
        self._spool = Spool()
        self._groups = Groups()
        self._number = 0
        self._has_objects = any(one.part.order is Order.RAW for one in saving)

    # -- while it comes

    def take(self, delivered: Delivered) -> None:
        """Save what a member brings; ``DamageError`` if that is not what was said of it."""
        entry = _named(delivered.member.entry, self._below)
        if not entry.path:
            return  # the top folder itself
        self._number += 1
        if self._has_objects and self._is_object(delivered):
            self._sink(Advanced(1, 0, entry.path))
            self._session.beat()
            return
        entry = without_object_attributes(entry)
        mark = WANTED if delivered.wanted else 0
        if entry.link:
            origin = delivered.origin
            self._groups.add((origin, entry.path), (origin, entry.link), wanted=delivered.wanted)
            mark |= FURTHER
        elif delivered.expected is not None and delivered.expected.linked:
            mark |= LINKED
        if entry.kind == EntryKind.FILE and not entry.link:
            entry = self._with_content(entry, delivered, self._part_of(entry.path))
        self._spool.add(Spooled(entry, self._number, delivered.origin, mark))
        self._sink(Advanced(1, 0, entry.path))
        self._session.beat()

    def _is_object(self, delivered: Delivered) -> bool:
        """Save what belongs to a source of objects, by its key; folders are names of files only."""
        entry = delivered.member.entry
        path = self._below + key_of(entry.path)
        saving = self._part_of(path)
        if entry.kind == EntryKind.DIRECTORY:
            return saving.part.order is Order.RAW or self._is_made(path)
        if saving.part.order is not Order.RAW:
            return False
        if entry.kind != EntryKind.FILE or entry.link:
            raise damaged(f"{shown(entry.path)} is to be an object, and is no file of its own")
        saved = self._with_content(entry, delivered, saving)
        saving.objects.add(Spooled(msgspec.structs.replace(saved, path=path), self._number))
        return True

    def _is_made(self, path: bytes) -> bool:
        """Whether a folder is only there because objects are below it."""
        parts = [one.part for one in self._saving]
        if not any(one.order is Order.RAW and is_below(one.top, path) for one in parts):
            return False
        roots = [
            root.strip(b"/") for one in parts if one.order is not Order.RAW for root in one.paths
        ]
        return not any(not root or is_below(root, path) or is_below(path, root) for root in roots)

    def _with_content(self, entry: Entry, delivered: Delivered, saving: _Saving) -> Entry:
        expected = delivered.expected
        is_small = entry.size < saving.whole_below
        flags = entry.flags if is_small else 0  # of a large one the holes are extents
        if expected is not None:
            flags = expected.flags & _FLAGS
        has_holes = bool(entry.flags & SPARSE)
        if not is_small or (has_holes and not flags & SPARSE):
            saved = self._save_large(entry, delivered, saving)
        else:
            saved = self._save_small(entry, delivered, saving), 0
        return msgspec.structs.replace(entry, content=saved[0], depth=saved[1], flags=flags)

    def _save_large(self, entry: Entry, delivered: Delivered, saving: _Saving) -> tuple[bytes, int]:
        found = FileHash() if delivered.expected is not None else None

        def tell(length: int) -> None:
            saving.tally.bytes_read += length
            self._sink(Advanced(0, length, entry.path))

        saved = saving.streaming.save(_Content(delivered.member, found), tell)
        if found is not None:
            _check(entry, delivered, found)
        return saved.content, saved.depth

    def _save_small(self, entry: Entry, delivered: Delivered, saving: _Saving) -> bytes:
        data = delivered.member.read()
        if delivered.expected is not None:
            found = FileHash()
            found.add(0, data)
            _check(entry, delivered, found)
        if not data:
            return b""
        chunk_id = saving.streaming.chunks.add(data)
        saving.tally.bytes_read += len(data)
        self._sink(Advanced(0, len(data), entry.path))
        return EXTENT.pack(chunk_id, len(data))

    def _part_of(self, path: bytes) -> _Saving:
        for one in self._saving:
            if one.part.top and is_below(path, one.part.top):
                return one
        return self._saving[0]

    # -- when all came

    def finish(self, problems: Sequence[Problem]) -> list[Captured]:
        """Save the trees; ``DamageError`` for what no tree can be."""
        for one in self._saving:
            one.streaming.chunks.flush()
        for problem in problems:
            placed = problem._replace(path=(self._below + problem.path).rstrip(b"/"))
            self._part_of(placed.path).tally.problems.append(placed)
        if self._groups.firsts:
            self._groups.find_bodies(self._spool.sorted())
        return [one.captured(self._save_tree(one)) for one in self._saving]

    def _entries_of(self, saving: _Saving) -> Iterator[Entry]:
        """Yield what belongs to a part, in the order of its tree."""
        if saving.part.order is Order.RAW:
            yield from (one.entry for one in saving.objects.sorted())
            return
        leaf = b""
        for entry in map(self._groups.placed, _last_of_each(self._spool.sorted())):
            if self._part_of(entry.path) is not saving:
                continue
            if leaf and entry.path.startswith(leaf):
                raise damaged(f"{shown(entry.path)} lies below something that is no directory")
            leaf = b"" if entry.kind == EntryKind.DIRECTORY else entry.path + b"/"
            yield entry

    def _save_tree(self, saving: _Saving) -> Root:
        tree = self._writer.new_tree(saving.part.order)
        for entry in self._entries_of(saving):
            try:
                tree.add(entry)
            except ValueError as error:
                raise damaged(f"{shown(entry.path)}: {error}") from error
            saving.count(entry)
            self._session.beat()
        for path in saving.needs:
            raise damaged(f"{shown(path)} is missing in it, which a base backup in it needs")
        return tree.finish()


def _last_of_each(spooled: Iterator[Spooled]) -> Iterator[Spooled]:
    """Yield what is wanted; of a path that comes several times the last, as tar extracts it."""
    wanted = (one for one in spooled if one.mark & WANTED)
    for _, same in groupby(wanted, key=lambda one: one.entry.path):
        *_, last = same
        yield last


def _named(entry: Entry, below: bytes) -> Entry:
    """Return an entry with names relative to the top, as tar extracts one that begins with ``/``.

    ``below`` stands before each. What else a name may not be is refused by the tree.
    """
    if not below and not entry.path.startswith(b"/") and not entry.link.startswith(b"/"):
        return entry
    path, link = entry.path.lstrip(b"/"), entry.link.lstrip(b"/")
    return msgspec.structs.replace(entry, path=path and below + path, link=link and below + link)


def _check(entry: Entry, delivered: Delivered, found: FileHash) -> None:
    expected = delivered.expected
    if expected is not None and expected.sha256 != found.digest(entry.size):
        raise damaged(f"the bytes of {shown(entry.path)} are not those it was made of")
