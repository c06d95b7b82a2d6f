"""The spec mark and the rule against skips, tried on small test suites of their own."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support.spec_rows import ROWS, STATUS, Row, read_rows, status_page

ROOT = Path(__file__).parents[2]
SETTINGS = """\
[tool.pytest.ini_options]
addopts = ["--strict-markers", "-p", "no:cacheprovider"]
testpaths = ["tests"]
markers = ["spec(id...): row", "slow: slow"]
"""
PLAIN = "def test_plain(): pass\n"
PROOF = '@pytest.mark.spec("B1")\ndef test_proof(): pass\n'
MANY = '@pytest.mark.spec("B1")\n@pytest.mark.parametrize("n", [1, 2])\ndef test_many(n): pass\n'
SLOW = '@pytest.mark.slow\n@pytest.mark.spec("B1")\ndef test_slow(): pass\n'
UNKNOWN = '@pytest.mark.spec("Z9")\ndef test_unknown(): pass\n'
SKIPS = {
    "mark": "@pytest.mark.skip(reason='far 1')\ndef test_it(): pass\n",
    "call": "def test_it(): pytest.skip('far 2')\n",
    "module": "pytest.skip('far 3', allow_module_level=True)\n",
    "import": "pytest.importorskip('no_such_module', reason='far 4')\n",
    "expected": "@pytest.mark.xfail\ndef test_it(): assert 0\n",
}


@dataclass(frozen=True)
class Suite:
    """A checkout with a few tests of its own."""

    root: Path

    def row(self, state: str) -> None:
        """Give the only row this state."""
        (self.root / ROWS).write_text(f'B1 = {{ state = "{state}", title = "A store" }}\n')

    def add(self, tests: str, name: str = "it") -> None:
        """Write a test file."""
        (self.root / "tests" / f"test_{name}.py").write_text("import pytest\n" + tests)

    def run(self, *args: str, ci: bool = False) -> tuple[int, str]:
        """Run the tests in a child; return its exit code and what it printed."""
        ours = {"STRONGROOM_CI", "PYTHONDONTWRITEBYTECODE"}
        env = {key: value for key, value in os.environ.items() if key not in ours}
        env |= {"PYTHONPATH": str(ROOT)} | ({"STRONGROOM_CI": "1"} if ci else {})
        command = [sys.executable, "-m", "pytest", *args]
        done = subprocess.run(
            command, cwd=self.root, env=env, check=False, capture_output=True, text=True
        )
        return done.returncode, done.stdout + done.stderr

    @property
    def status(self) -> Path:
        """Where a run writes the status."""
        return self.root / STATUS


@pytest.fixture
def suite(tmp_path: Path) -> Suite:
    """Make a suite under the same conftest as the real one, with the row B1 planned."""
    made = Suite(tmp_path)
    (tmp_path / "docs").mkdir()
    (tmp_path / "tests").mkdir()
    (tmp_path / "pyproject.toml").write_text(SETTINGS)
    (tmp_path / "tests" / "conftest.py").write_text("from tests.conftest import *\n")
    made.row("planned")
    return made


def test_a_whole_run_writes_the_status(suite: Suite) -> None:
    """Each row stands with its passing tests; workers and slow tests change no byte."""
    suite.add(PLAIN + PROOF + MANY + SLOW)
    code, output = suite.run("-m", "not slow")
    assert code == 0, output
    first = suite.status.read_text()
    tests = "`tests/test_it.py::test_many`<br>`tests/test_it.py::test_proof`"
    assert f"| B1 | A store | planned | {tests} |" in first

    suite.status.unlink()
    code, output = suite.run("-n", "2")
    assert code == 0, output
    assert suite.status.read_text() == first


def test_a_row_is_not_done_without_a_passing_test(suite: Suite) -> None:
    """The word "done" alone fails the run, and so does proof that only runs sometimes."""
    suite.row("done")
    suite.add(PLAIN + SLOW)
    code, output = suite.run()
    assert code == 1
    assert "B1 is marked done" in output
    assert not suite.status.exists()

    suite.add(PROOF)
    assert suite.run()[0] == 0


def test_an_unknown_row_fails(suite: Suite) -> None:
    """A mark names a row that exists."""
    suite.add(UNKNOWN)
    code, output = suite.run("-n", "2")
    assert code == 1
    assert "no row 'Z9'" in output


@pytest.mark.parametrize("narrowed", [["-k", "plain"], ["tests"], ["-m", "slow or not slow"]])
def test_a_part_of_the_tests_says_nothing_about_rows(suite: Suite, narrowed: list[str]) -> None:
    """Only a whole run judges the rows and writes the status."""
    suite.row("done")
    suite.add(PLAIN)
    assert suite.run(*narrowed)[0] == 0
    assert not suite.status.exists()


def test_a_skip_fails_in_ci_only(suite: Suite) -> None:
    """In CI a test that skips says why it would have, and fails; an expected failure does not."""
    for name, tests in SKIPS.items():
        suite.add(tests, name)
    code, output = suite.run()
    assert code == 0, output
    for workers in ("0", "2"):
        code, output = suite.run("-n", workers, "--continue-on-collection-errors", ci=True)
        assert code == 1
        for reason in ("far 1", "far 2", "far 3", "far 4"):
            assert f"skipped, but CI runs every test: Skipped: {reason}" in output
        assert "1 xfailed" in output


@pytest.mark.parametrize(
    "text",
    ['b1 = { state = "done", title = "t" }', 'B1 = { state = "begun", title = "t" }', "[B1]"],
)
def test_a_row_that_is_not_well_formed_is_refused(text: str) -> None:
    """A typing error in the list of rows cannot hide a row."""
    with pytest.raises(ValueError, match=r"spec-rows\.toml"):
        read_rows(text)


def test_rows_stand_in_natural_order() -> None:
    """B2 stands before B10, whatever the order in the file."""
    lines = [f'{row} = {{ state = "planned", title = "t" }}' for row in ("C1", "B10", "B2")]
    assert list(read_rows("\n".join(lines))) == ["B2", "B10", "C1"]


def test_the_page_has_every_row() -> None:
    """A row without tests is shown too."""
    page = status_page([Row("A1", "An archive", "planned")], {})
    assert page.endswith("| A1 | An archive | planned |  |\n")
