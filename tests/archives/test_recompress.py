"""Recompress and copy: the old one stays until the new one was read back."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from strongroom.app.archives.copying import copy_to
from strongroom.app.archives.recompressing import recompress_archives
from strongroom.archive.shelf import State
from strongroom.errors import DamageError, RefusedError, StrongroomError
from tests.archives.project import (
    DAY,
    Project,
    QuickFs,
    files_of,
    foreign,
    key_file,
    metadata_of,
    names_in,
    public_of,
    tree_of,
    within,
)
from tests.support.crash import SimulatedCrash
from tests.support.faulty_fs import MUTATING, FsFault, faulty_fs

_TO_ZSTD = ("zstd", 10, 1)


@pytest.fixture(name="project")
def _project(tmp_path: Path) -> Project:
    return Project(tmp_path, {"lib/code": b"echo code\n" * 5000, "config/c": b"c"})


@pytest.mark.spec("A11")
@pytest.mark.parametrize(("form", "suffix"), [("gzip", "tar.gz"), ("zstd", "tar.zst")])
@pytest.mark.parametrize("sealed", [False, True])
def test_to_every_format(project: Project, form: str, suffix: str, sealed: bool) -> None:  # noqa: FBT001 - encrypted or not
    """Smaller than before, with the same things in it, and everything beside it is right."""
    before = project.state()
    key = ["--key-file", key_file(project, "key")] if sealed else []
    made = project.create("--format", "none", *key)
    size = metadata_of(made)["backup_size"]
    project.cli("archive", "recompress", made.name, "--format", form, *key)
    (archive,) = made.glob("*.tar*")
    assert archive.name == f"backup-{made.name}.{suffix}{'.age' if sealed else ''}"
    metadata = metadata_of(made)
    assert metadata["backup_size"] == archive.stat().st_size < size
    assert metadata["format"] == form
    assert metadata["encrypted"] == sealed
    subprocess.run(["sha256sum", "-c", "backup-checksum.sha256"], cwd=made, check=True)
    project.cli("archive", "verify", *key)
    project.cli("archive", "restore", made.name, "--to", project.base / "out", *key)
    assert tree_of(project.base / "out") == before
    assert project.names() == {made.name}


@pytest.mark.spec("A11")
def test_what_would_not_get_smaller_stays(project: Project) -> None:
    """Byte for byte; and one that needs it is named without its key: nothing is changed."""
    made = project.create("--format", "zstd", "--level", "19")
    before = files_of(made)
    result = project.cli("archive", "recompress", made.name, "--format", "gzip", "--level", "1")
    assert "stays as it is" in result.out
    assert files_of(made) == before
    sealed = project.create("--key-file", key_file(project, "key"))
    before = files_of(sealed)
    project.cli("archive", "recompress", sealed.name, "--format", "zstd", code=6)
    assert files_of(sealed) == before
    assert len(project.names()) == 2


@pytest.mark.spec("A11")
def test_those_that_are_old(project: Project) -> None:
    """``--older-than`` chooses by age; names and age together are a mistake."""
    project.clock.sleep(-40 * DAY)
    old = project.made(form="none")
    project.clock.sleep(40 * DAY)
    new = project.made(form="none")
    project.cli("archive", "recompress", "--older-than", "30")
    assert metadata_of(project.backup / old)["format"] == "gzip"
    assert metadata_of(project.backup / new)["format"] == "none"
    project.cli("archive", "recompress", code=2)
    project.cli("archive", "recompress", old, "--older-than", "3", code=2)
    project.cli("archive", "recompress", "20200101_000000", code=15)


@pytest.mark.spec("A11")
def test_a_damaged_one_stays(project: Project) -> None:
    """Exit code 4: evidence is not written anew."""
    made = project.create("--format", "none")
    archive = next(made.glob("*.tar"))
    data = bytearray(archive.read_bytes())
    data[1000] ^= 1
    archive.write_bytes(data)
    before = files_of(made)
    project.cli("archive", "recompress", made.name, "--format", "zstd", code=4)
    assert files_of(made) == before
    assert project.names() == {made.name}


@pytest.mark.spec("A11")
def test_one_that_a_script_made(project: Project) -> None:
    """It stays one that nobody verified, with its checksum and metadata right."""
    made = foreign(project, "20200101_000000", "lib")
    project.cli("archive", "recompress", made.name, "--format", "zstd", "--level", "19")
    assert metadata_of(made)["archive"].endswith(".tar.zst")
    subprocess.run(["sha256sum", "-c", "backup-checksum.sha256"], cwd=made, check=True)
    project.cli("archive", "verify")
    assert project.listed()[made.name].state is State.UNPROVEN


@pytest.mark.spec("A11")
@pytest.mark.parametrize("does", ["crash", "error"])
def test_one_good_archive_at_any_moment(project: Project, does: str) -> None:
    """Killed, or with a disk that fails, at any call: one good archive is under the id at once, and
    can be restored; the next command that changes something leaves nothing else.
    """
    before = project.state()
    project.made(form="none")
    nth, done = 0, False
    while not done:
        nth += 1
        (one,) = (each.id for each in project.shelf().listed())
        saved = project.base / "saved"
        shutil.copytree(project.backup, saved)
        fault = FsFault("crash" if does == "crash" else "error", nth, MUTATING, "before", 5)
        inside, _ = faulty_fs(QuickFs(), fault)
        run = project.run(within(project.backup, inside))
        try:
            list(recompress_archives(run, project.place, [str(one)], None, _TO_ZSTD))
            done = True
        except (SimulatedCrash, StrongroomError):
            pass
        listed = [each for each in project.shelf().listed() if each.is_archive]
        assert [(each.id, each.state) for each in listed] == [(one, State.GOOD)], nth
        if nth % 4 == 0:
            project.restore(str(one), to=str(project.base / "out"))
            assert tree_of(project.base / "out") == before
            shutil.rmtree(project.base / "out")
        project.cli("archive", "cleanup")
        assert project.names() == {str(one)}, nth
        shutil.rmtree(project.backup)
        shutil.move(saved, project.backup)
    assert nth > 10


@pytest.mark.spec("A11", "A12")
def test_a_base_can_be_recompressed(project: Project) -> None:
    """What builds on it restores as before."""
    project.clock.sleep(60)
    base = project.made(form="none")
    (project.folder / "lib/code").write_text("changed")
    before = project.state()
    last = project.made(incremental=True)
    project.cli("archive", "recompress", base, "--format", "zstd")
    project.cli("archive", "verify", "--all")
    project.restore(last, to=str(project.base / "out"))
    assert tree_of(project.base / "out") == before


# -- copies


@pytest.mark.spec("A12")
def test_a_copy_elsewhere(project: Project) -> None:
    """``--to``: the same files in another folder, modes too, with all that it builds on."""
    there = project.base / "mnt/backups"
    base = project.made()
    (project.folder / "lib/code").write_text("changed")
    result = project.cli("archive", "incremental", "--to", there)
    assert "copied to" in result.out
    (last,) = project.names() - {base}
    assert set(names_in(there)) == {base, last}
    for name in (base, last):
        assert files_of(there / name) == files_of(project.backup / name)
        assert (there / name).stat().st_mode & 0o7777 == 0o750
    project.cli("archive", "verify", "--all", "--folder", there)
    shutil.rmtree(project.backup)
    project.cli("archive", "restore", last, "--folder", there, "--to", project.base / "out")
    assert tree_of(project.base / "out") == project.state()


@pytest.mark.spec("A12")
def test_where_it_cannot_be_copied(project: Project) -> None:
    """It is an error after the archive was made, which stays; and nothing half is there."""
    project.cli("archive", "create", "--to", project.backup, code=6)
    result = project.cli("archive", "create", "--to", "memory:", code=2)
    assert "folders and buckets" in result.err
    (project.base / "file").write_text("x")
    project.cli("archive", "create", "--to", project.base / "file", code=1)
    assert (project.base / "file").read_text() == "x"
    assert {one.state for one in project.shelf().listed()} == {State.GOOD}


@pytest.mark.spec("A12")
def test_a_copy_that_fails_at_any_call(project: Project) -> None:
    """No half copy counts, and the next run makes a whole one."""
    there = project.base / "there"
    made, nth = project.make(), 0
    while nth < 40:
        nth, made = nth + 1, project.make()
        inside, _ = faulty_fs(QuickFs(), FsFault("error", nth, MUTATING, "before", 5))
        run = project.run(within(there, inside))
        try:
            copy_to(run, project.place, made.id, str(there))
        except StrongroomError as error:
            assert error.code == 1, nth
            assert str(made.id) not in ([p.name for p in there.iterdir()] if there.exists() else [])
        else:
            project.cli("archive", "verify", str(made.id), "--folder", there)
            break
    assert nth > 8
    copy_to(project.run(), project.place, made.id, str(there))


@pytest.mark.spec("A12")
def test_another_archive_under_the_same_id(project: Project) -> None:
    """Two projects that share a folder: what is there is not this archive, and that is said. So is
    a copy that is damaged.
    """
    there = project.base / "there"
    made = project.make()
    copy_to(project.run(), project.place, made.id, str(there))
    copy_to(project.run(), project.place, made.id, str(there))
    (project.base / "second").mkdir()
    other = Project(project.base / "second", {"lib/x": b"x"})
    other.clock = project.clock
    other.clock.sleep(-1)
    second = other.make()
    assert second.id == made.id
    with pytest.raises(RefusedError, match=str(made.id)):
        copy_to(other.run(), other.place, second.id, str(there))
    archive = next((there / str(made.id)).glob("*.tar.gz"))
    os.truncate(archive, 20)
    with pytest.raises((RefusedError, DamageError), match=str(made.id)):
        copy_to(project.run(), project.place, made.id, str(there))


# -- encrypted


@pytest.mark.spec("A12")
def test_age_opens_it(project: Project) -> None:
    """The public program opens the archive and the manifest; the names are in neither folder."""
    key = key_file(project, "key")
    made = project.create("--key-file", key)
    assert not (made / f"backup-{made.name}.tar.gz").exists()
    opened = subprocess.run(
        ["bash", "-c", f"age -d -i {key} backup-*.tar.gz.age | tar -tz"],
        cwd=made,
        check=True,
        capture_output=True,
        text=True,
    )
    assert "lib/code" in opened.stdout.splitlines()
    manifest = ["age", "-d", "-i", str(key), "backup-manifest.jsonl.gz.age"]
    assert subprocess.run(manifest, cwd=made, check=True, capture_output=True).stdout
    everything = b"".join(files_of(made).values())
    assert b"echo code" not in everything
    assert b"lib/code" not in everything


@pytest.mark.spec("A12")
def test_a_passphrase_and_recipients(project: Project) -> None:
    """Any secret text is a passphrase; recipients can seal what they alone can open."""
    secret = project.base / "secret"
    secret.write_text("a long secret that nobody guesses\n")
    secret.chmod(0o600)
    made = project.create("--key-file", secret)
    project.cli("archive", "verify", "--key-file", secret)
    key = key_file(project, "key")
    public = public_of(key)
    result = project.cli("archive", "create", "--recipient", public)
    assert "only its recipients can read it" in result.out
    (sealed,) = project.names() - {made.name}
    project.cli("archive", "verify", sealed, code=3)
    project.cli("archive", "verify", sealed, "--key-file", key)
    project.cli("archive", "create", "--recipient", "age1nonsense", code=2)


@pytest.mark.spec("A12")
def test_an_encrypted_chain(project: Project) -> None:
    """Its key is needed for each; without it the next one is whole, and says why."""
    key = key_file(project, "key")
    project.create("--key-file", key)
    (project.folder / "lib/code").write_text("changed")
    result = project.cli("archive", "incremental", "--key-file", key)
    assert "builds on" in result.out
    last = max(project.names())
    project.cli("archive", "restore", last, "--to", project.base / "out", "--key-file", key)
    assert tree_of(project.base / "out") == project.state()
    result = project.cli("archive", "incremental")
    assert "holds everything" in result.out
