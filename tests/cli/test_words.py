"""How names, sizes and times are written."""

from __future__ import annotations

import subprocess

import pytest
from hypothesis import given
from hypothesis import strategies as st

from strongroom.cli.names import harmless, path_fields, shortened, shown
from strongroom.cli.quantities import counted, duration, size


@given(st.binary(max_size=40))
def test_a_shown_name_holds_nothing_a_terminal_acts_upon(name: bytes) -> None:
    """Whatever the bytes, what is shown is printable."""
    assert shown(name).isprintable()
    assert path_fields(name)["path"].encode().decode() == name.decode("utf-8", "replace")


@pytest.mark.parametrize(
    "name", [b"a\nb", b"\xff\xfe", b"it's\x07", b"$'x", b"\x1b[0m\\", "é\u202e".encode(), b"\x011"]
)
def test_a_shell_reads_an_escaped_name_back(name: bytes) -> None:
    """``$'...'`` stands for the same bytes in bash."""
    assert shown(name).startswith("$'")
    command = ["bash", "-c", f"printf %s {shown(name)}"]
    assert subprocess.run(command, check=True, capture_output=True).stdout == name


def test_plain_names_stay_as_they_are() -> None:
    """Spaces, quotes and letters of any language need no escape."""
    for name in ("a b", "it's", 'say "x"', "Zürich 東京", ""):
        assert shown(name.encode()) == name


def test_messages_lose_their_escapes() -> None:
    """A message cannot carry an escape sequence or a second line."""
    assert harmless("a\x1b[31mb\nc") == "a\\x1b[31mb\\nc"


def test_long_names_keep_their_end() -> None:
    """A path that is too long loses its beginning."""
    assert shortened("abcdef", 6) == "abcdef"
    assert shortened("abcdefg", 4) == "…efg"
    assert shortened("abcdefg", 0) == ""


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (0, "0 bytes"),
        (1, "1 byte"),
        (999, "999 bytes"),
        (1000, "1.0 kB"),
        (999_949, "999.9 kB"),
        (999_950, "1.0 MB"),
        (38_200_000, "38.2 MB"),
        (5 * 10**18, "5000.0 PB"),
    ],
)
def test_sizes(count: int, text: str) -> None:
    """Sizes are decimal, with one decimal."""
    assert size(count) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.04, "0.0 s"), (1.94, "1.9 s"), (59.96, "1 m 00 s"), (192, "3 m 12 s"), (7501, "2 h 05 m")],
)
def test_durations(seconds: float, text: str) -> None:
    """Durations have one unit below a minute, two above."""
    assert duration(seconds) == text


def test_counts() -> None:
    """Numbers are grouped, and words agree with them."""
    assert counted(1, "entry", "entries") == "1 entry"
    assert counted(12_345, "file") == "12,345 files"
