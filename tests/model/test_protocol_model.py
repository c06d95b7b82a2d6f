"""The protocol of commit and collect is safe, and not without its rules."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Hashable, Iterable
from pathlib import Path
from typing import Any

import pytest

from tests.model.__main__ import main
from tests.model.configurations import CONFIGURATIONS
from tests.model.explore import Search
from tests.model.process import Process
from tests.model.removals import COVERED, NEEDED, NOT_NEEDED, Removal
from tests.model.rules import ALL_RULES, SENTENCES
from tests.model.store_state import Store

ROOT = Path(__file__).parents[2]

# States and stores: a search that reaches fewer shows less.
REACHED = {
    "writer": (2_102, 578),
    "writer, two collectors": (9_200, 578),
    "two writers": (12_818, 2_080),
    "two writers, two collectors": (609_931, 18_172),
    "two writers, two chunks": (15_167, 2_272),
    "partly known": (14_720, 1_008),
    "session gives up": (15_411, 318),
    "un-forget": (106_997, 2_883),
    "un-forget, shared pack": (101_049, 2_720),
    "un-forget twice": (79_997, 1_625),
    "un-forget and hold": (64_445, 893),
    "hold": (118_591, 2_892),
    "repack": (523_230, 8_859),
    "compaction": (59_591, 1_703),
    "two compactions": (34_911, 1_080),
    "compaction and repack": (33_771, 1_527),
    "upload sent twice": (229_026, 3_767),
    "index sent twice": (28_923, 1_071),
    "COMMIT sent twice": (7_304, 218),
    "lost segment": (20_594, 803),
    "power cut": (8_556, 2_162),
    "power cut, compaction": (297, 29),
}
TAKES_LONG = ["two writers, two collectors", "repack"]
UNSKIPPED = ["COMMIT sent twice", "compaction and repack"]
UNSKIPPED_TAKES_LONG = ["writer, two collectors", "un-forget and hold", "lost segment"]
ENOUGH = 100_000


def _slow(names: Iterable[str]) -> list[Any]:
    """Return names as parameters of slow tests."""
    return [pytest.param(name, marks=pytest.mark.slow) for name in names]


@pytest.mark.parametrize(
    "name", [*(name for name in CONFIGURATIONS if name not in TAKES_LONG), *_slow(TAKES_LONG)]
)
def test_the_protocol_is_safe(name: str) -> None:
    """In no order of steps data is lost, a run or garbage left for ever, or a false alarm given."""
    found = CONFIGURATIONS[name].search()
    assert (str(found.violation), found.trace) == ("None", ())
    assert (found.complete, found.states, found.stores) == (True, *REACHED[name])


@pytest.mark.parametrize("removal", NEEDED, ids=str)
def test_every_rule_is_needed(removal: Removal) -> None:
    """Without the rule the property breaks, and the shortest way to it is this long."""
    found = removal.search()
    assert found.violation is not None
    assert (found.violation.breach, len(found.trace)) == (removal.breach, removal.steps)


@pytest.mark.parametrize("removal", COVERED, ids=str)
def test_a_rule_that_another_covers_for(removal: Removal) -> None:
    """Without both the property breaks; without the first alone it holds."""
    found = removal.search()
    assert found.violation is not None
    assert (found.violation.breach, len(found.trace)) == (removal.breach, removal.steps)
    rules = ALL_RULES.without(removal.rules[0])
    alone = CONFIGURATIONS[removal.configuration].search(rules, limit=50_000)
    assert (str(alone.violation), alone.trace) == ("None", ())


@pytest.mark.slow
@pytest.mark.parametrize("name", CONFIGURATIONS)
@pytest.mark.parametrize("rule", [*NOT_NEEDED, *(removal.rules[0] for removal in COVERED)])
def test_a_rule_without_which_nothing_breaks(rule: str, name: str) -> None:
    """Nothing breaks without the rule alone, as far as is searched."""
    found = CONFIGURATIONS[name].search(ALL_RULES.without(rule), limit=ENOUGH)
    assert (str(found.violation), found.trace) == ("None", ())


def test_every_rule_has_its_case() -> None:
    """Each rule is shown to be needed, or covered by another, or to be no matter of safety."""
    needed = {rule for removal in NEEDED for rule in removal.rules}
    covered = {removal.rules[0] for removal in COVERED}
    assert sorted([*needed, *covered, *NOT_NEEDED]) == sorted(SENTENCES)


class _Slow:
    """A process that takes every step, also to a put that is bound to be refused."""

    def __init__(self, process: Process[Any]) -> None:
        self._process = process

    def start(self) -> Hashable:
        """Start as the process does."""
        start: Hashable = self._process.start()
        return start

    def steps(self, store: Store, memory: Any) -> Any:  # noqa: ANN401 - as the process has it
        """Take the steps of the process."""
        return self._process.steps(store, memory)


@pytest.mark.parametrize("name", [*UNSKIPPED, *_slow(UNSKIPPED_TAKES_LONG)])
def test_what_the_search_skips_leads_to_no_other_store(name: str) -> None:
    """The same stores are reached without catching up and with two collectors told apart."""
    configuration = CONFIGURATIONS[name]
    processes = [_Slow(process) for process in configuration.processes(ALL_RULES)]
    found = Search(configuration.store, processes, ALL_RULES).run()
    _, stores = REACHED[name]
    assert (str(found.violation), found.stores) == ("None", stores)


def test_the_report_shows_the_losing_traces(capsys: pytest.CaptureFixture[str]) -> None:
    """The report names what holds, the rule that was taken away, what follows, and how."""
    assert main(["power cut"]) == 0
    report = capsys.readouterr().out
    assert "power cut: two writers of the same chunk" in report
    assert "8,556 states, 2,162 stores: safe" in report
    assert f"not: {SENTENCES['commit_syncs']}" in report
    assert "NO INDEX: chunk c of Y after a power cut, in 12 steps" in report
    assert " 11  Y: COMMIT\n" in report


def test_the_report_knows_its_configurations(capsys: pytest.CaptureFixture[str]) -> None:
    """A name that it does not know is refused with the names that it knows."""
    assert main(["power cuts"]) == 2
    assert "\n  power cut\n" in capsys.readouterr().err


def test_the_result_does_not_depend_on_hashes() -> None:
    """The report is the same byte for byte whatever the hashes of strings are."""
    command = [sys.executable, "-m", "tests.model", "writer", "lost segment"]
    reports = set()
    for seed in "123":
        env = {**os.environ, "PYTHONHASHSEED": seed}
        done = subprocess.run(command, cwd=ROOT, env=env, check=True, capture_output=True)
        reports.add(done.stdout)
    assert len(reports) == 1
