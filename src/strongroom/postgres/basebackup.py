"""``BASE_BACKUP`` as it comes over the wire, in the form that PostgreSQL 15 and newer send; and 14.

Protocol: PostgreSQL manual, "Streaming Replication Protocol". First where it begins and timeline;
then a row for each tablespace (object id, folder, KiB), the data directory itself last and without
an id; then one COPY whose messages begin with a letter: ``n`` a new archive (name and folder, each
ended by NUL), ``m`` the manifest, ``d`` bytes of what began last, ``p`` progress; then where it
ends. Pages whose checksum is wrong are warnings on the way, and an error after all of that.

Archives may come as LZ4 frames, the manifest comes as it is. Pages compress well, so a server saves
in sending what it takes, and we in reading.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Final, NamedTuple

from strongroom.errors import SourceError, StrongroomError
from strongroom.model.fs import Buffer
from strongroom.postgres.lz4frame import Lz4Frame, loaded
from strongroom.postgres.names import literal
from strongroom.postgres.wal.names import parse_lsn
from strongroom.postgres.wire import Row, ServerError, Wire, rows_of

HAS_LZ4: Final = "SELECT 'lz4' = ANY (enumvals) FROM pg_settings WHERE name = 'wal_compression'"
"""Asks a server in SQL whether it may be told to compress; of 14 that is not an enumeration."""

_DATA: Final = ord("d")
_CORRUPTED: Final = "XX001"
_A_KIB: Final = 1024
_WITH_LETTERS: Final = 150_000
_END_OF_TAR: Final = bytes(1024)


class Tablespace(NamedTuple):
    """A tablespace; the data directory itself has the id 0. ``size`` in bytes, estimated."""

    oid: int
    location: str
    size: int


class Began(NamedTuple):
    """Where a backup begins, and what it consists of."""

    lsn: int
    timeline: int
    tablespaces: tuple[Tablespace, ...]


class Part(NamedTuple):
    """An archive of a tablespace, or the manifest; ``oid`` as above."""

    oid: int
    is_manifest: bool


class Ended(NamedTuple):
    """Where a backup ends. ``corrupt``: what the server said of damaged pages, if it did."""

    lsn: int
    timeline: int
    corrupt: str


class BackupStream:
    """One base backup on a replication connection; used from the beginning to the end, once."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire
        self._next: memoryview | None = None
        self._ended: Ended | None = None
        self._oids: dict[str, int] = {}
        self._is_compressed = False
        self._read: Callable[[], Buffer] = self._message

    def begin(self, label: str, *, with_wal: bool, lz4: bool = False) -> Began:
        """Ask for the backup, and wait until the server has begun it; ``lz4``: it can do that."""
        self._is_compressed = lz4
        if lz4:
            loaded()  # without it nothing is to begin
        self._wire.send(self._command(literal(label), with_wal=with_wal))
        ((lsn, timeline),) = self._rows()
        tablespaces = tuple(
            Tablespace(int(oid or 0), location or "", int(size or 0) * _A_KIB)
            for oid, location, size in self._rows()
        )
        self._begin_copy(tablespaces)
        return Began(_lsn(lsn), int(timeline or 0), tablespaces)

    def _command(self, label: str, *, with_wal: bool) -> str:
        wal = "true" if with_wal else "false"
        compression = ", COMPRESSION 'lz4'" if self._is_compressed else ""
        return (
            f"BASE_BACKUP (LABEL {label}, CHECKPOINT 'fast', TABLESPACE_MAP true, WAL {wal}, "
            f"WAIT false, PROGRESS true, MANIFEST 'yes', MANIFEST_CHECKSUMS 'CRC32C'{compression})"
        )

    def _begin_copy(self, tablespaces: Sequence[Tablespace]) -> None:
        self._oids = {one.location: one.oid for one in tablespaces}
        self._refuse_failure()
        self._go_on()

    def _refuse_failure(self) -> None:
        """Wait for what comes next; a ``StrongroomError`` if it is one."""
        result = self._wire.result()
        error = None if result is None else self._wire.error_of(result)
        if error is not None:
            raise error

    def parts(self) -> Iterator[Part]:
        """Yield what comes, each to be read before the next one."""
        while (message := self._next) is not None:
            kind = bytes(message[:1])
            self._go_on()
            self._read = self._message
            if kind == b"m":
                yield Part(0, is_manifest=True)
            elif kind == b"n":
                _, location, _ = bytes(message[1:]).split(b"\0", 2)
                shown = location.decode("utf-8", "surrogateescape")
                if shown not in self._oids:
                    raise SourceError(f"the server sent a tablespace in {shown!r} that it has not")
                if self._is_compressed:
                    self._read = Lz4Frame(self._message).read
                yield Part(self._oids[shown], is_manifest=False)
            elif kind != b"p":
                raise SourceError(f"the server sent a message that makes no sense here: {kind!r}")

    def read(self) -> Buffer:
        """Return the next bytes of the part that came last, none at its end."""
        return self._read()

    def _message(self) -> Buffer:
        while (message := self._next) is not None and message[0] in b"dp":
            self._go_on()
            if message[0] == _DATA and len(message) > 1:
                return message[1:]
        return b""

    def _go_on(self) -> None:
        """Wait for the next message; at the end for why it has ended, which may be a failure."""
        self._next = self._wire.copied()
        if self._next is None:
            self._ended = self._end()

    def end(self) -> Ended:
        """Return where it ends; a ``StrongroomError`` if it failed."""
        return self._end() if self._ended is None else self._ended

    def _end(self) -> Ended:
        rows: list[Row] = []
        failure: ServerError | None = None
        while (result := self._wire.result()) is not None:
            failure = self._wire.error_of(result) or failure
            rows += rows_of(result)
        is_whole = len(rows) == 1 and len(rows[0]) == 2  # noqa: PLR2004 - place and timeline
        if failure is not None and not (is_whole and failure.state == _CORRUPTED):
            raise failure
        if not is_whole:
            raise StrongroomError("the server ended the backup without saying where it ends")
        corrupt = failure.message if failure is not None else ""
        return Ended(_lsn(rows[0][0]), int(rows[0][1] or 0), corrupt)

    def _rows(self) -> list[Row]:
        result = self._wire.result()
        if result is None:
            raise self._wire.lost()
        error = self._wire.error_of(result)
        if error is not None:
            raise error
        return list(rows_of(result))


class StreamOf14(BackupStream):
    """As PostgreSQL 14 sends it: a COPY for each archive in turn, and one for the manifest.

    Messages have no letters, and the blocks of zeros at the end of an archive are left out.
    """

    def __init__(self, wire: Wire) -> None:
        super().__init__(wire)
        self._parts: list[Part] = []
        self._ends = b""
        self._goes_on = False

    def _command(self, label: str, *, with_wal: bool) -> str:
        wal = "WAL " if with_wal else ""
        return (
            f"BASE_BACKUP LABEL {label} PROGRESS FAST {wal}NOWAIT TABLESPACE_MAP "
            "MANIFEST 'yes' MANIFEST_CHECKSUMS 'CRC32C'"
        )

    def _begin_copy(self, tablespaces: Sequence[Tablespace]) -> None:
        self._parts = [Part(one.oid, is_manifest=False) for one in tablespaces]
        self._parts.append(Part(0, is_manifest=True))

    def parts(self) -> Iterator[Part]:
        """See ``BackupStream``."""
        self._refuse_failure()
        for part in self._parts:
            self._goes_on = True
            self._ends = b"" if part.is_manifest else _END_OF_TAR
            yield part
            while self.read():
                pass

    def read(self) -> Buffer:
        """See ``BackupStream``."""
        while self._goes_on:
            message = self._wire.copied()
            if message:
                return message
            self._goes_on = message is not None
            if not self._goes_on and self._ends:  # another archive comes, or the manifest
                self._refuse_failure()
        ends, self._ends = self._ends, b""
        return ends


def stream_of(wire: Wire) -> BackupStream:
    """Return what reads a base backup as the server of a connection sends it."""
    return StreamOf14(wire) if wire.version < _WITH_LETTERS else BackupStream(wire)


def _lsn(text: str | None) -> int:
    lsn = parse_lsn(text or "")
    if lsn is None:
        raise SourceError(f"the server says that its WAL stands at {text!r}")
    return lsn
