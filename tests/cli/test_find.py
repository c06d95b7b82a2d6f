"""``strongroom find`` as a person runs it."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from tests.cli.harness import Program

pytestmark = pytest.mark.spec("B1")

OLD = 1_500_000_000  # July 2017


@pytest.fixture
def saved(program: Program) -> Path:
    """Save a few files as two snapshots; the first has another host and tag."""
    documents = program.make_files(a="1", Notes="2")
    (documents / "etc").mkdir()
    (documents / "etc/site.conf").write_text("x")
    (documents / "conf").mkdir()
    (documents / "conf/site").write_text("y")
    os.utime(documents / "etc/site.conf", (OLD, OLD))
    program.good("backup", "./documents", "--host", "web1", "--tag", "old")
    (documents / "a").unlink()
    (documents / "b#!").write_text("3")
    program.good("backup", "./documents")
    return documents


@pytest.mark.parametrize(
    ("arguments", "found"),
    [
        (("a",), ["a"]),
        (("b#!",), ["b#!"]),
        (("notes",), []),
        (("notes", "-i"), ["Notes", "Notes"]),
        (("NOTES", "--ignore-case", "--host", "web1"), ["Notes"]),
        (("etc/*.conf",), ["etc/site.conf"] * 2),
        (("site*", "--tag", "old"), ["conf/site", "etc/site.conf"]),
        (("conf/",), ["conf", "conf"]),
        (("*conf*", "-s", "latest"), ["conf", "etc/site.conf"]),
        (("site*", "--newest", "2018-01-01", "-s", "latest"), ["etc/site.conf"]),
        (("site*", "--oldest", "2018-01-01", "-s", "latest"), ["conf/site"]),
        (("site*", "--path", "/nowhere"), []),
        (("a", "b#!", "--path", "documents/x"), ["b#!", "a"]),
        (("/etc/*.conf",), []),
    ],
)
def test_what_is_found(
    program: Program, saved: Path, arguments: tuple[str, ...], found: list[str]
) -> None:
    """Patterns match names, ends of paths and folders, in the snapshots that are chosen."""
    lines = program.good("find", *arguments, "--quiet").out.splitlines()
    assert lines == [f"  {saved}/{name}" for name in found]
    records = program.good("find", *arguments, "--json").records
    assert [one["path"] for one in records[:-1]] == [f"{saved}/{name}" for name in found]
    assert records[-1]["matches"] == len(found)


def test_the_output_says_where(program: Program, saved: Path) -> None:
    """Matches stand below their snapshot, the newest first; with -l with what they are."""
    out = program.good("find", "site.conf", "-l").out.splitlines()
    heads = [line for line in out if line.startswith("snapshot ")]
    assert len(heads) == 2
    assert heads[1].endswith("from web1")
    assert out[1].startswith("  -rw")
    assert " 2017-07-1" in out[1]
    assert out[1].endswith(f"{saved}/etc/site.conf")
    assert out[-1] == "2 matches in 2 snapshots"
    assert program.good("find", "nothing").out == "nothing found in 2 snapshots\n"


@pytest.mark.usefixtures("saved")
@pytest.mark.parametrize(
    ("arguments", "code", "why"),
    [
        ((), 2, "PATTERN"),
        (("",), 2, "empty"),
        (("a[",), 2, "without its ]"),
        (("a", "--oldest", "soon"), 2, "--oldest 'soon' is no time"),
        (("a", "--oldest", "1h", "--newest", "2h"), 2, "nothing can match"),
        (("a", "-s", "ffff"), 15, "no snapshot 'ffff'"),
    ],
)
def test_what_cannot_be_meant(
    program: Program, arguments: tuple[str, ...], code: int, why: str
) -> None:
    """A bad pattern or time is exit 2, an unknown snapshot exit 15, before anything is printed."""
    result = program.run("find", *arguments)
    assert (result.code, result.out) == (code, "")
    assert why in result.err


@pytest.mark.usefixtures("saved")
def test_damage_is_told(program: Program) -> None:
    """Where trees cannot be read the exit code is 4, whether or not something was found."""
    for pack in (program.repository / "packs").rglob("*"):
        if pack.is_file():
            pack.unlink()
    result = program.run("find", "a")
    assert result.code == 4
    assert "cannot be searched" in result.err
    assert "strongroom verify" in result.err
    records = program.run("find", "a", "--json").records
    assert {one["message_type"] for one in records} == {"error", "summary"}
    assert records[-1]["damaged"] == 2


@pytest.mark.usefixtures("saved")
def test_a_damaged_commit_is_not_passed_over(program: Program) -> None:
    """A snapshot that cannot even be opened was not searched: exit 4 with the rest found."""
    shutil.rmtree(program.cache)
    commit = next(p for p in (program.repository / "commits").rglob("*") if p.is_file())
    commit.chmod(0o600)
    commit.write_bytes(commit.read_bytes()[:-1] + b"?")
    result = program.run("find", "Notes", "--json")
    assert result.code == 4
    assert result.records[-1]["unreadable_snapshots"] == 1
    assert result.records[-1]["matches"] == 1
