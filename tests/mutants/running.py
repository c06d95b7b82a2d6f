"""Running tests against mutants: in children of a pytest session that has collected them all.

A first child runs every test once without a fault, and notes how long it takes and which lines it
reaches. Then there is a child for each mutant: it replaces the code of one function, runs the tests
that reach the fault, quick ones first, and tells which one failed.
"""

from __future__ import annotations

import importlib
import json
import math
import os
import random
import signal
import tempfile
import time
import types
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path
from typing import Final, NamedTuple

import pytest
from hypothesis import Phase, settings

from tests.mutants.groups import GROUPS, ROOT, SOURCE, mutants_by_group
from tests.mutants.mutations import Mutant
from tests.mutants.reach import Place, traced
from tests.mutants.reviewed import REVIEWED

OPTIONS: Final = [
    *("-s", "--assert=plain", "-m", "not slow", "-p", "no:cacheprovider", "-p", "no:terminal"),
    *("-o", "addopts=--import-mode=importlib"),
]
PATIENCE: Final = 20.0, 10.0
"""Seconds, and times as long as without a fault: a test that takes longer hangs, and notices."""
LONGEST: Final = 1800.0
"""Seconds for all tests of a mutant: one that takes longer hangs where no test can stop it."""
KILLED: Final = "killed"
HARMLESS: Final = "can do no harm"
SURVIVED: Final = "survived"


class Outcome(NamedTuple):
    """A mutant, the test that noticed it (none: it survived), and why it may live."""

    mutant: Mutant
    killer: str
    reason: str

    @property
    def became(self) -> str:
        """What became of it, in a word."""
        if self.killer:
            return KILLED
        return HARMLESS if self.reason else SURVIVED


Told = Callable[[Outcome], None]


def run_mutants(
    seed: int, told: Told, may_go_on: Callable[[], bool], *, jobs: int = 2, matching: str = ""
) -> None:
    """Run mutants in an order that the seed says, as long as it may.

    ``matching``: a group, or what the name of a mutant has.
    """
    waiting = []
    groups = set()
    for group, mutants in mutants_by_group().items():
        for mutant in mutants:
            if matching not in (group, "") and matching not in mutant.name:
                continue
            if mutant.name in REVIEWED:
                told(Outcome(mutant, "", REVIEWED[mutant.name]))
            else:
                waiting.append(mutant)
                groups.add(group)
    random.Random(seed).shuffle(waiting)
    os.chdir(ROOT)
    with tempfile.TemporaryDirectory(prefix="strongroom-mutants-") as scratch:
        runner = _Runner(waiting, told, may_go_on, jobs, Path(scratch))
        tests = [test for group in sorted(groups) for test in GROUPS[group].tests]
        folder = f"--basetemp={scratch}/tests"
        code = pytest.main([*OPTIONS, folder, *tests], plugins=[runner])
    if code != pytest.ExitCode.OK or runner.failure:
        msg = runner.failure or f"the tests are not to be had: pytest ends with {code}"
        raise RuntimeError(msg)


class _Reach(NamedTuple):
    """What a test took in seconds, and what it reached."""

    seconds: float
    places: frozenset[Place]


@dataclass(frozen=True, slots=True)
class _Running:
    """A mutant in a child: until when it may take, and where it says what noticed it."""

    mutant: Mutant
    until: float
    says: Path


class _Runner:
    """Runs mutants where pytest would run its tests."""

    def __init__(
        self,
        mutants: Sequence[Mutant],
        told: Told,
        may_go_on: Callable[[], bool],
        jobs: int,
        scratch: Path,
    ) -> None:
        self._mutants = mutants
        self._told = told
        self._may_go_on = may_go_on
        self._jobs = jobs
        self._scratch = scratch
        self.failure = ""
        self._begun = 0
        self._running: dict[int, _Running] = {}

    @pytest.hookimpl(tryfirst=True)
    def pytest_collection(self) -> None:
        """Let properties try the same examples each time; nobody reads the smallest one."""
        settings.register_profile(
            "mutants",
            settings.get_profile("house"),
            derandomize=True,
            database=None,
            phases=(Phase.explicit, Phase.generate),
        )
        settings.load_profile("mutants")

    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        """Run the mutants instead of the tests."""
        if session.testsfailed:
            return True  # pytest tells that something could not be collected
        session.config._tmp_path_factory.getbasetemp()  # type: ignore[attr-defined]
        reached = self._learn(session)
        try:
            for mutant in self._mutants if reached else ():
                while len(self._running) >= self._jobs and self._may_go_on():
                    self._look_at_all()
                if not self._may_go_on():
                    break
                self._begin(session, mutant, reached)
            while self._running and self._may_go_on():
                self._look_at_all()
        finally:
            for child in self._running:  # what did not come to its end says nothing
                _kill(child)
        return True

    def _learn(self, session: pytest.Session) -> Mapping[str, _Reach]:
        """Return what each test reaches, by name; nothing if one fails, which is told."""
        says = self._scratch / "reached"
        says.touch()
        files = {str(mutant.path) for mutant in self._mutants}
        _pid, status = os.waitpid(_fork(lambda: _reached(session, files, says), self._scratch), 0)
        if status:
            self.failure = f"without any fault this fails: {says.read_text() or 'to try the tests'}"
            return {}
        return {
            name: _Reach(seconds, frozenset((file, line) for file, line in places))
            for name, seconds, places in json.loads(says.read_text())
        }

    def _begin(
        self, session: pytest.Session, mutant: Mutant, reached: Mapping[str, _Reach]
    ) -> None:
        fault = {(str(mutant.path), line) for line in mutant.lines}
        chosen = [one for one in session.items if reached[one.nodeid].places & fault]
        chosen.sort(key=lambda one: (_magnitude(reached[one.nodeid].seconds), str(one.path)))
        says = self._scratch / f"mutant-{self._begun}"
        self._begun += 1

        def run() -> None:
            _put_in(mutant)
            least, times = PATIENCE
            for one in chosen:
                most = least + times * reached[one.nodeid].seconds
                one.add_marker(pytest.mark.timeout(most), append=False)
            says.write_text(_failing(session, chosen))

        says.touch()
        self._running[_fork(run, self._scratch)] = _Running(
            mutant, time.monotonic() + LONGEST, says
        )

    def _look_at_all(self) -> None:
        """Tell of those that ended, or that take too long, and wait for a moment."""
        for child, one in list(self._running.items()):
            ended, status = os.waitpid(child, os.WNOHANG)
            if not ended and time.monotonic() < one.until:
                continue
            if not ended:
                _kill(child)
            del self._running[child]
            killer = one.says.read_text()
            if not ended or status:  # a mutant that breaks the tests themselves is noticed
                killer = killer or ("it ended" if ended else "it hung")
            self._told(Outcome(one.mutant, killer, ""))
        time.sleep(0.01)


def _magnitude(seconds: float) -> int:
    """Tests that take about as long stay together by file, whose fixtures they share."""
    return int(math.log2(max(seconds, 0.01)))


def _reached(session: pytest.Session, files: Collection[str], says: Path) -> None:
    """Run every test, and write its name, seconds, and what it reaches; or which one fails."""
    found = []
    for item, following in zip_longest(session.items, session.items[1:]):
        began = time.monotonic()
        with traced(files) as places:
            item.config.hook.pytest_runtest_protocol(item=item, nextitem=following)
        if session.testsfailed:
            says.write_text(item.nodeid)
            raise RuntimeError(item.nodeid)
        found.append((item.nodeid, time.monotonic() - began, sorted(places)))
    says.write_text(json.dumps(found))


def _failing(session: pytest.Session, items: Sequence[pytest.Item]) -> str:
    """Run tests until one fails; its name."""
    for item, following in zip_longest(items, items[1:]):
        item.config.hook.pytest_runtest_protocol(item=item, nextitem=following)
        if session.testsfailed:
            return item.nodeid
    return ""


def _fork(act: Callable[[], object], scratch: Path) -> int:
    """Do something in a child; its status is 0 unless that raised anything.

    Whatever it leaves is below ``scratch``.
    """
    child = os.fork()
    if child:
        return child
    try:
        os.setsid()
        tempfile.tempdir = str(scratch)
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, 1)
        os.dup2(nowhere, 2)
        act()
        os._exit(0)
    except BaseException:  # noqa: BLE001 - whatever it is, the status says it
        os._exit(1)


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


def _kill(child: int) -> None:
    with suppress(ProcessLookupError):
        os.killpg(child, signal.SIGKILL)
    os.waitpid(child, 0)
