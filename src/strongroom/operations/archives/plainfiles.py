"""Plain files beside an archive: written, sealed where the archive is, and read back to their end.

A dump in pg_dump's custom format is read by our own reader, which counts rows. Where there is a
``pg_restore``, it gets the same bytes, and must be content with them. SQL ends with a line that
says that it is complete.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from strongroom.archive.codecs import Codec, Write, compressing
from strongroom.archive.decoding import decompressing
from strongroom.archive.files import TROUBLE, Files
from strongroom.archive.hashing import HashingReader, HashingWriter
from strongroom.archive.metadata import PlainFile
from strongroom.archive.naming import SEALED
from strongroom.archive.tarinput import Readable
from strongroom.errors import (
    DamageError,
    InterruptError,
    KeyRefusedError,
    SourceError,
    StrongroomError,
)
from strongroom.model.events import Advanced, Sink
from strongroom.model.fs import Buffer
from strongroom.model.spawn import Attended
from strongroom.operations.archives.contents import Seal, Unseal
from strongroom.postgres.client import Client
from strongroom.postgres.unpacking import Unpacked, unpack_custom

CUSTOM: Final = "custom"
SQL: Final = "sql"
GLOBALS: Final = "globals"
STRUCTURE: Final = "structure"
CHECKSUM: Final = "checksum"
UNKNOWN: Final = -1  # rows that nobody counted yet
_PIECE: Final = 1 << 20
_TAIL: Final = 512
_ENDS: Final = {
    SQL: b"-- PostgreSQL database dump complete",
    GLOBALS: b"-- PostgreSQL database cluster dump complete",
}
_CODECS: Final = {".gz": Codec.GZIP, ".zst": Codec.ZSTD}

Restorers = Callable[[int], Client | None]
"""Gives what runs the ``pg_restore`` that reads dumps of this version; None where there is none."""


class Wrapping(NamedTuple):
    """What goes around the bytes of a plain file; ``codec`` is ``NONE`` for nothing."""

    seal: Seal | None
    codec: Codec = Codec.NONE
    level: int | None = None
    jobs: int | None = None


class PlainWriter:
    """A plain file that is being written; size and checksum are those of the file on the disk."""

    def __init__(self, name: str, packed: HashingWriter, out: Write) -> None:
        self.name = name
        self.write = out
        self._packed = packed

    @property
    def size(self) -> int:
        """How many bytes were written; all, behind the block of ``writing``."""
        return self._packed.size

    @property
    def sha256(self) -> str:
        """Return their checksum, in hexadecimal."""
        return self._packed.digest().hex()


@contextmanager
def writing(files: Files, name: str, how: Wrapping) -> Iterator[PlainWriter]:
    """Make a new plain file, whose name says what is around it; durable when the block ends."""
    suffix = {codec: text for text, codec in _CODECS.items()}.get(how.codec, "")
    name += suffix + (SEALED if how.seal else "")
    with files.writing(name) as file, ExitStack() as stack:
        packed = HashingWriter(file.write)
        out: Write = packed.write
        if how.seal is not None:
            out = stack.enter_context(how.seal(out))
        out = stack.enter_context(compressing(how.codec, out, level=how.level, jobs=how.jobs))
        yield PlainWriter(name, packed, out)
        stack.close()  # what is held back comes out before the file is made durable


@dataclass(slots=True)
class ReadPlain:
    """What read a plain file (``verification`` of its metadata), and what is wrong with it.

    ``unpacked``: what a dump in the custom format holds.
    """

    how: str = CHECKSUM
    findings: list[str] = field(default_factory=list)
    unpacked: Unpacked | None = None


def read_plain(
    files: Files, one: PlainFile, unseal: Unseal | None, restorers: Restorers, sink: Sink
) -> ReadPlain:
    """Read a plain file from the disk, to its end, and compare it with what is said of it.

    One that cannot be opened here, or is of a form that is not known, is compared by its checksum.
    """
    found = ReadPlain()
    if "/" in one.file:
        found.findings.append(f"{one.file} is no name of a file beside it")
        return found
    try:
        with files.reading(one.file) as file:
            file.from_disk()
            packed = HashingReader(_Telling(file, sink))
            if not one.file.endswith(SEALED) or unseal is not None:
                with suppress(KeyRefusedError):  # said of the archive itself
                    _read(packed, one, unseal, restorers, found)
            packed.drain()
    except TROUBLE as error:
        found.findings.append(error.message)
        return found
    if (packed.size, packed.digest().hex()) != (one.size, one.sha256):
        found.findings.insert(0, f"{one.file} is damaged: its checksum is another one")
    return found


def _read(
    packed: Readable,
    one: PlainFile,
    unseal: Unseal | None,
    restorers: Restorers,
    found: ReadPlain,
) -> None:
    """Open what is around it and read what is in it."""
    name = one.file
    with ExitStack() as stack:
        plain = packed
        if name.endswith(SEALED) and unseal is not None:
            plain = stack.enter_context(unseal(plain))
            name = name.removesuffix(SEALED)
        for suffix, codec in _CODECS.items():
            if name.endswith(suffix):
                plain = decompressing(codec, plain)
        try:
            if one.form == CUSTOM:
                _read_custom(plain, one, restorers, found)
            elif one.form in _ENDS:
                _read_text(plain, one)
                found.how = STRUCTURE
        except (KeyRefusedError, InterruptError, SourceError):
            raise
        except StrongroomError as error:
            found.findings.append(f"{one.file}: {error.message}")


def _read_text(plain: Readable, one: PlainFile) -> None:
    tail = b""
    while data := plain.read(_PIECE):
        tail = (tail + data)[-_TAIL:]
    if _ENDS[one.form] not in tail:
        raise DamageError("its last line, which says that it is complete, is missing")


def _read_custom(plain: Readable, one: PlainFile, restorers: Restorers, found: ReadPlain) -> None:
    major = one.client[:2]
    client = restorers(int(major)) if major.isdigit() else None
    if client is None:
        found.unpacked = _counted(plain, one)
        found.how = STRUCTURE
        return
    with client.attended("pg_restore", ["--file=/dev/null"]) as child:
        found.unpacked = _counted(_Fed(plain, child), one)
        child.end_input()
        client.check("pg_restore", child, "reading it")
    found.how = f"pg_restore {client.programs.version}"


def _counted(plain: Readable, one: PlainFile) -> Unpacked:
    """Read a dump in the custom format; ``DamageError`` if it has not the rows that are stated."""
    stream = io.BufferedReader(_Raw(plain), _PIECE)
    found = unpack_custom(stream.read, _nowhere)
    rows = sum(found.rows.values())
    if one.rows not in {rows, UNKNOWN}:
        raise DamageError(f"it has {rows:,} rows, and not {one.rows:,}")
    return found


@contextmanager
def _nowhere(_name: str) -> Iterator[Write]:
    yield _forget


def _forget(_data: Buffer) -> None:
    pass


class _Telling:
    """A ``Readable`` that tells how far it is."""

    def __init__(self, stream: Readable, sink: Sink) -> None:
        self._stream = stream
        self._sink = sink

    def read(self, size: int, /) -> bytes:
        """See ``Readable``."""
        data = self._stream.read(size)
        self._sink(Advanced(0, len(data)))
        return data


class _Fed:
    """A ``Readable`` of which a child gets all that is read, for as long as it listens."""

    def __init__(self, stream: Readable, child: Attended) -> None:
        self._stream = stream
        self._child = child
        self._listens = True

    def read(self, size: int, /) -> bytes:
        """See ``Readable``."""
        data = self._stream.read(size)
        if data and self._listens:
            try:
                self._child.send(data)
            except OSError:  # it has ended: how, is asked at the end
                self._listens = False
        return data


class _Raw(io.RawIOBase):
    """A ``Readable`` that can be read ahead."""

    def __init__(self, stream: Readable) -> None:
        self._stream = stream

    def readable(self) -> bool:
        """See ``RawIOBase``."""
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        """See ``RawIOBase``."""
        data = self._stream.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)
