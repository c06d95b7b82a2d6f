"""Documents go into an archive as files, and come back out of it as the objects that they were."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from strongroom.operations.objects_as_files import key_of
from tests.cli.harness import Program
from tests.support.buckets import ODD_KEYS, Client, fill, held, make_bucket

pytestmark = pytest.mark.spec("B9", "D1")

TOP = "/s3/documents/objects/"


def exported(program: Program, what: str = "latest") -> Path:
    """Export into a new folder, and return the folder of the archive."""
    program.good("export", what, "--to", program.folder / "shelf")
    (archive,) = (program.folder / "shelf").glob("2*_*")
    return archive


def listed(program: Program) -> list[dict[str, object]]:
    """Return everything that ``ls`` knows of the latest snapshot."""
    records = program.good("ls", "latest", "--json").records
    return [one for one in records if one["message_type"] == "node"]


def test_what_comes_back_is_the_same_source(program: Program, s3: Client) -> None:
    """Keys, bytes, headers, metadata, tags and what is known of the bucket: there is no difference,
    and a bucket that is made of the import is as the first one was.
    """
    fill(s3, "docs", ODD_KEYS)
    program.good("backup", "documents")
    before = listed(program)
    program.good("import", exported(program))
    assert listed(program) == before
    assert program.good("diff", "latest~1", "latest").out.splitlines()[:-1] == []
    make_bucket(s3, "copy")
    program.good("restore", "latest", "--to-bucket", "copy", "--verify")
    assert held(s3, "copy") == held(s3, "docs")
    program.good("verify", "--read-data")


@pytest.mark.parametrize("key", ["z/", "a//", "a//b"])
def test_a_part_of_them(program: Program, s3: Client, key: str) -> None:
    """What begins with a key, or one object, is imported below the key that it had."""
    fill(s3, "docs", ODD_KEYS)
    program.good("backup", "documents")
    before = [one for one in listed(program) if str(one["path"]).startswith(TOP + key)]
    assert before
    done = program.run("import", exported(program, f"latest:{TOP}{key}"))
    assert (done.code, listed(program)) == (3, before)
    assert "only a part" in done.err + done.out


@pytest.mark.parametrize("key", ["a/" + "y" * 250, "x" * 200 + "..", "%" * 120])
def test_one_object_with_a_long_name(program: Program, s3: Client, key: str) -> None:
    """Whatever its name is cut into, it is the same key again, and tar has no reason to refuse."""
    fill(s3, "docs", [key, "other"])
    program.good("backup", "documents")
    archive = exported(program, f"latest:{TOP}{key}")
    (tar,) = archive.glob("*.tar.gz")
    names = subprocess.run(["tar", "-tzf", tar], capture_output=True, text=True, check=True)
    assert ".." not in names.stdout.strip().split("/")
    assert program.run("import", archive).code == 3
    assert [one["path"] for one in listed(program)] == [f"{TOP}{key}"]


def test_a_part_takes_the_place_of_nothing(program: Program, s3: Client) -> None:
    """It is incomplete, so that no policy lets the last whole one go for it."""
    fill(s3, "docs", ["p/1", "q/1"])
    program.good("backup", "documents")
    program.run("import", exported(program, f"latest:{TOP}p/"))
    program.good("forget", "--keep-last", "1")
    program.good("prune", "--grace", "0s")
    found = {one["status"] for one in program.good("snapshots", "--json").records if "id" in one}
    assert "done" in found or "complete" in found, found


def test_a_key_that_is_both(program: Program, s3: Client) -> None:
    """An object that others lie below is no part by itself; with a slash at its end these are."""
    fill(s3, "docs", ["a", "a/", "a/b"])
    program.good("backup", "documents")
    refused = program.run("export", f"latest:{TOP}a", "--to", "shelf")
    assert refused.code == 2
    assert f"{TOP}a/" in refused.err
    assert program.run("import", exported(program, f"latest:{TOP}a/")).code == 3
    assert {one["path"] for one in listed(program)} == {f"{TOP}a/", f"{TOP}a/b"}


def test_anybody_can_unpack_it(program: Program, s3: Client) -> None:
    """For tar objects are files whose names say their keys, and it has nothing to complain of; so
    they are for a restore of the archive itself.
    """
    fill(s3, "docs", ODD_KEYS)
    program.good("backup", "documents")
    archive = exported(program)
    program.good("archive", "verify", archive.name, "--folder", archive.parent)
    shelf = ("--folder", archive.parent)
    program.good("archive", "restore", archive.name, *shelf, "--to", "ours", "--no-confirm")
    theirs = program.folder / "theirs"
    theirs.mkdir()
    (tar,) = archive.glob("*.tar.gz")
    told = subprocess.run(
        ["tar", "-xzf", tar, "-C", theirs], capture_output=True, text=True, check=True
    )
    assert told.stderr == ""
    for top in (theirs, program.folder / "ours"):
        folder = top / "s3/documents/objects"
        found = {
            key_of(str(path.relative_to(folder)).encode()).decode(): path.read_bytes()
            for path in folder.rglob("*")
            if path.is_file()
        }
        assert found == {key: one.data for key, one in held(s3, "docs").items()}


def test_beside_files(program: Program, s3: Client) -> None:
    """Of a snapshot of several sources each is what it was."""
    fill(s3, "docs", ["a", "a/b", "a//b"])
    (program.folder / "tree").mkdir()
    (program.folder / "tree/file").write_text("x")
    config = program.folder / "strongroom.toml"
    config.write_text(config.read_text() + '\n[sources.tree]\ntype = "files"\npaths = ["tree"]\n')
    program.good("backup", "documents", "tree")
    before = listed(program)
    program.good("import", exported(program))
    assert listed(program) == before
    make_bucket(s3, "copy")
    program.good("restore", "latest", "--to-bucket", "copy", "--verify")
    assert held(s3, "copy") == held(s3, "docs")
