"""Verify: whatever was done to a file of an archive is found, and the file is named."""

from __future__ import annotations

import os
import random
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Final

import pytest

from tests.archives.project import Project, foreign, key_file

pytestmark = pytest.mark.spec("A3")

KINDS: Final = ("archive", "checksum", "metadata", "manifest")


def _file(made: Path, kind: str) -> Path:
    names = {
        "archive": "backup-2*.tar*",
        "checksum": "backup-checksum.sha256",
        "metadata": "backup-metadata.json",
        "manifest": "backup-manifest.jsonl.gz",
    }
    (path,) = made.glob(names[kind])
    return path


def _found(project: Project, *arguments: str) -> list[str]:
    """Verify what is damaged, and return the lines that say so."""
    result = project.cli("archive", "verify", *arguments, code=4)
    lines = [line for line in result.out.splitlines() if line.startswith("ERROR: ")]
    assert lines
    return lines


@pytest.mark.parametrize("kind", KINDS)
def test_a_flipped_byte_anywhere(project: Project, kind: str) -> None:
    """In any file of the folder, at any place that is tried: exit code 4, and the file is named."""
    made = project.create("--scope", "config", "--scope", "README.md")
    path = _file(made, kind)
    good = path.read_bytes()
    places = random.Random(7).sample(range(len(good)), min(60, len(good)))
    for at in [0, len(good) - 1, *places]:
        for change in (0x01, 0x20, 0xFF):
            bad = bytearray(good)
            bad[at] ^= change
            path.write_bytes(bad)
            lines = _found(project)
            assert any(path.name in line for line in lines), (at, change, lines)
            assert all(made.name in line for line in lines), lines
    path.write_bytes(good)
    project.cli("archive", "verify")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "change",
    [
        lambda path: os.truncate(path, path.stat().st_size - 1),
        lambda path: os.truncate(path, path.stat().st_size // 2),
        lambda path: os.truncate(path, 0),
        lambda path: path.write_bytes(path.read_bytes() + b"\n"),
        lambda path: path.write_bytes(path.read_bytes() * 2),
        lambda path: path.unlink(),
    ],
    ids=["one byte less", "half", "empty", "one byte more", "twice", "removed"],
)
def test_a_file_of_another_length(
    project: Project, kind: str, change: Callable[[Path], object]
) -> None:
    """Cut, longer or gone."""
    made = project.create()
    path = _file(made, kind)
    name = path.name
    change(path)
    lines = _found(project)
    assert any(name in line for line in lines), lines


@pytest.mark.parametrize("kind", KINDS)
def test_a_file_of_another_archive(project: Project, kind: str) -> None:
    """Files that were swapped between two archives."""
    project.made()
    (project.folder / "lib/code.sh").write_text("other")
    project.made()
    one, two = sorted(project.backup.iterdir())
    first, second = _file(one, kind), _file(two, kind)
    first_bytes = first.read_bytes()
    first.write_bytes(second.read_bytes())
    second.write_bytes(first_bytes)
    lines = _found(project, "--all")
    for path in (first, second):
        assert any(path.parent.name in line and path.name in line for line in lines), lines


def test_all_problems_are_reported(project: Project) -> None:
    """Not only the first one, and of every archive."""
    for _ in range(3):
        project.made()
    one, two, three = sorted(project.backup.iterdir())
    _file(one, "checksum").unlink()
    _file(one, "manifest").unlink()
    _file(two, "metadata").write_text("{")
    lines = _found(project, "--all")
    assert [sum(made.name in line for line in lines) for made in (one, two, three)] >= [2, 1, 0]
    text = "\n".join(lines)
    assert "backup-checksum.sha256" in text
    assert "backup-manifest.jsonl.gz" in text
    assert "backup-metadata.json" in text
    record = project.cli("archive", "verify", "--all", "--json", code=4).record("summary")
    assert (record["archives"], record["damaged"]) == (3, 2)


def test_the_latest_one_and_all(project: Project) -> None:
    """Without an id the newest is read, with one that one, with --all each."""
    first = project.made()
    second = project.made()
    assert second in project.cli("archive", "verify").out
    assert first not in project.cli("archive", "verify").out
    assert first in project.cli("archive", "verify", first).out
    assert first in project.cli("archive", "verify", "--all").out
    result = project.cli("archive", "verify", "20200101_000000", code=15)
    assert first in result.err


def test_nothing_to_verify(project: Project) -> None:
    """Where there is no archive, none is verified: that is said, and for one of them an error."""
    assert "No backups found" in project.cli("archive", "verify", "--all").out
    project.cli("archive", "verify", code=15)


def test_an_encrypted_one_without_its_key(project: Project) -> None:
    """Exit code 3: its checksum is compared, and that is said. With another key as well."""
    key, other = (key_file(project, name) for name in ("key", "other"))
    made = project.create("--key-file", key)
    project.cli("archive", "verify", "--key-file", key)
    for arguments in ([], ["--key-file", other]):
        result = project.cli("archive", "verify", *arguments, code=3)
        assert "checksum" in result.err
    archive = next(made.glob("*.tar.gz.age"))
    data = bytearray(archive.read_bytes())
    data[-1] ^= 1
    archive.write_bytes(data)
    for arguments in ([], ["--key-file", other], ["--key-file", key]):
        result = project.cli("archive", "verify", *arguments, code=4)
        assert archive.name in result.out


def test_an_encrypted_manifest_that_is_damaged(project: Project) -> None:
    """It is named with the key and without."""
    key = key_file(project, "key")
    made = project.create("--key-file", key)
    manifest = made / "backup-manifest.jsonl.gz.age"
    data = bytearray(manifest.read_bytes())
    data[-3] ^= 1
    manifest.write_bytes(data)
    for arguments in ([], ["--key-file", key]):
        result = project.cli("archive", "verify", *arguments, code=4)
        assert manifest.name in result.out


def test_a_chain_with_a_gap(project: Project) -> None:
    """An incremental archive whose base is gone, or damaged, is not one that can be restored."""
    base = project.made()
    project.write({"lib/new": b"new"})
    last = project.made(incremental=True)
    project.cli("archive", "verify")
    aside = project.base / "aside"
    shutil.move(project.backup / base, aside)
    assert any(base in line for line in _found(project, last))
    assert project.cli("archive", "list", "--json").record("archive")["state"] == "damaged"
    shutil.move(aside, project.backup / base)
    archive = _file(project.backup / base, "archive")
    data = bytearray(archive.read_bytes())
    data[len(data) // 2] ^= 1
    archive.write_bytes(data)
    assert any(base in line for line in _found(project, last))


def test_the_guides_own_archives(project: Project) -> None:
    """One that scripts made, with a checksum and metadata of theirs, is verified too."""
    made = foreign(project, "20200101_000000")
    assert project.cli("archive", "verify").code == 0
    assert project.listed()["20200101_000000"].state.name == "UNPROVEN"
    archive = made / "backup-20200101_000000.tar.gz"
    data = bytearray(archive.read_bytes())
    data[len(data) // 2] ^= 1
    archive.write_bytes(data)
    assert any(archive.name in line for line in _found(project))


@pytest.mark.spec("A6", "A8")
def test_what_was_found_is_remembered(project: Project) -> None:
    """An archive in which damage was found is listed so, is no reason to remove older ones, and is
    not restored, until a verification finds it sound again.
    """
    older, newer = project.create("--scope", "config"), project.create("--scope", "config")
    path = _file(newer, "archive")
    good = path.read_bytes()
    path.write_bytes(good[:100] + bytes([good[100] ^ 1]) + good[101:])
    _found(project)
    assert f"{newer.name} " in project.cli("archive", "list").out
    assert "damaged: a verification found damage" in project.cli("archive", "list").out
    kept = project.cli("archive", "cleanup", "0").out
    assert f"keeps {older.name}: the newest good one" in kept
    assert f"keeps {newer.name}: damaged" in kept
    result = project.cli("archive", "restore", newer.name, "--no-confirm", code=4)
    assert "Nothing was changed" in result.err
    path.write_bytes(good)
    project.cli("archive", "verify")
    assert "damaged" not in project.cli("archive", "list").out
    assert list(newer.glob("*damage*")) == []
    project.cli("archive", "cleanup", "0")
    assert not older.exists()
