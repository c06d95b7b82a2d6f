"""``strongroom ls``."""

from __future__ import annotations

import stat
from collections.abc import Callable, Sequence
from typing import Final

import click

from strongroom.app.listing import entries
from strongroom.cli.arguments import snapshot_and_path
from strongroom.cli.job import job
from strongroom.cli.names import path_fields, shown
from strongroom.cli.output import Output
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


def run(snapshot: str, path: str | None, *, long: bool) -> int:
    """List entries."""
    name, inner = snapshot_and_path(snapshot)
    if inner and path:
        raise click.UsageError(f"the path is given twice, as {inner!r} and {path!r}")
    with job(stream=True) as one:
        count = 0
        print_entry = _printer(one.output, long=long)

        def take(batch: Sequence[Entry]) -> None:
            nonlocal count
            count += len(batch)
            for entry in batch:
                print_entry(entry)

        listed = entries(one.run, name, path or inner, take)
        one.output.record("summary", snapshot_id=listed.id, entries=count)
    return 0


def _printer(output: Output, *, long: bool) -> Callable[[Entry], None]:
    if output.json_lines:
        return lambda entry: _record(output, entry)
    if long:
        return lambda entry: output.wanted(_long(entry))
    return lambda entry: output.wanted(shown(b"/" + entry.path))


def _record(output: Output, entry: Entry) -> None:
    kind = EntryKind(entry.kind)
    link = path_fields(entry.target, "target") if kind is EntryKind.SYMLINK else {}
    first = path_fields(b"/" + entry.link, "hard_link") if entry.link else {}
    output.record(
        "node",
        type=_TYPES[kind][0],
        size=entry.size,
        mode=entry.mode,
        uid=entry.uid,
        gid=entry.gid,
        user=entry.user.decode("utf-8", "replace"),
        group=entry.group.decode("utf-8", "replace"),
        mtime=rfc3339(entry.mtime_ns),
        **path_fields(b"/" + entry.path),
        **link,
        **first,
    )


def _long(entry: Entry) -> str:
    kind = EntryKind(entry.kind)
    mode = stat.filemode(entry.mode & 0o7777 | _TYPES[kind][1])
    user = shown(entry.user) if entry.user else str(entry.uid)
    group = shown(entry.group) if entry.group else str(entry.gid)
    arrow = f" -> {shown(entry.target)}" if kind is EntryKind.SYMLINK else ""
    path = shown(b"/" + entry.path)
    return f"{mode} {user:8} {group:8} {entry.size:12} {moment(entry.mtime_ns)} {path}{arrow}"
