"""Running tests against mutants: in children of a process that has imported everything.

A child replaces the code of one function, runs tests, quick ones first, and tells by its exit code
whether one of them failed.
"""

from __future__ import annotations

import importlib
import os
import random
import signal
import sys
import tempfile
import time
import types
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final, NamedTuple

import pytest

from tests.mutants.mutations import Mutant, mutants_of
from tests.mutants.reviewed import REVIEWED

ROOT: Final = Path(__file__).parents[2]
SOURCE: Final = ROOT / "src"
PACKAGE: Final = SOURCE / "strongroom" / "repository"
MODULES: Final[dict[str, Sequence[str]]] = {
    "collection/collect.py": (),
    "collection/survey.py": (),
    "collection/verdict.py": (),
    "collection/liveness.py": (),
    "collection/waiting.py": (),
    "collection/proving.py": (),
    "saving.py": (),
    "collection/census.py": ("enter", "keepers", "spared", "covering", "take", "need"),
    "collection/compacting.py": (),
    "collection/repacking.py": (),
    "session.py": ("begin", "commit", "_may_rely_on", "abort"),
}
"""Modules, and the functions of them that matter here; all of them where none is named."""
_SCHEDULES: Final = (
    "tests/faults/test_schedules.py::test_whatever_happens_at_once_loses_nothing_and_leaves_nothing"
)
STAGES: Final = (
    [
        "tests/repository/test_collect.py",
        "tests/repository/test_collect_races.py",
        "tests/repository/test_collect_repack.py",
        "tests/repository/test_collect_parts.py",
        "tests/repository/test_collect_hostile.py",
    ],
    ["tests/repository/test_reliance.py", "tests/repository/test_session.py"],
    [
        "tests/faults/test_power_loss.py",
        "tests/faults/test_power_loss_of_collections.py",
        "tests/faults/test_crash_at_collections.py::test_stopped_at_some_requests",
        f"{_SCHEDULES}[0]",
    ],
)
LONGEST: Final = 600.0  # seconds; a mutant that takes longer hangs, and is noticed
OPTIONS: Final = ["-x", "-q", "-m", "not slow", "--no-header", "-p", "no:cacheprovider"]


class Outcome(NamedTuple):
    """A mutant, which stage of tests noticed it (0: none, it survived), and why it may live."""

    mutant: Mutant
    stage: int
    reason: str


def every_mutant() -> list[Mutant]:
    """Return all mutants, each once."""
    found: dict[str, Mutant] = {}
    for name, functions in MODULES.items():
        for mutant in mutants_of(PACKAGE / name, functions):
            found.setdefault(mutant.name, mutant)
    return list(found.values())


def run_mutants(
    seed: int,
    told: Callable[[Outcome], None],
    may_go_on: Callable[[], bool],
    *,
    jobs: int = 2,
    stages: int = len(STAGES),
    matching: str = "",
) -> int:
    """Run mutants in an order that the seed says, as long as it may; how many there are in all."""
    mutants = [one for one in every_mutant() if matching in one.name]
    random.Random(seed).shuffle(mutants)
    _import_everything(stages)
    running: dict[int, tuple[Mutant, float]] = {}
    for mutant in mutants:
        if mutant.name in REVIEWED:
            told(Outcome(mutant, 0, REVIEWED[mutant.name]))
            continue
        while len(running) >= jobs and may_go_on():
            _look_at_all(running, told)
        if not may_go_on():
            break
        running[_fork(mutant, stages)] = mutant, time.monotonic()
    while running and may_go_on():
        _look_at_all(running, told)
    for child in running:  # what did not come to its end says nothing
        _kill(child)
    return len(mutants)


def _import_everything(stages: int) -> None:
    os.chdir(ROOT)
    tests = [name for stage in STAGES[:stages] for name in stage]
    with tempfile.TemporaryFile("w") as nowhere:
        kept = os.dup(1)
        os.dup2(nowhere.fileno(), 1)
        code = pytest.main([*OPTIONS, "--collect-only", *tests])
        sys.stdout.flush()
        os.dup2(kept, 1)
        os.close(kept)
    if code != pytest.ExitCode.OK:
        msg = f"the tests are not to be had: pytest ends with {code}"
        raise RuntimeError(msg)


def _fork(mutant: Mutant, stages: int) -> int:
    sys.stdout.flush()
    child = os.fork()
    if child:
        return child
    try:
        os.setsid()
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, 1)
        os.dup2(nowhere, 2)
        _put_in(mutant)
        os._exit(_failing_stage(stages))
    except BaseException:  # noqa: BLE001 - a mutant that breaks the tests themselves is noticed
        os._exit(1)


def _failing_stage(stages: int) -> int:
    with tempfile.TemporaryDirectory(prefix="strongroom-mutant-") as scratch:
        for number, tests in enumerate(STAGES[:stages], 1):
            folder = Path(scratch) / str(number)
            if pytest.main([*OPTIONS, f"--basetemp={folder}", *tests]) != pytest.ExitCode.OK:
                return number
    return 0


def _put_in(mutant: Mutant) -> None:
    """Replace the code of the functions that the mutant changes, in the modules that are loaded."""
    path = mutant.path.relative_to(SOURCE).with_suffix("")
    module = importlib.import_module(".".join(path.parts))
    code = compile(mutant.source(), str(mutant.path), "exec", dont_inherit=True)
    for function in _outermost(code):
        live: object = module
        *above, name = function.co_qualname.split(".")
        for one in above:
            live = getattr(live, one)
        _function(vars(live)[name]).__code__ = function


def _outermost(code: types.CodeType) -> list[types.CodeType]:
    """Return the code of every function that is not within another one."""
    found = []
    for constant in code.co_consts:
        if not isinstance(constant, types.CodeType):
            continue
        if constant.co_flags & 0x2:  # newlocals: a function, not the body of a class
            if not constant.co_name.startswith("<"):
                found.append(constant)
        else:
            found += _outermost(constant)
    return found


def _function(live: object) -> types.FunctionType:
    for attribute in ("fget", "func", "__func__"):
        live = getattr(live, attribute, live) if not callable(live) else live
    live = getattr(live, "__func__", live)
    assert isinstance(live, types.FunctionType), live
    return live


def _look_at_all(running: dict[int, tuple[Mutant, float]], told: Callable[[Outcome], None]) -> None:
    """Tell of those that ended, or that take too long, and wait for a moment."""
    for child, (mutant, began) in list(running.items()):
        ended, status = os.waitpid(child, os.WNOHANG)
        if not ended and time.monotonic() - began < LONGEST:
            continue
        if not ended:
            _kill(child)
        del running[child]
        told(Outcome(mutant, os.waitstatus_to_exitcode(status) if ended else 1, ""))
    time.sleep(0.02)


def _kill(child: int) -> None:
    os.killpg(child, signal.SIGKILL)
    os.waitpid(child, 0)
