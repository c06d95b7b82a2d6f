"""A swap that fails, is stopped or killed at any call: the project is as before or as wanted."""

from __future__ import annotations

import errno
import os
import signal
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Literal

import pytest

from strongroom.errors import (
    InterruptError,
    RefusedError,
    RestoreError,
    RolledBackError,
    StrongroomError,
)
from strongroom.model.fs import Fs
from strongroom.restore.swap.swapping import Phase, carry_out, resume, rollback, state
from tests.restore.swap.plots import FULL, SMALL
from tests.restore.swap.scenes import Plot, QuickFs, Scene, set_scene
from tests.support.crash import SimulatedCrash
from tests.support.faulty_fs import MUTATING, FaultyFs, FsFault, faulty_fs
from tests.support.hook_fs import hook_fs

LOOKING = frozenset({"open", "stat", "fstat", "read", "xattrs_at"})
FS = QuickFs()
WHENS: tuple[Literal["before", "after"], ...] = ("before", "after")


class _Stop:
    """A hook that stops the program at the n-th call."""

    def __init__(self, nth: int, stop: BaseException) -> None:
        self._left = nth
        self._stop = stop

    def __call__(self, *_arguments: object, **_named: object) -> None:
        self._left -= 1
        if self._left == 0:
            raise self._stop


def _attempts(plot: Plot, top: Path, calls: frozenset[str]) -> int:
    """Return how many of these calls a whole swap makes."""
    scene = set_scene(plot, top)
    swap_plan = scene.plan()
    fs, faults = faulty_fs(FS)
    carry_out(fs, swap_plan)
    return sum(faults.attempts[call] for call in calls)


@pytest.mark.spec("A5")
@pytest.mark.parametrize(
    ("number", "when"),
    [
        (errno.ENOSPC, "before"),
        (errno.EROFS, "before"),
        (errno.EIO, "before"),
        (errno.EIO, "after"),
    ],
)
def test_one_call_that_fails_is_rolled_back(
    top: Path, number: int, when: Literal["before", "after"]
) -> None:
    """Whichever call: the project is as before when the error comes, and the error says so."""
    calls = MUTATING | LOOKING if (number, when) == (errno.EIO, "before") else MUTATING
    said = set()
    for nth in range(1, _attempts(SMALL, top, calls) + 1):
        scene = set_scene(SMALL, top)
        swap_plan = scene.plan()
        fs, _ = faulty_fs(FS, FsFault("error", nth, calls, when, number))
        with pytest.raises(StrongroomError) as caught:
            carry_out(fs, swap_plan)
        scene.is_before()
        said.add(type(caught.value))
        if isinstance(caught.value, RolledBackError):
            assert caught.value.code == 21
            assert "is as it was" in caught.value.message
        else:
            assert "Nothing was changed" in caught.value.hint
        assert state(FS, scene.work).phase in {Phase.NOTHING, Phase.ROLLED_BACK}
        assert rollback(FS, scene.work).phase in {Phase.NOTHING, Phase.ROLLED_BACK}
        scene.is_before()
    assert RolledBackError in said


@pytest.mark.spec("A5")
@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EROFS, errno.EIO])
@pytest.mark.parametrize("act", [rollback, resume])
def test_a_disk_that_stays_broken(
    top: Path, number: int, act: Callable[[Fs, bytes], object]
) -> None:
    """From any call on nothing can be written: the error says what to run, and that works later."""
    codes = set()
    for nth in range(1, _attempts(SMALL, top, MUTATING) + 1):
        scene = set_scene(SMALL, top)
        swap_plan = scene.plan()
        fs, _ = faulty_fs(FS, FsFault("error", nth, MUTATING, "before", number, times=10_000))
        with pytest.raises((RolledBackError, RestoreError)) as caught:
            carry_out(fs, swap_plan)
        codes.add(caught.value.code)
        if caught.value.code == 21:
            scene.is_before()
            continue
        assert "strongroom archive restore --rollback" in caught.value.hint
        assert f"{scene.project}/backup/.restore-1/undo" in caught.value.hint
        act(FS, scene.work)
        scene.is_before() if act is rollback else scene.is_after()
    assert codes == {21, 22}


@pytest.mark.spec("A5")
def test_a_full_disk_is_found_before_anything_is_changed(top: Path) -> None:
    """All directories that the steps need are made before the journal is."""
    scene = set_scene(FULL, top)
    swap_plan = scene.plan()
    fs, faults = faulty_fs(FS)
    carry_out(fs, swap_plan)
    for nth in range(1, faults.attempts["mkdir"] + 1):
        scene = set_scene(FULL, top)
        swap_plan = scene.plan()
        full = FsFault("error", nth, frozenset({"mkdir"}), number=errno.ENOSPC)
        with pytest.raises(RolledBackError, match="no space left on the disk"):
            carry_out(faulty_fs(FS, full)[0], swap_plan)
        assert state(FS, scene.work).phase is Phase.NOTHING
        scene.is_before()


def _killed(scene: Scene, nth: int, when: Literal["before", "after"]) -> FaultyFs | None:
    """Begin a swap that ends at a call; None if it came to its end before."""
    swap_plan = scene.plan()
    fs, faults = faulty_fs(FS, FsFault("crash", nth, MUTATING, when))
    try:
        carry_out(fs, swap_plan)
    except SimulatedCrash:
        return faults
    return None


@pytest.mark.spec("A5")
@pytest.mark.parametrize("when", WHENS)
@pytest.mark.parametrize("act", [rollback, resume])
def test_killed_at_any_call(
    top: Path, when: Literal["before", "after"], act: Callable[[Fs, bytes], object]
) -> None:
    """A rollback gives the project as before, a resume as wanted; the state is told truly."""
    phases = set()
    nth = 0
    while True:
        nth += 1
        scene = set_scene(FULL, top)
        if _killed(scene, nth, when) is None:
            break
        found = state(FS, scene.work)
        phases.add(found.phase)
        assert 0 <= found.done <= found.steps
        if found.phase is Phase.NOTHING:
            scene.is_before()
            with pytest.raises(RefusedError):
                resume(FS, scene.work)
            continue
        if found.phase is Phase.DONE:
            scene.is_after()
        act(FS, scene.work)
        scene.is_before() if act is rollback else scene.is_after()
    assert {Phase.NOTHING, Phase.PLANNED, Phase.MIDDLE} <= phases
    assert nth > 80


def _crash_points(make: Callable[[], Scene], act: Callable[[Fs, bytes], object]) -> Iterator[Scene]:
    """Yield a scene for each call of a rollback or resume at which that was killed."""
    for when in WHENS:
        nth = 0
        while True:
            nth += 1
            scene = make()
            fs, _ = faulty_fs(FS, FsFault("crash", nth, MUTATING, when))
            try:
                act(fs, scene.work)
            except SimulatedCrash:
                yield scene
            else:
                break


@pytest.mark.spec("A5")
@pytest.mark.parametrize("first", [rollback, resume])
@pytest.mark.parametrize("then", [rollback, resume])
def test_killed_again(
    top: Path,
    first: Callable[[Fs, bytes], object],
    then: Callable[[Fs, bytes], object],
) -> None:
    """A rollback or resume that is killed itself can be followed by either."""
    count = _attempts(SMALL, top, MUTATING)

    def killed_at(nth: int) -> Scene:
        scene = set_scene(SMALL, top)
        assert _killed(scene, nth, "after") is not None
        return scene

    seen = 0
    for nth in range(count // 3, count, 7):
        for scene in _crash_points(partial(killed_at, nth), first):
            seen += 1
            with suppress(RefusedError):  # it was rolled back, and cannot be resumed
                then(FS, scene.work)
            was_rolled_back = state(FS, scene.work).phase is Phase.ROLLED_BACK
            assert was_rolled_back or then is resume
            scene.is_before() if was_rolled_back else scene.is_after()
    assert seen > 50


@pytest.mark.spec("A5")
def test_a_rollback_of_a_done_swap_that_is_killed(top: Path) -> None:
    """It is finished by another, also where nothing of staged/ was left."""

    def done() -> Scene:
        scene = set_scene(SMALL, top)
        carry_out(FS, scene.plan())
        for folder in ("a/closed", "a", ""):
            (scene.project / "backup/.restore-1/staged" / folder).rmdir()
        return scene

    for scene in _crash_points(done, rollback):
        rollback(FS, scene.work)
        scene.is_before()


@pytest.mark.spec("A5")
@pytest.mark.parametrize("stop", [InterruptError(signal.SIGINT), KeyboardInterrupt()])
@pytest.mark.parametrize("call", ["rename_new", "mkdir", "chmod", "fsync", "stat", "utime"])
def test_an_interruption_is_rolled_back(top: Path, stop: BaseException, call: str) -> None:
    """Whoever presses Ctrl-C gets the project as it was, and the interruption goes on."""
    interrupted = 0
    for nth in range(1, 400, 1 if call != "stat" else 7):
        scene = set_scene(SMALL, top)
        swap_plan = scene.plan()
        try:
            carry_out(hook_fs({call: _Stop(nth, stop)}, within=FS), swap_plan)
        except (InterruptError, KeyboardInterrupt) as caught:
            assert caught is stop
            interrupted += 1
            scene.is_before()
            if isinstance(stop, InterruptError):
                assert "is as it was" in stop.hint or "Run the same" in stop.hint
        else:
            break
    assert interrupted


@pytest.mark.spec("A5")
def test_an_interruption_while_it_is_rolled_back(top: Path) -> None:
    """The rollback after a full disk comes to its end before the interruption is heard."""
    heard = 0
    for nth in range(10, 40):
        scene = set_scene(SMALL, top)
        swap_plan = scene.plan()
        broken, _ = faulty_fs(
            FS, FsFault("error", 9, frozenset({"rename_new"}), number=errno.ENOSPC)
        )
        stop = _Stop(nth, InterruptError(signal.SIGTERM))
        with pytest.raises((RolledBackError, InterruptError)) as caught:
            carry_out(hook_fs({"rename_new": stop}, within=broken), swap_plan)
        scene.is_before()
        if isinstance(caught.value, InterruptError):
            heard += 1
            assert "is as it was" in caught.value.hint
    assert heard > 5


@pytest.mark.spec("A5")
@pytest.mark.parametrize("act", [rollback, resume])
def test_a_process_that_is_really_killed(top: Path, act: Callable[[Fs, bytes], object]) -> None:
    """The kernel ends it at a call, with real calls of the disk behind it."""
    count = _attempts(SMALL, top, MUTATING)
    for nth in range(1, count + 1, 5):
        scene = set_scene(SMALL, top)
        swap_plan = scene.plan()
        child = os.fork()
        if child == 0:
            with suppress(BaseException):
                fs, _ = faulty_fs(FS, FsFault("kill", nth, MUTATING, "after"))
                carry_out(fs, swap_plan)
            os._exit(1)
        _, status = os.waitpid(child, 0)
        assert os.WTERMSIG(status) == signal.SIGKILL
        if state(FS, scene.work).phase is Phase.NOTHING:
            scene.is_before()
            continue
        act(FS, scene.work)
        scene.is_before() if act is rollback else scene.is_after()
