"""What an entry says of a thing on this machine, its content apart."""

from __future__ import annotations

import os
import stat
from collections.abc import Sequence
from typing import Final

from strongroom.model.entry import Entry, EntryKind
from strongroom.model.fs import Stat
from strongroom.sources.files.owners import Owners

Attributes = tuple[tuple[bytes, bytes], ...]

_KINDS: Final = {
    stat.S_IFREG: int(EntryKind.FILE),
    stat.S_IFDIR: int(EntryKind.DIRECTORY),
    stat.S_IFLNK: int(EntryKind.SYMLINK),
    stat.S_IFIFO: int(EntryKind.FIFO),
    stat.S_IFCHR: int(EntryKind.CHARACTER_DEVICE),
    stat.S_IFBLK: int(EntryKind.BLOCK_DEVICE),
    stat.S_IFSOCK: int(EntryKind.SOCKET),
}
_FILE: Final = int(EntryKind.FILE)
_DEVICES: Final = (stat.S_IFCHR, stat.S_IFBLK)
_NO_DEVICE: Final = (0, 0)
_MODE: Final = 0o7777
MOST_ATTRIBUTES: Final = 1 << 20


class EntryMaker:
    """Makes entries; safe in any thread."""

    def __init__(self, owners: Owners) -> None:
        self._user = owners.user
        self._group = owners.group

    def file(
        self, path: bytes, found: Stat, size: int, link: bytes, xattrs: Attributes, flags: int
    ) -> Entry:
        """Make the entry of a regular file of which ``size`` bytes were read."""
        mode, _, _, _, uid, gid, _, mtime_ns, _, _, _ = found
        return Entry(
            path,
            _FILE,
            mode & _MODE,
            uid,
            gid,
            self._user(uid),
            self._group(gid),
            mtime_ns,
            size,
            link=link,
            xattrs=xattrs,
            flags=flags,
        )

    def special(
        self, path: bytes, found: Stat, target: bytes, link: bytes, xattrs: Attributes
    ) -> Entry:
        """Make the entry of anything else; ``target`` is where a symbolic link leads."""
        kind = stat.S_IFMT(found.mode)
        rdev = found.rdev
        return Entry(
            path,
            _KINDS[kind],
            stat.S_IMODE(found.mode),
            found.uid,
            found.gid,
            self._user(found.uid),
            self._group(found.gid),
            found.mtime_ns,
            0,
            target=target,
            link=link,
            rdev=(os.major(rdev), os.minor(rdev)) if kind in _DEVICES else _NO_DEVICE,
            xattrs=xattrs,
        )


def fitting(xattrs: Sequence[tuple[bytes, bytes]]) -> Attributes | None:
    """Return the attributes as an entry holds them; None if they are too large for one."""
    if not xattrs:
        return ()
    size = sum(len(name) + len(value) for name, value in xattrs)
    return tuple(xattrs) if size <= MOST_ATTRIBUTES else None
