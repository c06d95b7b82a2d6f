"""Bytes of restored files: holes, large files in pieces, hard links, and failures."""

from __future__ import annotations

import errno
import random
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import msgspec
import pytest

from strongroom.model.entry import SPARSE
from strongroom.model.source import Problem
from strongroom.system.posix import PosixFs
from tests.support.entries import WHEN_NS, begun, file, names_in, restore
from tests.support.faulty_fs import FsFault, faulty_fs
from tests.support.memory_backup import files_target

MIB = 1 << 20
NO_CONTENT = "not restored, since another name of the same file was not"


# -- holes


@pytest.mark.spec("B5")
def test_small_files_get_their_holes_back(tmp_path: Path) -> None:
    """Pages of zeros in a file that had holes; not in one that had none."""
    data = b"head" + bytes(100_000) + b"middle" + bytes(50_000) + b"tail" + bytes(30_000)
    sparse = msgspec.structs.replace(file("sparse", data), flags=SPARSE)
    hole = msgspec.structs.replace(file("hole", bytes(50_000)), flags=SPARSE)
    tiny = msgspec.structs.replace(file("tiny", bytes(5)), flags=SPARSE)
    tail = msgspec.structs.replace(file("tail", bytes(9000) + b"x"), flags=SPARSE)
    written = file("written", data)
    target = files_target(tmp_path / "t", [])
    wanted = target.place([hole, sparse, tail, tiny, written])
    contents = (bytes(50_000), data, bytes(9000) + b"x", bytes(5), data)
    assert target.write(list(zip(wanted, contents, strict=True))) == 5
    target.finish()
    names = ("hole", "sparse", "tail", "tiny", "written")
    for name, content in zip(names, contents, strict=True):
        assert (tmp_path / "t" / name).read_bytes() == content
    blocks = {
        name: (tmp_path / "t" / name).stat().st_blocks for name in ("hole", "sparse", "written")
    }
    assert blocks["hole"] == 0
    assert blocks["sparse"] <= 5 * 8 < blocks["written"]


@pytest.mark.spec("B5")
def test_what_is_never_written_stays_a_hole(tmp_path: Path) -> None:
    """At the beginning, in the middle, at the end, or everywhere."""
    target = files_target(tmp_path / "t", [])
    target.place([entry := msgspec.structs.replace(file("m"), size=8 * MIB)])
    opened = target.open(entry)
    assert opened is not None
    opened.write(3 * MIB, b"island")
    opened.finish()
    target.finish()
    found = (tmp_path / "t" / "m").stat()
    assert found.st_size == 8 * MIB
    assert found.st_blocks * 512 <= 64 << 10
    assert (tmp_path / "t" / "m").read_bytes()[3 * MIB : 3 * MIB + 6] == b"island"


# -- large files


def test_pieces_from_several_threads_in_any_order(tmp_path: Path) -> None:
    """Whoever writes the last one finishes."""
    data = random.Random(5).randbytes(4 * MIB)
    entry = file("m", data)
    target = files_target(tmp_path / "t", [])
    opened = begun(target, entry)
    assert names_in(tmp_path / "t") != {"m"}
    pieces = [(offset, data[offset : offset + 70_001]) for offset in range(0, len(data), 70_001)]
    random.Random(6).shuffle(pieces)
    with ThreadPoolExecutor(4) as threads:
        list(threads.map(lambda piece: opened.write(*piece), pieces))
    opened.finish()
    target.finish()
    found = tmp_path / "t" / "m"
    assert found.read_bytes() == data
    assert found.stat().st_mtime_ns == WHEN_NS
    assert names_in(tmp_path / "t") == {"m"}


def test_an_abandoned_file_leaves_nothing(tmp_path: Path) -> None:
    """Neither under its name nor under another; who abandons it reports it."""
    problems: list[Problem] = []
    target = files_target(tmp_path / "t", problems)
    opened = begun(target, file("m", bytes(MIB)))
    opened.write(0, b"beginning")
    opened.abandon()
    opened.abandon()
    opened.write(5, b"late")
    target.finish()
    assert names_in(tmp_path / "t") == set()
    assert problems == []


def test_a_large_file_that_cannot_be_written(tmp_path: Path) -> None:
    """It is reported once, however many pieces fail; the next one is restored."""
    fs, faults = faulty_fs(PosixFs(), FsFault("error", 1, frozenset({"pwrite"}), number=errno.EIO))
    problems: list[Problem] = []
    target = files_target(tmp_path / "t", problems, fs=fs)
    bad = begun(target, file("m", b"0123456789"))
    for offset in range(10):
        bad.write(offset, b"x")
    assert faults.attempts["pwrite"] == 1
    bad.finish()
    good = begun(target, file("n", b"0123456789"))
    good.write(0, b"01234")
    good.write(5, b"56789")
    good.finish()
    target.finish()
    assert problems == [Problem(b"m", "the disk reports an error")]


def test_a_partial_file_that_cannot_be_removed(tmp_path: Path) -> None:
    """It is reported, since something is left there."""
    fs, _ = faulty_fs(PosixFs(), lacks={"unlink": errno.EIO})
    problems: list[Problem] = []
    target = files_target(tmp_path / "t", problems, fs=fs)
    begun(target, file("m")).abandon()
    target.finish()
    assert problems == [Problem(b"m", "the disk reports an error")]


def test_a_large_file_that_cannot_be_begun(tmp_path: Path) -> None:
    """There is nothing to write to, and that is reported."""
    fs, _ = faulty_fs(PosixFs(), FsFault("error", 1, frozenset({"create"}), number=errno.EIO))
    problems: list[Problem] = []
    target = files_target(tmp_path / "t", problems, fs=fs)
    target.place([entry := file("m")])
    assert target.open(entry) is None
    target.finish()
    assert problems == [Problem(b"m", "the disk reports an error")]


@pytest.mark.parametrize("number", [errno.EINVAL, errno.ENOSYS])
def test_a_file_system_without_careful_renames(tmp_path: Path, number: int) -> None:
    """A name that is taken is still not taken away."""
    fs, _ = faulty_fs(PosixFs(), lacks={"rename_new": number})
    problems: list[Problem] = []
    target = files_target(tmp_path / "t", problems, fs=fs)
    opened = [begun(target, file(name, b"data")) for name in ("a", "b")]
    (tmp_path / "t" / "b").write_text("taken")
    for one in opened:
        one.write(0, b"data")
        one.finish()
    target.finish()
    assert (tmp_path / "t" / "a").read_text() == "data"
    assert (tmp_path / "t" / "b").read_text() == "taken"
    assert problems == [Problem(b"b", "exists already")]
    assert names_in(tmp_path / "t") == {"a", "b"}


@pytest.mark.parametrize("most", [1, 3])
def test_a_disk_that_takes_little_at_once(tmp_path: Path, most: int) -> None:
    """Short writes are gone on with, for small and large files."""
    real = PosixFs()

    class Stingy(PosixFs):
        def pwrite(self, fd: int, data: bytes | bytearray | memoryview, offset: int) -> int:
            return real.pwrite(fd, memoryview(data)[:most], offset)

    target = files_target(tmp_path / "t", [], fs=Stingy())
    large = begun(target, file("large", b"0123456789"))
    large.write(0, b"0123456789")
    large.finish()
    restore(target, file("small", b"0123456789"), data=b"0123456789")
    for name in ("large", "small"):
        assert (tmp_path / "t" / name).read_bytes() == b"0123456789"
