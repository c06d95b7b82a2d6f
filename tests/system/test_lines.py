"""Line ends are counted."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from strongroom.system.lines import count_lines


@given(st.lists(st.sampled_from([b"\n", b"\r", b"a", b"\x8a", b"\0"])).map(b"".join))
def test_as_many_as_there_are(data: bytes) -> None:
    """Whatever is between them, and in any kind of buffer."""
    wanted = data.count(b"\n")
    assert count_lines(data) == wanted
    assert count_lines(memoryview(bytearray(data))) == wanted
