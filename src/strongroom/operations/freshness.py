"""Whether each source of a repository has a complete snapshot that is recent enough. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

from strongroom.model.snapshot import ListedSnapshot, Status

AHEAD_NS: Final = 300 * 1_000_000_000  # two clocks may differ by so much


class SourceAge(NamedTuple):
    """The last good snapshot of a source on one host; None if there is only a bad one.

    ``alert`` is empty if it is recent enough.
    """

    host: bytes
    source: bytes
    newest: ListedSnapshot | None
    age_ns: int
    alert: str


def ages(
    snapshots: Sequence[ListedSnapshot], now_ns: int, most_ns: int, shown: str
) -> list[SourceAge]:
    """Judge every source; ``shown``: how the longest age is called."""
    newest: dict[tuple[bytes, bytes], ListedSnapshot | None] = {}
    for listed in snapshots:
        for source in listed.snapshot.sources:
            key = (listed.snapshot.host, source.name)
            best = newest.setdefault(key, None)
            is_later = best is None or listed.snapshot.started_ns >= best.snapshot.started_ns
            if source.status == Status.COMPLETE and is_later:
                newest[key] = listed
    return [
        _judged(host, source, listed, now_ns, most_ns, shown)
        for (host, source), listed in sorted(newest.items(), key=lambda one: one[0])
    ]


def _judged(
    host: bytes,
    source: bytes,
    listed: ListedSnapshot | None,
    now_ns: int,
    most_ns: int,
    shown: str,
) -> SourceAge:
    name = f"{source.decode('utf-8', 'replace')} of {host.decode('utf-8', 'replace')}"
    if listed is None:
        return SourceAge(host, source, None, 0, f"no complete snapshot of {name}")
    age_ns = now_ns - listed.snapshot.started_ns
    alert = ""
    if age_ns < -AHEAD_NS:
        alert = f"{listed.short_id} of {name} is from the future; check the clock"
    elif age_ns > most_ns:
        alert = f"the last complete snapshot of {name}, {listed.short_id}, is older than {shown}"
    return SourceAge(host, source, listed, max(age_ns, 0), alert)
