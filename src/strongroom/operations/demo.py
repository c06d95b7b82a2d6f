"""A small project of many kinds of files, and a comparison that shares no code with the engine."""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
import stat
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final, NamedTuple

_WORDS: Final = tuple(
    b"the keeper of the room counts every key and every lock before the lamp goes out and "
    b"writes the number down in a book that nobody may change afterwards".split()
)
_LONG_AGO_NS: Final = 1_000_000_000_123_456_789
_BEFORE_1970_NS: Final = -86_400_000_000_000 + 7
_MODULES, _PAGES, _TABLES, _PICTURES = 720, 320, 90, 48
_PICTURE_BYTES: Final = 180_000
_DATABASE_BYTES: Final = 9_000_000
_HOLE: Final = 4 << 20
_NO_SUCH_NAME: Final = frozenset({errno.EILSEQ, errno.EINVAL})


class Seen(NamedTuple):
    """Everything about one entry that a restore must bring back.

    ``content`` is a hash of its bytes, ``names`` the paths that share its inode.
    """

    mode: int
    uid: int
    gid: int
    size: int
    mtime_ns: int
    rdev: int
    target: bytes
    content: str
    sparse: bool
    xattrs: tuple[tuple[str, bytes], ...]
    names: tuple[bytes, ...]


# -- making


def make_project(folder: Path) -> None:
    """Fill a new folder with about 1,200 files of different kinds."""
    folder.mkdir()
    for number in range(_MODULES):
        _write(folder, b"src/part%02d/module%03d.py" % (number % 24, number), _text(number, 2800))
    for number in range(_PAGES):
        _write(folder, b"docs/%d/page%03d.md" % (number % 9, number), _text(number + 9000, 5200))
    for number in range(_TABLES):
        _write(folder, b"data/table%02d.csv" % number, _text(number + 20_000, 150_000))
    for number in range(_PICTURES):
        _write(folder, b"pictures/%02d.jpg" % number, _noise(b"picture", number, _PICTURE_BYTES))
    _write(folder, b"app.db", _noise(b"database", 0, _DATABASE_BYTES))
    _make_links(folder)
    _make_odd_names(folder)
    _make_attributes(folder)


def _make_links(folder: Path) -> None:
    _path(folder, b"current").symlink_to("src/part00")
    _path(folder, b"docs/broken").symlink_to("../does/not/exist")
    _path(folder, b"docs/absolute").symlink_to("/etc/hostname")
    _write(folder, b"shared/one name", b"one file with three names\n")
    _path(folder, b"shared/another name").hardlink_to(_path(folder, b"shared/one name"))
    _path(folder, b"docs/third name").hardlink_to(_path(folder, b"shared/one name"))
    os.mkfifo(_path(folder, b"shared/fifo"), 0o620)
    with _path(folder, b"disk.img").open("wb") as file:
        file.seek(_HOLE)
        file.write(_noise(b"disk", 1, 70_000))
        file.truncate(2 * _HOLE)


def _make_odd_names(folder: Path) -> None:
    names = [
        b"odd/new\nline",
        b"odd/\x1b[31mred\x1b[0m",
        b"odd/not utf-8 \xff\xfe",
        b"odd/-rf",
        b"odd/ leading and trailing ",
        b"odd/*?[a-z]$HOME`id`",
        "odd/Zürich 東京 🔑".encode(),
        b"odd/" + b"n" * 255,
        b"/".join([b"odd", *(b"deep%02d" % depth for depth in range(40)), b"file"]),
    ]
    for name in names:
        try:
            _write(folder, name, b"a file with an odd name\n")
        except OSError as error:
            if error.errno not in _NO_SUCH_NAME:
                raise
    _path(folder, b"odd/empty folder/also empty").mkdir(parents=True)
    _write(folder, b"odd/empty", b"")


def _make_attributes(folder: Path) -> None:
    _path(folder, b"src/part01/module001.py").chmod(0o755)
    _path(folder, b"app.db").chmod(0o640)
    _write(folder, b"private/secret", b"for nobody else\n")
    _path(folder, b"private/secret").chmod(0o400)
    _write(folder, b"private/tool", b"#!/bin/sh\n")
    _path(folder, b"private/tool").chmod(0o4755)
    for attribute, value in (("user.comment", b"kept \x00 as it is"), ("user.origin", b"demo")):
        with suppress(OSError):  # not every file system has such attributes
            os.setxattr(_path(folder, b"app.db"), attribute, value)
            os.setxattr(_path(folder, b"docs"), attribute, b"of a folder")
    os.utime(_path(folder, b"docs/broken"), ns=(5, 5), follow_symlinks=False)
    os.utime(_path(folder, b"docs/1/page001.md"), ns=(_LONG_AGO_NS, _LONG_AGO_NS))
    os.utime(_path(folder, b"docs/2/page002.md"), ns=(_BEFORE_1970_NS, _BEFORE_1970_NS))
    os.utime(_path(folder, b"odd/empty folder"), ns=(_LONG_AGO_NS, _LONG_AGO_NS))
    _path(folder, b"private").chmod(0o500)


def change_project(folder: Path) -> int:
    """Change some of it; the number of files that were written, removed or renamed."""
    changed = 0
    for number in range(0, _MODULES, 60):
        _write(folder, b"src/part%02d/module%03d.py" % (number % 24, number), _text(number + 1, 99))
        changed += 1
    with _path(folder, b"app.db").open("r+b") as file:
        file.seek(_DATABASE_BYTES // 2)
        file.write(_noise(b"row", 2, 5000))
    with _path(folder, b"disk.img").open("r+b") as file:
        file.seek(_HOLE // 2)
        file.write(b"a block in the middle of a hole")
    _path(folder, b"docs/3").rename(_path(folder, b"docs/renamed"))
    _path(folder, b"data/table00.csv").unlink()
    _path(folder, b"shared/another name").unlink()
    _write(folder, b"shared/another name", b"now a file of its own\n")
    _path(folder, b"docs/4/page004.md").chmod(0o600)
    return changed + 6


def destroy_project(folder: Path, *, itself: bool = True) -> None:
    """Remove everything below the folder, and the folder ``itself`` unless it was there before."""
    for directory, _, _ in os.walk(folder):
        Path(directory).chmod(0o700)
    for path in [folder] if itself else list(folder.iterdir()):
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()


# -- comparing


def look_at(folder: Path) -> dict[bytes, Seen]:
    """Return everything below a folder, by path."""
    found = {os.fsencode(path.relative_to(folder)): _seen(path) for path in _paths(folder)}
    names: dict[tuple[int, int], list[bytes]] = {}
    for path, (inode, _) in found.items():
        names.setdefault(inode, []).append(path)
    return {
        path: seen._replace(names=tuple(sorted(names[inode])))
        for path, (inode, seen) in found.items()
    }


def differences(before: dict[bytes, Seen], after: dict[bytes, Seen]) -> list[tuple[bytes, str]]:
    """Return paths with what is different about them, in order."""
    found = []
    for path in sorted(before.keys() | after.keys()):
        one, other = before.get(path), after.get(path)
        if one is None or other is None:
            found.append((path, "is gone" if other is None else "was not there before"))
        elif one != other:
            fields = [n for n, a, b in zip(Seen._fields, one, other, strict=True) if a != b]
            found.append((path, f"another {' and '.join(fields)}"))
    return found


def _paths(folder: Path) -> Iterator[Path]:
    for directory, directories, files in os.walk(folder):
        for name in sorted([*directories, *files]):
            yield Path(directory, name)


def _seen(path: Path) -> tuple[tuple[int, int], Seen]:
    found = path.lstat()
    is_file = stat.S_ISREG(found.st_mode)
    is_link = stat.S_ISLNK(found.st_mode)
    attributes = sorted(os.listxattr(path, follow_symlinks=False))
    seen = Seen(
        mode=found.st_mode,
        uid=found.st_uid,
        gid=found.st_gid,
        size=0 if stat.S_ISDIR(found.st_mode) else found.st_size,
        mtime_ns=found.st_mtime_ns,
        rdev=found.st_rdev,
        target=os.fsencode(path.readlink()) if is_link else b"",
        content=_hash(path) if is_file else "",
        sparse=is_file and found.st_blocks * 512 < found.st_size // 2,
        xattrs=tuple((n, os.getxattr(path, n, follow_symlinks=False)) for n in attributes),
        names=(),
    )
    return (found.st_dev, found.st_ino), seen


def _hash(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


# -- content


def _text(seed: int, size: int) -> bytes:
    """Return words that compress as text does, the same for the same seed."""
    digest = hashlib.shake_256(b"text %d" % seed).digest(size // 5)
    lines = [
        b" ".join(_WORDS[byte % len(_WORDS)] for byte in digest[start : start + 11])
        for start in range(0, len(digest), 11)
    ]
    return b"\n".join(lines)[:size] + b"\n"


def _noise(what: bytes, seed: int, size: int) -> bytes:
    return hashlib.shake_256(b"%b %d" % (what, seed)).digest(size)


def _path(folder: Path, name: bytes) -> Path:
    return folder / os.fsdecode(name)


def _write(folder: Path, name: bytes, data: bytes) -> None:
    path = _path(folder, name)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)


def total_size(seen: Sequence[Seen]) -> int:
    """Return the sum of the sizes of all files, in bytes."""
    return sum(one.size for one in seen if stat.S_ISREG(one.mode))


def count_files(seen: Sequence[Seen]) -> int:
    """Return how many are regular files."""
    return sum(stat.S_ISREG(one.mode) for one in seen)
