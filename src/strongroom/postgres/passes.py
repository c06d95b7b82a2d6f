"""A restore in three passes, so that rows come through pipes and by several programs at once.

``pg_restore`` fills tables at the same time only from files in which it can seek. So one makes
what must be there before rows, some fill tables next to each other, each from a pipe that has the
rows of its own tables, and one makes the rest. By the sections of a dump that is the same as all at
once; rights come last, as they do then: who owns a table may have none to write to it.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from strongroom.postgres.toc import Section, Toc, TocEntry

_LAST: Final = frozenset(
    {
        "ACL",
        "COMMENT",
        "DEFAULT ACL",
        "EVENT TRIGGER",
        "MATERIALIZED VIEW DATA",
        "SECURITY LABEL",
        "STATISTICS DATA",
    }
)
_OBJECTS: Final = "BLOB METADATA"  # makes large objects; 17 and newer have it among the data
_LARGE_OBJECT: Final = "blob_"
_ATTACH: Final = "INDEX ATTACH"


@dataclass(frozen=True, slots=True)
class Passes:
    """The numbers of entries that are restored before rows, with rows (by each program), and after.

    Each in the order of the dump. ``rows`` has no empty part. ``attaching``, between ``after`` and
    ``last``, is for one program that does one thing at a time: when the indexes of partitions of
    partitions are attached by two sessions, the server may see of neither that the index of the
    whole table is complete, and then no foreign key can name it.
    """

    before: Sequence[int]
    rows: Sequence[Sequence[int]]
    after: Sequence[int]
    attaching: Sequence[int]
    last: Sequence[int]


def passes(
    toc: Toc, sizes: Mapping[str, int], jobs: int, chosen: Collection[int] | None = None
) -> Passes:
    """Divide a dump, or what was ``chosen`` of it; ``sizes``: bytes of its files by their names.

    The parts of ``rows`` are at most ``jobs``, of about the same size.
    """
    entries = [one for one in toc.entries if chosen is None or one.number in chosen]
    filled = [one for one in entries if one.file]
    before = [one.number for one in entries if not one.file and _is_first(one)]
    done = {*before, *(one.number for one in filled)}
    rest = [one for one in entries if one.number not in done]
    attached = [place for place, one in enumerate(rest) if one.kind == _ATTACH]
    begin, end = (attached[0], attached[-1] + 1) if attached else (len(rest), len(rest))
    numbers = [one.number for one in rest]
    rows = _parts(filled, sizes, jobs)
    return Passes(before, rows, numbers[:begin], numbers[begin:end], numbers[end:])


def _is_first(one: TocEntry) -> bool:
    """Whether rows, or the bytes of large objects, need it."""
    if one.kind == _OBJECTS:
        return True
    return one.section == Section.BEFORE_DATA and one.kind not in _LAST


def _parts(
    filled: Sequence[TocEntry], sizes: Mapping[str, int], jobs: int
) -> Sequence[Sequence[int]]:
    """Give the largest that is left to the part that has least."""
    lists = sum(one.is_large_objects for one in filled)
    in_lists = sum(size for name, size in sizes.items() if name.startswith(_LARGE_OBJECT))
    weights = [
        1 + (in_lists // lists if one.is_large_objects else sizes.get(one.file, 0))
        for one in filled
    ]
    parts: list[list[int]] = [[] for _ in range(jobs)]
    loads = [0] * jobs
    for place in sorted(range(len(filled)), key=lambda place: -weights[place]):
        least = loads.index(min(loads))
        parts[least].append(place)
        loads[least] += weights[place]
    return [[filled[place].number for place in sorted(part)] for part in parts if part]


def listed(numbers: Sequence[int]) -> bytes:
    """Return the list of entries that ``pg_restore --use-list`` reads."""
    return b"".join(b"%d;\n" % number for number in numbers)
