"""What an entry says of a thing, and what is not saved of it."""

from __future__ import annotations

import errno
import os
import socket
import stat
from contextlib import suppress
from pathlib import Path

import pytest

from strongroom.model.entry import SPARSE, EntryKind
from strongroom.model.fs import Stat
from strongroom.sources.files.options import FilesOptions
from strongroom.sources.files.owners import Owners
from strongroom.sources.files.source import FilesSource
from strongroom.system.posix import PosixFs
from tests.support.file_trees import access_list, capability
from tests.support.hook_fs import always, fails, hook_fs, once
from tests.support.loaded import cause_in, entry_of, load_one
from tests.support.memory_backup import files_source, later, save, tree_path, walked


@pytest.mark.spec("B5")
def test_a_file(tmp_path: Path) -> None:
    """Bytes, size, mode with all its bits, owner and ns time."""
    path = tmp_path / "file"
    path.write_bytes(b"content")
    path.chmod(0o4751)
    os.utime(path, ns=(5, -1_000_000_007))
    loaded = load_one(path)
    entry = entry_of(path)
    assert loaded.data == b"content"
    assert (entry.kind, entry.mode, entry.size) == (EntryKind.FILE, 0o4751, 7)
    assert (entry.uid, entry.gid) == (os.geteuid(), os.getegid())
    assert entry.mtime_ns == -1_000_000_007
    assert (entry.link, entry.target, entry.flags, entry.xattrs) == (b"", b"", 0, ())


@pytest.mark.spec("B5")
def test_owners_are_saved_by_name_and_number(tmp_path: Path) -> None:
    """A number without a name has an empty one; each is looked up once."""
    asked = []

    def user(uid: int) -> bytes:
        asked.append(uid)
        return b"somebody" if uid == os.geteuid() else b""

    for name in ("a", "b"):
        (tmp_path / name).touch()
    owners = Owners(user, lambda _: b"")
    source = FilesSource(PosixFs(), later(), [os.fsencode(tmp_path)], name="t", owners=owners)
    entries = save(source).entries
    assert entries[-1].user == b"somebody"
    assert entries[-1].group == b""
    assert len(asked) == len(set(asked))


@pytest.mark.spec("B5")
def test_things_that_are_no_file(tmp_path: Path) -> None:
    """Each is recorded as what it is, and never opened."""
    os.mkfifo(tmp_path / "fifo", 0o612)
    (tmp_path / "link").symlink_to("/dev/null")
    (tmp_path / "dir").mkdir(mode=0o750)
    here = Path.cwd()
    os.chdir(tmp_path)
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind("socket")
    os.chdir(here)
    kinds = {"fifo": EntryKind.FIFO, "link": EntryKind.SYMLINK, "socket": EntryKind.SOCKET}
    for name, kind in (kinds | {"dir": EntryKind.DIRECTORY}).items():
        found = (tmp_path / name).lstat()
        entry = entry_of(tmp_path / name)
        assert (entry.kind, entry.size) == (kind, 0)
        assert entry.mode == stat.S_IMODE(found.st_mode)
        assert entry.mtime_ns == found.st_mtime_ns
    assert entry_of(tmp_path / "link").target == b"/dev/null"


@pytest.mark.spec("B5")
def test_devices_have_their_numbers() -> None:
    """Character devices of this machine do for the test."""
    entry = entry_of(Path("/dev/null"))
    assert (entry.kind, entry.rdev) == (EntryKind.CHARACTER_DEVICE, (1, 3))


@pytest.mark.spec("B5")
def test_extended_attributes(tmp_path: Path) -> None:
    """All of them, sorted, with access lists and capabilities as the kernel keeps them."""
    path = tmp_path / "file"
    path.touch()
    expected = {b"user.b": b"\0\xff", b"user.a": b"", b"system.posix_acl_access": access_list()}
    for name, value in expected.items():
        os.setxattr(path, name, value)
    for name, value in ((b"security.capability", capability()), (b"trusted.t", b"1")):
        with suppress(PermissionError):
            os.setxattr(path, name, value)
            expected[name] = value
    assert entry_of(path).xattrs == tuple(sorted(expected.items()))


def test_attributes_that_cannot_be_read_cost_only_themselves(tmp_path: Path) -> None:
    """The file is saved, and captured again next time."""
    (tmp_path / "file").write_text("x")
    (tmp_path / "dir").mkdir()
    for path, call in ((tmp_path / "file", "xattrs"), (tmp_path / "dir", "xattrs_at")):
        loaded = load_one(path, hook_fs({call: always(fails(errno.EIO))}))
        assert loaded.entry is not None
        assert loaded.token == b""
        cause = "its extended attributes are not saved: the disk reports an error"
        assert cause_in(loaded) == (cause, False)


def test_attributes_too_large_for_an_entry(tmp_path: Path) -> None:
    """They are left out and reported."""
    (tmp_path / "file").touch()
    huge = hook_fs(changed={"xattrs": lambda _: [(b"user.x", bytes(2 << 20))]})
    loaded = load_one(tmp_path / "file", huge)
    assert loaded.entry is not None
    assert loaded.entry.xattrs == ()
    cause = "its extended attributes are not saved: they are larger than 1 MiB"
    assert cause_in(loaded) == (cause, False)


@pytest.mark.spec("B5")
def test_small_sparse_files_are_marked(tmp_path: Path) -> None:
    """Only those with holes; zeros that are written are no holes."""
    with (tmp_path / "sparse").open("wb") as file:
        file.truncate(200_000)
        file.write(b"x")
    (tmp_path / "zeros").write_bytes(bytes(200_000))
    assert entry_of(tmp_path / "sparse").flags == SPARSE
    assert entry_of(tmp_path / "zeros").flags == 0


@pytest.mark.parametrize("path", ["/proc/self/status", "/proc/cpuinfo"])
def test_files_that_show_no_size_are_read(path: str) -> None:
    """What /proc has is captured whole where it ends in time."""
    loaded = load_one(Path(path))
    assert loaded.data
    assert loaded.entry is not None
    assert loaded.entry.size == len(loaded.data)


def test_endless_files_that_show_no_size(tmp_path: Path) -> None:
    """They are read as far as a small file goes, flagged and reported."""
    (tmp_path / "x").touch()
    loaded = load_one(
        tmp_path / "x", hook_fs(changed={"read": lambda _: bytes(1000)}), FilesOptions(large=2500)
    )
    assert len(loaded.data) == 2500
    assert cause_in(loaded) == ("shows no size; only its first 2500 bytes are saved", False)


def test_files_that_are_shorter_than_they_say(tmp_path: Path) -> None:
    """Files of /sys state a page and hold a line; that is no change."""
    (tmp_path / "x").write_bytes(b"line\n")

    def page(found: Stat) -> Stat:
        return found._replace(size=4096) if stat.S_ISREG(found.mode) else found

    loaded = load_one(tmp_path / "x", hook_fs(changed={"stat": page, "fstat": page}))
    assert (loaded.data, loaded.problem) == (b"line\n", None)
    assert loaded.entry is not None
    assert loaded.entry.size == 5


@pytest.mark.parametrize(
    ("call", "number", "cause"),
    [
        ("open", errno.EACCES, "permission denied"),
        ("read", errno.EIO, "the disk reports an error"),
        ("open", errno.ESTALE, "vanished while being read"),
        ("fstat", errno.EIO, "the disk reports an error"),
        ("open", errno.EMFILE, "too many open files"),
        ("read", errno.ENOTCONN, "the file system is no longer mounted"),
        ("read", errno.ENETRESET, "network dropped connection on reset"),
    ],
)
def test_errors_of_one_file_are_its_problem(
    tmp_path: Path, call: str, number: int, cause: str
) -> None:
    """In words and without a number; the next file is captured."""
    for name in ("x", "y"):
        (tmp_path / name).write_text(name)
    fail = once(fails(number))

    def hook(what: bytes | int, *_: object, **__: object) -> None:
        if what == b"x" or (isinstance(what, int) and stat.S_ISREG(os.fstat(what).st_mode)):
            fail()

    source = files_source(tmp_path / "x", tmp_path / "y", fs=hook_fs({call: hook}))
    items, _ = walked(source)
    with source:
        lost, kept = source.load(items[-2:])
    assert lost.entry is None
    assert cause_in(lost) == (cause, True)
    assert kept.data == b"y"


def test_a_lease_is_waited_for(tmp_path: Path) -> None:
    """A file server may hold a file; it is told to let go, and gets a moment."""
    (tmp_path / "x").write_text("leased")
    left = [errno.EAGAIN] * 3

    def hook(name: bytes, *_: object, **__: object) -> None:
        if name == b"x" and left:
            fails(left.pop())()

    assert load_one(tmp_path / "x", hook_fs({"open": hook})).data == b"leased"
    held = hook_fs({"open": always(fails(errno.EAGAIN), b"x")})
    assert cause_in(load_one(tmp_path / "x", held)) == ("another program holds it", True)


def test_access_times_stay_where_they_can(tmp_path: Path) -> None:
    """Reading leaves no trace; where that is not allowed, the file is read all the same."""
    path = tmp_path / "x"
    path.write_text("read me")
    os.utime(path, ns=(1, 1))
    assert load_one(path).data == b"read me"
    assert path.stat().st_atime_ns == 1
    refused = []

    def hook(name: bytes, flags: int, **_: object) -> None:
        if flags & os.O_NOATIME:
            refused.append(name)
            fails(errno.EPERM)()

    (tmp_path / "y").write_text("me too")
    saved = save(files_source(tmp_path, fs=hook_fs({"open": hook})))
    assert saved.data(tree_path(path)) == b"read me"
    assert saved.data(tree_path(tmp_path / "y")) == b"me too"
    assert len(refused) == 1


def test_a_look_is_a_load_without_the_bytes(tmp_path: Path) -> None:
    """Looking at things says of each what loading it says, but for what it contains."""
    (tmp_path / "file").write_bytes(b"x" * 1000)
    (tmp_path / "twin").hardlink_to(tmp_path / "file")
    (tmp_path / "link").symlink_to("nowhere")
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "fifo")
    os.setxattr(tmp_path / "file", "user.x", b"1")
    with files_source(tmp_path) as source:
        items, problems = walked(source)
        looked, loaded = source.look(items), source.load(items)
    assert problems == []
    assert [one.entry for one in looked] == [one.entry for one in loaded]
    assert {one.data for one in looked} == {b""}
    assert all(one.problem is None for one in looked)
    (file,) = [one.entry for one in looked if one.item.path.endswith(b"/file")]
    assert file is not None
    assert file.xattrs == ((b"user.x", b"1"),)
