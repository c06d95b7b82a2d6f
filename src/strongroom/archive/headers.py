"""The header blocks of a tar member, in the pax dialect of POSIX.1-2017 (``pax``, "ustar").

Records of an extended header stand only where the plain header cannot say it. A backup makes a
header for every file, so what repeats is kept and what is summed up is summed in C.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from functools import lru_cache
from typing import Final

from strongroom.model.entry import Entry, EntryKind

BLOCK: Final = 512
NAME: Final = 100
OWNER: Final = 31  # a byte of the field is left to end the name
MOST_ID: Final = 0o7777777
MOST_SIZE: Final = 0o77777777777
NOBODY: Final = 65534
SECOND: Final = 1_000_000_000
XATTR: Final = b"SCHILY.xattr."

REGULAR: Final = b"0"
HARD_LINK: Final = b"1"
EXTENDED: Final = b"x"
_TYPES: Final = {
    int(EntryKind.FILE): REGULAR,
    int(EntryKind.SYMLINK): b"2",
    int(EntryKind.CHARACTER_DEVICE): b"3",
    int(EntryKind.BLOCK_DEVICE): b"4",
    int(EntryKind.DIRECTORY): b"5",
    int(EntryKind.FIFO): b"6",
}
_DIRECTORY: Final = int(EntryKind.DIRECTORY)
_SYMLINK: Final = int(EntryKind.SYMLINK)
_NUMBERS: Final = b"%b%07o\0%07o\0%07o\0%011o\0%011o\0"  # name, mode, uid, gid, size, time
_USTAR: Final = b"ustar\x0000"
_EXTENDED_NAME: Final = b"././@PaxHeader"
_BLANK_SUM: Final = 8 * ord(" ")  # the field of the sum counts as blanks
_AFTER_SUM: Final = BLOCK - 156
_ZEROS: Final = bytes(BLOCK)

Record = tuple[bytes, bytes]


def sum_of(block: bytes) -> int:
    """Add up the bytes of at most 512.

    The lower half of an Adler-32 that starts at 0 is that sum modulo 65,521, which 256 bytes do
    not reach.
    """
    return (zlib.adler32(block[:256], 0) & 0xFFFF) + (zlib.adler32(block[256:], 0) & 0xFFFF)


def padding(size: int) -> bytes:
    """Return the zeros that fill the last block of ``size`` bytes."""
    return _ZEROS[: -size % BLOCK]


def link_of(entry: Entry) -> bytes:
    """Return what an entry is a further name of; empty for one that brings its own content."""
    return entry.link if entry.link != entry.path else b""


def can_hold(entry: Entry) -> bool:
    """Whether tar has a type for it: sockets have none."""
    return entry.kind in _TYPES


def member_headers(entry: Entry, stored: int) -> bytes:
    """Return the header of an entry of which ``stored`` bytes follow."""
    name = entry.path + b"/" if entry.kind == _DIRECTORY else entry.path
    link = link_of(entry)
    target = link or (entry.target if entry.kind == _SYMLINK else b"")
    records = [] if _fits(name) else [(b"path", name)]
    if target and not _fits(target):
        records.append((b"linkpath", target))
    kind = HARD_LINK if link else _TYPES[entry.kind]
    return _headers(entry, kind, name, target, stored, records)


def sparse_headers(entry: Entry, stored: int, real: int) -> bytes:
    """Return the header of a file of ``real`` bytes, of which a map and the data follow.

    GNU sparse format 1.0: ``stored`` counts the map too. A program that does not know the format
    sees a file of another name, and not one with wrong bytes.
    """
    folder, slash, name = entry.path.rpartition(b"/")
    shown = folder + slash + b"GNUSparseFile.0/" + name
    records = [
        (b"GNU.sparse.major", b"1"),
        (b"GNU.sparse.minor", b"0"),
        (b"GNU.sparse.name", entry.path),
        (b"GNU.sparse.realsize", b"%d" % real),
    ]
    return _headers(entry, REGULAR, shown, b"", stored, records)


def _headers(
    entry: Entry, kind: bytes, name: bytes, target: bytes, stored: int, records: list[Record]
) -> bytes:
    """Put together extended and plain header; numbers and owners get the records they need."""
    uid, gid, size = entry.uid, entry.gid, stored
    seconds, fraction = divmod(entry.mtime_ns, SECOND)
    if fraction or not 0 <= seconds <= MOST_SIZE:
        records.append((b"mtime", decimal(entry.mtime_ns)))
        seconds = min(max(seconds, 0), MOST_SIZE)
    if size > MOST_SIZE:
        records.append((b"size", b"%d" % size))
        size = 0
    if uid > MOST_ID:
        records.append((b"uid", b"%d" % uid))
        uid = NOBODY
    if gid > MOST_ID:
        records.append((b"gid", b"%d" % gid))
        gid = NOBODY
    user, group = entry.user, entry.group
    if len(user) > OWNER or not user.isascii():
        records.append((b"uname", user))
    if len(group) > OWNER or not group.isascii():
        records.append((b"gname", group))
    if entry.xattrs:
        records += [(XATTR + _escaped(key), value) for key, value in entry.xattrs]
    numbers = (entry.mode & 0o7777, uid, gid, size, seconds)
    rest = (kind, target[:NAME], user[:OWNER], group[:OWNER], entry.rdev)
    plain = _plain(name[:NAME].ljust(NAME, b"\0"), numbers, rest)
    return _extended(records) + plain if records else plain


def _plain(
    name: bytes,
    numbers: tuple[int, int, int, int, int],
    rest: tuple[bytes, bytes, bytes, bytes, tuple[int, int]],
) -> bytes:
    first = _NUMBERS % (name, *numbers)
    second, second_sum = _second_half(*rest)
    return b"%b%06o\0 %b" % (first, sum_of(first) + second_sum + _BLANK_SUM, second)


@lru_cache(maxsize=1024)
def _second_half(
    kind: bytes, target: bytes, user: bytes, group: bytes, rdev: tuple[int, int]
) -> tuple[bytes, int]:
    """Return what follows the checksum, and its sum; most members of a tree share it."""
    half = b"".join(
        (
            kind,
            target.ljust(NAME, b"\0"),
            _USTAR,
            user.ljust(OWNER + 1, b"\0"),
            group.ljust(OWNER + 1, b"\0"),
            _device_number(rdev[0]),
            _device_number(rdev[1]),
        )
    ).ljust(_AFTER_SUM, b"\0")
    return half, sum_of(half)


def _device_number(number: int) -> bytes:
    """Return an octal field, or a binary one (GNU) for numbers that need it."""
    if number <= MOST_ID:
        return b"%07o\0" % number
    return b"\x80" + number.to_bytes(7)


# -- extended headers


def _extended(records: Sequence[Record]) -> bytes:
    named = (b"path", b"linkpath", b"uname", b"gname", b"GNU.sparse.name")
    if any(key in named and not _is_utf8(value) for key, value in records):
        records = [(b"hdrcharset", b"BINARY"), *records]
    body = b"".join([_record(key, value) for key, value in records])
    return b"%b%b%b" % (_extended_header(len(body)), body, padding(len(body)))


@lru_cache(maxsize=256)
def _extended_header(size: int) -> bytes:
    numbers = (0o644, 0, 0, size, 0)
    rest = (EXTENDED, b"", b"", b"", (0, 0))
    return _plain(_EXTENDED_NAME.ljust(NAME, b"\0"), numbers, rest)


def _record(key: bytes, value: bytes) -> bytes:
    """Return ``LENGTH KEY=VALUE`` and a new line; the length counts itself."""
    rest = len(key) + len(value) + 3
    digits = len(str(rest))
    digits = len(str(rest + digits))
    return b"%d %b=%b\n" % (rest + digits, key, value)


def decimal(ns: int) -> bytes:
    """Write nanoseconds as seconds with as many decimals as are needed."""
    whole, fraction = divmod(abs(ns), SECOND)
    sign = b"-" if ns < 0 else b""
    if not fraction:
        return b"%b%d" % (sign, whole)
    return (b"%b%d.%09d" % (sign, whole, fraction)).rstrip(b"0")


def _escaped(key: bytes) -> bytes:
    """Name an attribute as GNU tar does: a key of a record cannot contain ``=``."""
    return key.replace(b"%", b"%25").replace(b"=", b"%3D")


def _fits(name: bytes) -> bool:
    """Whether the plain header holds a name: bytes that are no text can only be said there."""
    return len(name) <= NAME and (name.isascii() or not _is_utf8(name))


def _is_utf8(name: bytes) -> bool:
    try:
        name.decode()
    except UnicodeDecodeError:
        return False
    return True
