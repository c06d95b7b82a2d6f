"""The members of an archive on their way into a repository, compared with what is said of them.

Nothing counts before the last one came without an error: only then was the checksum compared, and
only then is it known that nothing is missing.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NamedTuple, Protocol

from strongroom.archive.detecting import Unseal
from strongroom.archive.manifest import Row
from strongroom.archive.shelf import Shelf, Shelved
from strongroom.archive.tarinput import Readable
from strongroom.archive.tarreading import read_tar
from strongroom.model.entry import Entry, EntryKind
from strongroom.operations.archives.contents import opened
from strongroom.operations.archives.manifests import load_manifest
from strongroom.operations.archives.reading import check_checksum, damaged, needed_archives


class Expected(NamedTuple):
    """What the manifest says of a member; ``linked``: it is the first of a group of hard links."""

    sha256: bytes
    flags: int
    linked: bool


class Incoming(Protocol):
    """One thing that comes in; a member of a tar is one, see there."""

    @property
    def entry(self) -> Entry:
        """What it is, without content."""
        ...

    def extents(self) -> Iterator[tuple[int, int, bool]]:
        """Yield (offset, length, is data) from 0 to the end; the rest is holes."""
        ...

    def pieces(self) -> Iterator[tuple[int, memoryview]]:
        """Yield (offset, bytes) in ascending order; what is between is holes."""
        ...

    def read(self) -> bytes:
        """Return all bytes, zeros of holes too."""
        ...


class Delivered(NamedTuple):
    """A member whose turn it is; whoever takes it compares the hash of its bytes.

    ``origin``: the number of its archive. ``wanted``: whether it is in the tree; if not, further
    names of it are. ``expected`` is None where nothing is known beforehand.
    """

    member: Incoming
    origin: int = 0
    wanted: bool = True
    expected: Expected | None = None


def deliver_tar(tar: Readable) -> Iterator[Delivered]:
    """Yield the members of a tar of anybody; ``DamageError``."""
    for member in read_tar(tar):
        yield Delivered(member)


def deliver(shelf: Shelf, one: Shelved, unseal: Unseal | None) -> Iterator[Delivered]:
    """Yield the members of an archive on a shelf, and of those that it builds on.

    ``DamageError`` for whatever is not as manifest and metadata say.
    """
    if one.metadata is None or not one.metadata.is_ours:
        yield from _of_somebody(shelf, one, unseal)
        return
    rows = load_manifest(shelf.below(one), one.id, one.metadata, unseal)
    for origin, archive in enumerate(needed_archives(shelf, one, rows)):
        mine = {row.path: row for row in rows if row.archive == str(archive.id)}
        own = mine if archive is one else _own_rows(shelf, archive, unseal)
        yield from _of_ours(shelf, archive, unseal, _Rows(origin, mine, own))


def _of_somebody(shelf: Shelf, one: Shelved, unseal: Unseal | None) -> Iterator[Delivered]:
    with opened(shelf.below(one), one.name, unseal) as archive:
        for member in read_tar(archive.tar):
            yield Delivered(member)
        check_checksum(one, archive.packed)


class _Rows(NamedTuple):
    """What is said of the members of one archive: ``mine`` is what the tree has of it."""

    origin: int
    mine: Mapping[bytes, Row]
    own: Mapping[bytes, Row]


def _own_rows(shelf: Shelf, one: Shelved, unseal: Unseal | None) -> dict[bytes, Row]:
    if one.metadata is None:
        raise damaged(one, one.why)
    rows = load_manifest(shelf.below(one), one.id, one.metadata, unseal)
    return {row.path: row for row in rows if row.archive == str(one.id)}


def _of_ours(shelf: Shelf, one: Shelved, unseal: Unseal | None, rows: _Rows) -> Iterator[Delivered]:
    left = dict(rows.own)
    needed = {row.sha256 for row in rows.mine.values() if row.sha256}
    with opened(shelf.below(one), one.name, unseal) as archive:
        for member in read_tar(archive.tar):
            path = member.entry.path
            stated = left.pop(path, None)
            if stated is None:
                why = "in it twice" if path in rows.own else "in it, and not in its manifest"
                raise damaged(one, f"{_shown(path)} is {why}")
            row = rows.mine.get(path)
            _compare(one, member.entry, row or stated, rows.own)
            if row is not None or stated.sha256 in needed:
                said = row or stated
                expected = Expected(said.sha256, said.flags, said.linked)
                yield Delivered(member, rows.origin, row is not None, expected)
        check_checksum(one, archive.packed)
    missing = sorted(left) or sorted(rows.mine.keys() - rows.own.keys())
    if missing:
        raise damaged(one, f"{_shown(missing[0])} is missing in it")


def _compare(one: Shelved, entry: Entry, row: Row, own: Mapping[bytes, Row]) -> None:
    """Compare what is known of a member before its bytes come."""
    path = entry.path
    if row.kind != entry.kind:
        raise damaged(one, f"{_shown(path)} is another kind of thing than its manifest says")
    if entry.kind != EntryKind.FILE:
        return
    if not entry.link or entry.link == path:
        if row.size != entry.size:
            raise damaged(one, f"{_shown(path)} has another size than its manifest says")
        return
    first = own.get(entry.link)
    if first is None or (first.size, first.sha256) != (row.size, row.sha256):
        raise damaged(
            one, f"{_shown(path)} is a further name of {_shown(entry.link)}, which is another file"
        )


def _shown(path: bytes) -> str:
    return path.decode("utf-8", "backslashreplace")
