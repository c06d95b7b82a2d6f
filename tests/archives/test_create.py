"""What ``archive create`` leaves: a folder that the programs of everybody open and check."""

from __future__ import annotations

import json
import os
import re
import subprocess
from pathlib import Path

import pytest

from tests.archives.project import Project, metadata_of
from tests.support.compare_trees import compare_trees
from tests.support.file_trees import every_kind
from tests.support.hook_fs import hook_fs

_STAMP = re.compile(r"[0-9]{8}_[0-9]{6}")


def _lines(*command: str | Path, folder: Path) -> list[str]:
    done = subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True)
    return done.stdout.splitlines()


@pytest.mark.spec("A1", "A10")
@pytest.mark.parametrize("umask", [0o000, 0o022, 0o077, 0o777])
def test_the_layout_of_the_guide(project: Project, umask: int) -> None:
    """Folders 0750 and files 0640 whatever the umask is, named as the guide has them."""
    old = os.umask(umask)
    try:
        made = project.create()
    finally:
        os.umask(old)
    stamp = made.name
    assert _STAMP.fullmatch(stamp)
    assert {path.name for path in made.iterdir()} == {
        f"backup-{stamp}.tar.gz",
        "backup-checksum.sha256",
        "backup-metadata.json",
        "backup-manifest.jsonl.gz",
        f"backup-{stamp}.log",
    }
    modes = {path.stat().st_mode & 0o7777 for path in made.iterdir()}
    assert modes == {0o640}
    assert made.stat().st_mode & 0o7777 == 0o750
    assert project.backup.stat().st_mode & 0o7777 == 0o750


@pytest.mark.spec("A1")
def test_public_programs_check_and_list_it(project: Project) -> None:
    """``sha256sum -c`` accepts all of it, and ``tar -tzf`` lists what is in it."""
    made = project.create()
    checked = _lines("sha256sum", "-c", "backup-checksum.sha256", folder=made)
    assert checked[0] == f"backup-{made.name}.tar.gz: OK"
    assert all(line.endswith(": OK") for line in checked)
    listed = _lines("tar", "-tzf", f"backup-{made.name}.tar.gz", folder=made)
    assert {"lib/", "lib/deep/er/data.bin", "config/empty", "README.md"} <= set(listed)
    assert not [name for name in listed if name.startswith(("backup", "/", "./"))]


@pytest.mark.spec("A1")
def test_gnu_tar_extracts_the_same_tree(project: Project, tmp_path: Path) -> None:
    """Everything that a file system can hold comes out of the archive by GNU tar alone."""
    every_kind(project.folder / "src")
    (project.folder / "src/specials/socket").unlink()  # no archive has a type for it
    for name in ("null", "disk"):
        (project.folder / "src/specials" / name).unlink(missing_ok=True)
    made = project.create("--scope", "src")
    out = tmp_path / "out"
    out.mkdir()
    options = ["--xattrs", "--xattrs-include=*", "--warning=no-timestamp", "-p"]
    archive = made / f"backup-{made.name}.tar.gz"
    subprocess.run(["tar", *options, "-xzf", archive, "-C", out], check=True, capture_output=True)
    assert compare_trees(project.folder / "src", out / "src") == []


@pytest.mark.spec("A1")
def test_the_metadata_is_measured(project: Project) -> None:
    """``jq`` finds every field of the guide, and each says what is."""
    made = project.create()
    archive = made / f"backup-{made.name}.tar.gz"
    query = (
        "[.backup_timestamp, .backup_version, .project_root, .backup_scope, .system_info.hostname,"
        " .system_info.user, .system_info.os, .system_info.os_version, .backup_checksum,"
        " .backup_size, .compression_ratio]"
    )
    (line,) = _lines("jq", "-c", query, "backup-metadata.json", folder=made)
    stamp, version, root, scope, host, user, system, release, checksum, size, ratio = json.loads(
        line
    )
    uname = os.uname()
    (summed,) = _lines("sha256sum", archive, folder=made)
    assert (stamp, version, root) == (made.name, "1.0", str(project.folder))
    assert scope == ["README.md", "config/", "lib/"]
    (who,) = _lines("id", "-un", folder=made)
    assert (host, user, system, release) == (uname.nodename, who, uname.sysname, uname.release)
    assert checksum == f"sha256:{summed.split()[0]}"
    assert size == archive.stat().st_size
    files = (
        p for p in project.folder.rglob("*") if p.is_file() and project.backup not in p.parents
    )
    original = sum(path.stat().st_size for path in files)
    assert metadata_of(made)["original_size"] == original
    assert ratio == round(1 - size / original, 4)
    assert metadata_of(made)["system_info"]["bash_version"] == ""  # no shim called us


@pytest.mark.spec("A1")
def test_two_in_one_second_are_two(project: Project) -> None:
    """An id is a second; whoever comes second waits for the next one."""
    first = project.create()
    second = project.create()
    assert first.name < second.name


@pytest.mark.spec("A1")
@pytest.mark.parametrize("scope", [[], ["--scope", "."]])
def test_archives_are_never_in_archives(project: Project, scope: list[str]) -> None:
    """Neither those of before nor the one at work, also where all of the project is meant."""
    project.make()
    made = project.create(*scope)
    listed = _lines("tar", "-tzf", f"backup-{made.name}.tar.gz", folder=made)
    assert "lib/code.sh" in listed
    assert not [name for name in listed if name.startswith("backup")]


@pytest.mark.spec("A1")
@pytest.mark.parametrize("inside", ["var/archives", "var/deep/archives"])
def test_archives_behind_a_link_are_never_in_archives(project: Project, inside: str) -> None:
    """``backup/`` may lead to a folder elsewhere in the project: that holds archives as well."""
    (project.folder / inside).mkdir(parents=True)
    (project.folder / "var/kept").write_text("kept")
    project.backup.symlink_to(inside)
    project.make(".")
    made = project.create("--scope", ".")
    listed = _lines("tar", "-tzf", f"backup-{made.name}.tar.gz", folder=made)
    assert "var/kept" in listed
    assert not [name for name in listed if "archives/" in name]


@pytest.mark.spec("A1", "A2")
@pytest.mark.parametrize("scope", ["backup", "backup/20200101_000000", "./backup/"])
def test_the_archives_are_no_scope(project: Project, scope: str) -> None:
    """Who names the folder of the archives is told so, and nothing is made."""
    project.make()
    (project.backup / "20200101_000000").mkdir()
    before = project.names()
    result = project.cli("archive", "create", "--scope", scope, code=2)
    assert "backup" in result.err
    assert project.names() == before


@pytest.mark.spec("A1")
def test_a_link_that_leads_nowhere_is_an_error(project: Project) -> None:
    """``backup/`` on a disk that is not mounted: said at once, and nothing is written beside it."""
    project.backup.symlink_to(project.base / "mount/backups")
    result = project.cli("archive", "create", code=1)
    assert str(project.backup) in result.err
    assert not (project.base / "mount").exists()


@pytest.mark.spec("A7")
def test_what_cannot_be_read_makes_it_incomplete(project: Project) -> None:
    """Exit code 3, the file is named, and no list or monitor takes the archive for a good one."""
    secret = project.folder / "lib/secret"
    secret.write_text("hidden")
    secret.chmod(0)
    os.chown(secret, 12345, 12345)
    result = project.program.spawn("archive", "create", unprivileged=True)
    assert result.code == 3, result
    assert "lib/secret" in result.err
    (made,) = project.backup.iterdir()
    metadata = metadata_of(made)
    assert metadata["status"] == "incomplete"
    assert [one["path"] for one in metadata["problems"]] == ["lib/secret"]
    assert "incomplete" in project.cli("archive", "list").out
    assert project.listed()[made.name].state.name == "INCOMPLETE"
    assert "ALERT" in project.cli("freshness", code=5).out
    assert project.cli("archive", "verify").code == 0  # what is in it is sound
    log = (made / f"backup-{made.name}.log").read_text()
    assert re.search("ERROR .*lib/secret", log)


@pytest.mark.spec("A7")
def test_a_file_that_changes_while_it_is_read(project: Project) -> None:
    """It is in the archive, which is incomplete, and the next incremental one has it anew."""
    path = project.folder / "lib/code.sh"
    small = path.read_bytes()

    def grow(fd: int, *_rest: object) -> None:
        if str(Path(f"/proc/self/fd/{fd}").readlink()) == str(
            path
        ) and path.stat().st_size < 4 * len(small):
            path.write_bytes(path.read_bytes() + small)

    made = project.make(fs=hook_fs({"read": grow, "readinto": grow}))
    grown = path.read_bytes()
    assert grown != small
    assert [one.path for one in made.metadata.problems] == ["lib/code.sh"]
    assert project.listed()[str(made.id)].state.name == "INCOMPLETE"
    project.make(incremental=True)
    project.cli("archive", "restore", "latest", "--to", project.base / "out")
    assert (project.base / "out/lib/code.sh").read_bytes() == grown


@pytest.mark.spec("A13")
def test_the_variables_of_the_guide(project: Project) -> None:
    """``COMPRESSION_LEVEL`` and ``PARALLEL_JOBS`` are obeyed; nonsense in them is an error."""
    made = project.create(env={"COMPRESSION_LEVEL": "9", "PARALLEL_JOBS": "3"})
    assert metadata_of(made)["compression_level"] == 9
    for name in ("COMPRESSION_LEVEL", "PARALLEL_JOBS"):
        result = project.cli("archive", "create", env={name: "many"}, code=2)
        assert name in result.err


@pytest.mark.spec("A13")
@pytest.mark.parametrize(
    ("form", "suffix"), [("zstd", "tar.zst"), ("none", "tar"), ("gzip", "tar.gz")]
)
def test_every_format_opens_with_tar(project: Project, form: str, suffix: str) -> None:
    """GNU tar finds out by itself how it is packed, and how many threads did it does not matter."""
    made = project.create("--format", form, "--jobs", "2")
    listed = _lines("tar", "-tf", f"backup-{made.name}.{suffix}", folder=made)
    assert "lib/code.sh" in listed
    assert metadata_of(made)["format"] == form


@pytest.mark.spec("A10")
def test_owner_and_mode_as_configured(project: Project) -> None:
    """``[archives]`` says who may read archives; everybody is nobody's choice."""
    (project.folder / "strongroom.toml").write_text(
        'version = 1\n[archives]\nfolder_mode = "0700"\nfile_mode = "0600"\n'
        'owner = "12345"\ngroup = "54321"\n'
    )
    config = ["--config", project.folder / "strongroom.toml"]
    project.cli("archive", "create", *config)
    (made,) = project.backup.iterdir()
    for path in (project.backup, made, *made.iterdir()):
        found = path.stat()
        assert found.st_mode & 0o7777 == (0o700 if path.is_dir() else 0o600)
        assert (found.st_uid, found.st_gid) == (12345, 54321)


@pytest.mark.spec("A4")
def test_list_as_the_guide_shows_it(project: Project, empty_project: Project) -> None:
    """A line each with its size in units of 1,024; a table and JSON for who wants more."""
    made = project.create()
    size = (made / f"backup-{made.name}.tar.gz").stat().st_size
    shown = f"{size / 1024:.1f}K" if size >= 1024 else f"{size}B"
    assert project.cli("archive", "list").out.splitlines() == [
        "Available backups:",
        f"  {made.name} ({shown})",
    ]
    long = project.cli("archive", "list", "--long").out
    assert made.name in long
    assert "good" in long
    record = project.cli("archive", "list", "--json").record("archive")
    assert (record["id"], record["state"], record["archive_bytes"]) == (made.name, "good", size)
    assert "No backups found" in empty_project.cli("archive", "list").out


@pytest.fixture
def empty_project(tmp_path: Path) -> Project:
    """Return another project, without anything in it."""
    (tmp_path / "other").mkdir()
    return Project(tmp_path / "other", {})


def test_an_empty_project_has_nothing_to_archive(empty_project: Project) -> None:
    """Who is in the wrong folder is told so."""
    result = empty_project.cli("archive", "create", code=2)
    assert "nothing" in result.err
    assert not empty_project.backup.exists()
