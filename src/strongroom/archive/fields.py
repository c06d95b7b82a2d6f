"""What the blocks of a tar header say: plain headers of all dialects, and records of pax.

Everything here may come from an enemy: every number is checked for its form and range. A
``FieldError`` says what is wrong; the reader adds where.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Mapping
from typing import Final, NamedTuple

from strongroom.archive.headers import SECOND, XATTR, sum_of

MOST_ID: Final = (1 << 32) - 2  # the system takes the next number for "do not change"
MOST_DEVICE: Final = (1 << 32) - 1
MOST_SIZE: Final = (1 << 63) - 1
LEAST_TIME_NS: Final = -(1 << 63)  # what an entry of a repository holds
MOST_TIME_NS: Final = (1 << 64) - 1

_FIELDS: Final = struct.Struct("100s8s8s8s12s12s8s1s100s8s32s32s8s8s155s8s4s")
_USUAL: Final = re.compile(rb"(?:[0-7]{7}[\0 ]){3}(?:[0-7]{11}[\0 ]){2}")
_USTAR: Final = b"ustar\x0000"
_GNU: Final = b"ustar  \0"
_STAR: Final = b"tar\0"
_STAR_PREFIX: Final = 131
_SUM: Final = slice(148, 156)
_BLANK_SUM: Final = 8 * ord(" ")
_BINARY: Final = 0x80
_DECIMAL: Final = re.compile(rb"(-?)([0-9]{1,20})(?:\.([0-9]*))?")
_DIGITS: Final = re.compile(rb"[0-9]{1,20}")
_LENGTH: Final = re.compile(rb"([0-9]{1,8}) ")
_ESCAPE: Final = re.compile(rb"%(?:3D|25)")


class FieldError(ValueError):
    """A field that says nothing that can be meant."""


class Plain(NamedTuple):
    """A plain header as it stands; ``mtime`` in seconds. ``gnu``: of GNU's own dialect."""

    name: bytes
    mode: int
    uid: int
    gid: int
    size: int
    mtime: int
    type: bytes
    link: bytes
    user: bytes
    group: bytes
    rdev: tuple[int, int]
    gnu: bool


def read_plain(block: bytes) -> Plain:
    """Read a header block; ``FieldError`` if it is none, or not what was written."""
    fields = _FIELDS.unpack(block)
    kind, link, magic = fields[7:10]
    _check_sum(block, fields[6])
    mode, uid, gid, size, mtime = _numbers(block, fields)
    name = _text(fields[0])
    user = group = b""
    rdev = (0, 0)
    if magic in {_USTAR, _GNU}:
        user, group, major, minor, prefix, _, star = fields[10:]
        user, group = _text(user), _text(group)
        if kind in b"34":
            rdev = number(major, "device number"), number(minor, "device number")
        if magic == _USTAR and prefix[0]:
            prefix = _text(prefix[:_STAR_PREFIX] if star == _STAR else prefix)
            name = prefix + b"/" + name
    return Plain(
        name,
        mode & 0o7777,
        uid,
        gid,
        size,
        mtime,
        kind,
        _text(link),
        user,
        group,
        rdev,
        magic == _GNU,
    )


def _numbers(block: bytes, fields: tuple[bytes, ...]) -> tuple[int, int, int, int, int]:
    """Return mode, owner, group, size and time; at once where they look as they mostly do."""
    if _USUAL.match(block, 100):
        return (
            int(block[100:107], 8),
            int(block[108:115], 8),
            int(block[116:123], 8),
            int(block[124:135], 8),
            int(block[136:147], 8),
        )
    return (
        number(fields[1], "mode"),
        number(fields[2], "owner"),
        number(fields[3], "group"),
        number(fields[4], "size"),
        number(fields[5], "time", signed=True),
    )


def _check_sum(block: bytes, stated: bytes) -> None:
    """Compare the sum of all bytes; old programs took those from 128 on for negative ones."""
    expected = number(stated, "checksum")
    actual = sum_of(block) - sum_of(block[_SUM]) + _BLANK_SUM
    if actual == expected:
        return
    others = block[: _SUM.start] + block[_SUM.stop :]
    if actual - 256 * sum(byte >= _BINARY for byte in others) != expected:
        raise FieldError("what should be a header is none: its checksum does not match")


def _text(field: bytes) -> bytes:
    return field.partition(b"\0")[0]


def number(field: bytes, what: str, *, signed: bool = False) -> int:
    """Read a number: octal digits, or binary (GNU) where the highest bit is set."""
    first = field[0]
    if first & _BINARY:
        bits = 8 * len(field) - 1
        value = int.from_bytes(field) & ((1 << bits) - 1)
        if first & 0x40:
            value -= 1 << bits
    else:
        text = field.rstrip(b" \0").lstrip(b" ")
        if not text:
            return 0
        if not text.isdigit() or b"8" in text or b"9" in text:
            raise FieldError(f"its {what} is no number: {field!r}")
        value = int(text, 8)
    if value < 0 and not signed:
        raise FieldError(f"its {what} is negative: {value}")
    return value


# -- records of extended headers


class Records(NamedTuple):
    """What an extended header says: the last of each key, and pairs of GNU's sparse format 0.0."""

    values: dict[bytes, bytes]
    sparse_pairs: list[bytes]


def read_records(body: bytes) -> Records:
    """Read ``LENGTH KEY=VALUE`` records; ``FieldError`` if they do not fill ``body``."""
    values: dict[bytes, bytes] = {}
    pairs: list[bytes] = []
    at = 0
    while at < len(body):
        found = _LENGTH.match(body, at)
        if found is None:
            raise FieldError("a record of its extended header begins without a length")
        end = at + int(found[1])
        key, equals, value = body[found.end() : end].partition(b"=")
        if end > len(body) or not equals or not key or not value.endswith(b"\n"):
            raise FieldError("a record of its extended header does not end where it says")
        value = value[:-1]
        if key in {b"GNU.sparse.offset", b"GNU.sparse.numbytes"}:
            pairs.append(value)
        values[key] = value
        at = end
    return Records(values, pairs)


def decimal(values: Mapping[bytes, bytes], key: bytes, default: int) -> int:
    """Read a whole number that is not negative; ``default`` where there is none."""
    text = values.get(key)
    if not text:
        return default
    if not _DIGITS.fullmatch(text):
        raise FieldError(f"the record {key.decode()} is no number: {text[:40]!r}")
    return int(text)


def time_ns(values: Mapping[bytes, bytes], seconds: int) -> int:
    """Return the time of change; digits beyond the nanosecond are cut off."""
    text = values.get(b"mtime")
    ns = seconds * SECOND
    if text:
        found = _DECIMAL.fullmatch(text)
        if not found:
            raise FieldError(f"the record mtime is no time: {text[:40]!r}")
        ns = int(found[2]) * SECOND + int((found[3] or b"")[:9].ljust(9, b"0"))
        if found[1]:
            ns = -ns
    if not LEAST_TIME_NS <= ns <= MOST_TIME_NS:
        raise FieldError("its time is out of range")
    return ns


def attributes(values: Mapping[bytes, bytes]) -> tuple[tuple[bytes, bytes], ...]:
    """Return the extended attributes, by name."""
    return tuple(
        sorted(
            (_ESCAPE.sub(_meant, key[len(XATTR) :]), value)
            for key, value in values.items()
            if key.startswith(XATTR)
        )
    )


def _meant(found: re.Match[bytes]) -> bytes:
    return b"=" if found[0] == b"%3D" else b"%"


def within(value: int, most: int, what: str) -> int:
    """Return ``value`` if it is at most ``most``."""
    if value > most:
        raise FieldError(f"its {what} is out of range: {value}")
    return value
