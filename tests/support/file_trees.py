"""Trees with every kind of thing that a file system can hold."""

from __future__ import annotations

import os
import socket
import stat
import struct
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Final

ROOT: Final = os.geteuid() == 0
_SHARED: Final = "/dev/shm"  # noqa: S108 - a disk takes a minute to remove ten thousand directories
MEMORY: Final = _SHARED if os.access(_SHARED, os.W_OK) else None
YEAR_2200_NS: Final = 7_258_118_400_123_456_789
BEFORE_1970_NS: Final = -123_456_789_012_345_678
PLAIN_NS: Final = 1_600_000_000_987_654_321
_ANYBODY: Final = 0xFFFFFFFF
_OWNER, _USER, _GROUP, _MASK, _OTHERS = 1, 2, 4, 0x10, 0x20


def access_list(group: int = 4) -> bytes:
    """Return an access list as the kernel keeps it; user 1234 may read, the mask is ``group``."""
    entries = [
        (_OWNER, 6, _ANYBODY),
        (_USER, 4, 1234),
        (_GROUP, 4, _ANYBODY),
        (_MASK, group, _ANYBODY),
        (_OTHERS, 0, _ANYBODY),
    ]
    return struct.pack("<I", 2) + b"".join(struct.pack("<HHI", *entry) for entry in entries)


def capability() -> bytes:
    """Return the capability to open low ports as the kernel keeps it."""
    return struct.pack("<IIIII", 0x02000001, 1 << 10, 0, 0, 0)


def every_kind(top: Path) -> None:
    """Make a directory with everything in it that this user may make."""
    top.mkdir()
    for make in (_names, _files, _links, _specials, _attributes, _sparse, _modes, _owned):
        folder = top / make.__name__.strip("_")
        folder.mkdir()
        make(folder)
    _settle(top)


def strange_names() -> list[bytes]:
    """Return names of every byte, and those that programs have tripped over."""
    every_byte = bytes(set(range(1, 256)) - {ord("/")})
    return [
        *(every_byte[start : start + 32] for start in range(0, len(every_byte), 32)),
        b"x" * 255,
        b"\xff\xfe invalid UTF-8",
        b"new\nline",
        b"tab\there",
        b"\x1b[31mred\x1b[0m",
        "\u202eright to left".encode(),
        "e\u0301".encode(),
        "\u00e9".encode(),
        b"-rf",
        b"%s",
        b"...",
        b" leading",
        b"trailing ",
        b"dot.",
        b"~",
        b"*",
        b"C:\\x",
    ]


def _names(folder: Path) -> None:
    for number, name in enumerate(strange_names()):
        with open(os.fsencode(folder) + b"/" + name, "wb") as file:  # noqa: PTH123 - bytes
            file.write(b"%d" % number)


def _files(folder: Path) -> None:
    (folder / "empty").touch()
    (folder / "small").write_bytes(b"small\n")
    (folder / "large").write_bytes(bytes(range(256)) * 6000)
    (folder / "zeros").write_bytes(bytes(100_000))
    (folder / "no folders here").mkdir()
    (folder / "no folders here" / "deeper").mkdir()
    for name, when in (("old", BEFORE_1970_NS), ("future", YEAR_2200_NS), ("plain", PLAIN_NS)):
        (folder / name).write_text(name)
        os.utime(folder / name, ns=(when, when))


def _links(folder: Path) -> None:
    (folder / "b first").write_text("shared")
    for name in ("c", "a earlier"):
        os.link(folder / "b first", folder / name)
    (folder / "below").mkdir()
    os.link(folder / "b first", folder / "below" / "d")
    targets = {"relative": "b first", "dangling": "nowhere", "out": "/etc/passwd", "up": "../.."}
    for name, target in targets.items():
        (folder / name).symlink_to(target)
    (folder / "strange").symlink_to(os.fsdecode(b"\xff" * 1000))
    os.link(folder / "dangling", folder / "dangling too", follow_symlinks=False)
    os.utime(folder / "relative", ns=(PLAIN_NS, PLAIN_NS), follow_symlinks=False)


def _specials(folder: Path) -> None:
    os.mkfifo(folder / "fifo")
    os.link(folder / "fifo", folder / "fifo too")
    here = Path.cwd()
    os.chdir(folder)  # the path of a socket may not be long
    try:
        with socket.socket(socket.AF_UNIX) as listening:
            listening.bind("socket")
    finally:
        os.chdir(here)
    with suppress(PermissionError):
        os.mknod(folder / "null", 0o640 | stat.S_IFCHR, os.makedev(1, 3))
        os.mknod(folder / "disk", 0o600 | stat.S_IFBLK, os.makedev(259, 70_000))


def _attributes(folder: Path) -> None:
    file, inner = folder / "file", folder / "inner"
    file.write_text("with attributes")
    inner.mkdir()
    (inner / "inherits").write_text("")
    os.setxattr(file, "user.empty", b"")
    os.setxattr(file, "user.bytes", bytes(range(256)))
    os.setxattr(inner, "user.on a directory", b"1")
    os.setxattr(file, "system.posix_acl_access", access_list())
    os.setxattr(inner, "system.posix_acl_default", access_list(7))
    (folder / "link").symlink_to("file")
    with suppress(PermissionError):
        os.setxattr(file, "security.capability", capability())
        os.setxattr(file, "trusted.thing", b"2")
        os.setxattr(folder / "link", "trusted.link", b"3", follow_symlinks=False)


def _sparse(folder: Path) -> None:
    size = 3 << 20
    _holes(folder / "all hole", size, [])
    _holes(folder / "begins", size, [size - 100])
    _holes(folder / "ends", size, [0])
    _holes(folder / "middle", size, [0, size - 5000])
    _holes(folder / "islands", size, list(range(0, size, 200_000)))
    _holes(folder / "small", 300_000, [150_000])
    _holes(folder / "small all hole", 50_000, [])


def _holes(path: Path, size: int, data: list[int]) -> None:
    with path.open("wb") as file:
        for offset in data:
            file.seek(offset)
            file.write(b"data")
        file.truncate(size)


def _modes(folder: Path) -> None:
    for mode in (0o000, 0o400, 0o200, 0o777, 0o4755, 0o2755, 0o6711, 0o1644):
        if ROOT or mode & 0o400:
            (folder / f"file {mode:o}").write_text("x")
            (folder / f"file {mode:o}").chmod(mode)
    for mode in (0o1777, 0o2775, 0o500, 0o700):
        (folder / f"dir {mode:o}").mkdir()
        (folder / f"dir {mode:o}" / "inside").write_text("y")
        (folder / f"dir {mode:o}").chmod(mode)


def _owned(folder: Path) -> None:
    (folder / "file").write_text("z")
    (folder / "setuid").write_text("z")
    (folder / "dir").mkdir()
    (folder / "link").symlink_to("file")
    os.mkfifo(folder / "fifo")
    with suppress(PermissionError):
        for name in ("file", "setuid", "dir", "link", "fifo"):
            os.chown(folder / name, 12345, 54321, follow_symlinks=False)
    (folder / "setuid").chmod(0o6755)


def _settle(top: Path) -> None:
    """Give directories times that nobody would get by accident."""
    for number, (path, _, _) in enumerate(os.walk(top, topdown=False)):
        os.utime(path, ns=(PLAIN_NS + number, PLAIN_NS + number))


def deep_tree(top: Path, depth: int, name: bytes, leaf: Callable[[int], None]) -> None:
    """Make ``depth`` directories, one in the other, and call ``leaf`` with the deepest."""
    top.mkdir()
    fd = os.open(top, os.O_RDONLY)
    for _ in range(depth):
        os.mkdir(name, dir_fd=fd)
        below = os.open(name, os.O_RDONLY, dir_fd=fd)
        os.close(fd)
        fd = below
    leaf(fd)
    os.close(fd)


def remove_deep_tree(top: Path, name: bytes) -> None:
    """Remove what ``deep_tree`` made, or a copy of it."""
    fd = os.open(top, os.O_RDONLY)
    while True:
        try:
            below = os.open(name, os.O_RDONLY, dir_fd=fd)
        except FileNotFoundError:
            break
        os.close(fd)
        fd = below
    while not os.path.samestat(os.fstat(fd), top.stat()):
        with os.scandir(fd) as found:
            for one in found:
                is_directory = one.is_dir(follow_symlinks=False)
                (os.rmdir if is_directory else os.unlink)(one.name, dir_fd=fd)
        above = os.open("..", os.O_RDONLY, dir_fd=fd)
        os.close(fd)
        fd = above
    os.rmdir(name, dir_fd=fd)
    os.close(fd)
