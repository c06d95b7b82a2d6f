"""``strongroom export`` as a person runs it."""

from __future__ import annotations

import json
import os
import subprocess
import tarfile
from pathlib import Path

import pytest

from tests.cli.harness import NO_KEY, Program
from tests.support.compare_trees import compare_trees
from tests.support.file_trees import every_kind

pytestmark = pytest.mark.spec("B9")


def archive_in(folder: Path) -> Path:
    """Return the folder of the only archive."""
    (found,) = folder.iterdir()
    return found


def metadata_of(folder: Path) -> dict[str, object]:
    """Read the metadata of an archive."""
    read: dict[str, object] = json.loads((folder / "backup-metadata.json").read_text())
    return read


def test_an_archive_that_needs_no_strongroom(program: Program) -> None:
    """GNU tar unpacks everything as it was, and sha256sum accepts the checksum."""
    tree = program.folder / "tree"
    every_kind(tree)
    (tree / "specials/socket").unlink()
    os.utime(tree / "specials", ns=(1, 1))
    program.good("backup", tree)
    said = program.good("export", f"latest:{tree}", "--to", "out").out
    assert "every byte was read back" in said
    made = archive_in(program.folder / "out")
    subprocess.run(
        ["sha256sum", "-c", "backup-checksum.sha256"], cwd=made, check=True, capture_output=True
    )
    back = program.folder / "back"
    back.mkdir()
    (packed,) = made.glob("*.tar.gz")
    command = ["tar", "--xattrs", "--xattrs-include=*", "-xpf", str(packed), "-C", str(back)]
    subprocess.run(command, check=True, capture_output=True)
    assert compare_trees(tree, back, ignore=["top"]) == []


def test_the_archive_says_what_it_is_of(program: Program) -> None:
    """Its name is the time of the snapshot; its metadata names id, host, tags, sources and time."""
    documents = program.make_files(a="1")
    program.good("backup", documents, "--host", "web1", "--tag", "nightly")
    (snapshot,) = program.good("snapshots", "--json").records[:-1]
    summary = program.good("export", "latest", "--to", "out", "--json").record("summary")
    made = archive_in(program.folder / "out")
    metadata = metadata_of(made)
    stated = metadata["snapshot"]
    assert isinstance(stated, dict)
    assert stated["id"] == summary["snapshot_id"] == snapshot["id"]
    assert (stated["host"], stated["tags"], stated["path"]) == ("web1", ["nightly"], "/")
    assert (stated["started"], stated["ended"]) == (snapshot["time"], snapshot["end"])
    (source,) = stated["sources"]
    assert source["kind"] == "files"
    assert source["paths"] == [str(documents)]
    assert metadata["project_root"] == "/"
    assert metadata["backup_scope"] == [str(documents).lstrip("/")]
    assert made.name == metadata["backup_timestamp"] == summary["id"]
    assert made.name[:4] == snapshot["time"][:4]


def test_archive_verbs_work_on_it(program: Program) -> None:
    """Verify, list and restore take it as an archive; a second export of it is refused, exit 6."""
    documents = program.make_files(a="1", b="2" * 2_000_000)
    (documents / "link").symlink_to("a")
    os.link(documents / "link", documents / "link too", follow_symlinks=False)
    os.link(documents / "b", documents / "c")
    program.good("backup", documents)
    program.good("export", f"latest:{documents}", "--to", "out", "--format", "zstd")
    name = archive_in(program.folder / "out").name
    where = ("--folder", program.folder / "out", "--project", documents)
    assert name in program.good("archive", "verify", *where).out
    assert name in program.good("archive", "list", *where).out
    (documents / "a").write_text("lost")
    (documents / "more").write_text("more")
    restored = program.good("archive", "restore", name, "--no-confirm", "--delete", *where)
    assert (documents / "a").read_text() == "1", restored
    assert not (documents / "more").exists()
    assert (documents / "c").stat().st_ino == (documents / "b").stat().st_ino
    again = program.run("export", "latest", "--to", "out")
    assert (again.code, "named after" in again.err) == (6, True)


def test_what_was_left_out_of_an_export_is_not_removed(program: Program) -> None:
    """An archive that holds a choice cannot be restored with --delete."""
    documents = program.make_files({"a.txt": "1", "b.log": "2"})
    program.good("backup", documents)
    program.good("export", f"latest:{documents}", "--to", "out", "--exclude", "*.log")
    where = ("--folder", program.folder / "out", "--project", documents)
    refused = program.run("archive", "restore", "latest", "--no-confirm", "--delete", *where)
    assert refused.code == 6
    assert (documents / "b.log").read_text() == "2"
    program.good("archive", "restore", "latest", "--no-confirm", *where)


@pytest.mark.parametrize(
    ("form", "option"), [(None, "--no-same-owner"), ("gzip", "-z"), ("zstd", "--zstd")]
)
def test_a_stream(program: Program, form: str | None, option: str) -> None:
    """With - a tar comes out and nothing else, which tar unpacks from a pipe."""
    documents = program.make_files(a="1", b="2" * 3_000_000)
    os.link(documents / "a", documents / "z")
    program.good("backup", documents)
    options = ("--format", form) if form is not None else ()
    result = program.good("export", f"latest:{documents}", "--to", "-", *options)
    back = program.folder / "back"
    back.mkdir()
    command = ["tar", option, "-xpf", "-", "-C", str(back)]
    subprocess.run(command, input=result.raw, check=True)
    assert compare_trees(documents, back, ignore=["top"]) == []


def test_a_part_and_patterns(program: Program) -> None:
    """Names are relative to the path; a file alone keeps its name; patterns choose."""
    documents = program.make_files({"a.txt": "1", "b.log": "2"})
    program.good("backup", documents)

    def names(*arguments: str | Path) -> list[str]:
        (program.folder / "tar").write_bytes(program.good("export", *arguments, "--to", "-").raw)
        with tarfile.open(program.folder / "tar") as tar:
            return tar.getnames()

    assert names(f"latest:{documents}") == ["a.txt", "b.log"]
    assert names(f"latest:{documents}/a.txt") == ["a.txt"]
    assert names(f"latest:{documents}", "-e", "*.log") == ["a.txt"]
    assert names("latest", "-i", "*.log")[-1] == f"{documents}/b.log".lstrip("/")


@pytest.mark.parametrize("how", ["recipient", "identity", "passphrase"])
def test_an_encrypted_archive_opens_with_age(program: Program, how: str) -> None:
    """What the options of the archive say is its key; --key-file still opens the repository."""
    documents = program.make_files(a="secret")
    program.good("backup", documents)
    made = subprocess.run(["age-keygen"], check=True, capture_output=True).stdout
    (program.folder / "age.key").write_bytes(made)
    (program.folder / "age.key").chmod(0o600)
    recipient = made.split(b"public key: ")[1].split()[0].decode()
    options = {
        "recipient": ("--recipient", recipient),
        "identity": ("--archive-key-file", "age.key"),
        "passphrase": ("--archive-passphrase-file", "passphrase"),
    }[how]
    said = program.good(
        "export", f"latest:{documents}", "--to", "out", *options, "--key-file", "key", env=NO_KEY
    ).out
    assert ("only its recipients" in said) == (how == "recipient")
    made_in = archive_in(program.folder / "out")
    (sealed,) = made_in.glob("*.tar.gz.age")
    assert b"secret" not in sealed.read_bytes()
    if how != "passphrase":
        command = ["age", "-d", "-i", str(program.folder / "age.key"), str(sealed)]
        opened = subprocess.run(command, check=True, capture_output=True).stdout
        listed = subprocess.run(["tar", "-tz"], input=opened, check=True, capture_output=True)
        assert listed.stdout == b"a\n"


def test_what_is_missing_shows(program: Program) -> None:
    """A socket, and what the backup could not save: exit 3, in the metadata and in the list."""
    tree = program.folder / "tree"
    every_kind(tree)
    locked = tree / "locked"
    locked.write_text("x")
    locked.chmod(0)
    saved = program.spawn("backup", tree, unprivileged=True)
    assert saved.code == 3
    result = program.run("export", "latest", "--to", "out")
    assert result.code == 3, result
    assert "socket" in result.err
    metadata = metadata_of(archive_in(program.folder / "out"))
    assert metadata["status"] == "incomplete"
    problems = metadata["problems"]
    assert isinstance(problems, list)
    found = {one["path"]: one["cause"] for one in problems}
    assert "a tar has no type" in found[f"{tree}/specials/socket".lstrip("/")]
    assert found[str(locked).lstrip("/")] == "permission denied"
    assert "incomplete" in program.run("archive", "list", "--folder", "out").out
    assert program.run("export", "latest", "--to", "-").code == 3
    part = program.good("export", f"latest:{tree}/files", "--to", "part")
    assert "incomplete" not in part.out


def test_a_chunk_that_cannot_be_read(program: Program) -> None:
    """Exit 4 and no archive; a later one into the same folder is made all the same."""
    documents = program.make_files(a=os.urandom(3_000_000))
    program.good("backup", documents)
    packs = [one for one in (program.repository / "packs").rglob("*") if one.is_file()]
    whole = {pack: pack.read_bytes() for pack in packs}
    largest = max(packs, key=lambda pack: len(whole[pack]))
    data = bytearray(whole[largest])
    data[len(data) // 2] ^= 1
    largest.chmod(0o600)
    largest.write_bytes(data)
    result = program.run("export", "latest", "--to", "out")
    assert result.code == 4, result
    assert not list((program.folder / "out").rglob("*.tar*"))
    assert program.run("export", "latest", "--to", "-").code == 4
    largest.write_bytes(whole[largest])
    program.good("export", "latest", "--to", "out")
    assert list((program.folder / "out").rglob("*.tar.gz"))


def test_roles(program: Program) -> None:
    """A reader key exports; an agent's cannot, exit 12, and nothing is made."""
    documents = program.make_files(a="1")
    program.good("backup", documents)
    program.good("key", "add", "--new-key-file", "reader-key", "--role", "reader")
    program.good("key", "export-agent", "--name", "web1", "--to", "web1.agent")
    reader = {"STRONGROOM_KEY_FILE": str(program.folder / "reader-key")}
    program.good("export", "latest", "--to", "out", env=reader)
    agent = {"STRONGROOM_KEY_FILE": str(program.folder / "web1.agent")}
    for to in ("other", "-"):
        refused = program.run("export", "latest", "--to", to, env=agent)
        assert (refused.code, refused.raw) == (12, b"")
    assert not (program.folder / "other").exists()


@pytest.mark.parametrize(
    ("command", "code", "said"),
    [
        ("export latest", 2, "--to"),
        ("export latest --to - --json", 2, "--json"),
        ("export latest:../x --to out", 2, "'..'"),
        ("export latest:/nowhere --to out", 15, "no path"),
        ("export nothing --to out", 15, "no snapshot"),
        ("export latest --to out --archive-key-file nowhere", 2, "nowhere"),
        ("export latest --to out --format gzip --level 13", 2, "level"),
        ("export latest --to out --recipient age1nonsense", 2, "--recipient"),
    ],
)
def test_what_cannot_be_meant(program: Program, command: str, code: int, said: str) -> None:
    """Nothing is made, and the message says what is wrong."""
    program.good("backup", program.make_files(a="1"))
    result = program.run(*command.split())
    assert result.code == code, result
    assert said in result.err
    assert not (program.folder / "out").exists()
