"""Moments as people write them."""

from __future__ import annotations

import pytest

from strongroom.config.moments import parse_moment
from strongroom.errors import UsageError

NOW = 1_700_000_000 * 10**9


@pytest.mark.parametrize(
    ("text", "ns"),
    [
        ("1970-01-02T00:00Z", 86_400 * 10**9),
        ("1970-01-01 01:00:00.000001+01:00", 1000),
        ("1969-12-31T23:59:59Z", -(10**9)),
        ("90s", NOW - 90 * 10**9),
        ("5 min", NOW - 300 * 10**9),
        ("2h ago", NOW - 7200 * 10**9),
        ("7d", NOW - 7 * 86_400 * 10**9),
        ("1w", NOW - 7 * 86_400 * 10**9),
    ],
)
def test_moments(text: str, ns: int) -> None:
    """A time with a zone means itself; a duration counts back from now."""
    assert parse_moment(text, "--oldest", NOW) == ns


def test_a_day_begins_and_ends() -> None:
    """A day alone is its first moment, or its last: together the whole day of this machine."""
    first = parse_moment("2026-01-31", "--oldest", NOW)
    last = parse_moment("2026-01-31", "--newest", NOW, at_end=True)
    assert last - first == 86_400 * 10**9 - 1
    assert first == parse_moment("2026-01-31 00:00", "--oldest", NOW)
    assert parse_moment("2026-01-31 12:00", "", NOW, at_end=True) < last


@pytest.mark.parametrize("text", ["", "yesterday", "7m", "2026-13-01", "12", "-7d", "0001-01-01"])
def test_no_moment(text: str) -> None:
    """What is no time is refused with what is; a bare m could be minutes or months."""
    if text == "0001-01-01":
        text = "0001-01-01T00:00+23:00"
    with pytest.raises(UsageError, match=r"--oldest .* is no time") as refused:
        parse_moment(text, "--oldest", NOW)
    assert "7d" in refused.value.hint
