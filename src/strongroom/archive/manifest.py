"""``backup-manifest.jsonl.gz``: everything that an archive stands for, one line each.

The first line says of which archive; the others name the things in the order of the tree, with the
sha256 of what a file holds, and the archive that holds it: in an incremental archive most lines
name an older one. A thing without a line is not in the tree, however many archives hold it.
"""

from __future__ import annotations

import zlib
from base64 import b64decode, b64encode
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import Annotated, Final, NamedTuple

import msgspec

from strongroom.errors import DamageError
from strongroom.model.entry import EntryKind, sort_key

_VERSION: Final = 1
_LEVEL: Final = 1  # the archive is what is large
_GZIP: Final = 31  # window bits that mean a gzip frame
_PIECE: Final = 1 << 20
_AT_ONCE: Final = 1000  # lines
LARGEST: Final = 4 << 30


class Row(NamedTuple):
    """One thing; ``token`` is what the walk of an incremental archive compares with.

    ``sha256`` is empty for what has no bytes. ``flags`` are those of the entry, and ``linked`` says
    that it is the first name of a group of hard links, the others of which may be anywhere: what
    of an entry a tar cannot say.
    """

    path: bytes
    kind: EntryKind
    size: int
    sha256: bytes
    token: bytes
    archive: str
    flags: int = 0
    linked: bool = False


class _Head(msgspec.Struct, frozen=True):
    manifest: int
    archive: str


class _Line(msgspec.Struct, frozen=True, omit_defaults=True):
    path: str
    kind: str
    size: Annotated[int, msgspec.Meta(ge=0)] = 0
    sha256: str = ""
    token: str = ""
    archive: str = ""
    path_b64: str = ""
    flags: int = 0
    linked: bool = False


def write_manifest(archive: str, rows: Iterable[Row]) -> bytes:
    """Return the file for the rows, which are in the order of the tree."""
    packer = zlib.compressobj(_LEVEL, zlib.DEFLATED, _GZIP)
    encode = msgspec.json.Encoder().encode_lines
    parts = [packer.compress(encode([_Head(_VERSION, archive)]))]
    lines = (_line_of(row, archive) for row in rows)
    while some := list(islice(lines, _AT_ONCE)):
        parts.append(packer.compress(encode(some)))
    parts.append(packer.flush())
    return b"".join(parts)


def _line_of(row: Row, archive: str) -> _Line:
    path = row.path.decode("utf-8", "replace")
    return _Line(
        path=path,
        kind=row.kind.name.lower(),
        size=row.size,
        sha256=row.sha256.hex(),
        token=b64encode(row.token).decode(),
        archive="" if row.archive == archive else row.archive,
        path_b64="" if path.encode() == row.path else b64encode(row.path).decode(),
        flags=row.flags,
        linked=row.linked,
    )


def read_manifest(data: bytes, archive: str, shown: str) -> list[Row]:
    """Read a manifest of this archive; ``DamageError`` if it cannot be one. ``shown``: its name."""
    try:
        lines = _lines(data)
        head = msgspec.json.decode(next(lines, b""), type=_Head)
        decode = msgspec.json.Decoder(_Line).decode
        rows = [_row_of(decode(line), archive) for line in lines]
    except (zlib.error, msgspec.DecodeError, ValueError, KeyError, UnicodeDecodeError) as error:
        raise DamageError(f"{shown} cannot be read: {error}") from error
    if (head.manifest, head.archive) != (_VERSION, archive):
        raise DamageError(f"{shown} is one of version {head.manifest} for {head.archive!r}")
    _check_order(rows, shown)
    return rows


def _lines(data: bytes) -> Iterator[bytes]:
    unpacker = zlib.decompressobj(_GZIP)
    rest, total = b"", 0
    while not unpacker.eof:
        piece = unpacker.decompress(data, _PIECE)
        data = unpacker.unconsumed_tail
        if not piece and not data:
            break
        total += len(piece)
        if total > LARGEST:
            raise ValueError("it is larger than any manifest")
        *lines, rest = (rest + piece).split(b"\n")
        yield from lines
    if not unpacker.eof or unpacker.unused_data or rest:
        raise ValueError("it is cut off, or something stands behind its end")


def _row_of(line: _Line, archive: str) -> Row:
    path = b64decode(line.path_b64, validate=True) if line.path_b64 else line.path.encode()
    return Row(
        path=path,
        kind=EntryKind[line.kind.upper()],
        size=line.size,
        sha256=bytes.fromhex(line.sha256),
        token=b64decode(line.token, validate=True),
        archive=line.archive or archive,
        flags=line.flags,
        linked=line.linked,
    )


def _check_order(rows: Sequence[Row], shown: str) -> None:
    last = b""
    for row in rows:
        key = sort_key(row.path)
        if key <= last:
            raise DamageError(f"{shown} names {row.path!r} twice, or out of order")
        last = key
