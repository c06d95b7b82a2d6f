"""Manifests on a disk, as somebody without a key finds them, and when there are none."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.cli.harness import Program

pytestmark = pytest.mark.spec("D3", "E1")
NO_REPOSITORY: dict[str, str | None] = {"STRONGROOM_REPOSITORY": None}
FILE = """\
version = 1
project = "My Shop"
[repositories.main]
url = "repository"
key_file = "key"
[sources.app]
type = "files"
paths = ["documents"]
[environments.production]
[environments.staging]
"""


@pytest.fixture(name="estate")
def _estate(program: Program) -> Program:
    (program.folder / "strongroom.toml").write_text(FILE)
    program.make_files(a="1", b="22")
    return program


def found(program: Program) -> list[Path]:
    """Return every manifest below the repository, sorted."""
    return sorted(program.repository.rglob("backup_manifest.json"))


def read(path: Path) -> dict[str, Any]:
    """Return what one says."""
    said: dict[str, Any] = json.loads(path.read_text())
    return said


def test_a_backup_of_an_environment_leaves_them(estate: Program) -> None:
    """By the name of the snapshot, which names it everywhere else too."""
    summary = estate.good("backup", "production", "--json", env=NO_REPOSITORY).record("summary")
    day, own = found(estate)
    said, (listed,) = read(own), read(day)["backups"]
    assert day.parts[-7:-4] == (estate.repository.name, "production", "full")
    assert own.parent.parent == day.parent
    assert own.parent.name == said["name"]
    assert said["name"].startswith("my-shop-production-full-20")
    assert said["id"] == summary["snapshot_id"]
    assert estate.repository / listed["manifest"] == own
    assert (said["files"], said["bytes"], said["program"][:10]) == (2, 3, "strongroom")
    shown = estate.good("snapshots", "--json", env=NO_REPOSITORY).record("snapshot")
    assert shown["name"] == said["name"]
    estate.good("restore", said["name"], "--to", "out", env=NO_REPOSITORY)
    assert list((estate.folder / "out").rglob("b"))
    estate.good("backup", "./documents", env=NO_REPOSITORY)
    assert found(estate) == [day, own], "what is of no environment leaves none"


@pytest.mark.parametrize("table", ["defaults", "environments.production"])
def test_they_can_be_turned_off(estate: Program, table: str) -> None:
    """Everywhere, or in one environment; and ``config show`` says so."""
    text = FILE.replace(f"[{table}]\n", "") + f"[{table}]\nmanifests = false\n"
    (estate.folder / "strongroom.toml").write_text(text)
    estate.good("backup", "production", env=NO_REPOSITORY)
    assert found(estate) == []
    lines = estate.good("config", "show").out.splitlines()
    (line,) = [one for one in lines if one.startswith("environments.production.manifests")]
    assert line.split()[1] == "false"
    estate.good("backup", "staging", env=NO_REPOSITORY)
    assert len(found(estate)) == (0 if table == "defaults" else 2)


def test_one_that_cannot_be_written_fails_no_backup(estate: Program) -> None:
    """It is a warning with the reason, and exit code 0."""
    (estate.repository / "production").write_text("in the way")
    done = estate.good("backup", "production", env=NO_REPOSITORY)
    assert "the backup is done, but not its manifests (manifests = false in " in done.err
    assert "saved" in done.out
    estate.good("verify", env=NO_REPOSITORY)


def test_an_agent_writes_none(estate: Program) -> None:
    """It may put nothing there, and needs not be told."""
    estate.good("key", "export-agent", "--name", "web1", "--to", "web1", env=NO_REPOSITORY)
    text = FILE.replace('key_file = "key"', 'key_file = "web1"')
    (estate.folder / "strongroom.toml").write_text(text)
    keys: dict[str, str | None] = {"STRONGROOM_KEY_FILE": None, **NO_REPOSITORY}
    done = estate.good("backup", "production", env=keys)
    assert "manifest" not in done.err
    assert found(estate) == []


def test_prune_removes_them_with_their_snapshots(estate: Program) -> None:
    """Not before; and a dry run removes none."""
    for _ in range(2):
        estate.good("backup", "production", env=NO_REPOSITORY)
    names = {read(one)["name"] for one in found(estate) if "name" in read(one)}
    latest = estate.good("snapshots", "--json", env=NO_REPOSITORY).records[0]
    estate.good("forget", "--keep-last", "1", env=NO_REPOSITORY)
    estate.good("prune", "--grace", "0s", "--dry-run", env=NO_REPOSITORY)
    assert len(found(estate)) == 3
    assert latest["name"] in names
    estate.good("prune", "--grace", "0s", env=NO_REPOSITORY)
    day, own = found(estate)
    assert read(own)["id"] == latest["id"]
    assert [one["id"] for one in read(day)["backups"]] == [latest["id"]]
    assert "no object" not in estate.good("verify", env=NO_REPOSITORY).out


@pytest.mark.parametrize("name", ["packs", "units", "probe", "config"])
def test_an_environment_has_no_name_of_a_folder_of_the_repository(
    estate: Program, name: str
) -> None:
    """Its manifests would lie among the objects."""
    text = FILE.replace("environments.staging", f"environments.{name}")
    (estate.folder / "strongroom.toml").write_text(text)
    failed = estate.run("config", "check")
    assert failed.code == 2
    assert "a repository has a folder of this name" in failed.err + failed.out
