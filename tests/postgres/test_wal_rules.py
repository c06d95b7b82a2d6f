"""Names, headers and histories of WAL, and what an archive of it lacks; pure."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from strongroom.postgres.wal.history import Fork, parse_history
from strongroom.postgres.wal.names import (
    WalKind,
    WalName,
    format_lsn,
    parse_lsn,
    parse_name,
    segment_name,
)
from strongroom.postgres.wal.pages import WalContentError, check_segment, read_page_header
from strongroom.postgres.wal.ranges import Missing, Range, WalExtent
from strongroom.repository import layout
from tests.support.wal import CLUSTER, SIZE, SYSTEM, history, named, numbered, segment

pytestmark = pytest.mark.spec("C6")

MIB16 = 16 << 20
NAMES = st.one_of(
    st.builds(
        lambda t, n: segment_name(t, n, MIB16),
        st.integers(1, (1 << 32) - 1),
        st.integers(0, (1 << 40) - 1),
    ),
    st.builds(lambda t: WalName(WalKind.HISTORY, t), st.integers(1, (1 << 32) - 1)),
    st.builds(
        lambda t, n, o: WalName(WalKind.BACKUP, t, *segment_name(t, n, MIB16)[2:4], o),
        st.integers(1, 0xFF),
        st.integers(0, 1 << 20),
        st.integers(0, MIB16 - 1),
    ),
)


@given(NAMES)
def test_a_name_is_read_as_it_is_written(name: WalName) -> None:
    """Also as the key of an object, which is in lower case."""
    assert parse_name(name.text) == name
    key = layout.wal_file(bytes(16), SYSTEM, name.text)
    assert layout.wal_ids(key) == (bytes(16), SYSTEM, name.text, 0)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "00000001000000000000000",
        "0000000100000000000000011",
        "00000001000000000000000g",
        "00000001000000000000000a",
        "000000010000000000000001.PARTIAL",
        "000000010000000000000001.partial.1",
        "000000010000000000000001.28.backup",
        "000000010000000000000001.00000028.backup.old",
        "00000001.history.ready",
        "00000000.history",
        "000000000000000000000001",
        "../000000010000000000000001",
        "000000010000000000000001\n",
        "RECOVERYXLOG",
    ],
)
def test_nothing_else_is_a_name(text: str) -> None:
    """What PostgreSQL does not write is no WAL file."""
    assert parse_name(text) is None


def test_timelines_are_hexadecimal() -> None:
    """Timeline 0xA is ten, and the file of timeline sixteen is called 10."""
    assert named("0000000A.history").timeline == 10
    assert segment_name(16, 1, MIB16).text == "000000100000000000000001"


def test_numbers_depend_on_the_size_of_segments() -> None:
    """After part FF of 16 MiB comes the next log; a part that there cannot be does not fit."""
    assert segment_name(1, 0xFF, MIB16).text == "0000000100000000000000FF"
    assert segment_name(1, 0x100, MIB16).text == "000000010000000100000000"
    assert named("000000010000000100000000").number(MIB16) == 0x100
    assert not named("000000010000000000000100").fits(MIB16)
    with pytest.raises(ValueError, match="no segment of"):
        named("000000010000000000000100").number(MIB16)
    assert named("000000010000000100000003").lsn(MIB16) == (1 << 32) + 3 * MIB16


@given(st.integers(0, (1 << 64) - 1))
def test_positions_are_read_as_they_are_written(lsn: int) -> None:
    """In PostgreSQL's notation."""
    assert parse_lsn(format_lsn(lsn)) == lsn


def test_a_page_header_is_read_in_either_byte_order() -> None:
    """A segment of a big-endian machine is read on any other."""
    name = numbered(3)
    little = segment(name)
    header = read_page_header(little)
    assert (header.major, header.system_id, header.segment_size) == (15, SYSTEM, SIZE)
    fields = [(0, 2), (2, 2), (4, 4), (8, 8), (16, 4), (24, 8), (32, 4), (36, 4)]
    big = bytearray(little[:40])
    for place, size in fields:
        big[place : place + size] = bytes(reversed(little[place : place + size]))
    assert read_page_header(big) == header
    assert check_segment(name, big, SIZE) == header


def test_the_first_segment_of_a_timeline_may_begin_with_the_one_before() -> None:
    """At a switch PostgreSQL copies what was before into the first segment of the new timeline."""
    content = segment(numbered(3, 1))
    assert check_segment(numbered(3, 2), content, SIZE).timeline == 1
    with pytest.raises(WalContentError, match="timeline 2"):
        check_segment(numbered(3, 1), segment(numbered(3, 2)), SIZE)


def test_a_history_is_read() -> None:
    """Ancestors with the position where each was left; comments and empty lines are none."""
    text = b"# a comment\n\n" + history((1, "0/3000148"), (2, "1/A0")) + b"\n"
    found = parse_history(4, text)
    assert [(one.timeline, one.lsn) for one in found] == [(1, 0x3000148), (2, (1 << 32) + 0xA0)]


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"# only\n",
        b"1\n",
        b"x\t0/1\tr\n",
        b"5\t0/1\n",
        b"2\t0/9\n1\t0/A\n",
        b"1\t0/9\n2\t0/8\n",
    ],
)
def test_what_is_no_history_is_refused(text: bytes) -> None:
    """Cut off, in the wrong order, or of a timeline that is later than its own."""
    with pytest.raises(WalContentError):
        parse_history(4, text)


def _extent(*names: WalName, histories: dict[int, tuple[Fork, ...]] | None = None) -> WalExtent:
    files = [*names, *(WalName(WalKind.HISTORY, one) for one in histories or {})]
    return WalExtent(files, SIZE, histories)


@given(st.sets(st.integers(0, 30)), st.integers(0, 30), st.integers(0, 30))
def test_gaps_are_what_is_not_there(there: set[int], one: int, two: int) -> None:
    """Compared with going through the numbers one by one."""
    first, last = min(one, two), max(one, two)
    extent = _extent(*(numbered(n) for n in there))
    missing = {n for gap in extent.missing(1, first, last) for n in range(gap.first, gap.last + 1)}
    assert missing == set(range(first, last + 1)) - there
    if there:
        gaps = {n for gap in extent.timelines[1].gaps for n in range(gap.first, gap.last + 1)}
        assert gaps == set(range(min(there), max(there))) - there
    reached = first - 1
    while reached + 1 in there:
        reached += 1
    assert extent.reachable(1, first) == (reached if reached >= first else None)


FORKED = {2: (Fork(1, 5 * SIZE + 100),), 3: (Fork(1, 5 * SIZE + 100), Fork(2, 8 * SIZE))}


def test_the_way_to_a_timeline_leads_over_its_ancestors() -> None:
    """The segment of the switch is that of the newer timeline."""
    names = [numbered(n) for n in range(1, 7)]
    names += [numbered(n, 2) for n in range(5, 8)]
    names += [numbered(n, 3) for n in range(8, 11)]
    extent = _extent(*names, histories=FORKED)
    assert extent.path(3) == [(1, 0, 4), (2, 5, 7), (3, 8, None)]
    assert extent.missing(3, 1, 10) == []
    assert extent.reachable(3, 1) == 10
    assert extent.reachable(1, 1) == 6
    without = _extent(*(n for n in names if n != numbered(6, 2)), histories=FORKED)
    assert without.missing(3, 1, 12) == [Missing(2, 6, 6), Missing(3, 11, 12)]
    assert without.reachable(3, 1) == 5
    assert without.missing(3, 1, 12)[1].text(SIZE) == (
        "00000003000000000000000B to 00000003000000000000000C"
    )


def test_a_hole_is_told_from_the_end() -> None:
    """A file that is absent is the end only if nothing that comes after it is there."""
    extent = _extent(*(numbered(n) for n in (1, 2, 4)))
    assert "000000010000000000000004, which comes after it, is there" in str(
        extent.hole(numbered(3))
    )
    assert extent.hole(numbered(0)) is not None
    assert extent.hole(numbered(5)) is None
    assert extent.hole(numbered(5, 2)) is None
    assert extent.hole(named("00000002.history")) is None


def test_a_child_makes_a_hole_only_before_it_left() -> None:
    """Where a timeline was left, its own end is an end; what leads to the child is needed."""
    names = [numbered(1), *(numbered(n, 2) for n in (5, 6, 7))]
    extent = _extent(*names, histories={2: FORKED[2]})
    assert "timeline 2" in str(extent.hole(numbered(2)))
    assert "timeline 2" in str(extent.hole(numbered(4)))
    assert extent.hole(numbered(5)) is None
    assert extent.hole(numbered(6)) is None
    assert extent.hole(numbered(8, 2)) is None
    assert extent.hole(numbered(4, 2)) is None


def test_a_history_that_is_missing_is_a_hole() -> None:
    """PostgreSQL takes the first history that is absent for the end of all timelines."""
    assert "segments of it are there" in str(
        _extent(numbered(1), numbered(5, 2)).hole(named("00000002.history"))
    )
    assert "that of timeline 3" in str(
        _extent(numbered(1), histories={3: FORKED[3]}).hole(named("00000002.history"))
    )
    assert _extent(numbered(1), histories=FORKED).hole(named("00000004.history")) is None


def test_partial_segments_are_no_whole_ones() -> None:
    """They are told apart, and one that became whole is not told of."""
    part = WalName(WalKind.PARTIAL, *numbered(3)[1:4])
    assert _extent(numbered(2), part).timelines[1].partial == (3,)
    assert _extent(numbered(2), part).timelines[1].ranges == (Range(2, 2),)
    assert _extent(numbered(3), part).timelines[1].partial == ()


def test_the_cluster_of_the_tests_is_one() -> None:
    """The files that the other tests use are what PostgreSQL would write."""
    assert check_segment(numbered(9), segment(numbered(9)), SIZE).system_id == CLUSTER.system_id
