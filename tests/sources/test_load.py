"""What an entry says of a thing, and what becomes of things that change while they are read."""

from __future__ import annotations

import errno
import os
import socket
import stat
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

from strongroom.clock import ManualClock, SystemClock
from strongroom.model.entry import CHANGED_WHILE_READ, SPARSE, Entry, EntryKind
from strongroom.model.fs import Fs, Stat
from strongroom.model.source import Loaded
from strongroom.sources.files.options import FilesOptions
from strongroom.sources.files.owners import Owners
from strongroom.sources.files.source import FilesSource
from strongroom.system.posix import PosixFs
from tests.support.file_trees import access_list, capability
from tests.support.hook_fs import always, hook_fs, once
from tests.support.memory_backup import files_source, later, save, tree_path, walked

VANISHED = "vanished while being read"
REPLACED = "replaced by something else while being read"
CHANGED = "changed while being read"


def _one(path: Path, fs: Fs | None = None, options: FilesOptions | None = None) -> Loaded:
    """Load one root."""
    with files_source(path, fs=fs, options=options) as source:
        items, problems = walked(source)
        assert problems == []
        return source.load(items)[-1]


def _entry(path: Path) -> Entry:
    loaded = _one(path)
    assert loaded.entry is not None
    assert loaded.problem is None
    return loaded.entry


def _cause(loaded: Loaded) -> tuple[str, bool]:
    assert loaded.problem is not None
    return loaded.problem.cause, loaded.problem.missing


def _raise(number: int) -> None:
    raise OSError(number, os.strerror(number))


@pytest.mark.spec("B5")
def test_a_file(tmp_path: Path) -> None:
    """Bytes, size, mode with all its bits, owner and ns time."""
    path = tmp_path / "file"
    path.write_bytes(b"content")
    path.chmod(0o4751)
    os.utime(path, ns=(5, -1_000_000_007))
    loaded = _one(path)
    entry = _entry(path)
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
        entry = _entry(tmp_path / name)
        assert (entry.kind, entry.size) == (kind, 0)
        assert entry.mode == stat.S_IMODE(found.st_mode)
        assert entry.mtime_ns == found.st_mtime_ns
    assert _entry(tmp_path / "link").target == b"/dev/null"


@pytest.mark.spec("B5")
def test_devices_have_their_numbers() -> None:
    """Character devices of this machine do for the test."""
    entry = _entry(Path("/dev/null"))
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
    assert _entry(path).xattrs == tuple(sorted(expected.items()))


def test_attributes_that_cannot_be_read_cost_only_themselves(tmp_path: Path) -> None:
    """The file is saved, and captured again next time."""
    (tmp_path / "file").write_text("x")
    (tmp_path / "dir").mkdir()
    for path, call in ((tmp_path / "file", "xattrs"), (tmp_path / "dir", "xattrs_at")):
        loaded = _one(path, hook_fs({call: always(lambda: _raise(errno.EIO))}))
        assert loaded.entry is not None
        assert loaded.token == b""
        cause = "its extended attributes are not saved: the disk reports an error"
        assert _cause(loaded) == (cause, False)


def test_attributes_too_large_for_an_entry(tmp_path: Path) -> None:
    """They are left out and reported."""
    (tmp_path / "file").touch()
    huge = hook_fs(changed={"xattrs": lambda _: [(b"user.x", bytes(2 << 20))]})
    loaded = _one(tmp_path / "file", huge)
    assert loaded.entry is not None
    assert loaded.entry.xattrs == ()
    cause = "its extended attributes are not saved: they are larger than 1 MiB"
    assert _cause(loaded) == (cause, False)


@pytest.mark.spec("B5")
def test_small_sparse_files_are_marked(tmp_path: Path) -> None:
    """Only those with holes; zeros that are written are no holes."""
    with (tmp_path / "sparse").open("wb") as file:
        file.truncate(200_000)
        file.write(b"x")
    (tmp_path / "zeros").write_bytes(bytes(200_000))
    assert _entry(tmp_path / "sparse").flags == SPARSE
    assert _entry(tmp_path / "zeros").flags == 0


# -- races


def _vanish(path: Path) -> None:
    path.rename(path.with_name("elsewhere"))


def _swap(path: Path, make: Callable[[Path], object]) -> None:
    path.rename(path.with_name("was"))
    make(path)


@pytest.mark.parametrize("kind", ["file", "link"])
def test_what_vanished_since_the_walk(tmp_path: Path, kind: str) -> None:
    """It is reported as missing."""
    path = tmp_path / "x"
    path.touch() if kind == "file" else path.symlink_to("y")
    hooks = {"open" if kind == "file" else "readlink": once(lambda: _vanish(path), b"x")}
    loaded = _one(path, hook_fs(hooks))
    assert loaded.entry is None
    assert _cause(loaded) == (VANISHED, True)


@pytest.mark.parametrize(
    "make",
    [
        lambda path: path.symlink_to("/etc/passwd"),
        os.mkfifo,
        Path.mkdir,
        lambda path: path.symlink_to("/dev/zero"),
    ],
)
def test_a_file_replaced_by_something_else(tmp_path: Path, make: Callable[[Path], object]) -> None:
    """Nothing else is read in its place, and nothing is waited for."""
    path = tmp_path / "x"
    path.write_text("was here")
    loaded = _one(path, hook_fs({"open": once(lambda: _swap(path, make), b"x")}))
    assert (loaded.entry, loaded.data) == (None, b"")
    assert _cause(loaded) == (REPLACED, True)


@pytest.mark.parametrize("old", [lambda path: path.symlink_to("y"), os.mkfifo, Path.mkdir])
def test_something_else_replaced_by_a_file(tmp_path: Path, old: Callable[[Path], object]) -> None:
    """It is not recorded as what it was."""
    path = tmp_path / "x"
    old(path)
    loaded = _one(path, hook_fs({"xattrs_at": once(lambda: _swap(path, Path.touch), b"x")}))
    assert loaded.entry is None
    assert _cause(loaded) == (REPLACED, True)


def test_a_link_replaced_by_a_file_before_it_is_read(tmp_path: Path) -> None:
    """The error of the system names the wrong cause; ours does not."""
    path = tmp_path / "x"
    path.symlink_to("y")
    loaded = _one(path, hook_fs({"readlink": once(lambda: _swap(path, Path.touch))}))
    assert _cause(loaded) == (REPLACED, True)


def test_a_file_replaced_by_a_newer_file(tmp_path: Path) -> None:
    """The newer one is captured whole, as programs that replace files atomically mean it."""
    path = tmp_path / "x"
    path.write_text("old")
    swap = once(lambda: _swap(path, lambda new: new.write_text("newer")), b"x")
    loaded = _one(path, hook_fs({"open": swap}))
    assert (loaded.data, loaded.problem) == (b"newer", None)


def test_a_linked_file_replaced_by_another_is_no_longer_of_the_group(tmp_path: Path) -> None:
    """It begins a group of its own, or is alone, so that nothing is linked to other content."""
    path = tmp_path / "x"
    path.write_text("old")
    os.link(path, tmp_path / "y")
    swap = once(lambda: _swap(path, lambda new: new.write_text("newer")), b"x")
    saved = save(files_source(tmp_path, fs=hook_fs({"open": swap})))
    assert saved.entry(tree_path(path)).link == b""
    assert saved.data(tree_path(path)) == b"newer"


def _append(path: Path) -> None:
    with path.open("ab") as file:
        file.write(b"more")


def _rewrite_quietly(path: Path) -> None:
    """Change a byte and put the time back."""
    found = path.stat()
    path.write_bytes(b"X" + path.read_bytes()[1:])
    os.utime(path, ns=(found.st_atime_ns, found.st_mtime_ns))


@pytest.mark.parametrize("change", [_append, _rewrite_quietly, lambda path: os.truncate(path, 2)])
def test_a_file_changed_once_while_it_is_read(
    tmp_path: Path, change: Callable[[Path], None]
) -> None:
    """It is read again, and what is captured is the new state without any flag."""
    path = tmp_path / "x"
    path.write_bytes(b"first version")
    loaded = _one(path, hook_fs({"xattrs": once(lambda: change(path))}))
    assert loaded.problem is None
    assert loaded.data == path.read_bytes()
    assert loaded.entry is not None
    assert loaded.entry.flags == 0


@pytest.mark.parametrize("change", [_append, _rewrite_quietly])
def test_a_file_that_keeps_changing(tmp_path: Path, change: Callable[[Path], None]) -> None:
    """It is captured as read, flagged, reported, and captured again next time."""
    path = tmp_path / "x"
    path.write_bytes(b"first version")
    loaded = _one(path, hook_fs({"xattrs": always(lambda: change(path))}))
    assert _cause(loaded) == (CHANGED, False)
    assert loaded.entry is not None
    assert loaded.entry.flags == CHANGED_WHILE_READ
    assert loaded.entry.size == len(loaded.data) >= len(b"first version")
    assert loaded.token == b""


def test_a_growing_file_is_read_as_far_as_it_was(tmp_path: Path) -> None:
    """A writer that is faster than we are does not hold a backup up."""
    path = tmp_path / "x"
    path.write_bytes(b"0123456789")
    loaded = _one(path, hook_fs({"read": always(lambda: _append(path))}))
    assert loaded.data == path.read_bytes()[: len(loaded.data)]
    assert len(loaded.data) <= 14
    assert _cause(loaded) == (CHANGED, False)


def test_a_file_that_became_huge_is_not_read_into_memory(tmp_path: Path) -> None:
    """It is reported; the next backup opens it as the large file that it is."""
    path = tmp_path / "x"
    path.write_bytes(b"small")
    hook = once(lambda: os.truncate(path, 100 << 20), b"x")
    loaded = _one(path, hook_fs({"open": hook}), FilesOptions(large=1000))
    assert loaded.entry is None
    assert _cause(loaded) == ("grew too large while the backup ran", True)


@pytest.mark.parametrize("path", ["/proc/self/status", "/proc/cpuinfo"])
def test_files_that_show_no_size_are_read(path: str) -> None:
    """What /proc has is captured whole where it ends in time."""
    loaded = _one(Path(path))
    assert loaded.data
    assert loaded.entry is not None
    assert loaded.entry.size == len(loaded.data)


def test_endless_files_that_show_no_size(tmp_path: Path) -> None:
    """They are read as far as a small file goes, flagged and reported."""
    (tmp_path / "x").touch()
    loaded = _one(
        tmp_path / "x", hook_fs(changed={"read": lambda _: bytes(1000)}), FilesOptions(large=2500)
    )
    assert len(loaded.data) == 2500
    assert _cause(loaded) == ("shows no size; only its first 2500 bytes are saved", False)


def test_files_that_are_shorter_than_they_say(tmp_path: Path) -> None:
    """Files of /sys state a page and hold a line; that is no change."""
    (tmp_path / "x").write_bytes(b"line\n")

    def page(found: Stat) -> Stat:
        return found._replace(size=4096) if stat.S_ISREG(found.mode) else found

    loaded = _one(tmp_path / "x", hook_fs(changed={"stat": page, "fstat": page}))
    assert (loaded.data, loaded.problem) == (b"line\n", None)
    assert loaded.entry is not None
    assert loaded.entry.size == 5


@pytest.mark.parametrize(
    ("call", "number", "cause"),
    [
        ("open", errno.EACCES, "permission denied"),
        ("read", errno.EIO, "the disk reports an error"),
        ("open", errno.ESTALE, VANISHED),
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
    fail = once(lambda: _raise(number))

    def hook(what: bytes | int, *_: object, **__: object) -> None:
        if what == b"x" or (isinstance(what, int) and stat.S_ISREG(os.fstat(what).st_mode)):
            fail()

    source = files_source(tmp_path / "x", tmp_path / "y", fs=hook_fs({call: hook}))
    items, _ = walked(source)
    with source:
        lost, kept = source.load(items[-2:])
    assert lost.entry is None
    assert _cause(lost) == (cause, True)
    assert kept.data == b"y"


def test_a_lease_is_waited_for(tmp_path: Path) -> None:
    """A file server may hold a file; it is told to let go, and gets a moment."""
    (tmp_path / "x").write_text("leased")
    left = [errno.EAGAIN] * 3

    def hook(name: bytes, *_: object, **__: object) -> None:
        if name == b"x" and left:
            _raise(left.pop())

    assert _one(tmp_path / "x", hook_fs({"open": hook})).data == b"leased"
    held = hook_fs({"open": always(lambda: _raise(errno.EAGAIN), b"x")})
    assert _cause(_one(tmp_path / "x", held)) == ("another program holds it", True)


def test_access_times_stay_where_they_can(tmp_path: Path) -> None:
    """Reading leaves no trace; where that is not allowed, the file is read all the same."""
    path = tmp_path / "x"
    path.write_text("read me")
    os.utime(path, ns=(1, 1))
    assert _one(path).data == b"read me"
    assert path.stat().st_atime_ns == 1
    refused = []

    def hook(name: bytes, flags: int, **_: object) -> None:
        if flags & os.O_NOATIME:
            refused.append(name)
            _raise(errno.EPERM)

    (tmp_path / "y").write_text("me too")
    saved = save(files_source(tmp_path, fs=hook_fs({"open": hook})))
    assert saved.data(tree_path(path)) == b"read me"
    assert saved.data(tree_path(tmp_path / "y")) == b"me too"
    assert len(refused) == 1


# -- tokens


def _token(path: Path) -> bytes:
    return walked(files_source(path))[0][-1].token


@pytest.mark.spec("B2")
@pytest.mark.parametrize(
    "change",
    [
        lambda path: path.write_text("CONTENT"),
        lambda path: path.chmod(0o600),
        lambda path: os.utime(path, ns=(0, 1)),
        lambda path: os.setxattr(path, "user.x", b"1"),
        lambda path: os.link(path, path.with_name("other")),
        _rewrite_quietly,
    ],
)
def test_every_change_changes_the_token(tmp_path: Path, change: Callable[[Path], object]) -> None:
    """What was not changed has the token that its capture gave it."""
    path = tmp_path / "x"
    path.write_text("content")
    loaded = _one(path)
    assert loaded.token == _token(path) != b""
    before = path.stat().st_ctime_ns
    change(path)
    while path.stat().st_ctime_ns == before:
        change(path)
    assert _token(path) != loaded.token


def test_times_after_2262_have_tokens_too(tmp_path: Path) -> None:
    """Numbers of the token wrap around where they must."""
    (tmp_path / "x").touch()

    def far(found: Stat) -> Stat:
        return found._replace(mtime_ns=(1 << 63) + 5)

    loaded = _one(tmp_path / "x", hook_fs(changed={"stat": far, "fstat": far}))
    assert loaded.token
    assert loaded.entry is not None
    assert loaded.entry.mtime_ns == (1 << 63) + 5


@pytest.mark.spec("B2")
@pytest.mark.parametrize(("whole_seconds", "age"), [(False, 0.05), (True, 2.0)])
def test_what_changed_just_now_is_captured_again(
    tmp_path: Path, age: float, *, whole_seconds: bool
) -> None:
    """A change right after the capture could carry the same time; then there is no token."""
    path = tmp_path / "x"
    path.touch()
    changed_ns = path.stat().st_ctime_ns
    if whole_seconds:
        changed_ns -= changed_ns % 1_000_000_000

    def coarse(found: Stat) -> Stat:
        return found._replace(ctime_ns=changed_ns)

    fs = hook_fs(changed={"stat": coarse, "fstat": coarse})
    for elapsed, settled in ((0.0, False), (age - 0.01, False), (age + 0.01, True), (-9.0, False)):
        clock = ManualClock(changed_ns + int(elapsed * 1e9))
        for root in (path, tmp_path):
            with files_source(root, fs=fs, clock=clock) as source:
                token = source.load(walked(source)[0])[-1].token
            assert bool(token) == settled


def test_the_real_clock_does_as_well(tmp_path: Path) -> None:
    """A file that was just written has no token; one that rests has."""
    path = tmp_path / "x"
    path.write_text("x")
    clock = SystemClock()
    with files_source(path, clock=clock) as source:
        assert source.load(walked(source)[0])[-1].token == b""
    clock.sleep(0.1)
    with files_source(path, clock=clock) as source:
        assert source.load(walked(source)[0])[-1].token != b""
