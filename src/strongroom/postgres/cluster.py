"""What is known of a base backup: ``backup.json`` beside it, and its position in the snapshot."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Final

import msgspec

from strongroom.errors import StrongroomError
from strongroom.postgres import recordtext
from strongroom.postgres.wal.names import format_lsn, segment_name

KIND: Final = "postgres-cluster"
TOP: Final = "cluster"
DATA: Final = "data"
TABLESPACES: Final = "tablespaces"
MANIFEST: Final = "backup_manifest"
VERSION: Final = 1
FOLLOWED: Final = (
    "max_connections",
    "max_worker_processes",
    "max_wal_senders",
    "max_prepared_transactions",
    "max_locks_per_transaction",
)
"""Settings that a server in recovery needs at least as high as the one whose WAL it reads."""


def cluster_path(source: str) -> str:
    """Return the folder of a snapshot that holds the base backup of a source."""
    return f"{TOP}/{source}"


class Position(msgspec.Struct, array_like=True, frozen=True):
    """The position of a source in a snapshot: what decides which backup a recovery begins with.

    Times in nanoseconds since 1970, by the clock of the server. ``standalone``: the WAL that it
    needs is in it.
    """

    version: int
    system: int
    major: int
    timeline: int
    start: int
    stop: int
    started_ns: int
    stopped_ns: int
    segment_size: int
    standalone: bool

    @property
    def first_segment(self) -> int:
        """The number of the first segment that it needs to be consistent."""
        return self.start // self.segment_size

    @property
    def last_segment(self) -> int:
        """The number of the last one."""
        return (self.stop - 1) // self.segment_size

    def encoded(self) -> bytes:
        """Return it as a snapshot holds it."""
        return msgspec.msgpack.encode(self)


def read_position(data: bytes) -> Position | None:
    """Read a position; None for one of a later release, or none."""
    try:
        position = msgspec.msgpack.decode(data, type=Position)
    except msgspec.DecodeError:
        return None
    return position if position.version == VERSION else None


class Space(msgspec.Struct, frozen=True):
    """A tablespace, and where it was."""

    oid: int
    location: str


class ClusterRecord(msgspec.Struct, frozen=True, kw_only=True):
    """One base backup, for people and for a recovery; times as RFC 3339.

    ``data_directory`` is empty if it was not to be seen. ``settings``: those of ``FOLLOWED``.
    ``outside``: settings that name files outside of the data directory, which are not in it.
    ``restore_point``: a name in the WAL just after it, if one could be made.
    """

    version: int
    system_id: str
    server: str
    major: int
    timeline: int
    start_lsn: str
    stop_lsn: str
    start_time: str
    stop_time: str
    wal_first: str
    wal_last: str
    standalone: bool
    standby: bool
    segment_size: int
    block_size: int
    checksums: bool
    superuser: str
    data_directory: str
    outside: dict[str, str]
    settings: dict[str, str]
    tablespaces: tuple[Space, ...]
    checksum_failures: tuple[str, ...]
    restore_point: str = ""


def wal_range(position: Position) -> dict[str, str]:
    """Return the fields of a record that follow from a position."""
    size, timeline = position.segment_size, position.timeline
    return {
        "start_lsn": format_lsn(position.start),
        "stop_lsn": format_lsn(position.stop),
        "wal_first": segment_name(timeline, position.first_segment, size).text,
        "wal_last": segment_name(timeline, position.last_segment, size).text,
    }


def decoded(data: bytes) -> ClusterRecord:
    """Read a record; ``DamageError`` if it is none, or from a later release."""
    return recordtext.decoded(data, ClusterRecord, VERSION, "the base backup")


# -- the server's manifest


class _File(msgspec.Struct):
    size: int = msgspec.field(name="Size")
    path: str = msgspec.field(name="Path", default="")
    encoded_path: str = msgspec.field(name="Encoded-Path", default="")


class _Manifest(msgspec.Struct):
    files: list[_File] = msgspec.field(name="Files")


_CHECKSUM: Final = b'"Manifest-Checksum": "'


def check_manifest(data: bytes, came: Mapping[bytes, int]) -> None:
    """Compare what came, by path and size, with what the server says that it sent.

    ``StrongroomError`` if a file is missing or of another size, or the manifest not whole.
    """
    head, mark, rest = data.rpartition(_CHECKSUM)
    stated = rest.partition(b'"')[0].decode("ascii", "replace")
    if not mark or hashlib.sha256(head).hexdigest() != stated:
        raise _not_whole("its manifest is not whole")
    try:
        manifest = msgspec.json.decode(data, type=_Manifest)
        for file in manifest.files:
            path = bytes.fromhex(file.encoded_path) if file.encoded_path else file.path.encode()
            if came.get(path) != file.size:
                shown = path.decode("utf-8", "backslashreplace")
                how = "did not come" if path not in came else f"came with {came[path]:,} bytes"
                raise _not_whole(f"{shown}, which has {file.size:,} bytes, {how}")
    except (msgspec.DecodeError, ValueError) as error:
        raise _not_whole(f"its manifest cannot be read: {error}") from error


def _not_whole(why: str) -> StrongroomError:
    return StrongroomError(
        f"the base backup is not what the server says that it sent: {why}",
        hint="Nothing was saved. Run the same command again.",
    )
