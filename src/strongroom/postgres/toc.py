"""The table of contents that pg_dump's directory and custom formats begin with.

PostgreSQL's ``pg_backup_archiver.c``, versions 1.14 to 1.16, those of pg_dump 12 to 18: a head and
entries. Each of them ends with what belongs to the format: a file name (``pg_backup_directory.c``),
or the place of its data (``pg_backup_custom.c``).
"""

from __future__ import annotations

import enum
import io
import struct
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from strongroom.errors import DamageError, StrongroomError

MAGIC: Final = b"PGDMP"
CONTENTS: Final = "toc.dat"
NUMBER: Final = struct.Struct("<BI")  # a sign and four bytes
PLACE: Final = struct.Struct("<BQ")
PLACE_UNKNOWN: Final = 1
PLACE_SET: Final = 2
NO_DATA: Final = 3
_WITH_ALGORITHM: Final = (1, 15)
_WITH_RELKIND: Final = (1, 16)
_MANY_LISTS: Final = (1, 16)  # of large objects
_OLDEST: Final = (1, 14)
_NEWEST: Final = (1, 16)
_SIZES: Final = bytes([4, 8])
_TIMES: Final = 7
_LONGEST: Final = 512 << 20
_LARGE_OBJECTS: Final = "BLOBS"

Read = Callable[[int], bytes]


class Form(enum.IntEnum):
    """A format, by the number that a head has of it; a directory says that it is a tar."""

    CUSTOM = 1
    DIRECTORY = 3


class Section(enum.IntEnum):
    """When ``pg_restore`` wants an entry, by its number; rights and comments are in none."""

    NONE = 1
    BEFORE_DATA = 2
    DATA = 3
    AFTER_DATA = 4


class Packed(enum.IntEnum):
    """How data is compressed, by its number in a head."""

    NOT = 0
    GZIP = 1
    LZ4 = 2
    ZSTD = 3


@dataclass(frozen=True, slots=True)
class TocEntry:
    """An entry. ``data``: its bytes up to what belongs to the format; ``copies``: its data is COPY.

    ``file`` is where a directory has its data, empty for none. ``depends``: numbers of what must be
    there before.
    """

    number: int
    tag: str
    kind: str
    definition: str
    copies: bool
    schema: str
    owner: str
    data: bytes
    file: str
    depends: tuple[int, ...] = ()
    section: Section = Section.NONE

    @property
    def is_large_objects(self) -> bool:
        """Whether its data is a list of large objects."""
        return self.kind == _LARGE_OBJECTS


@dataclass(frozen=True, slots=True)
class Toc:
    """A table of contents. ``when``: seconds to years, as it was where pg_dump ran.

    ``server`` and ``client`` are versions in their own words.
    """

    version: tuple[int, int]
    revision: int
    packed: Packed
    when: tuple[int, ...]
    database: str
    server: str
    client: str
    entries: tuple[TocEntry, ...]
    behind: bytes

    @property
    def major(self) -> int:
        """The version of the ``pg_dump`` that wrote it; ``DamageError`` if it does not say."""
        digits = self.client.strip()[:2]
        if not digits.isdigit():
            raise DamageError(f"the dump says of its pg_dump only {self.client!r}")
        return int(digits)

    def head(self, form: Form, packed: Packed) -> bytes:
        """Return the head as another format has it, or with data that is packed otherwise."""
        if self.version >= _WITH_ALGORITHM:
            how = bytes([packed])
        else:
            how = NUMBER.pack(1, 1) if packed else NUMBER.pack(0, 0)  # -1: as zlib likes
        start = MAGIC + bytes([*self.version, self.revision]) + _SIZES + bytes([form])
        return start + how + self.behind


def text(data: bytes) -> bytes:
    """Return a text as these formats have it."""
    return NUMBER.pack(0, len(data)) + data


class Cursor:
    """Reads what pg_dump writes, from the start; ``ValueError`` at an end that comes too early."""

    def __init__(self, read: Read) -> None:
        self._read = read
        self._taken = bytearray()

    def take(self, size: int) -> bytes:
        """Return so many bytes."""
        data = self._read(size)
        if len(data) < size:
            parts = [data]
            left = size - len(data)
            while left and (part := self._read(left)):
                parts.append(part)
                left -= len(part)
            data = b"".join(parts)
        if len(data) != size:
            msg = "it is cut short"
            raise ValueError(msg)
        return data

    def kept(self, size: int) -> bytes:
        """Return so many bytes, which are among those that ``cut`` returns."""
        data = self.take(size)
        self._taken += data
        return data

    def cut(self) -> bytes:
        """Return what was read and kept since it was last asked for."""
        data = bytes(self._taken)
        self._taken.clear()
        return data

    def number(self) -> int:
        """Read an integer."""
        negative, value = NUMBER.unpack(self.kept(NUMBER.size))
        return -value if negative else int(value)

    def text(self) -> bytes | None:
        """Read a text; None where there is none."""
        length = self.number()
        if length < 0:
            return None
        if length > _LONGEST:
            msg = f"a text of it has {length:,} bytes"
            raise ValueError(msg)
        return self.kept(length)

    def word(self) -> str:
        """Read a text of a person, which may be of any encoding."""
        return (self.text() or b"").decode("utf-8", "surrogateescape")

    def ended(self) -> bool:
        """Whether nothing follows."""
        return not self._read(1)


def read_toc(cursor: Cursor, form: Form) -> Toc:
    """Read a table of contents; ``DamageError`` if it is none.

    ``StrongroomError`` for one of a version that is not known here.
    """
    try:
        return _read(cursor, form)
    except (struct.error, IndexError, ValueError) as error:
        raise DamageError(f"the table of contents of the dump cannot be read: {error}") from error


def toc_of(data: bytes) -> Toc:
    """Read the ``toc.dat`` of a directory; ``DamageError``, see ``read_toc``."""
    cursor = Cursor(io.BytesIO(data).read)
    toc = read_toc(cursor, Form.DIRECTORY)
    if not cursor.ended():
        raise DamageError(
            "the table of contents of the dump cannot be read: something follows its last entry"
        )
    return toc


def _read(cursor: Cursor, form: Form) -> Toc:
    start = cursor.take(len(MAGIC) + 6)
    version, revision = (start[5], start[6]), start[7]
    if not start.startswith(MAGIC):
        msg = "it does not begin like one"
        raise ValueError(msg)
    if not _OLDEST <= version <= _NEWEST:
        raise StrongroomError(
            f"the dump is of version {version[0]}.{version[1]}, which is not known here",
            hint="Known are those of pg_dump 12 to 18. A backup of it can be taken as a directory: "
            "strongroom dump SNAP --database NAME --format directory --to FOLDER.",
        )
    if start[8:10] != _SIZES or start[10] != form:
        msg = "its numbers have other sizes, or it is of another format"
        raise ValueError(msg)
    packed = _packed(cursor, version)
    cursor.cut()
    when = tuple(cursor.number() for _ in range(_TIMES))
    database, server, client = cursor.word(), cursor.word(), cursor.word()
    count = cursor.number()
    behind = cursor.cut()
    entries = tuple(_entry(cursor, version, form) for _ in range(count))
    return Toc(version, revision, packed, when, database, server, client, entries, behind)


def _packed(cursor: Cursor, version: tuple[int, int]) -> Packed:
    if version >= _WITH_ALGORITHM:
        return Packed(cursor.take(1)[0])
    return Packed.GZIP if cursor.number() else Packed.NOT


def _entry(cursor: Cursor, version: tuple[int, int], form: Form) -> TocEntry:
    number = cursor.number()
    cursor.number()  # whether it has data
    cursor.text()
    cursor.text()  # object ids
    tag, kind = cursor.word(), cursor.word()
    section = Section(cursor.number())
    definition = cursor.word()
    cursor.text()  # how to drop it
    copies = bool(cursor.text())
    schema = cursor.word()
    cursor.text()
    cursor.text()  # tablespace, access method
    if version >= _WITH_RELKIND:
        cursor.number()
    owner = cursor.word()
    cursor.text()  # a word from old times
    depends = []
    while (needed := cursor.text()) is not None:
        depends.append(int(needed))
    data = cursor.cut()
    file = _file_of(cursor, version, form, number, kind)
    cursor.cut()
    return TocEntry(
        number, tag, kind, definition, copies, schema, owner, data, file, tuple(depends), section
    )


def _file_of(cursor: Cursor, version: tuple[int, int], form: Form, number: int, kind: str) -> str:
    """Return the file of an entry, as a directory has it or would have it."""
    if form is Form.DIRECTORY:
        file = (cursor.text() or b"").decode("ascii")
        if "/" in file or file in {".", "..", CONTENTS} or "\0" in file:
            msg = "a file of it has a name that leads elsewhere"
            raise ValueError(msg)
        return file
    state, _ = PLACE.unpack(cursor.take(PLACE.size))
    if state == NO_DATA:
        return ""
    if kind == _LARGE_OBJECTS:
        return f"blobs_{number}.toc" if version >= _MANY_LISTS else "blobs.toc"
    return f"{number}.dat"
