"""Large files are read in pieces, with their holes left out and their changes noticed."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count, islice, pairwise
from pathlib import Path

import pytest

from strongroom.model.entry import CHANGED_WHILE_READ
from strongroom.model.fs import Fs
from strongroom.model.source import Content, Loaded
from strongroom.sources.files.options import FilesOptions
from tests.support.hook_fs import always, fails, hook_fs, once
from tests.support.memory_backup import files_source, save, tree_path, walked

MIB = 1 << 20


@contextmanager
def _open(path: Path, fs: Fs | None = None) -> Iterator[Content]:
    options = FilesOptions(large=1000)
    with files_source(path, fs=fs, options=options) as source:
        item = walked(source)[0][-1]
        assert item.size >= source.large
        with source.open(item) as content:
            yield content


def _read(content: Content, offset: int, size: int) -> bytes:
    buffer = bytearray(size)
    return bytes(buffer[: content.readinto(offset, memoryview(buffer))])


def _ended(content: Content, size: int) -> Loaded:
    loaded = content.finish(size)
    assert loaded.entry is not None
    return loaded


def test_pieces_can_be_read_in_any_order(tmp_path: Path) -> None:
    """Each piece is what stands there; after the end comes nothing."""
    data = bytes(range(256)) * 100
    (tmp_path / "x").write_bytes(data)
    with _open(tmp_path / "x") as content:
        for offset in (0, 500, 1000, 20_000, 10, 25_599):
            assert _read(content, offset, 500) == data[offset : offset + 500]
        assert _read(content, len(data), 500) == b""
        loaded = _ended(content, len(data))
    assert loaded.problem is None
    assert loaded.token
    assert loaded.entry is not None
    assert (loaded.entry.size, loaded.entry.flags) == (len(data), 0)


def test_short_reads_are_gone_on_with(tmp_path: Path) -> None:
    """A file system may give less than was asked for."""
    data = bytes(range(256)) * 10
    (tmp_path / "x").write_bytes(data)
    stingy = hook_fs(arguments={"readinto": lambda fd, buffer: (fd, buffer[:100])})
    with _open(tmp_path / "x", stingy) as content:
        assert _read(content, 0, 2560) == data


@pytest.mark.spec("B5")
def test_holes_are_extents_without_data(tmp_path: Path) -> None:
    """From 0 to the end without gaps; what is data is found as such."""
    with (tmp_path / "x").open("wb") as file:
        file.seek(4 * MIB)
        file.write(b"island")
        file.truncate(8 * MIB)
    with _open(tmp_path / "x") as content:
        extents = list(content.extents())
    place = 0
    for offset, length, _ in extents:
        assert offset == place
        assert length > 0
        place += length
    assert place == 8 * MIB
    assert [is_data for _, _, is_data in extents] == [False, True, False]
    assert extents[1][0] <= 4 * MIB < extents[1][0] + extents[1][1]


@pytest.mark.parametrize("number", [errno.EINVAL, errno.EOPNOTSUPP, errno.EIO])
def test_without_knowledge_of_holes_all_is_data(tmp_path: Path, number: int) -> None:
    """A file system that does not know them costs room, and nothing else."""
    with (tmp_path / "x").open("wb") as file:
        file.truncate(MIB)
    with _open(tmp_path / "x", hook_fs({"seek_data": always(fails(number))})) as content:
        assert list(content.extents()) == [(0, MIB, True)]
        assert _read(content, 0, 10) == bytes(10)


def test_nonsense_about_holes_does_not_hold_us_up(tmp_path: Path) -> None:
    """A hole punched between two questions looks like data without length."""
    (tmp_path / "x").write_bytes(bytes(MIB))
    with _open(tmp_path / "x", hook_fs(changed={"seek_hole": lambda _: 0})) as content:
        assert list(content.extents()) == [(0, MIB, True)]


def test_a_million_islands_are_given_one_by_one(tmp_path: Path) -> None:
    """However many there are: all is not asked for before the first can be read."""
    size = 1 << 40
    with (tmp_path / "x").open("wb") as file:
        file.truncate(size)
    islands = count()
    answers = {
        "seek_data": lambda _: 2 * next(islands) * 4096,
        "seek_hole": lambda _: (2 * next(islands) + 1) * 4096,
    }
    with _open(tmp_path / "x", hook_fs(changed=answers)) as content:
        extents = content.extents()
        first = list(islice(extents, 200_001))
    assert next(islands) < 300_000
    assert sum(is_data for _, _, is_data in first) >= 100_000
    assert all(start + length == after for (start, length, _), (after, _, _) in pairwise(first))


def test_reading_between_two_extents_does_not_move_the_next(tmp_path: Path) -> None:
    """Looking for holes and reading share the position in the file."""
    with (tmp_path / "x").open("wb") as file:
        for number in range(1, 4):
            file.seek(number * MIB)
            file.write(bytes([number]) * 4096)
        file.truncate(8 * MIB)
    with _open(tmp_path / "x") as content:
        read = [
            _read(content, offset, length)
            for offset, length, is_data in content.extents()
            if is_data
        ]
    assert [set(data) - {0} for data in read] == [{1}, {2}, {3}]


@pytest.mark.parametrize(
    "change",
    [
        lambda path: path.write_bytes(b"other" * 1000),
        lambda path: os.truncate(path, 10),
        lambda path: path.chmod(0o600),
    ],
)
def test_a_change_meanwhile_is_seen_at_the_end(tmp_path: Path, change: object) -> None:
    """The entry is flagged, reported, and captured again next time."""
    path = tmp_path / "x"
    path.write_bytes(b"first" * 1000)
    assert callable(change)
    with _open(path) as content:
        read = len(_read(content, 0, 5000))
        change(path)
        loaded = _ended(content, read)
    assert loaded.entry is not None
    assert (loaded.entry.flags, loaded.token) == (CHANGED_WHILE_READ, b"")
    assert loaded.problem is not None
    assert (loaded.problem.cause, loaded.problem.missing) == ("changed while being read", False)


def test_a_file_that_shrank_has_the_size_that_was_read(tmp_path: Path) -> None:
    """Content and size belong together, whatever happened."""
    path = tmp_path / "x"
    path.write_bytes(b"0123456789" * 1000)
    fs = hook_fs({"readinto": once(lambda: os.truncate(path, 4000))})
    saved = save(files_source(path, fs=fs, options=FilesOptions(large=1000)))
    assert saved.entry(tree_path(path)).size == 4000
    assert saved.data(tree_path(path)) == b"0123456789" * 400
    assert [problem.missing for problem in saved.problems] == [False]


@pytest.mark.parametrize(
    ("call", "cause"), [("open", "permission denied"), ("readinto", "the disk reports an error")]
)
def test_errors_are_said_in_words(tmp_path: Path, call: str, cause: str) -> None:
    """The message of the error is for people, so that the caller can report it."""
    path = tmp_path / "x"
    path.write_bytes(bytes(2000))
    number = errno.EACCES if call == "open" else errno.EIO
    names = (b"x",) if call == "open" else ()
    fs = hook_fs({call: once(fails(number), *names)})
    with pytest.raises(OSError, match=cause), _open(path, fs) as content:
        _read(content, 0, 2000)


def test_reading_goes_on_after_an_error(tmp_path: Path) -> None:
    """The position of the descriptor is not taken for granted."""
    path = tmp_path / "x"
    path.write_bytes(bytes(range(250)) * 10)
    fs = hook_fs({"readinto": once(fails(errno.EIO))})
    with _open(path, fs) as content:
        with pytest.raises(OSError, match="the disk reports an error"):
            _read(content, 0, 500)
        assert _read(content, 500, 5) == bytes(range(5))


def test_an_error_at_the_end_is_one_of_the_file(tmp_path: Path) -> None:
    """It is raised as such and not swallowed."""
    path = tmp_path / "x"
    path.write_bytes(bytes(2000))
    ended: list[bool] = []

    def hook(_fd: int) -> None:
        if ended:
            fails(errno.EIO)()

    with _open(path, hook_fs({"fstat": hook})) as content:
        ended.append(True)
        with pytest.raises(OSError, match="the disk reports an error"):
            content.finish(2000)


@pytest.mark.parametrize("replace", [os.mkfifo, Path.mkdir, lambda path: path.symlink_to("/x")])
def test_a_large_file_replaced_by_something_else(tmp_path: Path, replace: object) -> None:
    """It is not opened in its place."""
    path = tmp_path / "x"
    path.write_bytes(bytes(2000))
    assert callable(replace)

    def swap() -> None:
        path.rename(tmp_path / "y")
        replace(path)

    with (
        pytest.raises(OSError, match="replaced by something else while being read"),
        _open(path, hook_fs({"open": once(swap, b"x")})),
    ):
        pass
