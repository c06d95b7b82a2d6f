"""How a restore is divided: what must be there before rows, rows by several programs, the rest."""

from __future__ import annotations

from dataclasses import replace

import pytest

from strongroom.postgres.passes import Passes, listed, passes
from strongroom.postgres.toc import Packed, Section, Toc, TocEntry

pytestmark = pytest.mark.spec("C4")


def entry(number: int, kind: str, section: Section, file: str = "") -> TocEntry:
    """Make an entry of a list of contents."""
    return TocEntry(
        number,
        tag=f"t{number}",
        kind=kind,
        definition="",
        copies=bool(file),
        schema="s",
        owner="x",
        data=b"",
        file=file,
        section=section,
    )


TOC = Toc(
    (1, 14),
    0,
    Packed.NOT,
    (),
    "d",
    "15",
    "15",
    (
        entry(1, "SCHEMA", Section.BEFORE_DATA),
        entry(9, "ACL", Section.NONE),
        entry(2, "TABLE", Section.BEFORE_DATA),
        entry(3, "COMMENT", Section.NONE),
        entry(4, "TABLE DATA", Section.DATA, "4.dat"),
        entry(8, "TABLE DATA", Section.DATA, "8.dat"),
        entry(10, "BLOB METADATA", Section.DATA),
        entry(5, "BLOBS", Section.DATA, "blobs.toc"),
        entry(6, "SEQUENCE SET", Section.DATA),
        entry(7, "INDEX", Section.AFTER_DATA),
    ),
    b"",
)
SIZES = {"4.dat": 100, "8.dat": 60, "blobs.toc": 1, "blob_1.dat": 30, "blob_2.dat": 40}


def test_rows_are_shared_out_by_their_size() -> None:
    """What makes objects comes first, rights and comments last; large objects weigh as they are."""
    assert passes(TOC, SIZES, 2) == Passes([1, 2, 10], [[4], [8, 5]], [9, 3, 6, 7], [], [])
    assert passes(TOC, SIZES, 1).rows == [[4, 8, 5]]
    assert passes(TOC, SIZES, 9).rows == [[4], [5], [8]]


def test_only_what_was_chosen_comes() -> None:
    """Of each pass its part; one that has nothing is empty."""
    assert passes(TOC, SIZES, 2, [8, 2, 9]) == Passes([2], [[8]], [9], [], [])
    assert passes(TOC, SIZES, 2, [1]) == Passes([1], [], [], [], [])
    assert listed([3, 1]) == b"3;\n1;\n"


def test_indexes_are_attached_one_at_a_time() -> None:
    """By one program, after what makes them, and before the keys that need the whole of them."""
    kinds = ["INDEX", "INDEX ATTACH", "INDEX", "INDEX ATTACH", "FK CONSTRAINT", "TRIGGER"]
    entries = [entry(n, kind, Section.AFTER_DATA) for n, kind in enumerate(kinds, 1)]
    toc = replace(TOC, entries=(*entries, entry(9, "COMMENT", Section.NONE)))
    assert passes(toc, {}, 2) == Passes([], [], [1], [2, 3, 4], [5, 6, 9])
    assert passes(toc, {}, 2, [1, 5]) == Passes([], [], [1, 5], [], [])


def test_every_entry_is_in_one_pass() -> None:
    """None is lost, and none comes twice."""
    for jobs in range(1, 5):
        found = passes(TOC, SIZES, jobs)
        rows = (number for part in found.rows for number in part)
        every = [*found.before, *rows, *found.after, *found.attaching, *found.last]
        assert sorted(every) == sorted(one.number for one in TOC.entries)
