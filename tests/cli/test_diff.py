"""``strongroom diff`` as a person runs it: two snapshots, and a snapshot beside the disk."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.cli.harness import Program, Result

pytestmark = pytest.mark.spec("B1")


@pytest.fixture
def documents(program: Program) -> Path:
    """Save a few files."""
    documents = program.make_files(a="1", b="2", c="3")
    (documents / "folder").mkdir()
    (documents / "folder/x").write_text("x")
    (documents / "big").write_bytes(os.urandom(3_000_000))
    with (documents / "sparse").open("wb") as file:
        file.seek(2_000_000)
        file.write(b"end")
    program.good("backup", "./documents")
    return documents


def keep_times(path: Path, data: bytes) -> None:
    """Change what a file contains, and nothing else."""
    before = path.stat()
    path.write_bytes(data)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def told(result: Result, folder: Path) -> dict[str, str]:
    """Return letter and aspects by name, without what only differs in its times."""
    lines = [line for line in result.out.splitlines() if line[:3] in {"+  ", "-  ", "M  ", "U  "}]
    found = {}
    for line in lines:
        path, _, aspects = line[3:].partition("  ")
        found[path.removeprefix(f"{folder}/")] = f"{line[0]} {aspects}".strip()
    return {path: what for path, what in found.items() if not what.endswith("(times)")}


def change(documents: Path) -> dict[str, str]:
    """Change a few files, and return what a comparison must say."""
    (documents / "a").write_text("changed")
    (documents / "b").unlink()
    (documents / "c").chmod(0o600)
    (documents / "new").write_text("n")
    (documents / "folder/x").unlink()
    (documents / "folder/x").mkdir()
    (documents / "link").symlink_to("a")
    return {
        "a": "M",
        "b": "-",
        "c": "U (mode)",
        "folder/x/": "U (type, mode, times)",
        "link": "+",
        "new": "+",
    }


def test_two_snapshots(program: Program, documents: Path) -> None:
    """Each change between two snapshots is a line; at the end stands what they come to."""
    expected = change(documents)
    assert told(program.good("diff", "latest", "--disk"), documents) == expected
    program.good("backup", "./documents")
    result = program.good("diff", "latest~1", "latest")
    assert told(result, documents) == expected
    assert "  added 1 file (1 byte), 1 other" in result.out
    assert "  removed 1 file (1 byte)" in result.out
    assert "  content of 1 file changed" in result.out
    back = told(program.good("diff", "latest", "latest~1"), documents)
    assert back["b"] == "+"
    assert back["new"] == back["link"] == "-"
    part = program.good("diff", "latest~1", "latest", documents / "c")
    assert told(part, documents) == {"c": "U (mode)"}
    assert program.good("diff", "latest", "latest").out.endswith(": no difference\n")
    assert program.good("diff", "latest", "latest", "-q").out == ""


def test_the_disk_as_it_was_saved_has_no_difference(program: Program, documents: Path) -> None:
    """Right after a backup nothing is different, whether or not files are read."""
    for more in ((), ("--content",), (str(documents / "folder"),)):
        assert program.good("diff", "latest", "--disk", *more).out.endswith(": no difference\n")


def test_content_is_read_only_where_that_tells_more(program: Program, documents: Path) -> None:
    """A file whose size and time are the same is read with --content; one of another time is."""
    keep_times(documents / "a", b"X")
    keep_times(documents / "big", (documents / "big").read_bytes()[:-1] + b"!")
    (documents / "c").write_text("Y")
    os.utime(documents / "c", ns=(1, 1))
    os.utime(documents / "sparse", ns=(1, 1))
    quick = told(program.good("diff", "latest", "--disk"), documents)
    assert quick == {"c": "M"}
    result = program.good("diff", "latest", "--disk", "--content", "--json")
    found = {one["path"].rpartition("/")[2]: one for one in result.records[:-1]}
    assert {name: one["modifier"] for name, one in found.items()} == {
        "a": "M", "big": "M", "c": "M", "sparse": "U",
    }  # fmt: skip
    assert found["sparse"]["metadata"] == ["times"]
    assert (found["c"]["size_before"], found["c"]["size_after"]) == (1, 1)
    assert result.records[-1]["changed_files"] == 3


def test_a_hole_that_was_filled_is_seen(program: Program, documents: Path) -> None:
    """Where a snapshot has a hole, bytes on the disk other than zeros are a change."""
    with (documents / "sparse").open("r+b") as file:
        file.seek(1_000_000)
        file.write(b"\0" * 4096)
    assert told(program.good("diff", "latest", "--disk"), documents) == {}
    with (documents / "sparse").open("r+b") as file:
        file.seek(1_000_000)
        file.write(b"x")
    assert told(program.good("diff", "latest", "--disk"), documents) == {"sparse": "M"}


def test_zeros_in_place_of_a_hole_are_no_change(program: Program, documents: Path) -> None:
    """Between snapshots too: how a file lies on its disk is not what it contains."""
    keep_times(documents / "sparse", (documents / "sparse").read_bytes())
    program.good("backup", "./documents")
    assert told(program.good("diff", "latest~1", "latest"), documents) == {}
    keep_times(documents / "sparse", b"x" + (documents / "sparse").read_bytes()[1:])
    program.good("backup", "./documents")
    assert told(program.good("diff", "latest~1", "latest"), documents) == {"sparse": "M"}


def test_what_is_left_out_is_not_removed(program: Program, documents: Path) -> None:
    """With --exclude neither side has what matches; an ignore file is obeyed as by a backup."""
    (documents / "b").unlink()
    (documents / "new.log").write_text("1")
    assert told(program.good("diff", "latest", "--disk"), documents) == {"b": "-", "new.log": "+"}
    result = program.good("diff", "latest", "--disk", "-e", "*.log", "-e", "b", "-e", "folder")
    assert told(result, documents) == {}
    (documents / ".strongroomignore").write_text("*.log\n")
    found = told(program.good("diff", "latest", "--disk"), documents)
    assert found == {".strongroomignore": "+", "b": "-"}


def test_paths_on_the_disk(program: Program, documents: Path) -> None:
    """Only what is named is compared; something that the snapshot has nothing of is exit 15."""
    expected = change(documents)
    result = program.good("diff", "latest", "--disk", "./documents/folder", "./documents/a")
    assert told(result, documents) == {k: expected[k] for k in ("a", "folder/x/")}
    assert told(program.good("diff", "latest", "--disk", "."), documents) == expected
    result = program.run("diff", "latest", "--disk", "/nowhere")
    assert result.code == 15
    assert "has nothing of /nowhere" in result.err


def test_hard_links_beside_a_part_do_not_matter(program: Program, documents: Path) -> None:
    """A file linked to one outside of what is compared is the same file; within all it counts."""
    (documents / "folder/y").hardlink_to(documents / "a")
    program.good("backup", "./documents")
    assert program.good("diff", "latest", "--disk").out.endswith(": no difference\n")
    result = program.good("diff", "latest", "--disk", "./documents/folder")
    assert result.out.endswith(": no difference\n")
    (documents / "folder/y").unlink()
    (documents / "folder/y").write_text("1")
    os.utime(documents / "folder/y", ns=(1, (documents / "a").stat().st_mtime_ns))
    found = told(program.good("diff", "latest", "--disk"), documents)
    assert found == {"folder/y": "U (links)", "a": "U (links)"}


def test_a_source_that_is_gone_is_removed(program: Program, documents: Path) -> None:
    """A folder that is not there any more is different in everything, which is no failure."""
    documents.rename(program.folder / "moved")
    result = program.good("diff", "latest", "--disk", "--json")
    assert {one["modifier"] for one in result.records[:-1]} == {"-"}
    assert result.records[-1]["removed_files"] == 6


def test_what_cannot_be_looked_at_is_not_removed(program: Program, documents: Path) -> None:
    """A folder that may not be read is exit 3, and what is in it is not told as removed."""
    (documents / "folder").chmod(0)
    keep_times(documents / "b", b"Z")
    (documents / "b").chmod(0)
    result = program.spawn("diff", "latest", "--disk", "--content", unprivileged=True)
    (documents / "folder").chmod(0o755)
    assert result.code == 3, result
    assert told(result, documents) == {"folder/": "U (mode)"}
    assert "folder: what is in it is not saved: permission denied" in result.err
    assert "b: permission denied" in result.err


@pytest.mark.usefixtures("documents")
def test_damage_is_told(program: Program) -> None:
    """Snapshots whose trees are gone are compared as far as possible: exit 4."""
    for pack in (program.repository / "packs").rglob("*"):
        if pack.is_file():
            pack.unlink()
    result = program.run("diff", "latest", "--disk", "--json")
    assert result.code == 4
    assert result.records[-1]["damaged"] == 1
    assert [one["message_type"] for one in result.records] == ["error", "summary"]


@pytest.mark.usefixtures("documents")
@pytest.mark.parametrize(
    ("arguments", "code", "why"),
    [
        (("latest",), 2, "--disk"),
        (("latest", "latest", "/a", "/b"), 2, "'/b'"),
        (("latest", "latest", "--content"), 2, "--disk"),
        (("latest", "latest", "-e", "x"), 2, "--disk"),
        (("latest", "latest~1"), 15, "holds 1"),
        (("latest", "latest", "/nowhere"), 15, "nowhere"),
        (("ffff", "--disk"), 15, "ffff"),
    ],
)
def test_what_cannot_be_meant(
    program: Program, arguments: tuple[str, ...], code: int, why: str
) -> None:
    """A comparison of nothing is exit 2, of what is not there exit 15."""
    result = program.run("diff", *arguments)
    assert (result.code, result.out) == (code, "")
    assert why in result.err


def test_another_host_is_said(program: Program, documents: Path) -> None:
    """Comparing the snapshot of another host with this disk is allowed, and said."""
    program.good("backup", documents, "--host", "elsewhere")
    assert "is from host elsewhere" in program.good("diff", "latest", "--disk").err
