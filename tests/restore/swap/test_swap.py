"""What a swap makes of a project, and what it leaves alone."""

from __future__ import annotations

from pathlib import Path

import pytest

from strongroom.restore.swap.plan import Kind
from strongroom.restore.swap.swapping import Phase, carry_out, resume, rollback, state
from tests.restore.swap.plots import FULL, SMALL, STRANGE
from tests.restore.swap.scenes import Plot, QuickFs, set_scene

PLOTS = pytest.mark.parametrize("plot", [FULL, SMALL], ids=["full", "small"])
FS = QuickFs()


@pytest.mark.spec("A5")
@PLOTS
def test_everything_is_as_wanted(top: Path, plot: Plot) -> None:
    """Bytes, types, modes, owners, times, attributes and links; what was excluded stays."""
    scene = set_scene(plot, top)
    swap_plan = scene.plan()
    scene.is_before()
    assert carry_out(FS, swap_plan).phase is Phase.DONE
    scene.is_after()
    assert state(FS, scene.work).phase is Phase.DONE
    assert resume(FS, scene.work).phase is Phase.DONE
    scene.is_after()


@pytest.mark.spec("A5")
@PLOTS
def test_what_is_done_can_be_undone(top: Path, plot: Plot) -> None:
    """After a rollback of a finished swap all is as before, once and twice."""
    scene = set_scene(plot, top)
    carry_out(FS, scene.plan())
    for _ in range(2):
        assert rollback(FS, scene.work).phase is Phase.ROLLED_BACK
        scene.is_before()
    assert state(FS, scene.work).phase is Phase.ROLLED_BACK


@pytest.mark.spec("A5")
def test_the_plan_says_what_will_change(top: Path) -> None:
    """Each path once, with its kind; the rest is counted as the same."""
    scene = set_scene(FULL, top)
    swap_plan = scene.plan()
    kinds: dict[str, set[str]] = {kind.value: set() for kind in Kind}
    for change in swap_plan.changes:
        kinds[change.kind.value].add(change.path.decode("utf-8", "surrogateescape"))
    assert kinds["new"] == {
        *("new", "file to folder/in", "file to folder/in/inner", "link to folder/kept.log"),
        *("folder/new", "folder/new/inner", "grows 2"),
        *("closed new", "closed new/in", "closed new/in/inner"),
    }
    assert kinds["changed"] == {
        *("changed", "same size and time", STRANGE, "link", "folder/in/inner", "closed/inner"),
        "half 2",
    }
    assert kinds["replaced"] == {
        *("link to file", "file to link", "file to folder", "link to folder"),
        *("folder to file", "folder to link"),
    }
    assert kinds["removed"] == {
        *("gone", "gone too", "gone twice", "closed gone", "gone folder"),
        *("logs/not ignored", "logs/in"),
    }
    assert kinds["metadata"] == {
        *("other mode", "other time", "folder", "folder/in", "attributes", "logs"),
        *("apart 1", "apart 2", "joined 1", "joined 2", "half 1", "grows 1"),
    }
    names = {"same", "link same", "fifo", "quiet", "quiet/same", "closed", "pair 1", "pair 2"}
    assert swap_plan.totals[Kind.SAME].entries == len(names)
    first, more = swap_plan.shown(3)
    assert len(first) == 3
    assert more == len(swap_plan.changes) - 3
