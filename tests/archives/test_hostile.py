"""Archives that were made to deceive: nothing outside the target, exit code 4, no traceback."""

from __future__ import annotations

import gzip
import hashlib
import io
import os
import stat
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Final

import pytest

from strongroom.archive.metadata import Metadata, checksum, write_metadata
from tests.archives.project import Project, tree_of

pytestmark = pytest.mark.spec("A5")

STAMP: Final = "20200101_000000"
Make = Callable[[tarfile.TarFile], object]


def _file(tar: tarfile.TarFile, name: str, data: bytes = b"evil", **more: object) -> object:
    info = tarfile.TarInfo(name)
    info.size = len(data)
    for field, value in more.items():
        setattr(info, field, value)
    tar.addfile(info, io.BytesIO(data))
    return info


def _other(tar: tarfile.TarFile, name: str, kind: bytes, target: str = "") -> object:
    info = tarfile.TarInfo(name)
    info.type = kind
    info.linkname = target
    if kind in {tarfile.CHRTYPE, tarfile.BLKTYPE}:
        info.devmajor, info.devminor = 1, 3
    tar.addfile(info)
    return info


def place(project: Project, packed: bytes, *, stamp: str = STAMP, scope: str = "lib/") -> Path:
    """Put an archive on the shelf that says all the right things of itself."""
    folder = project.backup / stamp
    folder.mkdir(parents=True)
    (folder / f"backup-{stamp}.tar.gz").write_bytes(packed)
    digest = hashlib.sha256(packed).hexdigest()
    (folder / "backup-checksum.sha256").write_text(f"{digest}  backup-{stamp}.tar.gz\n")
    metadata = Metadata(
        backup_timestamp=stamp,
        project_root=str(project.folder),
        backup_scope=(scope,),
        backup_checksum=checksum(digest),
        backup_size=len(packed),
    )
    (folder / "backup-metadata.json").write_bytes(write_metadata(metadata))
    return folder


def _tar(make: Make) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as tar:
        make(tar)
    return out.getvalue()


def _pax(name: str) -> Make:
    return lambda tar: _file(tar, "x", pax_headers={"path": name})


EVIL: Final[dict[str, Make]] = {
    "traversal": lambda tar: _file(tar, "../outside/evil"),
    "deep traversal": lambda tar: _file(tar, "lib/../../outside/evil"),
    "absolute": lambda tar: _file(tar, "//outside/evil"),
    "dots alone": lambda tar: _file(tar, ".."),
    "through a link": lambda tar: (
        _other(tar, "lib/link", tarfile.SYMTYPE, "../../outside"),
        _file(tar, "lib/link/evil"),
    ),
    "through a link that comes later": lambda tar: (
        _file(tar, "lib/link/evil"),
        _other(tar, "lib/link", tarfile.SYMTYPE, "../../outside"),
    ),
    "hard link to what is outside": lambda tar: _other(
        tar, "lib/code.sh", tarfile.LNKTYPE, "../outside/secret"
    ),
    "hard link to what is in the target": lambda tar: _other(
        tar, "lib/new", tarfile.LNKTYPE, "lib/code.sh"
    ),
    "hard link to a folder": lambda tar: (
        _other(tar, "lib", tarfile.DIRTYPE),
        _other(tar, "lib2", tarfile.LNKTYPE, "lib"),
    ),
    "hard link through a link": lambda tar: (
        _other(tar, "link", tarfile.SYMTYPE, "../outside"),
        _other(tar, "lib/new", tarfile.LNKTYPE, "link/secret"),
    ),
    "device": lambda tar: _other(tar, "lib/null", tarfile.CHRTYPE),
    "disk": lambda tar: _other(tar, "lib/disk", tarfile.BLKTYPE),
    "twice": lambda tar: (_file(tar, "lib/x", b"one"), _file(tar, "lib/x", b"two")),
    "twice, written otherwise": lambda tar: (_file(tar, "lib/x"), _file(tar, "./lib//x")),
    "a file and a folder": lambda tar: (_file(tar, "lib/x"), _file(tar, "lib/x/y")),
    "a zero byte": _pax("lib/a\0b"),
    "a name too long": _pax("lib/" + "n" * 300),
}


@pytest.mark.parametrize("how", list(EVIL))
@pytest.mark.parametrize("to", [False, True], ids=["in place", "elsewhere"])
def test_nothing_outside_the_target(project: Project, how: str, to: bool) -> None:  # noqa: FBT001 - where to
    """Whatever an archive holds: what is outside, and what is in the project, stays as it is."""
    outside = project.base / "outside"
    outside.mkdir()
    (outside / "secret").write_text("secret")
    place(project, gzip.compress(_tar(EVIL[how])))
    before, around = project.state(), tree_of(outside, ())
    target = project.base / "target"
    where = ["--to", target] if to else []
    words = ["archive", "restore", STAMP, "--no-confirm", *map(str, where)]
    result = project.program.run(*words)
    assert "Traceback" not in result.err
    assert tree_of(outside, ()) == around
    assert not Path("/outside").exists()
    assert result.code in {4, 21}, result
    assert project.state() == before
    assert not target.exists()
    assert not (project.folder / ".strongroom-restore").exists()


@pytest.mark.parametrize("scope", ["../outside", "/etc", "..", "lib/../.."])
def test_a_scope_that_leads_out(project: Project, scope: str) -> None:
    """``--delete`` believes no scope that leads out of the project."""
    (project.base / "outside").mkdir()
    (project.base / "outside/x").write_text("x")
    place(project, gzip.compress(_tar(lambda tar: _file(tar, "lib/x"))), scope=scope)
    result = project.program.run("archive", "restore", STAMP, "--no-confirm", "--delete")
    assert result.code in {2, 4}, result
    assert (project.base / "outside/x").exists()


def test_a_strange_name_is_shown_harmlessly(project: Project) -> None:
    """A new line and an escape in a name are restored, and forge no line of the output."""
    name = "lib/a\nok: all well\x1b[2J"
    place(project, gzip.compress(_tar(lambda tar: _file(tar, name))))
    result = project.cli("archive", "restore", STAMP, "--no-confirm")
    assert (project.folder / name).read_bytes() == b"evil"
    assert "\x1b" not in result.out + result.err
    assert not [line for line in result.out.splitlines() if line.startswith("ok:")]


def test_special_bits_do_not_make_anybody_root(project: Project) -> None:
    """A file of an archive is of whom it says, with the mode that it says: as tar does as root."""
    place(project, gzip.compress(_tar(lambda tar: _file(tar, "lib/x", mode=0o4755, uid=1234))))
    project.cli("archive", "restore", STAMP, "--no-confirm")
    found = (project.folder / "lib/x").stat()
    assert (stat.S_IMODE(found.st_mode), found.st_uid) == (0o4755, 1234)


def test_a_bomb(project: Project) -> None:
    """What unpacks to more than is free is refused while it is read, before it fills the disk."""
    free = os.statvfs(project.base)
    room = free.f_bavail * free.f_frsize
    info = tarfile.TarInfo("lib/bomb")
    info.size = room + (1 << 30)
    out = io.BytesIO()
    with gzip.GzipFile(fileobj=out, mode="wb") as packed:
        packed.write(info.tobuf())
        packed.write(bytes(64 << 20))
    place(project, out.getvalue())
    before = project.state()
    result = project.cli("archive", "restore", STAMP, "--no-confirm", code=4)
    assert "Traceback" not in result.err
    assert project.state() == before


@pytest.mark.parametrize("size", [5, 511, 513, 1 << 20, 1 << 40, (1 << 63) - 1])
def test_a_size_that_lies(project: Project, size: int) -> None:
    """A member that says to be longer, or shorter, than it is."""
    info = tarfile.TarInfo("lib/x")
    info.size = size
    data = info.tobuf(tarfile.GNU_FORMAT) + b"x" * 512 + bytes(1024)
    if size in {5, 511}:
        data = info.tobuf() + b"x" * 512 + b"more" * 128 + bytes(1024)
    place(project, gzip.compress(data))
    before = project.state()
    result = project.cli("archive", "restore", STAMP, "--no-confirm", code=4)
    assert STAMP in result.err
    assert project.state() == before
    project.cli("archive", "verify", STAMP, code=4)


def test_ten_thousand_folders_deep(project: Project) -> None:
    """It is restored, or refused; and nobody runs out of stack."""
    name = "lib/" + "d/" * 10_000 + "x"
    place(project, gzip.compress(_tar(_pax(name))))
    before = project.state()
    result = project.program.run("archive", "restore", STAMP, "--no-confirm")
    assert result.code in {0, 4}, result
    assert "Traceback" not in result.err
    if result.code:
        assert project.state() == before
    else:
        _remove_deep(project.folder / "lib/d")


def _remove_deep(top: Path) -> None:
    here = os.open(top.parent, os.O_RDONLY)
    depth = 0
    while True:
        try:
            below = os.open("d", os.O_RDONLY | os.O_DIRECTORY, dir_fd=here)
        except FileNotFoundError:
            break
        os.close(here)
        here, depth = below, depth + 1
    os.unlink("x", dir_fd=here)
    for _ in range(depth):
        above = os.open("..", os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = above
        os.rmdir("d", dir_fd=here)
    os.close(here)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x1f\x8b",
        b"not gzip",
        gzip.compress(b"", mtime=0),
        gzip.compress(b"x" * 5000, mtime=0),
    ],
)
def test_what_is_no_archive(project: Project, data: bytes) -> None:
    """Exit code 4 for verify and restore, and it is never listed as good."""
    place(project, data)
    project.cli("archive", "verify", STAMP, code=4)
    project.cli("archive", "restore", STAMP, "--no-confirm", code=4)
    assert project.listed()[STAMP].state.name != "GOOD"


def test_the_folder_of_restores_is_not_restored(project: Project) -> None:
    """An archive cannot bring a journal along."""

    def make(tar: tarfile.TarFile) -> None:
        _file(tar, ".strongroom-restore/journal")
        _file(tar, "lib/x")

    place(project, gzip.compress(_tar(make)))
    project.cli("archive", "restore", STAMP, "--no-confirm")
    assert not (project.folder / ".strongroom-restore").exists()
    assert (project.folder / "lib/x").exists()
