"""Timeline histories: where each timeline left the one before.

A ``.history`` file has a line ``parent TAB position TAB reason`` for each ancestor, the oldest
first (PostgreSQL's ``timeline.c``); other lines are empty or begin with ``#``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from strongroom.postgres.wal.names import parse_lsn
from strongroom.postgres.wal.pages import WalContentError


class Fork(NamedTuple):
    """The end of an ancestor: ``timeline`` was left at ``lsn``."""

    timeline: int
    lsn: int
    reason: str = ""


History = tuple[Fork, ...]
"""The ancestors of a timeline, the oldest first; empty for one that was never forked."""

Histories = Mapping[int, History]


def leads_through(histories: Histories, target: int, timeline: int, lsn: int) -> bool:
    """Whether the way to timeline ``target`` has what was written on ``timeline`` up to ``lsn``."""
    return timeline == target or any(
        fork.timeline == timeline and fork.lsn >= lsn for fork in histories.get(target, ())
    )


def parse_history(timeline: int, content: bytes) -> History:
    """Read the history of ``timeline``; ``WalContentError``."""
    found: list[Fork] = []
    for line in content.decode("utf-8", "replace").splitlines():
        text = line.strip()
        if not text or text.startswith("#"):
            continue
        fields = text.split(None, 2)
        number, place = fields[0], fields[1] if len(fields) > 1 else ""
        lsn = parse_lsn(place)
        if not (number.isascii() and number.isdigit()) or lsn is None:
            msg = f"the line {text[:60]!r} of a history names no timeline and position"
            raise WalContentError(msg)
        fork = Fork(int(number), lsn, fields[2] if len(fields) > 2 else "")  # noqa: PLR2004
        before = found[-1] if found else Fork(0, 0)
        if not before.timeline < fork.timeline < timeline or fork.lsn < before.lsn:
            msg = f"its line for timeline {fork.timeline} does not follow the one before"
            raise WalContentError(msg)
        found.append(fork)
    if not found:
        msg = "a history that names no timeline"
        raise WalContentError(msg)
    return tuple(found)
