"""Compare two directory trees in everything that a faithful copy keeps, by means of its own.

As a program: ``python -m tests.support.compare_trees A B`` prints each difference and ends with 1
if there is any. Shares no code with what it judges. Depth and length of paths have no limit.
"""

from __future__ import annotations

import argparse
import errno
import hashlib
import os
import stat
import sys
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW
_BLOCK = 512
_SLACK = 16 * _BLOCK
_FIELDS = (
    *("kind", "mode", "owner", "mtime_ns", "xattrs"),
    *("size", "content", "target", "device"),
)


@dataclass(frozen=True)
class Seen:
    """One name of a tree. ``link``: the first path with the same inode, where there are several."""

    kind: str
    mode: int
    owner: tuple[int, int]
    mtime_ns: int
    xattrs: tuple[tuple[str, bytes], ...]
    size: int = 0
    content: str = ""
    target: bytes = b""
    device: tuple[int, int] = (0, 0)
    link: bytes = b""
    allocated: int = 0


def _names(fd: int) -> Iterator[bytes]:
    return iter(sorted(os.fsencode(name) for name in os.listdir(fd)))


def _xattrs(name: bytes, dir_fd: int) -> tuple[tuple[str, bytes], ...]:
    path = b"/proc/self/fd/%d/%s" % (dir_fd, name)
    try:
        keys = os.listxattr(path, follow_symlinks=False)
    except OSError as error:
        if error.errno == errno.ENOTSUP:
            return ()
        raise
    return tuple((key, os.getxattr(path, key, follow_symlinks=False)) for key in sorted(keys))


def _digest(name: bytes, dir_fd: int) -> str:
    """Hash a file; of a sparse one only the data, with its place."""
    digest = hashlib.sha256()
    fd = os.open(name, os.O_RDONLY | os.O_NOFOLLOW, dir_fd=dir_fd)
    with os.fdopen(fd, "rb", buffering=0) as file:
        offset = 0
        while block := file.read(1 << 20):
            if block.strip(b"\0"):
                digest.update(b"%d:" % offset + block)
            offset += len(block)
            offset = _next_data(fd, offset)
    return digest.hexdigest()


def _next_data(fd: int, offset: int) -> int:
    """Skip whole holes of a file; at a multiple of the block that is read."""
    try:
        data = os.lseek(fd, offset, os.SEEK_DATA)
    except OSError:
        data = offset
    data -= data % (1 << 20)
    return os.lseek(fd, max(offset, data), os.SEEK_SET)


class _Reader:
    """Describes one tree."""

    def __init__(self) -> None:
        self.seen: dict[bytes, Seen] = {}
        self._first: dict[tuple[int, int], bytes] = {}

    def read(self, top: Path) -> dict[bytes, Seen]:
        """Return every name below ``top`` by its path, and ``top`` itself by the empty one."""
        parent = os.open(top.parent, _DIRECTORY)
        name = os.fsencode(top.name)
        try:
            self._look(b"", name, parent)
            if self.seen[b""].kind != "directory":
                return self.seen
            fd = os.open(name, _DIRECTORY, dir_fd=parent)
        finally:
            os.close(parent)
        self._walk(fd)
        return self.seen

    def _walk(self, fd: int) -> None:
        """Walk with one descriptor: down by name, up by ``..``."""
        prefix = b""
        waiting = [(_names(fd), 0)]
        while waiting:
            names, above = waiting[-1]
            name = next(names, None)
            if name is None:
                waiting.pop()
                up = os.open(b"..", _DIRECTORY, dir_fd=fd)
                prefix = prefix[:above]
            else:
                self._look(prefix + name, name, fd)
                if self.seen[prefix + name].kind != "directory":
                    continue
                up = os.open(name, _DIRECTORY, dir_fd=fd)
                waiting.append((_names(up), len(prefix)))
                prefix += name + b"/"
            os.close(fd)
            fd = up
        os.close(fd)

    def _look(self, path: bytes, name: bytes, dir_fd: int) -> None:
        found = os.stat(name, dir_fd=dir_fd, follow_symlinks=False)
        facts: dict[str, Any] = {
            "mode": stat.S_IMODE(found.st_mode),
            "owner": (found.st_uid, found.st_gid),
            "mtime_ns": found.st_mtime_ns,
            "xattrs": _xattrs(name, dir_fd),
        }
        if stat.S_ISDIR(found.st_mode):
            self.seen[path] = Seen("directory", **facts)
            return
        if found.st_nlink > 1:
            facts["link"] = self._first.setdefault((found.st_dev, found.st_ino), path)
        kind = "something else"
        if stat.S_ISREG(found.st_mode):
            kind = "file"
            facts["size"] = found.st_size
            facts["content"] = _digest(name, dir_fd)
            facts["allocated"] = found.st_blocks * _BLOCK
        elif stat.S_ISLNK(found.st_mode):
            kind = "link"
            facts["target"] = os.readlink(name, dir_fd=dir_fd)
        elif stat.S_ISFIFO(found.st_mode):
            kind = "fifo"
        elif stat.S_ISSOCK(found.st_mode):
            kind = "socket"
        elif stat.S_ISCHR(found.st_mode) or stat.S_ISBLK(found.st_mode):
            kind = "character device" if stat.S_ISCHR(found.st_mode) else "block device"
            facts["device"] = (os.major(found.st_rdev), os.minor(found.st_rdev))
        self.seen[path] = Seen(kind, **facts)


def _first_links(seen: dict[bytes, Seen]) -> dict[bytes, bytes]:
    """Return the group of each linked path, named by its first one; names outside do not count."""
    groups: dict[bytes, list[bytes]] = {}
    for path, one in seen.items():
        if one.link:
            groups.setdefault(one.link, []).append(path)
    return {path: min(group) for group in groups.values() if len(group) > 1 for path in group}


def describe(top: Path) -> dict[bytes, Seen]:
    """Return what is at ``top`` and below it; two equal answers mean that nothing was changed."""
    return _Reader().read(top)


def _differences(a: Seen, b: Seen, ignore: Collection[str]) -> Iterator[str]:
    for field in _FIELDS:
        if field not in ignore and getattr(a, field) != getattr(b, field):
            yield f"{field} {getattr(a, field)!r}, {getattr(b, field)!r}"


def compare_trees(one: Path, other: Path, *, ignore: Collection[str] = ()) -> list[str]:
    """Return a line for each difference; ``ignore``: fields of ``Seen``, and ``top`` for the tops.

    A copy may take less room than the original, and not much more.
    """
    left, right = describe(one), describe(other)
    left_links, right_links = _first_links(left), _first_links(right)
    lines = []
    for path in sorted(left.keys() | right.keys()):
        if path == b"" and "top" in ignore:
            continue
        a, b = left.get(path), right.get(path)
        if a is None or b is None:
            lines.append(f"{path!r}: only in {other if a is None else one}")
            continue
        lines += [f"{path!r}: {line}" for line in _differences(a, b, ignore)]
        if "link" not in ignore and left_links.get(path) != right_links.get(path):
            lines.append(f"{path!r}: linked to {left_links.get(path)!r}, {right_links.get(path)!r}")
        if "allocated" not in ignore and b.allocated > a.allocated + _SLACK:
            lines.append(f"{path!r}: takes {a.allocated} bytes of disk, {b.allocated}")
    return lines


def main() -> int:
    """Compare the two trees that the command line names."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("trees", nargs=2, type=Path)
    parser.add_argument("--ignore", action="append", default=[], help="a field, such as owner")
    arguments = parser.parse_args()
    lines = compare_trees(*arguments.trees, ignore=arguments.ignore)
    sys.stdout.write("".join(f"{line}\n" for line in lines))
    return 1 if lines else 0


if __name__ == "__main__":
    sys.exit(main())
