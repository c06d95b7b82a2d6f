"""The real file system does what the port says."""

from __future__ import annotations

import ctypes
import errno
import fcntl
import os
import signal
import stat
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from strongroom.model.fs import Fs, Stat
from strongroom.system.posix import PosixFs, _libc_function, _pairs

MTIME = 1_234_567_890_123_456_789


@pytest.fixture(name="fs")
def _fs() -> Fs:
    return PosixFs()


@pytest.fixture(name="folder")
def _folder(tmp_path: Path) -> Iterator[int]:
    fd = os.open(tmp_path, os.O_RDONLY | os.O_DIRECTORY)
    yield fd
    os.close(fd)


@pytest.fixture(name="file")
def _file(fs: Fs, folder: int) -> Iterator[int]:
    fd = fs.open(b"file", os.O_RDWR | os.O_CREAT | os.O_EXCL, dir_fd=folder)
    yield fd
    fs.close(fd)


class TestReading:
    """Open, look and read."""

    def test_descriptors_are_not_inherited(self, file: int) -> None:
        """A child process gets none of them."""
        assert fcntl.fcntl(file, fcntl.F_GETFD) & fcntl.FD_CLOEXEC

    def test_open_follows_no_link(self, fs: Fs, folder: int, tmp_path: Path) -> None:
        """A symbolic link in the last component is ELOOP, or ENOTDIR for a folder."""
        (tmp_path / "link").symlink_to("file")
        (tmp_path / "folder-link").symlink_to(".")
        with pytest.raises(OSError, match="symbolic links") as caught:
            fs.open(b"link", os.O_RDONLY, dir_fd=folder)
        assert caught.value.errno == errno.ELOOP
        with pytest.raises(NotADirectoryError):
            fs.open(b"folder-link", os.O_RDONLY | os.O_DIRECTORY, dir_fd=folder)

    def test_open_gives_the_mode(self, fs: Fs, folder: int, tmp_path: Path) -> None:
        """``mode`` is that of a new file, less the umask."""
        fs.close(fs.open(b"new", os.O_WRONLY | os.O_CREAT, dir_fd=folder, mode=0o400))
        assert stat.S_IMODE((tmp_path / "new").stat().st_mode) == 0o400

    def test_reads(self, fs: Fs, folder: int, tmp_path: Path) -> None:
        """``read``, ``readinto`` and ``seek`` share a position; ``pread`` has its own."""
        (tmp_path / "data").write_bytes(b"0123456789")
        fd = fs.open(b"data", os.O_RDONLY, dir_fd=folder)
        buffer = memoryview(bytearray(4))
        assert fs.read(fd, 3) == b"012"
        assert fs.readinto(fd, buffer) == 4
        assert bytes(buffer) == b"3456"
        assert fs.pread(fd, 2, 1) == b"12"
        assert fs.readinto(fd, buffer) == 3
        assert fs.readinto(fd, buffer) == 0
        fs.seek(fd, 8)
        assert fs.read(fd, 100) == b"89"
        assert fs.read(fd, 100) == b""
        fs.close(fd)

    def test_holes(self, fs: Fs, file: int) -> None:
        """Data and holes are found; after the last data there is only a hole, None."""
        fs.pwrite(file, b"x" * 65536, 1 << 20)
        fs.truncate(file, 3 << 20)
        assert fs.seek_data(file, 0) == 1 << 20
        assert fs.seek_hole(file, 0) == 0
        assert fs.seek_hole(file, 1 << 20) == (1 << 20) + 65536
        assert fs.seek_data(file, (1 << 20) + 65536) is None
        assert fs.seek_data(file, 3 << 20) is None
        with pytest.raises(OSError, match="o such device") as caught:
            fs.seek_hole(file, 3 << 20)
        assert caught.value.errno == errno.ENXIO
        with pytest.raises(OSError, match="descriptor"):
            fs.seek_data(10**6, 0)

    def test_a_file_without_holes(self, fs: Fs, file: int) -> None:
        """Its end is its first hole."""
        fs.write(file, b"x" * 5000)
        assert (fs.seek_data(file, 0), fs.seek_hole(file, 0)) == (0, 5000)

    def test_stat_is_that_of_the_system(self, fs: Fs, folder: int, tmp_path: Path) -> None:
        """Each field, of a file, a folder and a link itself, by name and by descriptor."""
        (tmp_path / "file").write_bytes(b"12345")
        (tmp_path / "link").symlink_to("file")
        os.link(tmp_path / "file", tmp_path / "second")
        for name in ("file", "link", "."):
            real = (tmp_path / name).lstat()
            found = fs.stat(name.encode(), dir_fd=folder)
            assert type(found) is Stat
            assert found == (
                real.st_mode,
                real.st_ino,
                real.st_dev,
                real.st_nlink,
                real.st_uid,
                real.st_gid,
                real.st_size,
                real.st_mtime_ns,
                real.st_ctime_ns,
                real.st_rdev,
                real.st_blocks,
            )
        assert fs.stat(bytes(tmp_path / "link")).size == 4
        assert fs.fstat(folder) == fs.stat(b".", dir_fd=folder)
        assert fs.stat(b"file", dir_fd=folder).links == 2
        assert fs.stat(b"/dev/null").rdev == os.makedev(1, 3)

    def test_names_are_bytes(self, fs: Fs, folder: int, tmp_path: Path) -> None:
        """Names in any encoding, without . and .., whatever was read of the directory before."""
        names = [b"plain", b"\xff\xfe", "ä".encode(), b"new\nline", b" ", b"-rf"]
        for name in names:
            Path(os.fsdecode(bytes(tmp_path) + b"/" + name)).touch()
        for _ in range(2):
            assert sorted(fs.names(folder)) == sorted(names)

    def test_threads_read_one_directory(self, fs: Fs, folder: int, tmp_path: Path) -> None:
        """Each of 8 threads gets all names through the same descriptor."""
        names = {b"%04d" % number for number in range(2000)}
        for name in names:
            (tmp_path / name.decode()).touch()
        with ThreadPoolExecutor(8) as pool:
            for found in pool.map(fs.names, [folder] * 64):
                assert len(found) == 2000
                assert set(found) == names

    def test_a_removed_directory_has_no_links(self, fs: Fs, folder: int) -> None:
        """That is how a directory that only looks empty is told from an empty one."""
        fs.mkdir(b"gone", 0o700, dir_fd=folder)
        fd = fs.open(b"gone", os.O_RDONLY | os.O_DIRECTORY, dir_fd=folder)
        assert fs.fstat(fd).links > 0
        fs.rmdir(b"gone", dir_fd=folder)
        assert fs.names(fd) == []
        assert fs.fstat(fd).links == 0
        fs.close(fd)

    def test_readlink(self, fs: Fs, folder: int, tmp_path: Path) -> None:
        """The bytes of the link; EINVAL for anything else."""
        (tmp_path / "link").symlink_to(os.fsdecode(b"to \xff"))
        assert fs.readlink(b"link", dir_fd=folder) == b"to \xff"
        with pytest.raises(OSError, match="nvalid"):
            fs.readlink(b".", dir_fd=folder)

    def test_free_bytes(self, fs: Fs, folder: int) -> None:
        """In bytes, and no more than the disk has."""
        whole = os.statvfs(folder)
        assert 0 < fs.free_bytes(folder) <= whole.f_blocks * whole.f_frsize

    def test_what_is_not_there(self, fs: Fs, folder: int) -> None:
        """Errors are those of the system, with their types."""
        for act in (
            lambda: fs.open(b"none", os.O_RDONLY, dir_fd=folder),
            lambda: fs.stat(b"none", dir_fd=folder),
            lambda: fs.readlink(b"none", dir_fd=folder),
            lambda: fs.unlink(b"none", dir_fd=folder),
            lambda: fs.chmod(b"none", 0o600, dir_fd=folder),
            lambda: fs.xattrs_at(b"none", dir_fd=folder),
        ):
            with pytest.raises(FileNotFoundError):
                act()


class TestWriting:
    """Bytes and durability."""

    def test_writes(self, fs: Fs, file: int, tmp_path: Path) -> None:
        """Any buffer, at the position or at an offset; sync calls succeed."""
        assert fs.write(file, b"0123456789") == 10
        assert fs.write(file, memoryview(b"abcdef")[2:4]) == 2
        assert fs.pwrite(file, bytearray(b"XY"), 1) == 2
        fs.truncate(file, 11)
        fs.fsync(file)
        fs.syncfs(file)
        assert (tmp_path / "file").read_bytes() == b"0XY3456789c"

    def test_errors_of_libc_calls_are_errors(self, fs: Fs) -> None:
        """``syncfs`` of no descriptor raises, with errno and name."""
        with pytest.raises(OSError, match="/proc/self/fd/1000000") as caught:
            fs.syncfs(10**6)
        assert caught.value.errno == errno.EBADF

    def test_a_call_that_libc_lacks_is_an_error(self) -> None:
        """As if the kernel had answered ENOSYS."""
        function = _libc_function(object(), "renameat2")
        assert function(1, b"old", 2, b"new", 1) == -1
        assert ctypes.get_errno() == errno.ENOSYS


class TestNaming:
    """Names."""

    def test_an_unnamed_file_gets_a_name_once(self, fs: Fs, folder: int, tmp_path: Path) -> None:
        """``link_fd`` names a file made with O_TMPFILE, and refuses a name that is taken."""
        fd = fs.open(b".", os.O_WRONLY | os.O_TMPFILE, dir_fd=folder)
        fs.write(fd, b"content")
        assert list(tmp_path.iterdir()) == []
        fs.link_fd(fd, b"name", dir_fd=folder)
        with pytest.raises(FileExistsError):
            fs.link_fd(fd, b"name", dir_fd=folder)
        fs.close(fd)
        assert (tmp_path / "name").read_bytes() == b"content"

    def test_link_fd_replaces_no_link(self, fs: Fs, folder: int, tmp_path: Path) -> None:
        """A dangling symbolic link holds its name too."""
        (tmp_path / "name").symlink_to("nowhere")
        fd = fs.open(b".", os.O_WRONLY | os.O_TMPFILE, dir_fd=folder)
        with pytest.raises(FileExistsError):
            fs.link_fd(fd, b"name", dir_fd=folder)
        fs.close(fd)

    def test_link_takes_the_link_itself(self, fs: Fs, folder: int, tmp_path: Path) -> None:
        """``link`` does not follow, and does not replace."""
        (tmp_path / "link").symlink_to("nowhere")
        fs.link(b"link", b"second", old_dir_fd=folder, dir_fd=folder)
        assert (tmp_path / "second").is_symlink()
        with pytest.raises(FileExistsError):
            fs.link(b"link", b"second", old_dir_fd=folder, dir_fd=folder)

    def test_rename_new_replaces_nothing(self, fs: Fs, folder: int, tmp_path: Path) -> None:
        """It moves to a free name; a taken one is FileExistsError with both names."""
        (tmp_path / "old").write_bytes(b"old")
        fs.rename_new(b"old", b"new", old_dir_fd=folder, dir_fd=folder)
        (tmp_path / "other").write_bytes(b"other")
        with pytest.raises(FileExistsError) as caught:
            fs.rename_new(b"other", b"new", old_dir_fd=folder, dir_fd=folder)
        assert (caught.value.filename, caught.value.filename2) == (b"other", b"new")
        assert (tmp_path / "new").read_bytes() == b"old"
        with pytest.raises(FileNotFoundError):
            fs.rename_new(b"none", b"free", old_dir_fd=folder, dir_fd=folder)

    def test_errno_belongs_to_the_thread(self, fs: Fs, folder: int, tmp_path: Path) -> None:
        """Threads that fail differently at once each raise their own error."""
        (tmp_path / "taken").touch()
        (tmp_path / "old").touch()
        gate = threading.Barrier(8)

        def attempt(number: int) -> set[type[OSError]]:
            old = (b"none", b"old")[number % 2]
            gate.wait()
            kinds = set()
            for _ in range(300):
                try:
                    fs.rename_new(old, b"taken", old_dir_fd=folder, dir_fd=folder)
                except OSError as error:
                    kinds.add(type(error))
            return kinds

        with ThreadPoolExecutor(8) as pool:
            kinds = list(pool.map(attempt, range(8)))
        assert kinds == [{FileNotFoundError}, {FileExistsError}] * 4

    def test_rename_replaces(self, fs: Fs, folder: int, tmp_path: Path) -> None:
        """As ``renameat`` does."""
        (tmp_path / "old").write_bytes(b"old")
        (tmp_path / "new").write_bytes(b"new")
        fs.rename(b"old", b"new", old_dir_fd=folder, dir_fd=folder)
        assert (tmp_path / "new").read_bytes() == b"old"

    def test_things_are_made_and_removed(self, fs: Fs, folder: int, tmp_path: Path) -> None:
        """Folders, symbolic links, FIFOs and sockets."""
        fs.mkdir(b"folder", 0o700, dir_fd=folder)
        fs.symlink(b"\xff target", b"link", dir_fd=folder)
        fs.mknod(b"fifo", stat.S_IFIFO | 0o600, 0, dir_fd=folder)
        fs.mknod(b"socket", stat.S_IFSOCK | 0o600, 0, dir_fd=folder)
        kinds = {path.name: stat.S_IFMT(path.lstat().st_mode) for path in tmp_path.iterdir()}
        assert kinds == {
            "folder": stat.S_IFDIR,
            "link": stat.S_IFLNK,
            "fifo": stat.S_IFIFO,
            "socket": stat.S_IFSOCK,
        }
        for name in (b"link", b"fifo", b"socket"):
            fs.unlink(name, dir_fd=folder)
        with pytest.raises(IsADirectoryError):
            fs.unlink(b"folder", dir_fd=folder)
        fs.rmdir(b"folder", dir_fd=folder)
        assert list(tmp_path.iterdir()) == []


class TestAttributes:
    """Owner, mode, times, extended attributes."""

    def test_of_an_open_file(self, fs: Fs, file: int) -> None:
        """Mode, owner and time, the latter to the nanosecond."""
        fs.fchmod(file, 0o640)
        fs.fchown(file, os.getuid(), os.getgid())
        fs.futime(file, MTIME)
        found = fs.fstat(file)
        assert (stat.S_IMODE(found.mode), found.mtime_ns) == (0o640, MTIME)
        assert (found.uid, found.gid) == (os.getuid(), os.getgid())
        assert os.fstat(file).st_atime_ns == MTIME

    def test_of_a_link_itself(self, fs: Fs, folder: int, tmp_path: Path) -> None:
        """Owner and time of a symbolic link are set on the link, not on its target."""
        (tmp_path / "file").touch()
        before = (tmp_path / "file").stat().st_mtime_ns
        (tmp_path / "link").symlink_to("file")
        fs.chown(b"link", os.getuid(), os.getgid(), dir_fd=folder)
        fs.utime(b"link", MTIME, dir_fd=folder)
        assert fs.stat(b"link", dir_fd=folder).mtime_ns == MTIME
        assert (tmp_path / "file").stat().st_mtime_ns == before

    def test_times_before_1970(self, fs: Fs, file: int) -> None:
        """Negative times come through."""
        fs.futime(file, -1_500_000_000)
        assert fs.fstat(file).mtime_ns == -1_500_000_000

    def test_chmod_of_what_cannot_be_opened(self, fs: Fs, folder: int, tmp_path: Path) -> None:
        """A FIFO's mode is set without opening it, also if it forbids everything."""
        os.mkfifo(tmp_path / "fifo", 0o000)
        fs.chmod(b"fifo", 0o604, dir_fd=folder)
        assert stat.S_IMODE((tmp_path / "fifo").stat().st_mode) == 0o604

    def test_chmod_never_reaches_the_target_of_a_link(
        self, fs: Fs, folder: int, tmp_path: Path
    ) -> None:
        """A link that took the place of a FIFO is refused; what it leads to keeps its mode."""
        (tmp_path / "file").touch(0o600)
        (tmp_path / "link").symlink_to("file")
        with pytest.raises(OSError, match="not supported"):
            fs.chmod(b"link", 0o666, dir_fd=folder)
        assert stat.S_IMODE((tmp_path / "file").stat().st_mode) == 0o600

    def test_xattrs(self, fs: Fs, folder: int, file: int) -> None:
        """Set and read by descriptor and by name; sorted by name; empty values count."""
        assert fs.xattrs(file) == ()
        assert list(fs.xattrs_at(b"file", dir_fd=folder)) == []
        fs.set_xattr(file, b"user.two", b"\0\xff")
        fs.set_xattr(file, b"user.one", b"")
        fs.set_xattr_at(b"file", b"user.\xff", b"x" * 2000, dir_fd=folder)
        expected = [(b"user.one", b""), (b"user.two", b"\0\xff"), (b"user.\xff", b"x" * 2000)]
        assert list(fs.xattrs(file)) == expected
        assert list(fs.xattrs_at(b"file", dir_fd=folder)) == expected
        fs.remove_xattr_at(b"file", b"user.two", dir_fd=folder)
        assert list(fs.xattrs(file)) == [expected[0], expected[2]]
        with pytest.raises(OSError, match="No data available"):
            fs.remove_xattr_at(b"file", b"user.two", dir_fd=folder)

    def test_xattrs_of_a_link_are_its_own(
        self, fs: Fs, folder: int, file: int, tmp_path: Path
    ) -> None:
        """Neither reading nor setting follows: a link can have no user attributes."""
        fs.set_xattr(file, b"user.one", b"1")
        (tmp_path / "link").symlink_to("file")
        assert list(fs.xattrs_at(b"link", dir_fd=folder)) == []
        with pytest.raises(PermissionError):
            fs.set_xattr_at(b"link", b"user.two", b"2", dir_fd=folder)
        with pytest.raises(PermissionError):
            fs.remove_xattr_at(b"link", b"user.one", dir_fd=folder)
        assert list(fs.xattrs(file)) == [(b"user.one", b"1")]

    def test_xattrs_that_are_not_supported_are_none(self, fs: Fs) -> None:
        """A file system without them is no error; a bad descriptor is one."""

        def unsupported() -> list[str]:
            raise OSError(errno.EOPNOTSUPP, os.strerror(errno.EOPNOTSUPP))

        assert list(_pairs(unsupported, lambda _: b"")) == []
        with pytest.raises(OSError, match="descriptor"):
            fs.xattrs(10**6)

    def test_an_attribute_that_vanishes_is_left_out(self) -> None:
        """Between the list and the value somebody may remove one; other errors count."""
        values = {"user.a": b"1", "user.c": b"3"}

        def value(name: str) -> bytes:
            if name == "user.b":
                raise OSError(errno.ENODATA, os.strerror(errno.ENODATA))
            if name == "user.d":
                raise OSError(errno.EIO, os.strerror(errno.EIO))
            return values[name]

        assert _pairs(lambda: ["user.c", "user.b", "user.a"], value) == [
            (b"user.a", b"1"),
            (b"user.c", b"3"),
        ]
        with pytest.raises(OSError, match="nput/output"):
            _pairs(lambda: ["user.d"], value)


class TestFollowing:
    """What is written by others, and the room that it takes."""

    def test_a_file_has_a_writer_until_the_last_one_closed_it(self, fs: Fs, tmp_path: Path) -> None:
        """Also one that only another process has open."""
        path = tmp_path / "file"
        path.write_bytes(b"x")
        fd = fs.open(bytes(path), os.O_RDONLY)
        assert fs.has_writer(fd) is False
        with path.open("ab"):
            assert fs.has_writer(fd) is True
        reading, writing = os.pipe()
        child = os.fork()
        if child == 0:
            os.open(path, os.O_WRONLY)
            os.write(writing, b"open")
            signal.pause()
        os.read(reading, 4)
        assert fs.has_writer(fd) is True
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        assert fs.has_writer(fd) is False
        for one in (fd, reading, writing):
            os.close(one)

    def test_a_writer_that_comes_in_that_moment_does_no_harm(self, fs: Fs, tmp_path: Path) -> None:
        """It opens the file while the lease is held, of which a signal tells that usually kills."""
        path = tmp_path / "file"
        path.write_bytes(b"x")
        fd = fs.open(bytes(path), os.O_RDONLY)
        child = os.fork()
        if child == 0:
            while True:
                os.close(os.open(path, os.O_WRONLY))
        answers = {fs.has_writer(fd) for _ in range(30_000)}
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        os.close(fd)
        assert answers == {True, False}

    def test_where_nobody_can_tell(self, fs: Fs) -> None:
        """No lease is given on what is no file of a disk."""
        reading, writing = os.pipe()
        assert fs.has_writer(reading) is None
        os.close(reading)
        os.close(writing)

    def test_a_hole_takes_no_room_and_the_rest_stays(self, fs: Fs, file: int) -> None:
        """The length too; and False where it cannot be done."""
        fs.write(file, b"x" * 65536)
        if fs.punch(file, 0, 32768):
            assert fs.fstat(file).size == 65536
            assert fs.fstat(file).blocks * 512 < 65536
            assert fs.pread(file, 65536, 0) == bytes(32768) + b"x" * 32768
        reading, writing = os.pipe()
        with pytest.raises(OSError, match="seek"):
            fs.punch(writing, 0, 4096)
        os.close(reading)
        os.close(writing)


def test_beginning_to_write_changes_nothing_and_is_no_promise(tmp_path: Path) -> None:
    """The file stays as it is; what cannot be begun, as in a pipe, is left to whoever syncs."""
    fs = PosixFs()
    path = tmp_path / "file"
    path.write_bytes(b"as it was" * 100_000)
    fd = fs.open(bytes(path), os.O_RDWR)
    try:
        fs.begin_writing(fd, 0, 900_000)
        fs.begin_writing(fd, 1 << 40, 1)
    finally:
        fs.close(fd)
    assert path.read_bytes() == b"as it was" * 100_000
    reading, writing = os.pipe()
    try:
        fs.begin_writing(writing, 0, 1)
    finally:
        os.close(reading)
        os.close(writing)
