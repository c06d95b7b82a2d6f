"""``[archives]`` in strongroom.toml: checked, shown and obeyed."""

from __future__ import annotations

import pytest

from tests.archives.project import Project

pytestmark = pytest.mark.spec("A2", "A10", "A13")


def _config(project: Project, table: str) -> list[str]:
    path = project.base / "strongroom.toml"
    path.write_text(f"version = 1\n[archives]\n{table}\n")
    return ["--config", str(path)]


@pytest.mark.parametrize(
    ("table", "said"),
    [
        ('folder_mode = "0777"', "folder_mode"),
        ('file_mode = "0644"', "file_mode"),
        ('file_mode = "0400"', "file_mode"),
        ('file_mode = "rw"', "file_mode"),
        ("file_mode = 640", "file_mode"),
        ('format = "bzip2"', "format"),
        ('folder = ""', "folder"),
        ("scope = []", "scope"),
        ('scope = ["lib", ""]', "scope"),
        ('scope = "lib"', "scope"),
        ('exclude = "x"', "exclude"),
        ('scop = ["lib"]', "scop"),
    ],
)
def test_what_means_nothing_is_found(project: Project, table: str, said: str) -> None:
    """``config check`` and every verb say the key; nothing is made."""
    config = _config(project, table)
    assert said in project.cli("config", "check", *config, code=2).out
    assert said in project.cli("archive", "create", *config, code=2).err
    assert not project.backup.exists()


@pytest.mark.parametrize(
    ("table", "said"),
    [
        ("level = 99", "99"),
        ('owner = "nobody-is-called-so"', "nobody-is-called-so"),
        ('group = "nobody-is-called-so"', "nobody-is-called-so"),
        ('scope = ["../x"]', "../x"),
        ('exclude = ["["]', "["),
    ],
)
def test_what_cannot_be_done_is_said(project: Project, table: str, said: str) -> None:
    """By the verb that needs it, before anything is made."""
    config = _config(project, table)
    assert said in project.cli("archive", "create", *config, code=2).err
    assert not project.backup.exists()


def test_what_holds_is_shown(project: Project) -> None:
    """``config show`` has what is in force, and where it comes from."""
    config = _config(
        project, 'folder = "var/archives"\nscope = ["lib"]\nformat = "zstd"\nlevel = 7'
    )
    project.cli("config", "check", *config)
    out = project.cli("config", "show", *config, env={"BACKUP_SCOPE": "config"}).out
    assert "var/archives" in out
    assert "zstd" in out
    assert "BACKUP_SCOPE" in out
    made = project.cli("archive", "create", *config, "--json").record("summary")
    assert made["folder"] == str(project.folder / "var/archives")
    assert made["archive"].endswith(".tar.zst")
    assert "archives." not in project.cli("config", "show").out


@pytest.mark.parametrize("folder", [".", "./", "lib/.."])
def test_the_project_is_no_folder_of_archives(project: Project, folder: str) -> None:
    """The archives need a folder of their own."""
    project.cli("archive", "create", "--folder", folder, code=2)
    project.cli("archive", "create", "--folder", "", code=2)
    project.cli("archive", "create", "--project", project.base / "nowhere", code=2)


def test_archives_elsewhere(project: Project) -> None:
    """``--folder`` outside the project is as good as inside."""
    there = project.base / "there"
    before = project.state()
    project.cli("archive", "create", "--scope", ".", "--folder", there)
    (one,) = there.iterdir()
    (project.folder / "lib/code.sh").write_text("x")
    arguments = ["--folder", str(there), "--no-confirm", "--delete"]
    project.cli("archive", "restore", one.name, *arguments)
    assert project.state() == before
    assert not project.backup.exists()
