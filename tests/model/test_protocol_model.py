"""The protocol of commit and collect is safe, and not without its rules."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable, Hashable, Iterable
from pathlib import Path
from typing import Any

import pytest

from tests.model.__main__ import main
from tests.model.configurations import CONFIGURATIONS
from tests.model.explore import Search
from tests.model.process import Process
from tests.model.reached import REACHED
from tests.model.removals import COVERED, NEEDED, NOT_NEEDED, Removal
from tests.model.rules import SENTENCES
from tests.model.store_reading import killed
from tests.model.store_state import Key, Store, is_listed

ROOT = Path(__file__).parents[2]

TAKES_LONG = ["two writers, two collectors", "repack"]
UNSKIPPED = ["COMMIT sent twice", "compaction and repack", "kills rot", "quarantine", "timelines"]
UNSKIPPED_TAKES_LONG = [
    *("writer, two collectors", "un-forget and hold", "lost segment"),
    *("kills rot, un-forget", "tombs rot, un-forget", "snapshot lost, its witness goes"),
    *("index of one domain rots", "base backup", "WAL pushed again", "two targets"),
]
ENOUGH = 20_000


def _is_deleted_in_part(store: Store) -> bool:
    """Tell whether a run has deleted some of what its kills name, and not all."""
    return any(
        {is_listed(store, key) for key in run.kills or ()} == {True, False} for run in store.runs
    )


def _names_what_was_killed(store: Store) -> bool:
    """Tell whether a merged segment names a pack that a run which is done has deleted."""
    ended = killed(run for run in store.runs if run.done)
    merged = (segment for segment in store.segments if segment.name.startswith("m"))
    return any(Key("pack", pack) in ended for segment in merged for pack in segment.packs)


def _holds_what_is_tombed(store: Store) -> bool:
    """Tell whether a hold was committed between tombs and kills that are about its target."""
    targets = {key for commit in store.commits if commit.verb == "hold" for key in commit.targets}
    return any(targets & run.tombs and run.kills is None for run in store.runs)


def _repacks_what_is_tombed(store: Store) -> bool:
    """Tell whether the new pack of a repack and its segment are there, and tombs name the old."""
    new = {pack for segment in store.segments for pack in segment.packs} & store.packs
    repacked = any(pack.startswith(("G1", "H1")) for pack in new)
    return repacked and any(Key("pack", "P:cd") in run.tombs for run in store.runs)


SITUATIONS: list[tuple[str, Callable[[Store], bool]]] = [
    ("writer, two collectors", _is_deleted_in_part),
    ("compaction", _names_what_was_killed),
    ("hold", _holds_what_is_tombed),
    ("compaction and repack", _repacks_what_is_tombed),
]


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


@pytest.mark.parametrize(("name", "comes_about"), SITUATIONS)
def test_a_situation_comes_about(name: str, comes_about: Callable[[Store], bool]) -> None:
    """What a configuration is there for happens in it: else that it is safe would show nothing."""
    search = CONFIGURATIONS[name].begin()
    search.run()
    assert any(map(comes_about, search.stores()))


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
    alone = CONFIGURATIONS[removal.configuration].search(removal.rules[0], limit=50_000)
    assert (str(alone.violation), alone.trace) == ("None", ())


@pytest.mark.slow
@pytest.mark.parametrize("name", CONFIGURATIONS)
@pytest.mark.parametrize("rule", [*NOT_NEEDED, *(removal.rules[0] for removal in COVERED)])
def test_a_rule_without_which_nothing_breaks(rule: str, name: str) -> None:
    """Nothing breaks without the rule alone, as far as is searched."""
    found = CONFIGURATIONS[name].search(rule, limit=ENOUGH)
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
    rules = configuration.rules
    processes = [_Slow(process) for process in configuration.processes(rules)]
    found = Search(configuration.store, processes, rules).run()
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


def test_the_page_of_the_protocol_has_the_tables(capsys: pytest.CaptureFixture[str]) -> None:
    """The tables of ``docs/protocol.md`` are those of ``python -m tests.model --tables``."""
    assert main(["--tables"]) == 0
    rules, configurations = capsys.readouterr().out.strip().split("\n\n")
    page = (ROOT / "docs" / "protocol.md").read_text(encoding="utf-8")
    assert rules in page
    assert configurations in page


def test_the_page_of_the_protocol_names_rules_that_there_are() -> None:
    """The text of ``docs/protocol.md`` names no rule that there is not."""
    page = (ROOT / "docs" / "protocol.md").read_text(encoding="utf-8")
    text = page.partition("## Rules")[0]
    named = {word for word in re.findall(r"`([a-z_]+)`", text) if "_" in word}
    assert named <= set(SENTENCES)


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
