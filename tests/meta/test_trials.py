"""The table of trials and the tests agree; what would be wrong with it is found."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.trials import PAGE, TRIALS, Marked, Row, disagreements, marked_tests, read_rows

ROOT = Path(__file__).parents[2]
ALL = frozenset({"18"})


def test_every_trial_is_shown_by_the_tests_that_the_page_names() -> None:
    """All 28, each by tests that exist and say so, one of which runs every time."""
    rows = read_rows((ROOT / PAGE).read_text(encoding="utf-8"))
    assert disagreements(rows, marked_tests(ROOT / "tests")) == []


def _marked(*trials: int, slow: bool = False) -> Marked:
    return Marked(frozenset(trials), slow)


def _rows(**changed: Row) -> list[Row]:
    rows = {number: Row(number, ALL, frozenset({"a.py::test_all"})) for number in TRIALS}
    return list((rows | {row.number: row for row in changed.values()}).values())


GOOD = {"a.py::test_all": _marked(*TRIALS)}


def test_a_good_table() -> None:
    """Tests one by one, and files that stand for theirs."""
    assert disagreements(_rows(), GOOD) == []
    marked = GOOD | {"b.py::test_one": _marked(3), "b.py::test_two": _marked(3)}
    row = Row(3, ALL, frozenset({"a.py::test_all", "b.py"}))
    assert disagreements(_rows(row=row), marked) == []


@pytest.mark.parametrize(
    ("rows", "marked", "said"),
    [
        (_rows()[:-1], GOOD, "the trials of"),
        (_rows(row=Row(3, ALL, frozenset({"a.py::test_gone"}))), GOOD, "no test with a mark"),
        (_rows(row=Row(3, ALL, frozenset({"gone.py"}))), GOOD, "no test with a mark"),
        (_rows(row=Row(3, ALL, frozenset())), GOOD, "is not named there"),
        (_rows(), {"a.py::test_all": _marked(*TRIALS[1:])}, "is not marked so"),
        (_rows(), GOOD | {"b.py::test_more": _marked(4)}, "is not named there"),
        (_rows(), {"a.py::test_all": _marked(*TRIALS, slow=True)}, "runs every time"),
        (_rows(row=Row(3, frozenset(), frozenset(GOOD))), GOOD, "says the servers"),
        (_rows(row=Row(3, frozenset({"17"}), frozenset(GOOD))), GOOD, "says the servers"),
    ],
)
def test_what_is_wrong_is_found(rows: list[Row], marked: dict[str, Marked], said: str) -> None:
    """A trial without a row, a name without a test, a mark without a name, slow tests alone."""
    assert any(said in one for one in disagreements(rows, marked)), disagreements(rows, marked)


def test_rows_and_marks_are_read(tmp_path: Path) -> None:
    """As the page and the tests have them."""
    (row,) = read_rows("| 3 | again | 15, 18 (16) | `a/test_b.py::test_c`<br>`a/test_d.py` |\n")
    assert row == Row(
        3, frozenset({"15", "16", "18"}), frozenset({"a/test_b.py::test_c", "a/test_d.py"})
    )
    (tmp_path / "test_b.py").write_text(
        "import pytest\n\npytestmark = [pytest.mark.trial(1)]\n\n\n@pytest.mark.trial(2, 3)\n"
        "@pytest.mark.slow\ndef test_c():\n    pass\n\n\ndef test_d():\n    pass\n"
    )
    assert marked_tests(tmp_path) == {
        "test_b.py::test_c": _marked(1, 2, 3, slow=True),
        "test_b.py::test_d": _marked(1),
    }
