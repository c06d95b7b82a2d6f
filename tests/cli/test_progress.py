"""Progress, with a clock that stands still until it is moved."""

from __future__ import annotations

import json

import pytest

from strongroom.cli.bar import words
from strongroom.cli.output import Output
from strongroom.cli.progress import Plain, record_of, text_of
from strongroom.cli.tracker import State, Tracker
from strongroom.clock import ManualClock
from strongroom.model.events import Advanced, PhaseBegan, ProblemFound
from strongroom.model.source import Problem


def test_share_speed_and_rest() -> None:
    """Speed is the mean of the last ten seconds, and what is left follows from it."""
    clock = ManualClock()
    tracker = Tracker(clock)
    tracker.take(PhaseBegan("backup", 100, 10_000))
    state = tracker.state()
    for _ in range(20):
        clock.sleep(1)
        tracker.take(Advanced(1, 100, b"a/b"))
        state = tracker.state()
    assert state.bytes_per_second == pytest.approx(100)
    assert state.share == pytest.approx(0.2)
    assert state.remaining == pytest.approx(80)
    assert text_of(state) == (
        "backup, 20%, 2.0 kB of 10.0 kB, 100 bytes/s, 20 entries, 1 m 20 s left, a/b"
    )
    assert words(state) == "20%  100 bytes/s  1 m 20 s left  20/100 entries  2.0 kB/10.0 kB"
    clock.sleep(20)
    assert tracker.state().bytes_per_second == 0
    assert tracker.state().remaining is None


def test_a_phase_begins_at_nothing_and_totals_may_come_later() -> None:
    """Another phase starts anew; the same phase again brings only its totals."""
    tracker = Tracker(ManualClock())
    tracker.take(PhaseBegan("backup"))
    tracker.take(Advanced(3, 30))
    assert tracker.state().share is None
    tracker.take(PhaseBegan("backup", 6, 60))
    tracker.take(PhaseBegan("backup"))
    assert tracker.state().share == pytest.approx(0.5)
    tracker.take(PhaseBegan("commit"))
    assert (tracker.state().items, tracker.state().share) == (0, None)


def test_more_than_was_expected_is_no_more_than_everything() -> None:
    """A file that grows does not push the share beyond one, nor the rest below zero."""
    clock = ManualClock()
    tracker = Tracker(clock)
    tracker.take(PhaseBegan("backup", 1, 10))
    tracker.state()
    clock.sleep(1)
    tracker.take(Advanced(1, 20))
    assert tracker.state().share == 1
    assert tracker.state().remaining == 0


def test_a_line_a_minute() -> None:
    """Without a terminal there is a line a minute, and none before the first is over."""
    clock = ManualClock()
    shown: list[State] = []
    plain = Plain(clock, 60, shown.append)
    plain.take(PhaseBegan("backup"))
    for _ in range(150):
        clock.sleep(1)
        plain.take(Advanced(1, 1))
    assert [state.items for state in shown] == [60, 120]


def test_a_status_line(capsys: pytest.CaptureFixture[str]) -> None:
    """A status line holds integers, and a path of bounded length."""
    tracker = Tracker(ManualClock())
    tracker.take(PhaseBegan("backup", 4, 0))
    tracker.take(Advanced(1, 0, b"x" * 5000))
    tracker.take(ProblemFound(Problem(b"y", "why")))
    record_of(tracker.state(), Output(json_lines=True, quiet=False, stream=False))
    record = json.loads(capsys.readouterr().out)
    assert record["percent_done"] == 0.25
    assert record["error_count"] == 1
    assert record["seconds_remaining"] is None
    assert len(record["current_files"][0]) == 1000
