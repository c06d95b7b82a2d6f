"""What is unusual about a backup, beside the earlier ones of its source. Pure: nothing is read.

Hints for a person, never a reason to fail: a folder may shrink, rest or be rewritten on purpose.
"""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from typing import Final, NamedTuple

LEAST_EARLIER: Final = 3
MOST_EARLIER: Final = 10
_DAY_NS: Final = 86_400 * 1_000_000_000
_REST_DAYS: Final = 14
_LEAST_FILES: Final = 20


class Earlier(NamedTuple):
    """An earlier snapshot of the source; ``root`` is the same where nothing at all changed."""

    started_ns: int
    root: bytes
    files: int
    bytes: int


class Current(NamedTuple):
    """The new one; ``changed_files`` were in the last, ``added`` bytes were nowhere before."""

    started_ns: int
    root: bytes
    files: int
    bytes: int
    changed_files: int
    added: int


class Anomaly(NamedTuple):
    """Something to look at: ``kind`` for programs, ``text`` for people."""

    kind: str
    text: str


def anomalies(earlier: Sequence[Earlier], current: Current) -> list[Anomaly]:
    """Compare with earlier snapshots, oldest first; nothing is said with fewer than three."""
    if len(earlier) < LEAST_EARLIER:
        return []
    found = []
    last = earlier[-MOST_EARLIER:]
    usual = statistics.median(one.bytes for one in last)
    usual_files = statistics.median(one.files for one in last)
    if current.bytes * 2 < usual:
        share = 1 - current.bytes / usual
        found.append(Anomaly("smaller", f"{share:.0%} smaller than the last {len(last)} usually"))
    elif current.files * 2 < usual_files:
        share = 1 - current.files / usual_files
        found.append(
            Anomaly("fewer_files", f"{share:.0%} fewer files than the last {len(last)} usually")
        )
    days = (current.started_ns - _same_since(earlier, current)) // _DAY_NS
    if days >= _REST_DAYS:
        found.append(Anomaly("unchanged", f"nothing at all changed for {days} days"))
    before = earlier[-1]
    many = before.files >= _LEAST_FILES and current.changed_files * 2 > before.files
    if many and current.added * 2 > current.bytes:
        share = current.changed_files / before.files
        found.append(
            Anomaly("rewritten", f"{share:.0%} of the files have other content than before")
        )
    return found


def _same_since(earlier: Sequence[Earlier], current: Current) -> int:
    """Return when the first of the snapshots began that hold the same as this one."""
    since = current.started_ns
    for one in reversed(earlier):
        if one.root != current.root:
            break
        since = min(since, one.started_ns)
    return since
