"""The entry of a file that no disk has: what a program or a pipe gave us."""

from __future__ import annotations

import os
from typing import Final

from strongroom.model.entry import Entry, EntryKind
from strongroom.sources.files.owners import group_name, user_name

_PRIVATE: Final = 0o600


def made_file(path: bytes, size: int, mtime_ns: int) -> Entry:
    """Return the entry of a file of ``size`` bytes that only who runs us may read."""
    uid, gid = os.geteuid(), os.getegid()
    return Entry(
        path=path,
        kind=EntryKind.FILE,
        mode=_PRIVATE,
        uid=uid,
        gid=gid,
        user=user_name(uid),
        group=group_name(gid),
        mtime_ns=mtime_ns,
        size=size,
    )
