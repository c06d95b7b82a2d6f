"""Somebody else who writes into the project while a swap is planned, under way or cut short."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from strongroom.errors import DamageError, RefusedError, RestoreError, RolledBackError
from strongroom.model.fs import Fs
from strongroom.restore.swap.swapping import Phase, carry_out, resume, rollback, state
from tests.restore.swap.plots import SMALL
from tests.restore.swap.scenes import WORK, QuickFs, Scene, set_scene, write
from tests.support.compare_trees import describe
from tests.support.crash import SimulatedCrash
from tests.support.faulty_fs import FsFault, faulty_fs
from tests.support.hook_fs import hook_fs, once

FS = QuickFs()
RENAMES = frozenset({"rename_new"})


def _half_done(top: Path, renames: int = 6) -> Scene:
    """Return a scene whose swap was killed after so many of its 8 renames."""
    scene = set_scene(SMALL, top)
    swap_plan = scene.plan()
    fs, _ = faulty_fs(FS, FsFault("crash", renames, RENAMES, "after"))
    with pytest.raises(SimulatedCrash):
        carry_out(fs, swap_plan)
    return scene


@pytest.mark.spec("A5")
def test_what_was_written_after_the_plan_is_kept(top: Path) -> None:
    """What changes anyway is moved away as it is then, and a rollback brings that back."""
    scene = set_scene(SMALL, top)
    swap_plan = scene.plan()
    write(scene.project / "a/changed", "written meanwhile")
    write(scene.project / "swapped" / "more", "written meanwhile")
    before = scene.now()
    carry_out(FS, swap_plan)
    scene.is_after()
    undo = scene.project / WORK / "undo"
    assert (undo / "a/changed").read_text() == "written meanwhile"
    assert (undo / "swapped/more").read_text() == "written meanwhile"
    rollback(FS, scene.work)
    assert scene.now() == before


@pytest.mark.spec("A5")
def test_something_new_where_nothing_was_planned_to_be(top: Path) -> None:
    """It is moved away like all else, not replaced."""
    scene = set_scene(SMALL, top)
    (scene.project / "file").unlink()
    swap_plan = scene.plan()
    write(scene.project / "file", "made meanwhile")
    carry_out(FS, swap_plan)
    assert (scene.project / WORK / "undo/file").read_text() == "made meanwhile"
    rollback(FS, scene.work)
    assert (scene.project / "file").read_text() == "made meanwhile"


@pytest.mark.spec("A5")
def test_what_was_right_and_is_no_longer(top: Path) -> None:
    """A swap begins only if what it leaves alone is still as wanted."""
    scene = set_scene(SMALL, top)
    carry_out(FS, scene.plan())
    (scene.project / WORK).rename(scene.project / "backup/old")
    (scene.project / WORK / "staged").mkdir(parents=True)
    SMALL.wanted(scene.project / WORK / "staged")
    swap_plan = scene.plan()
    assert swap_plan.is_empty
    write(scene.project / "a/changed", "NEW")
    with pytest.raises(RefusedError, match="'a/changed' is no longer what was planned with"):
        carry_out(FS, swap_plan)
    assert state(FS, scene.work).phase is Phase.NOTHING


@pytest.mark.spec("A5")
@pytest.mark.parametrize("folder", ["a", "a/closed"])
def test_a_parent_that_became_a_link(top: Path, folder: str) -> None:
    """It is refused before anything is done, and nothing goes where the link leads."""
    scene = set_scene(SMALL, top)
    swap_plan = scene.plan()
    outside = _replace_by_link(scene, folder)
    before, elsewhere = scene.now(), describe(outside)
    with pytest.raises(RefusedError, match="something on the way is not a directory"):
        carry_out(FS, swap_plan)
    assert (scene.now(), describe(outside)) == (before, elsewhere)


def _replace_by_link(scene: Scene, folder: str) -> Path:
    """Move a directory out of the project and put a link to it in its place."""
    outside = scene.project.parent / "outside"
    (scene.project / folder).rename(outside)
    (scene.project / folder).symlink_to(outside)
    return outside


@pytest.mark.spec("A5")
@pytest.mark.parametrize("act", [rollback, resume])
def test_a_link_planted_in_the_middle(top: Path, act: Callable[[Fs, bytes], object]) -> None:
    """Neither way goes through the link; both say so, and work when it is gone."""
    scene = _half_done(top)
    outside = _replace_by_link(scene, "a")
    elsewhere = describe(outside)
    with pytest.raises(RestoreError, match="something on the way is not a directory"):
        act(FS, scene.work)
    assert describe(outside) == elsewhere
    (scene.project / "a").unlink()
    outside.rename(scene.project / "a")
    act(FS, scene.work)
    scene.is_before() if act is rollback else scene.is_after()


@pytest.mark.spec("A5")
def test_a_link_planted_between_two_steps(top: Path) -> None:
    """A swap under way stops there; nothing is put where the link leads."""
    scene = set_scene(SMALL, top)
    swap_plan = scene.plan()
    outside = scene.project.parent / "outside"
    fs = hook_fs({"rename": once(lambda: _replace_by_link(scene, "a"))}, within=FS)
    with pytest.raises((RestoreError, RolledBackError)):
        carry_out(fs, swap_plan)
    assert (outside / "changed").read_text() == "old"
    assert sorted(path.name for path in outside.iterdir()) == ["changed", "closed", "gone", "stays"]


@pytest.mark.spec("A5")
@pytest.mark.parametrize("act", [rollback, resume])
def test_something_in_the_way_is_put_aside(top: Path, act: Callable[[Fs, bytes], object]) -> None:
    """What an application made where a name was free is kept, and the outcome says where."""
    scene = _half_done(top, renames=5)
    assert not (scene.project / "file").exists()
    write(scene.project / "file", "made meanwhile")
    make = rollback if act is rollback else resume
    outcome = make(FS, scene.work)
    aside = scene.project / WORK / "meanwhile/file"
    assert [(one.path, one.now) for one in outcome.aside] == [(b"file", str(aside))]
    assert aside.read_text() == "made meanwhile"
    scene.is_before() if act is rollback else scene.is_after()


@pytest.mark.spec("A5")
def test_a_second_thing_in_the_same_way(top: Path) -> None:
    """It does not take the place of the first."""
    scene = _half_done(top, renames=5)
    work = scene.project / WORK
    (work / "meanwhile").mkdir()
    write(work / "meanwhile/file", "made first")
    write(scene.project / "file", "made second")
    rollback(FS, scene.work)
    scene.is_before()
    assert (work / "meanwhile/file").read_text() == "made first"
    assert (work / "meanwhile-2/file").read_text() == "made second"


@pytest.mark.spec("A5")
def test_a_directory_that_somebody_removed(top: Path) -> None:
    """A rollback makes it again, with the attributes that it had."""
    scene = _half_done(top, renames=4)
    (scene.project / "a/closed").rmdir()
    rollback(FS, scene.work)
    scene.is_before()


@pytest.mark.spec("A5")
def test_what_is_edited_after_the_swap_survives_a_rollback(top: Path) -> None:
    """It lies where the wanted things were staged."""
    scene = set_scene(SMALL, top)
    carry_out(FS, scene.plan())
    write(scene.project / "a/changed", "edited later")
    write(scene.project / "file/added", "added later")
    rollback(FS, scene.work)
    scene.is_before()
    staged = scene.project / WORK / "staged"
    assert (staged / "a/changed").read_text() == "edited later"
    assert (staged / "file/added").read_text() == "added later"


@pytest.mark.spec("A5")
@pytest.mark.parametrize("folder", ["undo", "staged"])
@pytest.mark.parametrize("act", [rollback, resume])
def test_a_work_folder_without_a_part(
    top: Path, folder: str, act: Callable[[Fs, bytes], object]
) -> None:
    """Nobody can say how far the swap is: nothing is done."""
    scene = _half_done(top)
    (scene.project / WORK / folder).rename(scene.project / WORK / "elsewhere")
    before = scene.now()
    with pytest.raises(DamageError, match=f"{folder} is missing"):
        act(FS, scene.work)
    assert scene.now() == before
    (scene.project / WORK / "elsewhere").rename(scene.project / WORK / folder)
    act(FS, scene.work)
    scene.is_before() if act is rollback else scene.is_after()


@pytest.mark.spec("A5")
def test_a_wanted_thing_that_vanished(top: Path) -> None:
    """A resume that cannot be whole is rolled back."""
    scene = _half_done(top, renames=5)
    (scene.project / WORK / "staged/swapped").unlink()
    assert not (scene.project / "swapped").exists()
    with pytest.raises(RolledBackError, match="neither in"):
        resume(FS, scene.work)
    scene.is_before()


@pytest.mark.spec("A5")
@pytest.mark.parametrize("act", [rollback, resume])
def test_a_project_that_was_moved(top: Path, act: Callable[[Fs, bytes], object]) -> None:
    """The work folder in it finds it."""
    scene = _half_done(top)
    moved = top / "moved"
    scene.project.rename(moved)
    scene.project.mkdir()
    act(FS, os.fsencode(moved / WORK))
    assert list(scene.project.iterdir()) == []
    scene.project.rmdir()
    moved.rename(scene.project)
    scene.is_before() if act is rollback else scene.is_after()


@pytest.mark.spec("A5")
def test_a_work_folder_that_was_moved_within_the_project(top: Path) -> None:
    """It is not known whose it is."""
    scene = _half_done(top)
    moved = scene.project / "backup/moved"
    (scene.project / WORK).rename(moved)
    before = scene.now()
    with pytest.raises(RefusedError, match="is no longer at"):
        rollback(FS, os.fsencode(moved))
    assert scene.now() == before
