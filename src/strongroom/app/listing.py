"""Say what a repository holds: snapshots, what is in one, the bytes of one file."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence

from strongroom.app.awsconfig_found import holds_secrets, shown_record
from strongroom.app.choosing import Chosen, choice_of
from strongroom.app.machine import Run
from strongroom.app.opening import opened_repository
from strongroom.aws.keys import split_path
from strongroom.errors import UsageError
from strongroom.model.entry import Entry
from strongroom.model.snapshot import ListedSnapshot
from strongroom.operations import listing
from strongroom.operations.choosing import choose


def snapshots(run: Run, chosen: Chosen, *, forgotten: bool = False) -> list[ListedSnapshot]:
    """Return the snapshots that are meant, oldest first; or those that are forgotten."""
    with opened_repository(run) as opened:
        found = opened.repository.list_snapshots()
        return choose(found.forgotten if forgotten else found.found, choice_of(run, chosen))


def entries(
    run: Run, snapshot: str, path: str, take: Callable[[Sequence[Entry]], None]
) -> ListedSnapshot:
    """Give the entries at and below a path, in order, to ``take``; the snapshot they are in."""
    top = path_in_snapshot(path)
    with opened_repository(run) as opened:
        listed = listing.named_snapshots(opened.repository, [snapshot])[0]
        for batch in listing.entries_below(opened.repository, listed, top):
            take(batch)
        return listed


def dump(
    run: Run,
    snapshot: str,
    path: str,
    write: Callable[[bytes | memoryview], object],
    *,
    show_secrets: bool = False,
) -> int:
    """Give the bytes of one file to ``write``, in order; their number.

    What is secret in a record of a configuration is not among them without ``show_secrets``.
    """
    top = path_in_snapshot(path)
    with opened_repository(run) as opened:
        listed = listing.named_snapshots(opened.repository, [snapshot])[0]
        if show_secrets or not holds_secrets(listed, top):
            return listing.dump(opened.repository, listed, top, write)
        data = bytearray()
        listing.dump(opened.repository, listed, top, data.extend)
        shown = shown_record(bytes(data), top)
        write(shown)
        return len(shown)


def path_in_snapshot(text: str) -> bytes:
    """Return how a tree knows a path: from the root, with or without its first slash.

    UsageError for ``..`` and zero bytes, which no tree holds but in the keys of objects.
    """
    object_path = split_path(os.fsencode(text))
    if object_path is not None:  # a key is no path: nothing in it is folded
        return b"".join(object_path)
    names = [name for name in os.fsencode(text).split(b"/") if name not in {b"", b"."}]
    if b".." in names or b"\0" in os.fsencode(text):
        raise UsageError(f"'{text}' is not a path in a snapshot", hint="Write it without '..'.")
    return b"/".join(names)
