"""Snapshots: what a commit seals, and how a person and the engine speak of one.

The arrays are those of ``docs/format.md`` 5, field by field.
"""

from __future__ import annotations

import enum
from typing import Final

import msgspec

PRE_RESTORE: Final = b"pre-restore"
"""The type of a snapshot of what a restore replaces: no backup that anybody asked for."""


class Status(enum.IntEnum):
    """How complete the capture of a source is; numbers are part of the format."""

    COMPLETE = 0
    INCOMPLETE = 1
    FAILED = 2


class Order(enum.IntEnum):
    """How the entries of a source are sorted; numbers are part of the format."""

    COMPONENTS = 1
    RAW = 2


class Counts(msgspec.Struct, array_like=True, frozen=True, forbid_unknown_fields=True):
    """What a source's capture came to; ``bytes`` is the sum of the sizes of its files."""

    entries: int = 0
    files: int = 0
    directories: int = 0
    bytes: int = 0
    problems: int = 0


class Stream(msgspec.Struct, array_like=True, frozen=True, forbid_unknown_fields=True):
    """Bytes kept in chunks: extents, and how deep they lie (``docs/format.md`` 8)."""

    content: bytes = b""
    depth: int = 0


class SourceRecord(msgspec.Struct, array_like=True, frozen=True, forbid_unknown_fields=True):
    """One source in a snapshot; ``root`` is empty for an empty tree."""

    name: bytes
    kind: bytes
    order: int
    paths: tuple[bytes, ...]
    root: bytes
    levels: int
    status: int
    position: bytes
    counts: Counts
    problems: Stream


class Snapshot(msgspec.Struct, array_like=True, frozen=True, forbid_unknown_fields=True):
    """The sealed record of a commit. Times in nanoseconds since 1970."""

    name: bytes
    environment: bytes
    type: bytes
    host: bytes
    user: bytes
    tags: tuple[bytes, ...]
    started_ns: int
    ended_ns: int
    program: bytes
    sources: tuple[SourceRecord, ...]

    @property
    def status(self) -> Status:
        """The worst status of its sources."""
        return Status(max((source.status for source in self.sources), default=0))


class ListedSnapshot(msgspec.Struct, frozen=True):
    """A snapshot as found in a repository: its id and writer (hex), and the sealed record.

    ``agent`` is the name of the agent whose key signed it, empty for a full-key host. It is proven;
    the host and user in the record are what the writer said of itself.
    """

    id: str
    writer: str
    key: str
    domain: bytes
    snapshot: Snapshot
    agent: bytes = b""

    @property
    def short_id(self) -> str:
        """The first eight digits, for people."""
        return self.id[:8]
