"""Receive the WAL of a source of the configuration, as its server writes it."""

from __future__ import annotations

from collections.abc import Callable

from strongroom.app.databases import connection_of
from strongroom.app.machine import Run
from strongroom.app.wal import source_of
from strongroom.app.walopening import opened_wal
from strongroom.errors import InterruptError, UsageError
from strongroom.operations.wal.receive import ReceiveOptions, Receiver, Words
from strongroom.postgres.walstream import WalStream, is_slot_name
from strongroom.postgres.wire import connected
from strongroom.repository.wal import archive_of
from strongroom.repository.walgaps import WalGaps
from strongroom.repository.walsources import WalSources


def receive(
    run: Run,
    source: str | None,
    slot: str,
    partial_seconds: float | None,
    tell: Callable[[str], None],
) -> int:
    """Receive until somebody asks to stop; how many segments were archived."""
    name = source_of(run, source)
    settings = run.settings.databases.get(name)
    if settings is None:
        known = ", ".join(run.settings.databases) or "none"
        raise UsageError(
            f"the configuration has no database source '{name}' (known: {known})",
            hint='Describe it: [sources.db] with type = "postgres" and its connection.',
        )
    if not is_slot_name(slot):
        raise UsageError(
            f"--slot {slot!r} is no name of a replication slot",
            hint="Use up to 63 lower-case letters, digits and underscores.",
        )
    options = ReceiveOptions(slot, partial_seconds)
    with opened_wal(run) as repository:
        receiver = Receiver(
            archive_of(repository),
            Words(WalSources(repository), WalGaps(repository)),
            run.machine.clock,
            tell,
            options,
        )
        with connected(connection_of(run, settings), replication=True) as wire:
            try:
                receiver.run(WalStream(wire, run.machine.clock), name)
            except InterruptError:
                return receiver.segments
    return receiver.segments
