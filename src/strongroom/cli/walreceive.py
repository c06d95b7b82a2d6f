"""``strongroom wal receive``."""

from __future__ import annotations

from strongroom.app.walreceive import receive
from strongroom.cli.job import job
from strongroom.cli.quantities import counted


def run(*, source: str | None, slot: str, partial_every: int | None) -> int:
    """Receive until somebody asks to stop."""
    with job() as one:

        def tell(text: str) -> None:
            one.run.tell(text)
            one.output.flush()

        segments = receive(one.run, source, slot, partial_every, tell)
        one.output.record("summary", segments=segments)
        one.output.line(f"asked to stop: {counted(segments, 'segment')} archived")
    return 0
