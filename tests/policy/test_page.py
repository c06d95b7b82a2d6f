"""The example of ``docs/retention.md`` is what is decided."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from strongroom.policy.policy import Policy
from tests.policy.making import candidate, decisions

PAGE = Path(__file__).parents[2] / "docs" / "retention.md"
ROW = re.compile(r"^\| (\d{4}-\d\d-\d\d \d\d:\d\d) \|(.*)\|(.*)\|$", re.MULTILINE)


@pytest.mark.spec("B6")
def test_the_example_of_the_page() -> None:
    """Each row says whether the snapshot stays, and for what."""
    rows = [(time, what.strip(), why.strip()) for time, what, why in ROW.findall(PAGE.read_text())]
    assert len(rows) == 13
    given = [
        candidate(
            time,
            complete=what != "incomplete",
            held=what == "held",
            tags=("release",) if what == "release" else (),
        )
        for time, what, _ in rows
    ]
    policy = Policy(
        keep_last=2, keep_daily=3, keep_weekly=2, keep_monthly=4, keep_tags=(("release",),)
    )
    found = decisions(given, policy)
    assert [(one.candidate.id, "; ".join(one.reasons)) for one in found] == [
        (time, why) for time, _, why in rows
    ]
