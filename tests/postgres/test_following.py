"""Files are read while they are written, whole and once, and take little room meanwhile."""

from __future__ import annotations

import os
import time
from collections import defaultdict
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from strongroom.errors import RefusedError
from strongroom.model.fs import Fs
from strongroom.model.spawn import Attended
from strongroom.sources.postgres.following import Follower, Piece
from strongroom.sources.postgres.room import watched
from strongroom.system.posix import PosixFs
from tests.postgres.kit import wait_for
from tests.support.hook_fs import hook_fs
from tests.support.noise import noise

pytestmark = pytest.mark.spec("C1")

LARGE = 3 << 20


class _Folders:
    """What is written, what came of it, and which files are said to be whole."""

    def __init__(self, top: Path, fs: Fs) -> None:
        self.folder, self.aside = top / "dump", top / "read"
        self.folder.mkdir()
        self.aside.mkdir()
        self.follower = Follower(
            fs, os.fsencode(self.folder), os.fsencode(self.aside), (b"toc.dat", b".toc")
        )
        self.came = defaultdict[bytes, bytes](bytes)
        self.whole: dict[bytes, int] = {}

    def take(self, pieces: Iterable[Piece]) -> int:
        """Keep what came, and return how many bytes that were."""
        count = 0
        for name, data, size in pieces:
            assert name not in self.whole
            self.came[name] += bytes(data)
            count += len(data)
            if size is not None:
                self.whole[name] = size
                assert size == len(self.came[name])
        return count

    def look(self, *, all_of_it: bool = False) -> int:
        """Look once."""
        return self.take(self.follower.look(all_of_it=all_of_it))


@contextmanager
def following(top: Path, fs: Fs | None = None) -> Iterator[_Folders]:
    """Follow a new folder."""
    folders = _Folders(top, fs or PosixFs())
    with closing(folders.follower):
        yield folders


def test_bytes_come_while_a_file_is_written_and_its_end_when_it_is_closed(tmp_path: Path) -> None:
    """What is still open for writing is never whole, however long nothing comes."""
    with following(tmp_path) as folders, (folders.folder / "1.dat").open("wb") as file:
        assert folders.look() == 0
        file.write(noise(LARGE, "a"))
        file.flush()
        assert folders.look() == LARGE
        file.write(b"more")
        file.flush()
        assert folders.look() == 0  # not worth it yet
        assert folders.look(all_of_it=True) == 4
        assert folders.look(all_of_it=True) == 0
        assert not folders.whole
        file.write(b"the end")
        file.close()
        assert folders.look() == 7
        assert folders.whole == {b"1.dat": LARGE + 11}
        assert folders.came[b"1.dat"] == noise(LARGE, "a") + b"morethe end"


def test_what_was_read_is_a_name_aside_and_lists_are_left_as_they_are(tmp_path: Path) -> None:
    """So that somebody can see what came, and read what lists it."""
    with following(tmp_path) as folders:
        for name in ("1.dat", "toc.dat", "blobs_7.toc"):
            (folders.folder / name).write_text(name)
        folders.look()
        assert len(folders.whole) == 3
        assert list(folders.folder.iterdir()) == []
        found = {path.name: path.read_text() for path in folders.aside.iterdir()}
        assert found == {"1.dat": "", "toc.dat": "toc.dat", "blobs_7.toc": "blobs_7.toc"}


def test_an_empty_file_may_just_have_been_made(tmp_path: Path) -> None:
    """It counts when whoever writes has ended."""
    with following(tmp_path) as folders:
        (folders.folder / "1.dat").touch()
        folders.look(all_of_it=True)
        assert not folders.whole
        folders.take(folders.follower.finish())
        assert folders.whole == {b"1.dat": 0}


def test_a_file_system_that_does_not_tell_who_writes(tmp_path: Path) -> None:
    """Bytes come all the same; files are whole when the program has ended."""
    with following(tmp_path, hook_fs(changed={"has_writer": lambda _: None})) as folders:
        (folders.folder / "1.dat").write_bytes(noise(LARGE, "a"))
        assert folders.look() == LARGE
        assert not folders.whole
        folders.take(folders.follower.finish())
        assert folders.whole == {b"1.dat": LARGE}


def test_what_was_read_gives_back_its_room(tmp_path: Path) -> None:
    """While it is written: the file stays as long as it is, and what follows is read right."""
    with following(tmp_path) as folders, (folders.folder / "1.dat").open("wb") as file:
        file.write(noise(LARGE, "a"))
        file.flush()
        folders.look()
        assert folders.follower.standing == LARGE
        if not folders.follower.release():  # where the file system cannot do that, nothing changes
            assert folders.follower.standing == LARGE
            return
        assert folders.follower.standing == 0
        assert os.fstat(file.fileno()).st_blocks * 512 < LARGE // 2
        file.write(noise(LARGE, "b"))
        file.close()
        folders.look()
        assert folders.came[b"1.dat"] == noise(LARGE, "a") + noise(LARGE, "b")


@given(
    st.lists(st.tuples(st.integers(0, 3), st.binary(max_size=9), st.booleans()), max_size=30),
)
def test_any_order_of_writing_closing_and_looking(
    tmp_path_factory: pytest.TempPathFactory, acts: list[tuple[int, bytes, bool]]
) -> None:
    """Each file comes once, whole and as it was written, whenever somebody looks."""
    with following(tmp_path_factory.mktemp("any")) as folders:
        written = defaultdict[bytes, bytes](bytes)
        files: dict[int, tuple[bytes, Any]] = {}
        for number, (which, data, closes) in enumerate(acts):
            if which not in files:
                path = folders.folder / f"{number}.dat"
                files[which] = path.name.encode(), path.open("wb", buffering=0)
            name, file = files[which]
            file.write(data)
            written[name] += data
            if closes:
                files.pop(which)[1].close()
            folders.look(all_of_it=bool(number % 2))
            assert not folders.whole.keys() & {name for name, _ in files.values()}
        for _, file in files.values():
            file.close()
        folders.take(folders.follower.finish())
        assert {name: folders.came[name] for name in folders.whole} == written


class _Held:
    """A child of which is known whether it is held."""

    def __init__(self) -> None:
        self.held = False
        self.times = 0

    def hold(self) -> None:
        """See ``Attended``."""
        self.held = True
        self.times += 1

    def go_on(self) -> None:
        """See ``Attended``."""
        self.held = False


class _Disk:
    """A disk that says how much is free."""

    def __init__(self, free: int, *, punches: bool = True) -> None:
        self.free = free
        changed = {"free_bytes": lambda _: self.free}
        if not punches:
            changed["punch"] = lambda _: False
        self.fs = hook_fs(changed=changed)


@pytest.mark.parametrize("punches", [True, False])
def test_a_dump_is_held_when_little_is_free_and_goes_on_when_all_was_read(
    tmp_path: Path, *, punches: bool
) -> None:
    """Even while nobody looks; and where no room can be made it is refused."""
    child, disk = _Held(), _Disk(64 << 20, punches=punches)
    scratch = os.open(tmp_path, os.O_RDONLY)
    with (
        following(tmp_path, disk.fs) as folders,
        (folders.folder / "1.dat").open("wb") as file,
        watched(disk.fs, scratch, tmp_path, cast("Attended", child)) as room,
    ):
        file.write(noise(LARGE, "a"))
        file.flush()
        folders.look()
        room.make(folders.follower, all_of_it=False)
        assert not child.held
        file.write(noise(9 * LARGE, "b"))
        file.flush()
        disk.free = 40 << 20
        wait_for(lambda: room.held)
        room.make(folders.follower, all_of_it=False)  # nobody looked since it is held
        while folders.look(all_of_it=True) and folders.follower.unread:
            room.make(folders.follower, all_of_it=True)
            assert child.held
        room.make(folders.follower, all_of_it=True)
        assert not child.held
        assert len(folders.came[b"1.dat"]) == 10 * LARGE
        disk.free = 10 << 20
        wait_for(lambda: room.held)
        folders.look(all_of_it=True)
        with pytest.raises(RefusedError, match="10,485,760 bytes free") as error:
            room.make(folders.follower, all_of_it=True)
        assert error.value.code == 6
    os.close(scratch)
    assert child.times == 2


def test_a_dump_takes_no_more_than_it_may(tmp_path: Path) -> None:
    """However much is free: it is held when that much of the room is gone."""
    child, disk = _Held(), _Disk(1 << 30, punches=True)
    scratch = os.open(tmp_path, os.O_RDONLY)
    with watched(disk.fs, scratch, tmp_path, cast("Attended", child), 8 << 20) as room:
        disk.free -= 7 << 20
        time.sleep(0.1)  # several looks
        assert not room.held
        disk.free -= 2 << 20
        wait_for(lambda: room.held)
    os.close(scratch)


def test_no_dump_begins_without_room(tmp_path: Path) -> None:
    """Exit code 6, and how much is free."""
    disk = _Disk(1 << 20)
    scratch = os.open(tmp_path, os.O_RDONLY)
    with (
        pytest.raises(RefusedError, match="1,048,576 bytes free"),
        watched(disk.fs, scratch, tmp_path, cast("Attended", _Held())),
    ):
        pass
    os.close(scratch)
