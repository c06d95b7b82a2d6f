"""A power cut in the middle of a swap, or of what brings it to its end."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from random import Random

import pytest

from strongroom.model.fs import Fs
from strongroom.restore.swap.swapping import Phase, carry_out, resume, rollback, state
from tests.restore.swap.plots import FULL, SMALL
from tests.restore.swap.power import Cut
from tests.restore.swap.scenes import QuickFs, Scene, set_scene
from tests.support.crash import SimulatedCrash
from tests.support.faulty_fs import MUTATING, FsFault, faulty_fs

FS = QuickFs()


def _calls_of(scene: Scene, act: Callable[[Fs, Scene], object]) -> Cut:
    fs, faults = faulty_fs(FS)
    act(fs, scene)
    return Cut(faults.trace)


def _swap(fs: Fs, scene: Scene) -> None:
    carry_out(fs, scene.plan())


@pytest.mark.spec("A5")
@pytest.mark.parametrize("act", [rollback, resume])
def test_a_power_cut_at_any_moment(top: Path, act: Callable[[Fs, bytes], object]) -> None:
    """Whatever of the unsynced renames and attributes came through."""
    cut = _calls_of(set_scene(FULL, top), _swap)
    phases = set()
    for length in range(1, len(cut) + 1):
        scene = set_scene(FULL, top)
        cut.replay(length, Random(length))
        phases.add(state(FS, scene.work).phase)
        if state(FS, scene.work).phase is Phase.NOTHING:
            scene.is_before()
            continue
        act(FS, scene.work)
        scene.is_before() if act is rollback else scene.is_after()
    assert phases >= {Phase.NOTHING, Phase.PLANNED, Phase.MIDDLE, Phase.DONE}


@pytest.mark.spec("A5")
def test_what_is_done_survives_a_power_cut(top: Path) -> None:
    """Once a swap has returned, everything is on the disk."""
    cut = _calls_of(set_scene(FULL, top), _swap)
    for seed in range(20):
        scene = set_scene(FULL, top)
        cut.replay(len(cut), Random(seed))
        scene.is_after()
        assert state(FS, scene.work).phase is Phase.DONE


@pytest.mark.spec("A5")
@pytest.mark.parametrize("first", [rollback, resume])
def test_a_power_cut_while_it_is_brought_to_its_end(
    top: Path, first: Callable[[Fs, bytes], object]
) -> None:
    """A rollback or resume that is cut short so can be rolled back."""
    for killed_at in range(14, 32, 3):

        def killed(nth: int = killed_at) -> Scene:
            scene = set_scene(SMALL, top)
            swap_plan = scene.plan()
            fs, _ = faulty_fs(FS, FsFault("crash", nth, MUTATING))
            with pytest.raises(SimulatedCrash):
                carry_out(fs, swap_plan)
            return scene

        cut = _calls_of(killed(), lambda fs, scene: first(fs, scene.work))
        for length in range(1, len(cut) + 1):
            scene = killed()
            cut.replay(length, Random(length))
            rollback(FS, scene.work)
            scene.is_before()
