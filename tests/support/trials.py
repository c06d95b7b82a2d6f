"""Which tests show which trials of ``docs/trials.md``.

A test carries ``@pytest.mark.trial(10)``, or its module does, and the table names it. That both
agree is a test; that one of the tests of each trial passed is judged at the end of a whole run.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final, NamedTuple

import pytest

from tests.support.spec_rows import is_whole_run

PAGE: Final = Path("docs/trials.md")
TRIALS: Final = range(1, 29)
SERVERS: Final = {"15", "16", "18"}
_ROW: Final = re.compile(r"^\| ([0-9]+) \|(.*)\|(.*)\|(.*)\|$", re.MULTILINE)
_NAMED: Final = re.compile(r"`([a-z_/]+\.py(?:::\w+)?)`")


class Row(NamedTuple):
    """A row of the table: the versions of servers, and the tests, below ``tests``."""

    number: int
    servers: frozenset[str]
    tests: frozenset[str]


class Marked(NamedTuple):
    """A test that carries the mark; ``slow``: it does not run every time."""

    trials: frozenset[int]
    slow: bool


def read_rows(text: str) -> list[Row]:
    """Read the rows of the page."""
    return [
        Row(
            int(number),
            frozenset(re.findall("[0-9]+", servers)),
            frozenset(_NAMED.findall(tests)),
        )
        for number, _, servers, tests in _ROW.findall(text)
    ]


def marked_tests(folder: Path) -> dict[str, Marked]:
    """Return the tests with the mark in the files below a folder, as ``FILE::NAME``."""
    found: dict[str, Marked] = {}
    for path in sorted(folder.rglob("test_*.py")):
        text = path.read_text(encoding="utf-8")
        if "mark.trial(" in text:
            name = path.relative_to(folder).as_posix()
            found |= {f"{name}::{test}": marked for test, marked in _of_module(ast.parse(text))}
    return found


def _of_module(tree: ast.Module) -> Iterator[tuple[str, Marked]]:
    common = [
        node.value
        for node in tree.body
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "pytestmark"
    ]
    for node in tree.body:
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test_"):
            marks = [*common, *node.decorator_list]
            trials = frozenset(number for mark in marks for number in _trials(mark))
            if trials:
                slow = any(ast.unparse(mark) == "pytest.mark.slow" for mark in node.decorator_list)
                yield node.name, Marked(trials, slow)


def _trials(mark: ast.expr) -> Iterator[int]:
    for node in ast.walk(mark):
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "pytest.mark.trial":
            yield from (ast.literal_eval(one) for one in node.args)


def disagreements(rows: list[Row], marked: Mapping[str, Marked]) -> list[str]:
    """Return where the table and the marks do not say the same; a file stands for its tests."""
    found: list[str] = []
    numbers = [row.number for row in rows]
    if numbers != list(TRIALS):
        found.append(f"the trials of {PAGE} are {numbers}")
    for row in rows:
        named = {
            test
            for test in marked
            if test in row.tests
            or (test.partition("::")[0] in row.tests and row.number in marked[test].trials)
        }
        files = {test.partition("::")[0] for test in named}
        found += [
            f"trial {row.number} names {test}, which is no test with a mark"
            for test in sorted(row.tests - named - files)
        ]
        found += [
            f"{test} is named for trial {row.number}, and is not marked so"
            for test in sorted(named)
            if row.number not in marked[test].trials
        ]
        found += [
            f"{test} is marked for trial {row.number}, and is not named there"
            for test in sorted(marked)
            if row.number in marked[test].trials and test not in named
        ]
        if not any(not marked[test].slow for test in named):
            found.append(f"trial {row.number} has no test that runs every time")
        if not row.servers or row.servers - SERVERS:
            found.append(f"trial {row.number} says the servers {sorted(row.servers)}")
    return found


class TrialRuns:
    """The pytest plugin: after a whole run each trial must have a test that passed."""

    def __init__(self, config: pytest.Config) -> None:
        self._judges = not hasattr(config, "workerinput") and is_whole_run(config)
        self._root = config.rootpath
        self._passed: dict[int, set[str]] = {}
        self._missing: list[int] = []

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_setup(self, item: pytest.Item) -> None:
        """Label the test with its trials."""
        for mark in item.iter_markers("trial"):
            for number in mark.args:
                if number not in TRIALS:
                    pytest.fail(f"there is no trial {number}", pytrace=False)
                item.user_properties.append(("trial", number))

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Take in what passed."""
        if report.when == "call" and report.passed:
            for key, number in report.user_properties:
                if key == "trial" and isinstance(number, int):
                    self._passed.setdefault(number, set()).add(report.nodeid)

    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """After a whole run in which nothing failed: look for trials that nothing showed."""
        if self._judges and session.exitstatus == pytest.ExitCode.OK and self._is_ours():
            self._missing = [number for number in TRIALS if not self._passed.get(number)]
            if self._missing:
                session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def _is_ours(self) -> bool:
        return (self._root / PAGE).exists()

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Name them."""
        for number in self._missing:
            terminalreporter.line(f"trial {number} of {PAGE}: no test of it passed", red=True)
