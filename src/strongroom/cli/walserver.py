"""What ``strongroom wal status --servers`` says of a server."""

from __future__ import annotations

from collections.abc import Iterator

from strongroom.app.walservers import ClusterFacts, ServerWal
from strongroom.cli.names import harmless
from strongroom.cli.output import Field, Output
from strongroom.cli.quantities import counted, duration, size


def tell_server(output: Output, server: ServerWal) -> None:
    """Write a record, and lines for people."""
    facts = server.facts
    output.record(
        "wal_server",
        source=server.source,
        error=server.error or None,
        **(_fields(facts, server) if facts is not None else {}),
    )
    if facts is None:
        output.wanted(harmless(f"server of {server.source}: cannot be asked: {server.error}"))
        return
    for line in _lines(facts, server):
        output.wanted(harmless(f"server of {server.source}: {line}"))


def _fields(facts: ClusterFacts, server: ServerWal) -> dict[str, Field]:
    archiver, waiting = facts.archiver, facts.waiting
    return {
        "system_id": str(facts.system),
        "standby": facts.standby,
        "timeline": facts.timeline,
        "lsn": facts.lsn,
        "lag_bytes": server.lag.bytes,
        "lag_seconds": _rounded(server.lag.seconds),
        "waiting": waiting.count if waiting is not None else None,
        "waiting_age": _rounded(waiting.seconds) if waiting is not None else None,
        "archiver_failures": archiver.failures,
        "last_failed": archiver.failed,
        "last_failed_age": _rounded(archiver.failed_age),
        "last_archived": archiver.last,
        "last_archived_age": _rounded(archiver.last_age),
        "slots": {slot.name: slot.retained or 0 for slot in facts.slots},
        "slots_not_read": [slot.name for slot in facts.slots if not slot.active],
        "slots_lost": [slot.name for slot in facts.slots if slot.lost],
    }


def _lines(facts: ClusterFacts, server: ServerWal) -> Iterator[str]:
    lag, archiver, waiting = server.lag, facts.archiver, facts.waiting
    if lag.bytes is None:
        yield "how far the archive is behind is not known: nothing of its timeline is there"
    else:
        when = f", of the last {duration(lag.seconds)}" if lag.seconds else ""
        yield f"{size(lag.bytes)} of WAL are not archived yet{when}"
    if waiting is not None and waiting.count:
        since = duration(waiting.seconds)
        yield f"{counted(waiting.count, 'file')} wait to be archived, the first for {since}"
    if archiver.failures:
        ago = f", the last {duration(archiver.failed_age)} ago" if archiver.failed_age else ""
        yield f"archiving failed {counted(archiver.failures, 'time')}{ago}"
    for slot in facts.slots:
        state = "lost" if slot.lost else "active" if slot.active else "not read"
        yield f"slot {slot.name} ({state}) keeps {size(slot.retained or 0)}"


def _rounded(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds, 3)
