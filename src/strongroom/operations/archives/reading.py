"""What an archive stands for, as a tree: read whole and compared, before anything is written."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple

import msgspec

from strongroom.archive.manifest import Row
from strongroom.archive.naming import archive_id
from strongroom.archive.shelf import Shelf, Shelved, State
from strongroom.errors import DamageError, NotFoundError
from strongroom.model.entry import Entry, EntryKind, sort_key
from strongroom.model.events import PhaseBegan, Sink
from strongroom.operations.archives.contents import Unseal, opened, things
from strongroom.operations.archives.manifests import load_manifest
from strongroom.operations.archives.sums import wrong_beside
from strongroom.restore.files.order import Order, Refused

_DEVICES: Final = frozenset({EntryKind.CHARACTER_DEVICE, EntryKind.BLOCK_DEVICE})


class Leaf(NamedTuple):
    """Where the bytes of a file are: in which archive, under which name, and what they hash to.

    ``stored``: how many of them there are, without holes.
    """

    archive: str
    path: bytes
    sha256: bytes
    stored: int


@dataclass(frozen=True, slots=True)
class ArchiveTree:
    """Entries in the order of a tree. ``leaves``: of each file, also of its further names.

    ``archives``: all that are read for it, the oldest first.
    """

    entries: Sequence[Entry]
    leaves: Mapping[bytes, Leaf]
    archives: Sequence[Shelved]

    @property
    def size(self) -> int:
        """Bytes in its files, each hard link once."""
        leaves = self.leaves
        mine = (entry for entry in self.entries if entry.path in leaves)
        return sum({leaves[one.path][:2]: one.size for one in mine}.values())

    @property
    def stored(self) -> int:
        """Bytes that its files take on a disk, holes left out."""
        leaves = self.leaves
        mine = (leaves[entry.path] for entry in self.entries if entry.path in leaves)
        return sum({leaf[:2]: leaf.stored for leaf in mine}.values())


@dataclass(slots=True)
class _Held:
    """What one archive holds: its entries, and the size, hash and data of each file with bytes."""

    entries: dict[bytes, Entry] = field(default_factory=dict)
    bytes: dict[bytes, tuple[int, bytes, int]] = field(default_factory=dict)


def read_tree(
    shelf: Shelf, one: Shelved, unseal: Unseal | None, room: int, sink: Sink
) -> ArchiveTree:
    """Read an archive, and those that it builds on, to the last byte.

    ``DamageError`` for anything that is not as it was made, or that no archive of a project can
    mean; so does one that unpacks to more than ``room`` bytes.
    """
    _refuse_unsound(shelf, one)
    rows = _rows(shelf, one, unseal)
    archives = _needed(shelf, one, rows)
    sink(PhaseBegan("read", 0, sum(a.metadata.tar_size for a in archives if a.metadata)))
    wanted = {row.path: row for row in rows} if rows is not None else None
    entries: list[Entry] = []
    leaves: dict[bytes, Leaf] = {}
    for archive in archives:
        held = _read(shelf, archive, unseal, room, sink)
        for entry, leaf in _chosen(held, str(archive.id), wanted):
            entries.append(entry)
            if leaf is not None:
                leaves[entry.path] = leaf
    entries.sort(key=lambda entry: sort_key(entry.path))
    if wanted is not None and len(entries) != len(wanted):
        missing = min(wanted.keys() - {entry.path for entry in entries})
        raise _damaged(one, f"{_shown(missing)} is missing in it")
    _check(one, entries)
    return ArchiveTree(entries, leaves, archives)


def _rows(shelf: Shelf, one: Shelved, unseal: Unseal | None) -> list[Row] | None:
    if one.metadata is None or not one.metadata.is_ours:
        return None
    return load_manifest(shelf.below(one), one.id, one.metadata, unseal)


def _needed(shelf: Shelf, one: Shelved, rows: Sequence[Row] | None) -> list[Shelved]:
    names = {row.archive for row in rows or ()} - {str(one.id)}
    found = []
    for name in sorted(names):
        if archive_id(name) is None:
            raise _damaged(one, f"its manifest names '{name}', which is no archive")
        try:
            base = shelf.find(name)
        except NotFoundError as error:
            raise DamageError(
                f"{one.id} builds on {name}, and {error.message}",
                hint="Restore an archive before it, or bring that one back from a copy.",
            ) from error
        _refuse_unsound(shelf, base)
        found.append(base)
    return [*found, one]


def _refuse_unsound(shelf: Shelf, one: Shelved) -> None:
    """Refuse an archive of which nobody can say what it stands for."""
    wrong = one.why if one.state is State.DAMAGED else ""
    wrong = wrong or next(wrong_beside(shelf.below(one), one), "")
    if wrong:
        file = shelf.below(one).shown(one.name or one.id.archive(".tar.gz"))
        raise DamageError(
            f"the archive {one.id} is damaged: {wrong}",
            hint="Nothing was changed. Restore another one; what this one still holds, "
            f"'tar -xf {file}' can unpack elsewhere.",
        )


def _read(shelf: Shelf, one: Shelved, unseal: Unseal | None, room: int, sink: Sink) -> _Held:
    try:
        return _read_whole(shelf, one, unseal, room, sink)
    except DamageError as error:
        if str(one.id) in error.message:
            raise
        raise _damaged(one, error.message) from error


def _read_whole(shelf: Shelf, one: Shelved, unseal: Unseal | None, room: int, sink: Sink) -> _Held:
    held = _Held()
    metadata = one.metadata
    stored = 0

    def take(_offset: int, piece: memoryview) -> None:
        nonlocal stored
        stored += len(piece)
        if stored > room:
            raise _damaged(one, f"it unpacks to more than the {room:,} bytes that are free")

    with opened(shelf.below(one), one.name, unseal) as archive:
        before = 0
        for thing in things(archive.tar, sink, take=take):
            entry = thing.entry
            mine, before = stored - before, stored
            if not entry.path:
                continue  # the top folder itself, as './' in an archive that tar made
            if entry.path in held.entries:
                raise _damaged(one, f"{_shown(entry.path)} is in it twice")
            held.entries[entry.path] = entry
            if thing.sha256:
                held.bytes[entry.path] = entry.size, thing.sha256, mine
        archive.packed.drain()
        checksum = archive.packed.digest().hex()
    if metadata is not None and metadata.sha256 and metadata.sha256 != checksum:
        raise _damaged(one, f"its checksum is {checksum}, and not {metadata.sha256}")
    return held


def _chosen(
    held: _Held, archive: str, wanted: Mapping[bytes, Row] | None
) -> Iterator[tuple[Entry, Leaf | None]]:
    """Yield what of an archive is in the tree, with groups of hard links as a source has them."""
    firsts = {entry.link for entry in held.entries.values() if entry.link}
    for path, entry in held.entries.items():
        row = None if wanted is None else wanted.get(path)
        if wanted is not None and (row is None or row.archive != archive):
            continue
        brings = entry.link or path
        link = brings if brings in firsts else b""
        if entry.kind != EntryKind.FILE:
            yield msgspec.structs.replace(entry, link=link), None
            continue
        size, sha256, stored = held.bytes.get(brings, (-1, b"", 0))
        if size < 0:
            raise DamageError(
                f"the archive {archive} is damaged: {_shown(path)} is a further name of "
                f"{_shown(brings)}, which is no file in it"
            )
        if row is not None and (row.kind, row.size, row.sha256) != (entry.kind, size, sha256):
            raise DamageError(
                f"the archive {archive} is damaged: {_shown(path)} is not what its manifest says"
            )
        leaf = Leaf(archive, brings, sha256, stored)
        yield msgspec.structs.replace(entry, size=size, link=link), leaf


def _check(one: Shelved, entries: Iterable[Entry]) -> None:
    """Refuse what could lead outside, and what no archive of a project can mean."""
    order = Order()
    known: set[bytes] = set()
    for entry in entries:
        try:
            parent, _ = order.check(entry.path)
            if parent and parent not in known:
                names = order.check_missing(parent)
                known.update(b"/".join(names[:depth]) for depth in range(1, len(names) + 1))
        except Refused as refusal:
            raise _damaged(one, f"{_shown(entry.path)}: {refusal}") from refusal
        if entry.kind == EntryKind.DIRECTORY:
            known.add(entry.path)
        else:
            order.leaf(entry.path)
        if entry.kind in _DEVICES:
            raise _damaged(one, f"{_shown(entry.path)} is a device, which no restore makes")


def select(tree: ArchiveTree, paths: Sequence[bytes], shown: str) -> ArchiveTree:
    """Return what is at or below one of the paths, with the folders above it."""
    if not paths:
        return tree
    chosen = []
    found: set[bytes] = set()
    for entry in tree.entries:
        for path in paths:
            if entry.path == path or entry.path.startswith(path + b"/"):
                found.add(path)
                chosen.append(entry)
                break
            if entry.kind == EntryKind.DIRECTORY and path.startswith(entry.path + b"/"):
                chosen.append(entry)
                break
    for path in paths:
        if path not in found:
            raise NotFoundError(f"there is no {_shown(path)} in {shown}")
    return ArchiveTree(chosen, tree.leaves, tree.archives)


def without(tree: ArchiveTree, paths: Sequence[bytes]) -> tuple[ArchiveTree, bytes | None]:
    """Return the tree without what is at or below these paths, and the first of it."""
    kept = []
    left: bytes | None = None
    for entry in tree.entries:
        if any(entry.path == path or entry.path.startswith(path + b"/") for path in paths):
            left = left if left is not None else entry.path
        else:
            kept.append(entry)
    return (tree if left is None else ArchiveTree(kept, tree.leaves, tree.archives)), left


def _damaged(one: Shelved, why: str) -> DamageError:
    return DamageError(
        f"the archive {one.id} is damaged: {why}",
        hint="Nothing was changed. Restore another one: 'strongroom archive list' shows them.",
    )


def _shown(path: bytes) -> str:
    return path.decode("utf-8", "backslashreplace")
