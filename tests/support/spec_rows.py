"""Which tests prove which rows of the specification.

A test carries ``@pytest.mark.spec("B1")``. After a whole run in which everything passed,
``docs/spec-status.md`` says for each row of ``docs/spec-rows.toml`` its state and its tests.
A row that is marked done and has no passing test fails the run; so does a mark with an unknown
row. Slow tests do not count: what proves a row runs every time.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pytest

ROWS: Final = Path("docs/spec-rows.toml")
STATUS: Final = Path("docs/spec-status.md")
STATES: Final = ("planned", "done")
WHOLE_RUN_FILTERS: Final = ("", "not slow")

HEAD: Final = """\
# Status of the specification

Written by `./run test`; do not edit. A row is done when it works on real input through the command
line, has the tests named here, and stands in the documentation. States and titles are in
`spec-rows.toml`.

| row | what | state | tests |
|---|---|---|---|
"""


@dataclass(frozen=True, slots=True)
class Row:
    """One capability that strongroom promises."""

    id: str
    title: str
    state: str


def read_rows(text: str) -> dict[str, Row]:
    """Read the rows, in their natural order; ValueError names a row that is not well formed."""
    rows = []
    for row_id, fields in tomllib.loads(text).items():
        if not re.fullmatch("[A-Z][0-9]+", row_id) or set(fields) != {"title", "state"}:
            raise ValueError(f"{ROWS}: {row_id} needs an id like B1, a title and a state")
        if fields["state"] not in STATES:
            raise ValueError(f"{ROWS}: {row_id}: the state is one of {', '.join(STATES)}")
        rows.append(Row(row_id, fields["title"], fields["state"]))
    rows.sort(key=lambda row: (row.id[0], int(row.id[1:])))
    return {row.id: row for row in rows}


def status_page(rows: Iterable[Row], tests: Mapping[str, set[str]]) -> str:
    """Return the status as Markdown; the same input gives the same bytes."""
    lines = []
    for row in rows:
        names = "<br>".join(f"`{name}`" for name in sorted(tests.get(row.id, ())))
        lines.append(f"| {row.id} | {row.title} | {row.state} | {names} |\n")
    return HEAD + "".join(lines)


class SpecRows:
    """The pytest plugin. With xdist the workers label the reports and the controller reads them."""

    def __init__(self, config: pytest.Config) -> None:
        self._root = config.rootpath
        self._worker = hasattr(config, "workerinput")
        self._whole = is_whole_run(config)
        self._rows = read_rows((self._root / ROWS).read_text(encoding="utf-8"))
        self._carriers: dict[str, set[str]] = {}
        self._passed: set[str] = set()
        self._not_passed: set[str] = set()
        self._unproven: list[str] = []

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_setup(self, item: pytest.Item) -> None:
        """Label the test with its rows; an unknown row fails it."""
        for mark in item.iter_markers("spec"):
            if not mark.args:
                pytest.fail("the spec mark names no row", pytrace=False)
            for row_id in mark.args:
                if row_id not in self._rows:
                    pytest.fail(f"no row {row_id!r} in {ROWS}", pytrace=False)
                if not item.get_closest_marker("slow"):
                    item.user_properties.append(("spec", row_id))

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Take in one phase of one test."""
        name = report.nodeid.partition("[")[0]
        for key, row_id in report.user_properties:
            if key == "spec":
                self._carriers.setdefault(str(row_id), set()).add(name)
        if report.when == "call" and report.passed:
            self._passed.add(name)
        elif not report.passed:
            self._not_passed.add(name)

    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """After a whole run: judge the rows marked done, and write the status if all is well."""
        if self._worker or not self._whole or session.exitstatus != pytest.ExitCode.OK:
            return
        good = self._passed - self._not_passed
        tests = {row_id: names & good for row_id, names in self._carriers.items()}
        done = [row.id for row in self._rows.values() if row.state == "done"]
        self._unproven = [row_id for row_id in done if not tests.get(row_id)]
        if self._unproven:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED
            return
        page = status_page(self._rows.values(), tests)
        target = self._root / STATUS
        if not target.exists() or target.read_text(encoding="utf-8") != page:
            target.write_text(page, encoding="utf-8")

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Name the rows that are marked done without proof."""
        if self._unproven:
            terminalreporter.section("specification", red=True, bold=True)
        for row_id in self._unproven:
            terminalreporter.line(f"{row_id} is marked done in {ROWS}, and no test of it passed")


def is_whole_run(config: pytest.Config) -> bool:
    """Whether all tests run, but for the slow ones at most."""
    option = config.option
    narrowed = (
        option.keyword,
        option.deselect,
        option.ignore,
        option.ignore_glob,
        option.collectonly,
        getattr(option, "lf", False),
        getattr(option, "stepwise", False),
    )
    from_settings = config.args_source is pytest.Config.ArgsSource.TESTPATHS
    return from_settings and option.markexpr in WHOLE_RUN_FILTERS and not any(narrowed)
