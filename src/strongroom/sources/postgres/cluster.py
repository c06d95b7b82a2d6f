"""A whole cluster as a source: a base backup, taken apart while it comes over the wire."""

from __future__ import annotations

import re
from collections.abc import Callable, Generator, Iterator, Mapping
from dataclasses import dataclass
from typing import Final, NamedTuple

import msgspec

from strongroom.clock import Clock, rfc3339
from strongroom.errors import SourceError, StrongroomError
from strongroom.model.entry import Entry, EntryKind
from strongroom.model.fs import Buffer
from strongroom.model.source import Part, Problem, Report
from strongroom.postgres import cluster, recordtext
from strongroom.postgres.basebackup import HAS_LZ4, BackupStream, Began, Ended, stream_of
from strongroom.postgres.basetar import BaseTar, Member
from strongroom.postgres.cluster import ClusterRecord, Position, Space, cluster_path, wal_range
from strongroom.postgres.connection import Connection
from strongroom.postgres.names import RECORD
from strongroom.postgres.relations import PAGE_HEADER, is_index
from strongroom.postgres.wire import ServerError, Wire, connected
from strongroom.sources.made import made_file

BLOCK: Final = 64 << 10
INDEX_BLOCK: Final = 8 << 10  # its pages change one by one, all over it
_A_MAJOR: Final = 10_000
_SECOND: Final = 1_000_000_000
_RELATION: Final = re.compile(
    rb"(?:base/[0-9]+|global|PG_[0-9]+_[0-9]+/[0-9]+)/(?:t[0-9]+_)?[0-9]+(?:_fsm|_vm|_init)?"
    rb"(?:\.[0-9]+)?"
)
_IN_QUESTION: Final = re.compile(r"\./([^\s\"»”]+)")
_IN_TABLESPACE: Final = re.compile(r"pg_tblspc/([0-9]+)/(.*)")
_FILES: Final = ("config_file", "hba_file", "ident_file")
_NAMES: Final = (
    "data_directory",
    "data_directory_mode",
    "server_version",
    "block_size",
    "data_checksums",
    *_FILES,
    *cluster.FOLLOWED,
)
_SETTINGS: Final = "SELECT name, setting FROM pg_settings WHERE name IN ({})"
_NOW: Final = "SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint * 1000"
_SUPERUSER: Final = "SELECT rolname FROM pg_roles WHERE oid = 10"
_PRIVATE: Final = 0o700
_NO_SLOT: Final = "53400"  # configuration limit exceeded
_GONE: Final = "58P01"


class _Known(NamedTuple):
    """What the server says of itself before a backup begins."""

    system: int
    major: int
    segment_size: int
    settings: Mapping[str, str]
    superuser: str
    standby: bool
    lz4: bool
    now_ns: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterOptions:
    """``accept`` takes the system id and the size of a WAL segment of the cluster that was found.

    It raises ``RefusedError`` if the source is another cluster. ``await_wal`` returns when all WAL
    that a backup needs is archived; None: the backup carries it. ``expect`` takes how many bytes
    will come, about, when that is known. ``began`` takes the system id, the timeline and the LSN
    at which a backup begins.
    """

    accept: Callable[[int, int], None]
    expect: Callable[[int], None]
    began: Callable[[int, int, int], None] = lambda _system, _timeline, _lsn: None
    await_wal: Callable[[Position], None] | None = None

    @property
    def with_wal(self) -> bool:
        """Whether backups carry the WAL that they need."""
        return self.await_wal is None


class ClusterSource:
    """An ``ArrivingSource``. Nothing is written to a disk on the way."""

    kind = cluster.KIND

    def __init__(
        self,
        name: str,
        connection: Connection,
        options: ClusterOptions,
        clock: Clock,
        tell: Callable[[str], None],
    ) -> None:
        self.name = name
        self._connection = connection
        self._options = options
        self._clock = clock
        self._tell = tell
        self._position: Position | None = None

    @property
    def top(self) -> bytes:
        """The folder of the snapshot that all of it is in."""
        return cluster_path(self.name).encode()

    @property
    def made(self) -> Position:
        """Where the backup begins and ends, when it has ended."""
        if self._position is None:
            raise SourceError(f"the base backup of '{self.name}' has not ended")
        return self._position

    def position(self) -> bytes:
        """Return what a snapshot says of its moment, when it has ended."""
        return self.made.encoded()

    def arrivals(self, report: Report) -> Generator[Part | None, None, None]:
        """See ``ArrivingSource``; ``RefusedError`` if it is another cluster than before."""
        with connected(self._connection, replication=True) as wire:
            known = self._ask(wire)
            self._warn(known)
            self._hold_wal(wire)
            stream = stream_of(wire)
            try:
                label, with_wal = f"strongroom {self.name}", self._options.with_wal
                began = stream.begin(label, with_wal=with_wal, lz4=known.lz4)
                self._options.began(known.system, began.timeline, began.lsn)
                self._options.expect(sum(one.size for one in began.tablespaces))
                yield from self._members(stream, known)
                ended = stream.end()
            except ServerError as error:
                raise self._failed(error) from error
            failures = self._failures(wire, ended, report)
        yield self._record(known, began, ended, failures)

    # -- before

    def _ask(self, wire: Wire) -> _Known:
        ((system, *_),) = wire.ask("IDENTIFY_SYSTEM")
        size = _bytes_of(wire.value("SHOW wal_segment_size"))
        self._options.accept(int(system or 0), size)
        with connected(self._connection) as sql:
            names = ", ".join(f"'{name}'" for name in _NAMES)
            said = {name or "": value or "" for name, value in sql.ask(_SETTINGS.format(names))}
            return _Known(
                int(system or 0),
                wire.version // _A_MAJOR,
                size,
                said,
                sql.value(_SUPERUSER),
                sql.value("SELECT pg_is_in_recovery()") == "t",
                sql.value(HAS_LZ4) == "t",
                int(sql.value(_NOW)),
            )

    def _warn(self, known: _Known) -> None:
        if not known.settings.get("data_directory"):
            self._tell(
                "warning: where the data directory is, and its configuration, may not be seen by "
                "this role, so a recovery must be told: GRANT pg_read_all_settings TO it"
            )
        for name, path in _outside(known).items():
            self._tell(
                f"warning: {name} is {path}, outside of the data directory, and is not in the base "
                "backup: save it with a source of files"
            )
        if known.settings.get("data_checksums") == "off":
            self._tell(
                "warning: this cluster has no page checksums, so damaged pages are not noticed "
                "(pg_checksums --enable)"
            )

    def _hold_wal(self, wire: Wire) -> None:
        """Keep the WAL of the backup from being removed, for as long as the connection lasts."""
        if not self._options.with_wal:
            return
        try:
            slot = f"strongroom_base_{wire.process}"
            wire.ask(f"CREATE_REPLICATION_SLOT {slot} TEMPORARY PHYSICAL RESERVE_WAL")
        except ServerError as error:
            if error.state != _NO_SLOT:
                raise
            self._tell(
                "warning: no replication slot is free, so on a busy server the backup may fail in "
                "the end for WAL that was removed (max_replication_slots)"
            )

    # -- while it comes

    def _members(self, stream: BackupStream, known: _Known) -> Iterator[Part]:
        came: dict[bytes, int] = {}
        manifest = b""
        mode = int(known.settings.get("data_directory_mode") or "0700", 8)
        yield self._directory(self.top, _PRIVATE)
        yield self._directory(self.top + b"/data", mode)
        for part in stream.parts():
            if part.is_manifest:
                manifest = b"".join(iter(stream.read, b""))
                yield self._made(b"data/" + cluster.MANIFEST.encode(), manifest)
                continue
            tar = BaseTar(stream.read)
            below = b"pg_tblspc/%d/" % part.oid if part.oid else b""
            top = b"%b/tablespaces/%d/" % (self.top, part.oid) if part.oid else self.top + b"/data/"
            for member in tar.members():
                if not member.is_directory:
                    came[below + member.name] = member.size
                yield from _parts(top + member.name, member, tar)
        cluster.check_manifest(manifest, came)

    def _directory(self, path: bytes, mode: int) -> Part:
        entry = made_file(path, 0, self._clock.now_ns())
        return Part(path, b"", msgspec.structs.replace(entry, kind=EntryKind.DIRECTORY, mode=mode))

    def _made(self, name: bytes, data: bytes) -> Part:
        entry = made_file(self.top + b"/" + name, len(data), self._clock.now_ns())
        return Part(entry.path, data, entry)

    # -- when all came

    def _failures(self, wire: Wire, ended: Ended, report: Report) -> list[str]:
        """Return what the server found wrong with pages; it is a problem of the backup."""
        found: list[str] = []
        for notice in wire.notices:
            about = _IN_QUESTION.search(notice)
            if not ended.corrupt or about is None:
                self._tell(f"warning: the server says: {notice}")
                continue
            found.append(notice)
            report(Problem(self._shown_path(about[1].rstrip(",")), notice, missing=False))
        if ended.corrupt and not found:
            found.append(ended.corrupt)
            report(Problem(self.top + b"/data", ended.corrupt, missing=False))
        return found

    def _shown_path(self, path: str) -> bytes:
        inside = _IN_TABLESPACE.fullmatch(path)
        below = f"tablespaces/{inside[1]}/{inside[2]}" if inside else f"data/{path}"
        return self.top + b"/" + below.encode("utf-8", "surrogateescape")

    def _record(self, known: _Known, began: Began, ended: Ended, failures: list[str]) -> Part:
        with connected(self._connection) as sql:
            stopped_ns = int(sql.value(_NOW))
            restore_point = self._name_moment(sql, known, stopped_ns)
        settings = known.settings
        version = settings["server_version"]
        position = Position(
            cluster.VERSION,
            known.system,
            known.major,
            began.timeline,
            began.lsn,
            ended.lsn,
            known.now_ns,
            stopped_ns,
            known.segment_size,
            self._options.with_wal,
        )
        self._position = position
        if self._options.await_wal is not None:
            self._options.await_wal(position)
        record = ClusterRecord(
            version=cluster.VERSION,
            system_id=str(known.system),
            server=version,
            major=position.major,
            timeline=began.timeline,
            start_time=rfc3339(known.now_ns),
            stop_time=rfc3339(stopped_ns),
            standalone=position.standalone,
            standby=known.standby,
            segment_size=known.segment_size,
            block_size=int(settings.get("block_size") or 0),
            checksums=settings.get("data_checksums") == "on",
            superuser=known.superuser,
            data_directory=settings.get("data_directory", ""),
            outside=_outside(known),
            settings={name: settings[name] for name in cluster.FOLLOWED if name in settings},
            tablespaces=tuple(Space(one.oid, one.location) for one in began.tablespaces if one.oid),
            checksum_failures=tuple(failures),
            restore_point=restore_point,
            **wal_range(position),
        )
        return self._made(RECORD.encode(), recordtext.encoded(record))

    def _name_moment(self, sql: Wire, known: _Known, now_ns: int) -> str:
        """Make a restore point, to which a recovery can go by name."""
        if self._options.with_wal or known.standby:
            return ""
        digits = re.sub(r"[-:]", "", rfc3339(now_ns)[:19])
        name = f"strongroom_{self.name}_{digits}Z"
        try:
            sql.ask(f"SELECT pg_create_restore_point('{name}')")
        except ServerError as error:
            self._tell(f"no restore point is made after the backup: {error.message}")
            return ""
        return name

    def _failed(self, error: ServerError) -> StrongroomError:
        text = f"the server ended the base backup of '{self.name}': {error.message}"
        hint = "Nothing was saved; what it says is the server's own word."
        if error.state == _GONE or "has already been removed" in error.message:
            hint = "Raise wal_keep_size, or max_slot_wal_keep_size, so that WAL stays meanwhile."
        return StrongroomError(text, hint=hint)


def _parts(path: bytes, member: Member, tar: BaseTar) -> Iterator[Part]:
    """Yield what a member brings."""
    entry = Entry(
        path=path,
        kind=EntryKind.DIRECTORY if member.is_directory else EntryKind.FILE,
        mode=member.mode,
        uid=member.uid,
        gid=member.gid,
        user=member.user,
        group=member.group,
        mtime_ns=member.mtime * _SECOND,
        size=member.size,
    )
    is_relation = not member.is_directory and _RELATION.fullmatch(member.name) is not None
    block = 0
    left = member.size
    first = _beginning(tar) if is_relation else tar.piece()
    if is_relation:
        block = INDEX_BLOCK if is_index(first) else BLOCK
    data: Buffer = first
    while len(data):
        left -= len(data)
        yield Part(path, data, None if left else entry, block)
        data = tar.piece()
    if not member.size:
        yield Part(path, b"", entry)


def _beginning(tar: BaseTar) -> Buffer:
    """Return the first piece of a member, with the header of its first page if it has one."""
    piece = tar.piece()
    if not piece or len(piece) >= PAGE_HEADER:
        return piece
    found = bytes(piece)
    while len(found) < PAGE_HEADER and (piece := tar.piece()):
        found += bytes(piece)
    return found


def _outside(known: _Known) -> dict[str, str]:
    """Return the settings that name files outside of the data directory."""
    top = known.settings.get("data_directory", "")
    paths = {name: known.settings.get(name, "") for name in _FILES}
    return {
        name: path
        for name, path in paths.items()
        if top and path and not path.startswith(f"{top}/")
    }


def _bytes_of(text: str) -> int:
    """Read a size as the server shows it, such as ``16MB``."""
    found = re.fullmatch(r"([0-9]+)(kB|MB|GB)", text)
    if found is None:
        raise SourceError(f"the server has WAL segments of {text!r}")
    return int(found[1]) << {"kB": 10, "MB": 20, "GB": 30}[found[2]]
