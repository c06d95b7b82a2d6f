"""Entries of snapshots: as lines for people and as fields for programs."""

from __future__ import annotations

import stat
from typing import Final

from strongroom.aws.attributes import Stated
from strongroom.cli.names import path_fields, shown
from strongroom.cli.output import Field
from strongroom.cli.quantities import moment
from strongroom.clock import rfc3339
from strongroom.model.entry import Entry, EntryKind

_TYPES: Final = {
    EntryKind.FILE: ("file", stat.S_IFREG),
    EntryKind.DIRECTORY: ("dir", stat.S_IFDIR),
    EntryKind.SYMLINK: ("symlink", stat.S_IFLNK),
    EntryKind.FIFO: ("fifo", stat.S_IFIFO),
    EntryKind.CHARACTER_DEVICE: ("chardev", stat.S_IFCHR),
    EntryKind.BLOCK_DEVICE: ("dev", stat.S_IFBLK),
    EntryKind.SOCKET: ("socket", stat.S_IFSOCK),
    EntryKind.STREAM: ("stream", stat.S_IFREG),
    EntryKind.RECORD: ("record", stat.S_IFREG),
}


def type_of(entry: Entry) -> str:
    """Return what an entry is, in the words of the JSON output."""
    return _TYPES[EntryKind(entry.kind)][0]


def entry_fields(entry: Entry) -> dict[str, Field]:
    """Return the JSON fields of an entry."""
    kind = EntryKind(entry.kind)
    link = path_fields(entry.target, "target") if kind is EntryKind.SYMLINK else {}
    said = Stated(entry.xattrs).shown()
    first = path_fields(b"/" + entry.link, "hard_link") if entry.link else {}
    return {
        "type": _TYPES[kind][0],
        "size": entry.size,
        "mode": entry.mode,
        "uid": entry.uid,
        "gid": entry.gid,
        "user": entry.user.decode("utf-8", "replace"),
        "group": entry.group.decode("utf-8", "replace"),
        "mtime": rfc3339(entry.mtime_ns),
        **path_fields(b"/" + entry.path),
        **link,
        **first,
        **({"object": said} if said else {}),
    }


def long_line(entry: Entry) -> str:
    """Return mode, owner, size, time and path in one line."""
    kind = EntryKind(entry.kind)
    mode = stat.filemode(entry.mode & 0o7777 | _TYPES[kind][1])
    user = shown(entry.user) if entry.user else str(entry.uid)
    group = shown(entry.group) if entry.group else str(entry.gid)
    arrow = f" -> {shown(entry.target)}" if kind is EntryKind.SYMLINK else ""
    path = shown(b"/" + entry.path)
    return f"{mode} {user:8} {group:8} {entry.size:12} {moment(entry.mtime_ns)} {path}{arrow}"
