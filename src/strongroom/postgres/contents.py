"""The table of contents of a dump, ``toc.dat``: its entries, and what depends on what.

PostgreSQL's ``pg_backup_archiver.c``, versions 1.14 to 1.16, those of pg_dump 12 to 18: a head,
then entries. Each of them ends with what belongs to the format: in a directory, a file name.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import Final, NamedTuple

from strongroom.errors import DamageError, StrongroomError

FORMAT_AT: Final = 10  # behind the magic, three bytes of version, two of sizes
INT: Final = struct.Struct("<BI")  # a sign and four bytes
_MAGIC: Final = b"PGDMP"
_OLDEST: Final = (1, 14)
_WITH_ALGORITHM: Final = (1, 15)
_WITH_RELKIND: Final = (1, 16)
_NEWEST: Final = (1, 16)
_TAR: Final = 3  # what a directory calls itself
_TIMES: Final = 7
_HEAD_TEXTS: Final = 3


class ContentsEntry(NamedTuple):
    """One entry: what it is (``TABLE``), its name, its schema, how it is made; ``file``: its data.

    ``depends`` are the numbers of what must be there before. ``data``: its bytes in the table of
    contents, up to what belongs to the format.
    """

    number: int
    kind: str
    schema: str
    name: str
    sql: str
    depends: Sequence[int]
    file: str
    data: bytes


class Contents(NamedTuple):
    """A table of contents: the bytes of its head, and its entries in their order."""

    head: bytes
    entries: Sequence[ContentsEntry]


def is_known(data: bytes) -> bool:
    """Whether a table of contents is of a version that can be read here."""
    return data.startswith(_MAGIC) and _OLDEST <= (data[5], data[6]) <= _NEWEST


def read_contents(data: bytes) -> Contents:
    """Read a table of contents; ``DamageError`` if it is none.

    ``StrongroomError`` if it is of a version that is not known here.
    """
    try:
        return _read(data)
    except (struct.error, IndexError, ValueError) as error:
        raise DamageError(f"the table of contents of the dump cannot be read: {error}") from error


class _Cursor:
    """Reads what pg_dump writes, from the start."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.at = FORMAT_AT + 1

    def number(self) -> int:
        """Read an integer."""
        negative, value = INT.unpack_from(self.data, self.at)
        self.at += INT.size
        return -value if negative else int(value)

    def text(self) -> bytes | None:
        """Read a text; None where there is none."""
        length = self.number()
        if length < 0:
            return None
        start, self.at = self.at, self.at + length
        if self.at > len(self.data):
            msg = "it is cut short"
            raise ValueError(msg)
        return self.data[start : self.at]

    def name(self) -> str:
        """Read a text as Python has it; any bytes can be."""
        return (self.text() or b"").decode("utf-8", "surrogateescape")

    def skip(self, numbers: int = 0, texts: int = 0) -> None:
        """Pass over integers, then texts."""
        for _ in range(numbers):
            self.number()
        for _ in range(texts):
            self.text()


def _read(data: bytes) -> Contents:
    version = (data[5], data[6])
    if not is_known(data):
        raise StrongroomError(
            f"the dump is of version {version[0]}.{version[1]}, which is not known here",
            hint="Take it as a directory: --format directory --to FOLDER.",
        )
    if data[8:FORMAT_AT] != bytes([4, 8]) or data[FORMAT_AT] != _TAR:
        msg = "its numbers have other sizes, or it is of another format"
        raise ValueError(msg)
    cursor = _Cursor(data)
    if version >= _WITH_ALGORITHM:
        cursor.at += 1
    else:
        cursor.skip(numbers=1)
    cursor.skip(_TIMES, _HEAD_TEXTS)
    count = cursor.number()
    head = data[: cursor.at]
    entries = [_entry(cursor, version) for _ in range(count)]
    if cursor.at != len(data):
        msg = "something follows its last entry"
        raise ValueError(msg)
    return Contents(head, entries)


def _entry(cursor: _Cursor, version: tuple[int, int]) -> ContentsEntry:
    start = cursor.at
    number = cursor.number()
    cursor.skip(numbers=1, texts=2)  # whether it has data; two object ids
    name, kind = cursor.name(), cursor.name()
    cursor.skip(numbers=1)  # section
    sql = cursor.name()
    cursor.skip(texts=2)  # how to drop it, to copy it
    schema = cursor.name()
    cursor.skip(texts=2)  # tablespace, access method
    if version >= _WITH_RELKIND:
        cursor.skip(numbers=1)
    cursor.skip(texts=2)  # owner, and a word from old times
    depends = []
    while (text := cursor.text()) is not None:
        depends.append(int(text))
    data = cursor.data[start : cursor.at]
    file = (cursor.text() or b"").decode("ascii")
    return ContentsEntry(number, kind, schema, name, sql, depends, file, data)
