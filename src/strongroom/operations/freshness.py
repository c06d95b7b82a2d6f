"""Whether each source of a repository has a complete snapshot that is recent enough. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

from strongroom.aws.rds.record import JOURNAL_KIND
from strongroom.model.snapshot import PRE_RESTORE, ListedSnapshot, Status

_JOURNAL: Final = JOURNAL_KIND.encode()
AHEAD_NS: Final = 300 * 1_000_000_000  # two clocks may differ by so much


class SourceAge(NamedTuple):
    """The last good snapshot of a source on one host; None if there is only a bad one.

    ``saved`` is what it last saved, as people know it. ``alert`` is empty if it is recent enough.
    """

    host: bytes
    source: bytes
    saved: str
    newest: ListedSnapshot | None
    age_ns: int
    alert: str


class _Source(NamedTuple):
    host: bytes
    name: bytes


def ages(
    snapshots: Sequence[ListedSnapshot], now_ns: int, most_ns: int, shown: str
) -> list[SourceAge]:
    """Judge every source; ``shown``: how the longest age is called."""
    newest: dict[_Source, ListedSnapshot | None] = {}
    saved: dict[_Source, str] = {}
    for listed in snapshots:
        if listed.snapshot.type == PRE_RESTORE:
            continue  # made by a restore, and by nothing that has to be made again
        for source in listed.snapshot.sources:
            if source.kind == _JOURNAL:  # made when something is recovered, and never again
                continue
            key = _Source(listed.snapshot.host, source.name)
            paths = " ".join(path.decode("utf-8", "backslashreplace") for path in source.paths)
            saved[key] = paths or source.name.decode("utf-8", "backslashreplace")
            best = newest.setdefault(key, None)
            is_later = best is None or listed.snapshot.started_ns >= best.snapshot.started_ns
            if source.status == Status.COMPLETE and is_later:
                newest[key] = listed
    return [
        _judged(key, saved[key], newest[key], (now_ns, most_ns, shown)) for key in sorted(newest)
    ]


def _judged(
    key: _Source, saved: str, listed: ListedSnapshot | None, by: tuple[int, int, str]
) -> SourceAge:
    now_ns, most_ns, shown = by
    name = f"{saved} of {key.host.decode('utf-8', 'backslashreplace')}"
    if listed is None:
        return SourceAge(*key, saved, None, 0, f"no complete snapshot of {name}")
    age_ns = now_ns - listed.snapshot.started_ns
    alert = ""
    if age_ns < -AHEAD_NS:
        alert = f"{listed.short_id} of {name} is from the future; check the clock"
    elif age_ns > most_ns:
        alert = f"the last complete snapshot of {name}, {listed.short_id}, is older than {shown}"
    return SourceAge(*key, saved, listed, max(age_ns, 0), alert)
