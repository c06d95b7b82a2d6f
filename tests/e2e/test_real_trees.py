"""Real trees through the command line: saved, restored, and compared by another program."""

from __future__ import annotations

import random
import shutil
import sys
import sysconfig
import time
from pathlib import Path

import pytest

from tests.cli.harness import Program
from tests.support.compare_trees import compare_trees
from tests.support.file_trees import every_kind

_SETTLED_SECONDS = 0.2
_LEAF = (1 << 20) + 100_000  # the leaf of the tree with the directories above, and its branches


def _library(folder: Path) -> None:
    """Copy the standard library of this Python, without what was installed into it."""
    library = sysconfig.get_paths()["stdlib"]
    shutil.copytree(library, folder, symlinks=True, ignore=shutil.ignore_patterns("site-packages"))
    time.sleep(_SETTLED_SECONDS)


def _round_trip(program: Program, data: Path) -> None:
    """Back up twice, verify and restore; fail on any difference or second read."""
    first = program.spawn("backup", data, "--json").record("summary")
    assert first["status"] == "complete"
    second = program.spawn("backup", data, "--json").record("summary")
    assert second["bytes_read"] == 0, "the second backup read unchanged files"
    above = len(data.parents)  # directories on the way, in which this test itself works
    assert second["entries"] == first["entries"]
    assert second["entries_unmodified"] >= second["entries"] - above
    assert second["data_added"] < _LEAF, "the second backup stored more than what leads to it"
    verified = program.spawn("verify", "--read-data")
    assert verified.code == 0, verified
    restored = program.spawn("restore", "latest", "--to", "back")
    assert restored.code == 0, restored
    assert compare_trees(data, program.folder / "back" / data.relative_to("/")) == []


@pytest.fixture
def program(tmp_path: Path) -> Program:
    """Return a program with a repository, and nothing in it."""
    program = Program(tmp_path)
    program.good("init")
    return program


@pytest.mark.spec("B1", "B2", "B5", "B7")
def test_the_standard_library_comes_back_without_a_difference(program: Program) -> None:
    """Thousands of real files: every byte and attribute the same, and nothing read twice."""
    data = program.folder / "library"
    _library(data)
    _round_trip(program, data)


@pytest.mark.spec("B5")
def test_every_kind_of_thing_comes_back_without_a_difference(program: Program) -> None:
    """Links, holes, devices, access lists, odd names and times: restored as they were."""
    data = program.folder / "kinds"
    every_kind(data)
    time.sleep(_SETTLED_SECONDS)
    _round_trip(program, data)


@pytest.mark.spec("B2")
def test_a_change_in_a_large_file_stores_little_more_than_the_change(program: Program) -> None:
    """A few bytes put into the middle of 64 MB cost a few chunks and not the file."""
    data = program.folder / "large"
    data.mkdir()
    content = random.Random(1).randbytes(64 << 20)
    (data / "file").write_bytes(content)
    program.good("backup", data)
    (data / "file").write_bytes(content[: 20 << 20] + b"inserted" + content[20 << 20 :])
    summary = program.good("backup", data, "--json").record("summary")
    assert summary["data_added"] < 12 << 20


@pytest.mark.slow
def test_a_whole_installed_python_comes_back_without_a_difference(program: Program) -> None:
    """The installation this runs on, with all that is installed into it (some 50,000 files)."""
    data = program.folder / "python"
    shutil.copytree(sys.base_prefix, data, symlinks=True)
    time.sleep(_SETTLED_SECONDS)
    _round_trip(program, data)


@pytest.mark.slow
def test_a_hundred_thousand_small_files_come_back_without_a_difference(program: Program) -> None:
    """100,000 small files in 1,000 folders."""
    data = program.folder / "small"
    rng = random.Random(2)
    for number in range(1000):
        folder = data / f"{number % 10}" / f"{number}"
        folder.mkdir(parents=True)
        for item in range(100):
            (folder / f"{item}").write_bytes(rng.randbytes(rng.randrange(6000)))
    time.sleep(_SETTLED_SECONDS)
    _round_trip(program, data)


@pytest.mark.slow
def test_large_files_come_back_without_a_difference(program: Program) -> None:
    """1.5 GB in two files."""
    data = program.folder / "large"
    data.mkdir()
    rng = random.Random(3)
    with (data / "random").open("wb") as out:
        for _ in range(50):
            out.write(rng.randbytes(10_000_000))
    with (data / "rows").open("w") as rows:
        for number in range(16_000_000):
            rows.write(
                f"{number},{number * 7919 % 10007},a row among many in a table, {number % 97}\n"
            )
    time.sleep(_SETTLED_SECONDS)
    _round_trip(program, data)
