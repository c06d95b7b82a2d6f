"""WAL files on the disk of the server, as PostgreSQL names them to its commands."""

from __future__ import annotations

import os
import struct
from contextlib import suppress
from typing import Final

from strongroom.errors import SourceError
from strongroom.model.fs import Fs
from strongroom.postgres.wal.names import MAX_SEGMENT, WalKind, WalName, parse_name
from strongroom.postgres.wal.pages import (
    HEADER_SIZE,
    Cluster,
    WalContentError,
    read_page_header,
)

CONTROL_FILE: Final = b"global/pg_control"
_PART: Final = 4 << 20
_SYSTEM_ID: Final = struct.Struct("=Q")  # the first field of ControlFileData


def read_whole(fs: Fs, path: bytes) -> memoryview:
    """Return a file of at most ``MAX_SEGMENT`` bytes; ``SourceError``."""
    try:
        fd = fs.open(path, os.O_RDONLY)
        try:
            size = min(fs.fstat(fd).size, MAX_SEGMENT)
            content = bytearray(size + 1)  # one more shows whether it grew
            view, place = memoryview(content), 0
            while place < len(view) and (got := fs.readinto(fd, view[place : place + _PART])):
                place += got
        finally:
            fs.close(fd)
    except OSError as error:
        raise _unreadable(path, error) from error
    return view[:place]


def cluster_of_folder(fs: Fs, path: bytes) -> Cluster | None:
    """Return the cluster of the segments beside a WAL file; None if there are none to ask."""
    folder = path.rpartition(b"/")[0] or b"."
    try:
        fd = fs.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    except OSError as error:
        raise _unreadable(folder, error) from error
    try:
        for name in sorted(fs.names(fd), reverse=True):
            parsed = parse_name(os.fsdecode(name))
            if parsed is None or parsed.kind is not WalKind.SEGMENT:
                continue
            with suppress(OSError, WalContentError):
                header = read_page_header(_begin(fs, name, fd))
                return Cluster(header.system_id, header.segment_size)
    finally:
        fs.close(fd)
    return None


def cluster_of_segment(content: memoryview) -> Cluster:
    """Return the cluster that a segment says it is of; ``WalContentError``."""
    header = read_page_header(content[:HEADER_SIZE])
    return Cluster(header.system_id, header.segment_size)


def system_id_here(fs: Fs, folder: bytes = b"") -> int | None:
    """Return the system id in the control file of a data folder; None if there is none.

    Without a folder, that of the one that PostgreSQL runs its commands in.
    """
    try:
        fd = fs.open(folder + b"/" + CONTROL_FILE if folder else CONTROL_FILE, os.O_RDONLY)
        try:
            data = fs.read(fd, _SYSTEM_ID.size)
        finally:
            fs.close(fd)
    except OSError:
        return None
    return _SYSTEM_ID.unpack(data)[0] or None if len(data) == _SYSTEM_ID.size else None


def named_file(path: bytes) -> WalName | None:
    """Return the name of the WAL file at a path; None if it is none."""
    return parse_name(os.fsdecode(path.rpartition(b"/")[2]))


def deliver(fs: Fs, path: bytes, content: bytes | bytearray) -> None:
    """Put a file at ``path``, whole or not at all, and durable; ``SourceError``."""
    folder, _, name = path.rpartition(b"/")
    temporary = name + b".strongroom"
    try:
        here = fs.open(
            folder or (b"/" if path.startswith(b"/") else b"."), os.O_RDONLY | os.O_DIRECTORY
        )
        try:
            fd = fs.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, dir_fd=here)
            try:
                view = memoryview(content)
                while view:
                    view = view[fs.write(fd, view[:_PART]) :]
                fs.fsync(fd)
            finally:
                fs.close(fd)
            fs.rename(temporary, name, old_dir_fd=here, dir_fd=here)
            fs.fsync(here)
        except OSError:
            with suppress(OSError):
                fs.unlink(temporary, dir_fd=here)
            raise
        finally:
            fs.close(here)
    except OSError as error:
        raise SourceError(
            f"cannot write {os.fsdecode(path)}: {(error.strerror or str(error)).lower()}"
        ) from error


def _begin(fs: Fs, name: bytes, folder: int) -> bytes:
    fd = fs.open(name, os.O_RDONLY, dir_fd=folder)
    try:
        return fs.read(fd, HEADER_SIZE)
    finally:
        fs.close(fd)


def _unreadable(path: bytes, error: OSError) -> SourceError:
    return SourceError(
        f"cannot read {os.fsdecode(path)}: {(error.strerror or str(error)).lower()}",
        hint="PostgreSQL runs its commands in the data folder, and %p is relative to it.",
    )
