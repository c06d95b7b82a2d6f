"""The demonstration proves itself."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from strongroom.operations.demo import change_project, destroy_project, differences, look_at
from tests.cli.harness import NO_KEY, Program


@pytest.mark.spec("B7")
def test_the_demonstration_finds_no_difference(empty: Program) -> None:
    """It makes about 1,200 files, brings them back twice, finds no difference and cleans up."""
    (empty.folder / "given").mkdir()
    before = sorted(empty.folder.iterdir())
    result = empty.good("demo", "given", "--json", env=NO_KEY)
    steps = {(one["step"], one.get("number")): one for one in result.records[:-1]}
    assert 1100 < steps["made", None]["files"] < 1300
    assert steps["restored", 1]["differences"] == []
    assert steps["restored", 2]["differences"] == []
    assert steps["verified", None]["damaged"] == 0
    assert result.record("summary")["identical"] is True
    assert sorted(empty.folder.iterdir()) == before
    assert list((empty.folder / "given").iterdir()) == []
    assert list(empty.home.iterdir()) == []


def test_the_demonstration_needs_no_privilege(empty: Program) -> None:
    """A user without any power over the files of others sees the same."""
    result = empty.spawn("demo", "try", env=NO_KEY, unprivileged=True)
    assert result.code == 0, result
    assert "everything came back as it was" in result.out
    assert not (empty.folder / "try").exists()


def test_a_demonstration_that_is_kept(empty: Program) -> None:
    """With --keep everything stays, and the command it prints works."""
    result = empty.good("demo", "try", "--keep", env=NO_KEY)
    lines = result.out.splitlines()
    assert 9 <= len(lines) <= 13
    command = next(line for line in lines if line.startswith("next: ")).split()[2:]
    listed = empty.good(*command, env={**NO_KEY, "STRONGROOM_REPOSITORY": None})
    assert "2 snapshots" in listed.out


def test_a_folder_in_use_is_refused(empty: Program) -> None:
    """The demonstration does not touch a folder that has something in it."""
    documents = empty.make_files(a="1")
    assert empty.run("demo", "documents").code == 6
    assert (documents / "a").read_text() == "1"


def test_the_comparison_sees_every_attribute(tmp_path: Path) -> None:
    """Each thing that can differ is found, and named."""
    folder = tmp_path / "project"
    folder.mkdir()
    for name in ("same", "content", "mode", "time", "gone", "one", "link"):
        (folder / name).write_text("12345")
    (folder / "link").unlink()
    (folder / "link").symlink_to("same")
    before = look_at(folder)
    assert differences(before, look_at(folder)) == []
    (folder / "content").write_text("54321")
    os.utime(folder / "content", ns=(1, before[b"content"].mtime_ns))
    (folder / "mode").chmod(0o600)
    os.utime(folder / "time", ns=(1, 2))
    (folder / "gone").unlink()
    (folder / "new").write_text("")
    os.link(folder / "one", folder / "two")
    (folder / "link").unlink()
    (folder / "link").symlink_to("soma")
    os.utime(folder / "link", ns=(1, before[b"link"].mtime_ns), follow_symlinks=False)
    found = dict(differences(before, look_at(folder)))
    assert found == {
        b"content": "another content",
        b"mode": "another mode",
        b"time": "another mtime_ns",
        b"gone": "is gone",
        b"new": "was not there before",
        b"one": "another names",
        b"two": "was not there before",
        b"link": "another target",
    }


def test_what_the_demonstration_changes_is_seen(empty: Program) -> None:
    """The change between its two backups is one that the comparison finds."""
    empty.good("demo", "try", "--keep", env=NO_KEY)
    project = empty.folder / "try/project"
    before = look_at(project)
    changed = change_project(project) if (project / "docs/3").exists() else 0
    if not changed:
        (project / "docs/renamed/page003.md").write_text("")
    assert differences(before, look_at(project))
    destroy_project(project)
    assert not project.exists()
