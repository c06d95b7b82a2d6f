"""Entries: one captured thing each, as a tree holds them. Their bytes are in ``docs/format.md`` 8.

A tree is a sequence of entries in the order of its source (``sort_key``). What an entry contains
is a list of extents: fixed records of 40 bytes, a chunk id (32) and a length (8, big-endian); an
id of zeros is a hole, which costs nothing and is restored as one.
"""

from __future__ import annotations

import enum
import struct
from collections.abc import Callable
from functools import partial
from typing import Final, NamedTuple

import msgspec

EXTENT: Final = struct.Struct(">32sQ")
HOLE: Final = bytes(32)
MAX_PATH: Final = 1 << 20
MAX_COMPONENT: Final = 0xFFFF
CHANGED_WHILE_READ: Final = 1
SPARSE: Final = 2
OBJECT_ATTRIBUTES: Final = b"s3."
"""What the names of attributes begin with that S3 keeps of an object, and no file system can."""


class EntryKind(enum.IntEnum):
    """What an entry is; numbers are part of the format."""

    FILE = 1
    DIRECTORY = 2
    SYMLINK = 3
    FIFO = 4
    CHARACTER_DEVICE = 5
    BLOCK_DEVICE = 6
    SOCKET = 7
    STREAM = 8
    RECORD = 9


class Entry(msgspec.Struct, array_like=True, frozen=True, gc=False, forbid_unknown_fields=True):
    """One captured thing.

    ``path`` is relative, its components joined by ``/``, any bytes but NUL. ``mtime_ns`` counts
    from 1970, ``size`` in bytes. ``content`` holds extents; with ``depth`` > 0 they name chunks
    that hold extents in turn. ``link`` is the path of the first entry of a group of hard links,
    empty for a file with one name. ``rdev`` is (major, minor). ``flags``: CHANGED_WHILE_READ, and
    SPARSE for a file whose zeros of at least 4 KiB were holes although no extent says so.
    """

    path: bytes
    kind: int
    mode: int
    uid: int
    gid: int
    user: bytes
    group: bytes
    mtime_ns: int
    size: int
    content: bytes = b""
    depth: int = 0
    target: bytes = b""
    link: bytes = b""
    rdev: tuple[int, int] = (0, 0)
    xattrs: tuple[tuple[bytes, bytes], ...] = ()
    flags: int = 0


class Extent(NamedTuple):
    """A piece of a file: ``length`` bytes of the chunk ``chunk_id``, or of a hole (HOLE)."""

    chunk_id: bytes
    length: int


_AS_EXTENT: Final[Callable[[tuple[bytes, int]], Extent]] = partial(tuple.__new__, Extent)


def without_object_attributes(entry: Entry) -> Entry:
    """Return an entry without what only S3 keeps of it."""
    kept = tuple(one for one in entry.xattrs if not one[0].startswith(OBJECT_ATTRIBUTES))
    return entry if len(kept) == len(entry.xattrs) else msgspec.structs.replace(entry, xattrs=kept)


def extents(content: bytes) -> list[Extent]:
    """Read the records of ``content``; ``ValueError`` if it is not a whole number of them."""
    if len(content) % EXTENT.size:
        msg = f"content of {len(content)} bytes is not a list of extents"
        raise ValueError(msg)
    return list(map(_AS_EXTENT, EXTENT.iter_unpack(content)))


def sort_key(path: bytes) -> bytes:
    """Order paths by their components: a directory, then all below it, then its next sibling."""
    return path.replace(b"/", b"\0")
