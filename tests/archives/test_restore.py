"""Restore: what was archived comes back exactly, and nothing else is touched."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from strongroom.app.archives.restoring import RestorePlan
from strongroom.errors import DamageError
from strongroom.restore.swap.plan import Kind
from tests.archives.project import Project, foreign, key_file, metadata_of, names_in, tree_of
from tests.support.compare_trees import compare_trees
from tests.support.file_trees import every_kind

pytestmark = pytest.mark.spec("A5")


def _spoil(project: Project) -> None:
    """Change, remove and add something."""
    (project.folder / "lib/code.sh").write_text("broken")
    (project.folder / "config/app.toml").unlink()
    (project.folder / "lib/added").write_text("new")


# -- asking


def test_the_plan_and_the_question(project: Project) -> None:
    """What would change is listed; ``yes`` goes on."""
    before = project.state()
    made = project.create()
    _spoil(project)
    (project.folder / "lib/added").unlink()
    result = project.cli("archive", "restore", made.name, answer="yes\n")
    assert "  M lib/code.sh" in result.out
    assert "  + config/app.toml" in result.out
    assert "will be overwritten" in result.out
    assert "pre-restore-" in result.out
    assert project.state() == before


@pytest.mark.parametrize("answer", ["", "\n", "no\n", "y\n", "n\nyes\n", "yes please\n", "\0\n"])
def test_anything_else_means_no(project: Project, answer: str) -> None:
    """Exit code 6, and nothing is changed; so does the end of the input."""
    made = project.create()
    _spoil(project)
    before = project.state()
    names = project.names()
    result = project.cli("archive", "restore", made.name, answer=answer, code=6)
    assert "not confirmed" in result.err
    assert project.state() == before
    assert project.names() == names
    assert not (project.folder / ".strongroom-restore").exists()


def test_a_dry_run(project: Project) -> None:
    """It says everything and does nothing."""
    made = project.create()
    _spoil(project)
    before = project.state()
    result = project.cli("archive", "restore", made.name, "--dry-run", "--delete")
    assert "  M lib/code.sh" in result.out
    assert "  - lib/added" in result.out
    assert project.state() == before
    assert project.names() == {made.name}
    lines = project.cli("archive", "restore", made.name, "-n", "--json").records
    assert {one["path"] for one in lines if one["message_type"] == "change"} == {
        "lib/code.sh",
        "config/app.toml",
    } | {
        one["path"]
        for one in lines
        if one["message_type"] == "change" and one["kind"] == "metadata"
    }


@pytest.mark.parametrize("how", ["dry run", "no", "damaged"])
def test_a_new_target_is_not_made_for_nothing(project: Project, how: str) -> None:
    """A folder that was not there is not there afterwards, nor those above it."""
    made = project.create()
    target = project.base / "new/deep/target"
    if how == "dry run":
        project.cli("archive", "restore", made.name, "--to", target, "--dry-run")
    elif how == "damaged":
        archive = next(made.glob("*.tar.gz"))
        os.truncate(archive, archive.stat().st_size - 9)
        project.cli("archive", "restore", made.name, "--to", target, "--no-confirm", code=4)
    else:
        assert project.restore(made.name, to=str(target), go_on=False) is None
    assert not (project.base / "new").exists()


def test_without_a_question(project: Project) -> None:
    """``--no-confirm`` asks nobody, and neither does a folder in which there is nothing."""
    before = project.state()
    made = project.create()
    _spoil(project)
    (project.folder / "lib/added").unlink()
    project.cli("archive", "restore", made.name, "--no-confirm")
    assert project.state() == before
    project.cli("archive", "restore", made.name, "--to", project.base / "new/place")
    assert tree_of(project.base / "new/place") == before
    (project.base / "used").mkdir()
    (project.base / "used/thing").write_text("mine")
    project.cli("archive", "restore", made.name, "--to", project.base / "used", code=6)
    project.cli("archive", "restore", made.name, "--to", project.base / "used", answer="yes\n")
    assert (project.base / "used/thing").read_text() == "mine"


def test_a_restore_of_what_is_there(project: Project) -> None:
    """Nothing to do is said, and no question is asked, no archive is made."""
    made = project.create()
    before = project.state()
    assert "nothing to do" in project.cli("archive", "restore", made.name).out
    assert project.state() == before
    assert project.names() == {made.name}


# -- what comes back


def test_every_kind_of_thing_comes_back(project: Project) -> None:
    """Types, modes, owners, times, attributes, links, holes, names of any bytes: in place, after
    all of it was removed, and elsewhere.
    """
    every_kind(project.folder / "src")
    for name in ("socket", "null", "disk"):
        (project.folder / "src/specials" / name).unlink(missing_ok=True)
    one = project.made("src")
    original = project.base / "original"
    (project.folder / "src").rename(original)
    project.restore(one)
    assert compare_trees(original, project.folder / "src") == []
    project.restore(one, to=str(project.base / "elsewhere"))
    assert compare_trees(original, project.base / "elsewhere/src") == []


def test_changed_things_come_back_in_place(project: Project) -> None:
    """What was changed, replaced by another kind, given another mode or another name."""
    project.write({"lib/a": b"a", "lib/folder/b": b"b", "lib/link-to-be": b"c", "lib/h1": b"h"})
    os.link(project.folder / "lib/h1", project.folder / "lib/h2")
    (project.folder / "lib/link").symlink_to("a")
    with (project.folder / "lib/sparse").open("wb") as file:
        file.truncate(5 << 20)
        file.seek(3 << 20)
        file.write(b"island")
    os.setxattr(project.folder / "lib/a", "user.note", b"value")
    before = project.state()
    one = project.made()
    lib = project.folder / "lib"
    os.removexattr(lib / "a", "user.note")
    shutil.rmtree(lib / "folder")
    (lib / "folder").write_text("now a file")
    (lib / "link-to-be").unlink()
    (lib / "link-to-be").symlink_to("/etc/passwd")
    (lib / "link").unlink()
    (lib / "link").mkdir()
    (lib / "link/inside").write_text("x")
    (lib / "h2").unlink()
    (lib / "h2").write_text("h")
    (lib / "sparse").write_bytes(b"short")
    (lib / "code.sh").chmod(0o777)
    os.utime(lib / "deep", (1, 1))
    (project.folder / "config/app.toml").rename(project.folder / "config/renamed.toml")
    spoilt = project.state()
    report = project.restore(one, delete=True)
    assert project.state() == before
    assert report is not None
    assert report.kept is not None
    project.restore(str(report.kept.id), delete=True)
    assert project.state() == spoilt


def test_selected_paths(project: Project) -> None:
    """Only what is at or below them, with any number of names of one file."""
    os.link(project.folder / "lib/code.sh", project.folder / "config/same")
    before = project.state()
    one = project.made()
    _spoil(project)
    (project.folder / "config/same").unlink()
    spoilt = project.state()
    project.restore(one, "config/same", "./lib/deep/")
    now = project.state()
    assert (project.folder / "config/same").read_bytes() == b"echo code\n" * 300
    assert now[b"lib/code.sh"] == spoilt[b"lib/code.sh"]
    assert b"config/app.toml" not in now
    project.restore(one, "config", to=str(project.base / "out"))
    assert names_in(project.base / "out") == ["config"]
    assert (project.base / "out/config/same").read_bytes() == b"echo code\n" * 300
    result = project.cli("archive", "restore", one, "nowhere", code=15)
    assert "nowhere" in result.err
    project.cli("archive", "restore", one, "../x", code=2)
    assert before[b"lib/deep/er/data.bin"] == now[b"lib/deep/er/data.bin"]


# -- what is kept before


def test_the_archive_before_a_restore(project: Project) -> None:
    """It has the names of the guide, holds what was there, and can be restored itself."""
    one = project.made()
    (project.folder / "lib/code.sh").write_text("the work of today")
    spoilt = project.state()
    report = project.restore(one)
    assert report is not None
    assert report.kept is not None
    kept = str(report.kept.id)
    folder = project.backup / kept
    assert kept.startswith("pre-restore-")
    assert {path.name for path in folder.iterdir()} >= {
        f"{kept}.tar.gz",
        "pre-restore-checksum.sha256",
        "pre-restore-metadata.json",
    }
    assert metadata_of(folder)["backup_timestamp"] == kept
    project.cli("archive", "verify", "--all")
    project.cli("archive", "restore", kept, "--no-confirm")
    assert project.state() == spoilt


def test_no_archive_before_if_nobody_wants_one(project: Project) -> None:
    """``--no-pre-backup``, or when nothing that is there is replaced."""
    one = project.made()
    (project.folder / "lib/code.sh").write_text("gone for good")
    project.cli("archive", "restore", one, "--no-confirm", "--no-pre-backup")
    assert project.names() == {one}
    project.cli("archive", "restore", one, "--no-confirm", "--to", project.base / "new")
    assert project.names() == {one}


def test_what_is_ignored_is_kept_before_it_is_replaced(project: Project) -> None:
    """A file that today's patterns leave out is in the archive before the restore all the same."""
    one = project.made()
    (project.folder / ".strongroomignore").write_text("code.sh\n")
    (project.folder / "lib/code.sh").write_text("the work of today")
    report = project.restore(one)
    assert report is not None
    assert report.kept is not None
    project.restore(str(report.kept.id))
    assert (project.folder / "lib/code.sh").read_text() == "the work of today"


def test_latest_is_no_archive_that_a_restore_made(project: Project) -> None:
    """Nor one that is damaged while there is a sound one?  It is said, and nothing is changed."""
    one = project.made()
    (project.folder / "lib/code.sh").write_text("x")
    project.restore(one)
    plans: list[RestorePlan] = []
    project.restore("latest", plans=plans)
    assert str(plans[0].archive.id) == one


# -- what goes


def test_delete_removes_what_the_archive_does_not_have(project: Project) -> None:
    """Within its scope: nothing that is ignored, excluded, outside, or an archive."""
    project.write(
        {
            ".strongroomignore": b"*.log\n/lib/cache/\n",
            "lib/.strongroomignore": b"local\n",
            "lib/run.log": b"log",
            "lib/cache/x": b"cached",
            "lib/local": b"local",
            "data/rows": b"outside",
        }
    )
    one = project.made("lib", "config", exclude=["*.tmp"])
    before = project.state()
    project.write(
        {
            "lib/added": b"",
            "lib/new/deep/added": b"",
            "lib/new/run.log": b"log",
            "lib/x.tmp": b"excluded",
            "config/more": b"",
            "data/more": b"outside",
            "top": b"outside",
        }
    )
    plans: list[RestorePlan] = []
    project.restore(one, delete=True, plans=plans)
    gone = {change.path for change in plans[0].swap.changes if change.kind is Kind.REMOVED}
    assert gone == {b"lib/added", b"lib/new/deep", b"config/more"}
    now = project.state()
    assert set(now) - set(before) == {
        *(b"lib/new", b"lib/new/run.log", b"lib/x.tmp"),
        *(b"data/more", b"top"),
    }
    assert set(before) <= set(now)
    assert (project.backup / one).exists()


@pytest.mark.parametrize("name", [".strongroomignore", "lib/.strongroomignore"])
def test_what_was_ignored_then_stays(project: Project, name: str) -> None:
    """A pattern that is gone today held when the archive was made: what it left out was never in
    it, and is not what somebody added.
    """
    project.write({name: b"secret*\n", "lib/secret": b"precious", "lib/x/secret2": b"precious"})
    one = project.made(".")
    (project.folder / name).unlink()
    (project.folder / "lib/added").write_text("new")
    project.restore(one, delete=True)
    assert (project.folder / "lib/secret").read_bytes() == b"precious"
    assert (project.folder / "lib/x/secret2").read_bytes() == b"precious"
    assert not (project.folder / "lib/added").exists()


def test_what_could_not_be_read_stays(project: Project) -> None:
    """An incomplete archive does not have it, and that is no reason to remove it; the plan says
    that it is incomplete.
    """
    for name in ("lib/secret", "lib/closed/in"):
        project.write({name: b"precious"})
    (project.folder / "lib/secret").chmod(0)
    (project.folder / "lib/closed").chmod(0)
    os.chown(project.folder / "lib/secret", 12345, 12345)
    os.chown(project.folder / "lib/closed", 12345, 12345)
    assert project.program.spawn("archive", "create", unprivileged=True).code == 3
    (made,) = project.backup.iterdir()
    (project.folder / "lib/added").write_text("new")
    result = project.cli("archive", "restore", made.name, "--no-confirm", "--delete")
    assert "incomplete" in result.out + result.err
    assert (project.folder / "lib/secret").read_bytes() == b"precious"
    assert (project.folder / "lib/closed/in").read_bytes() == b"precious"
    assert not (project.folder / "lib/added").exists()


@pytest.mark.parametrize("inside", ["backup", "var/archives"])
def test_delete_never_removes_archives(project: Project, inside: str) -> None:
    """Wherever in the project they lie."""
    if inside != "backup":
        (project.folder / inside).mkdir(parents=True)
        project.backup.symlink_to(inside)
    one = project.made(".")
    two = project.made(".")
    project.restore(one, delete=True)
    assert {one, two} <= project.names()
    project.cli("archive", "verify", "--all")


# -- incremental ones


@pytest.mark.spec("A12")
def test_a_chain_comes_back_exactly(project: Project) -> None:
    """Each archive of a chain restores the project of its moment: changed, deleted, renamed,
    chmodded, retyped and linked things, and those that did not change.
    """
    lib = project.folder / "lib"

    def link_instead() -> None:
        (lib / "app.toml").unlink()
        (lib / "app.toml").symlink_to("code.sh")

    def folder_instead() -> None:
        (lib / "code.sh").unlink()
        (lib / "code.sh").mkdir()

    steps: list[Callable[[], object]] = [
        list,  # nothing
        lambda: (lib / "code.sh").write_text("changed"),
        (lib / "deep/er/data.bin").unlink,
        lambda: (project.folder / "config/app.toml").rename(lib / "app.toml"),
        lambda: (lib / "code.sh").chmod(0o600),
        lambda: os.link(lib / "code.sh", lib / "code2.sh"),
        link_instead,
        folder_instead,
        partial(shutil.rmtree, lib / "deep"),
        lambda: (lib / "deep").write_text("a file where a folder was"),
        lambda: (project.folder / "new at the top").write_text("new"),
        lambda: os.setxattr(lib / "code2.sh", "user.x", b"1"),
        partial(shutil.rmtree, project.folder / "config"),
    ]
    states = {}
    for number, step in enumerate(steps):
        step()
        project.clock.sleep(60)
        states[project.made(incremental=number > 0)] = project.state()
    ids = list(states)
    assert metadata_of(project.backup / ids[-1])["chain"] == ids
    for one, state in states.items():
        project.restore(one, to=str(project.base / one))
        assert tree_of(project.base / one) == state, one
    for one in (ids[3], ids[0], ids[9], ids[-1]):
        project.restore(one, delete=True, keeps=False)
        assert project.state() == states[one], one
    project.cli("archive", "verify", "--all")
    assert "config/empty" in metadata_of(project.backup / ids[-1])["deleted"]


@pytest.mark.spec("A12")
def test_only_what_changed_is_in_it(project: Project) -> None:
    """An incremental archive is as small as the change."""
    project.clock.sleep(60)
    project.made()
    (project.folder / "lib/code.sh").write_text("changed")
    project.clock.sleep(60)
    made = project.make(incremental=True)
    manifest = project.backup / str(made.id) / "backup-manifest.jsonl.gz"
    assert manifest.exists()
    assert made.metadata.files == 1
    assert made.metadata.backup_size < 600


@pytest.mark.spec("A12")
@pytest.mark.parametrize("how", ["gone", "damaged", "metadata"])
def test_a_chain_without_its_base(project: Project, how: str) -> None:
    """Exit code 4 with the id that is needed; nothing is changed. The next one is a whole one."""
    project.clock.sleep(60)
    base = project.made()
    (project.folder / "lib/code.sh").write_text("changed")
    last = project.made(incremental=True)
    if how == "gone":
        shutil.rmtree(project.backup / base)
    elif how == "metadata":
        (project.backup / base / "backup-metadata.json").write_text("{}")
    else:
        archive = next((project.backup / base).glob("*.tar.gz"))
        os.truncate(archive, archive.stat().st_size - 5)
    (project.folder / "lib/code.sh").write_text("again")
    before = project.state()
    result = project.cli("archive", "restore", last, "--no-confirm", code=4)
    assert base in result.err
    assert project.state() == before
    made = project.make(incremental=True)
    assert made.whole
    assert not made.metadata.base


@pytest.mark.spec("A12")
def test_a_base_whose_manifest_is_damaged(project: Project) -> None:
    """It is no reason to have no backup: the next one is a whole one, and says why."""
    base = project.made()
    manifest = project.backup / base / "backup-manifest.jsonl.gz"
    manifest.write_bytes(manifest.read_bytes()[:-3])
    made = project.make(incremental=True)
    assert base in made.whole
    project.restore(str(made.id), to=str(project.base / "out"))
    assert tree_of(project.base / "out") == project.state()


# -- those that others made


def test_what_scripts_of_the_guide_made(project: Project) -> None:
    """In the order of tar, with a checksum and metadata of theirs."""
    os.link(project.folder / "lib/code.sh", project.folder / "config/same")
    before = project.state()
    foreign(project, "20200101_000000", "README.md", "lib", "config")
    _spoil(project)
    project.cli("archive", "restore", "20200101_000000", "--delete", "--no-confirm")
    now = project.state()
    assert set(now) == set(before)
    for path, seen in before.items():
        assert now[path].content == seen.content
        assert now[path].mode == seen.mode


def test_a_foreign_archive_with_archives_in_it(project: Project) -> None:
    """``tar czf backup/x.tar.gz .`` has old archives in it: those that are there stay."""
    one = project.made()
    foreign(project, "20200101_000000", ".")
    shutil.rmtree(project.backup / one)
    (project.folder / "lib/code.sh").write_text("x")
    two = project.made()
    result = project.cli("archive", "restore", "20200101_000000", "--no-confirm")
    assert "backup" in result.err
    assert one not in project.names()
    assert two in project.names()
    assert (project.folder / "lib/code.sh").read_bytes() == b"echo code\n" * 300


def test_an_archive_whose_metadata_cannot_be_read(project: Project) -> None:
    """What it stands for nobody can tell, so nothing is restored; how to get at it is said."""
    one = project.made()
    (project.backup / one / "backup-metadata.json").write_text("{")
    (project.folder / "lib/code.sh").write_text("x")
    before = project.state()
    result = project.cli("archive", "restore", one, "--no-confirm", code=4)
    assert "backup-metadata.json" in result.err
    assert "tar -x" in result.err
    assert project.state() == before


@pytest.mark.parametrize("field", ["program", "chain", "backup_checksum", "encrypted"])
def test_metadata_that_somebody_changed(project: Project, field: str) -> None:
    """A changed field could make half of an archive look like all of it."""
    project.clock.sleep(60)
    project.made()
    (project.folder / "lib/code.sh").write_text("changed")
    one = project.made(incremental=True)
    path = project.backup / one / "backup-metadata.json"
    metadata = json.loads(path.read_text())
    metadata[field] = {"program": "another", "chain": [], "encrypted": True}.get(field, "")
    path.write_text(json.dumps(metadata))
    before = project.state()
    with pytest.raises(DamageError, match="backup-"):
        project.restore(one, delete=True)
    assert project.state() == before


@pytest.mark.spec("A12")
def test_encrypted_ones(project: Project) -> None:
    """With the key they come back, without it nothing is done: exit code 12."""
    key = key_file(project, "key")
    before = project.state()
    made = project.create("--key-file", key)
    (project.folder / "lib/code.sh").write_text("x")
    spoilt = project.state()
    for arguments in ([], ["--key-file", key_file(project, "other")]):
        project.cli("archive", "restore", made.name, "--no-confirm", *arguments, code=12)
        assert project.state() == spoilt
    project.cli("archive", "restore", made.name, "--no-confirm", "--key-file", key)
    assert project.state() == before


def test_what_is_replaced_by_an_encrypted_one_is_kept_encrypted(project: Project) -> None:
    """The archive before the restore is no door to what was sealed."""
    key = key_file(project, "key")
    made = project.create("--key-file", key)
    (project.folder / "lib/code.sh").write_text("x")
    project.cli("archive", "restore", made.name, "--no-confirm", "--key-file", key)
    (kept,) = project.backup.glob("pre-restore-*")
    assert [path.name for path in kept.glob("*.tar*")] == [f"{kept.name}.tar.gz.age"]


def test_the_project_through_a_link(project: Project) -> None:
    """A project that is reached by a link is the same project."""
    made = project.create()
    before = project.state()
    (project.folder / "lib/code.sh").write_text("x")
    link = project.base / "link"
    link.symlink_to(project.folder)
    project.cli("archive", "restore", made.name, "--no-confirm", "--project", link)
    assert project.state() == before
    second = Path(
        project.cli("archive", "create", "--project", link, "--json").record("summary")["folder"]
    )
    assert second == link / "backup"
