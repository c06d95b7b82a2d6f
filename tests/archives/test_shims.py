"""The scripts of the guide: wherever and however they are called."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.archives.project import Project, metadata_of, names_in, tree_of

pytestmark = pytest.mark.spec("A1", "A5")


@pytest.fixture(name="project")
def _project(tmp_path: Path) -> Project:
    project = Project(tmp_path)
    project.cli("shims", "install", "scripts/")
    return project


def _call(
    project: Project,
    *words: object,
    folder: Path | None = None,
    env: Mapping[str, str] | None = None,
    code: int = 0,
    answer: str = "",
) -> subprocess.CompletedProcess[str]:
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    done = subprocess.run(
        list(map(str, words)),
        cwd=folder or project.folder,
        env={"HOME": str(project.program.home), "PATH": path} if env is None else env,
        input=answer,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == code, done
    assert "Traceback" not in done.stderr
    return done


def test_called_by_any_path(project: Project) -> None:
    """Relative, absolute, from elsewhere, by bash, by PATH: the project is that of the script."""
    scripts = project.folder / "scripts"
    elsewhere = project.base / "elsewhere"
    elsewhere.mkdir()
    calls: list[tuple[list[object], Path]] = [
        (["./backup-system.sh"], scripts),
        ([scripts / "backup-system.sh"], elsewhere),
        (["bash", "../project/scripts/backup-system.sh"], elsewhere),
    ]
    for words, folder in calls:
        before = project.names()
        _call(project, *words, "create", folder=folder)
        (new,) = project.names() - before
        metadata = metadata_of(project.backup / new)
        assert metadata["project_root"] == str(project.folder)
        assert metadata["system_info"]["bash_version"]
    assert not (elsewhere / "backup").exists()


@pytest.mark.parametrize("cdpath", [".", "other"])
def test_a_search_path_of_cd_leads_nowhere_else(project: Project, cdpath: str) -> None:
    """``CDPATH`` makes ``cd`` go elsewhere, and print where."""
    other = project.base / "other"
    (other / "scripts").mkdir(parents=True)
    env = {
        "HOME": str(project.program.home),
        "PATH": os.environ["PATH"],
        "CDPATH": str(project.base / cdpath),
    }
    _call(project, "bash", "scripts/backup-system.sh", "create", env=env)
    assert len(project.names()) == 1
    assert not (other / "backup").exists()


def test_from_cron_without_any_variable(project: Project) -> None:
    """No PATH, no HOME, another folder."""
    script = project.folder / "scripts/backup-system.sh"
    _call(project, "/usr/bin/env", "-i", script, "create", folder=Path("/"))
    assert len(project.names()) == 1


def test_paths_with_blanks_and_quotes(tmp_path: Path) -> None:
    """In the name of the project, of the scripts, and of what is restored."""
    base = tmp_path / 'it\'s a "$HOME" (copy)'
    base.mkdir()
    project = Project(base, {"lib/a file": b"x"})
    project.cli("shims", "install", "my scripts")
    _call(project, "./my scripts/backup-system.sh", "create")
    (one,) = project.names()
    (project.folder / "lib/a file").unlink()
    words = ["./my scripts/restore-backup.sh", "restore", one, "lib/a file"]
    _call(project, *words, answer="yes\n")
    assert (project.folder / "lib/a file").read_bytes() == b"x"


def test_through_a_link_into_another_project(project: Project) -> None:
    """The guide restores into a test folder whose ``scripts`` is a link: from the archives of the
    project, into that folder; again and again, also when it has archives of its own.
    """
    _call(project, "./scripts/backup-system.sh", "create", "--scope", "lib")
    (one,) = project.names()
    before = project.state()
    test = project.folder / "test-restore"
    test.mkdir()
    (test / "scripts").symlink_to("../scripts")
    assert one in _call(project, "./scripts/restore-backup.sh", "list", folder=test).stdout
    _call(project, "./scripts/verify-backup.sh", folder=test)
    for _ in range(2):
        _call(project, "./scripts/restore-backup.sh", "restore", one, folder=test, answer="yes\n")
        assert (test / "lib/code.sh").read_bytes() == b"echo code\n" * 300
        (test / "lib/code.sh").write_text("x")
    assert [name for name in names_in(test / "backup") if name.startswith("pre-restore-")]
    now = project.state()
    assert {path: seen for path, seen in now.items() if not path.startswith(b"test-")} == before


def test_a_script_that_is_a_link(project: Project) -> None:
    """Its project is where it is called, its program where it lies."""
    other = project.base / "other"
    (other / "scripts").mkdir(parents=True)
    (other / "lib").mkdir()
    (other / "scripts/backup-system.sh").symlink_to(project.folder / "scripts/backup-system.sh")
    _call(project, "./scripts/backup-system.sh", "create", folder=other)
    assert len(names_in(other / "backup")) == 1
    assert project.names() == set()


@pytest.mark.parametrize(
    "printed",
    [
        "backup-checksum.sha256",
        "backup-metadata.json",
        "backup-20241219_143022.tar.gz",
        "pre-restore-20241219_143022.tar.gz",
        "backup-20241219_143022.log",
        ":",
        "20241219_143022:",
    ],
)
@pytest.mark.parametrize("script", ["restore-backup.sh restore", "verify-backup.sh"])
def test_what_ls_prints_is_no_archive(project: Project, printed: str, script: str) -> None:
    """It is refused with the way out, before anything is asked or changed."""
    words = f"./scripts/{script}".split()
    done = _call(project, *words, printed, code=2, answer="yes\n")
    assert "strongroom guard" in done.stderr


def test_usage(project: Project) -> None:
    """Without a word, with a wrong one, and when help is asked for."""
    for name in ("backup-system.sh", "restore-backup.sh"):
        for words in ([], ["frobnicate"]):
            done = _call(project, f"./scripts/{name}", *words, code=2)
            assert f"usage: {name}" in done.stderr
        for word in ("help", "--help", "-h"):
            assert f"usage: {name}" in _call(project, f"./scripts/{name}", word).stdout
    for words in (["remote"], ["encrypted"], ["cleanup", "soon"]):
        _call(project, "./scripts/backup-system.sh", *words, code=2)
    _call(project, "./scripts/restore-backup.sh", "restore", code=2)
    assert project.names() == set()


def test_every_word(project: Project) -> None:
    """Each does what its verb does, options included, and ends with the same code."""
    there = project.base / "there"
    key = project.base / "key"
    key.write_text("age-like secret\n")
    key.chmod(0o600)
    _call(project, "./scripts/backup-system.sh", "remote", there, "--format", "zstd")
    (one,) = project.names()
    assert (there / one / f"backup-{one}.tar.zst").exists()
    _call(project, "./scripts/backup-system.sh", "incremental")
    _call(project, "./scripts/backup-system.sh", "verify")
    _call(project, "./scripts/verify-backup.sh", one)
    assert one in _call(project, "./scripts/backup-system.sh", "list").stdout
    _call(project, "./scripts/backup-system.sh", "cleanup", "30")
    _call(project, "./scripts/restore-backup.sh", "restore", one, "--dry-run")
    os.truncate(project.backup / one / f"backup-{one}.tar.zst", 9)
    _call(project, "./scripts/verify-backup.sh", one, code=4)
    _call(project, "./scripts/restore-backup.sh", "restore", "20200101_000000", code=15)


def test_scripts_of_somebody_else_stay(project: Project) -> None:
    """They are not replaced, unless that is wanted: then they are kept."""
    folder = project.folder / "mine"
    folder.mkdir()
    (folder / "backup-system.sh").write_text("my own\n")
    result = project.cli("shims", "install", "mine", code=6)
    assert "backup-system.sh" in result.err
    assert names_in(folder) == ["backup-system.sh"]
    for _ in range(2):
        project.cli("shims", "install", "mine", "--replace")
        assert (folder / "backup-system.sh.before-strongroom").read_text() == "my own\n"
    assert len(names_in(folder)) == 4
    (folder / "verify-backup.sh").unlink()
    (folder / "verify-backup.sh").symlink_to(project.base / "precious")
    (project.base / "precious").write_text("# Written by 'strongroom shims install'")
    project.cli("shims", "install", "mine", code=6)
    assert "Written by" in (project.base / "precious").read_text()


def test_installed_again(project: Project) -> None:
    """Ours are replaced by ours, whole and executable whatever the umask."""
    old = os.umask(0o077)
    try:
        project.cli("shims", "install", "scripts/")
    finally:
        os.umask(old)
    for name in names_in(project.folder / "scripts"):
        assert (project.folder / "scripts" / name).stat().st_mode & 0o777 == 0o755
    assert len(names_in(project.folder / "scripts")) == 3


def test_the_program_is_gone(project: Project) -> None:
    """It is said where it was, and what to do: exit code 127."""
    script = project.folder / "scripts/backup-system.sh"
    text = script.read_text().replace(str(Path(sys.executable).parent), "/nowhere")
    script.write_text(text)
    done = _call(project, script, "create", env={"PATH": "/usr/bin:/bin"}, code=127)
    assert "ERROR: strongroom is not installed" in done.stderr


def test_the_configuration_of_the_project(project: Project) -> None:
    """``strongroom.toml`` in the project is read wherever the script is called from."""
    (project.folder / "strongroom.toml").write_text(
        'version = 1\n[archives]\nscope = ["config"]\nfolder = "archives"\n'
    )
    script = project.folder / "scripts/backup-system.sh"
    _call(project, script, "create", folder=project.base)
    (one,) = (project.folder / "archives").iterdir()
    assert metadata_of(one)["backup_scope"] == ["config/"]
    assert one.name in _call(project, script, "list", folder=project.base).stdout
    shutil.rmtree(project.folder / "config")
    words = [project.folder / "scripts/restore-backup.sh", "restore", one.name]
    _call(project, *words, folder=project.base, answer="yes\n")
    assert "config/app.toml" in {str(p, "utf-8") for p in tree_of(project.folder)}
