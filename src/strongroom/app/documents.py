"""From what the configuration says of documents to sources."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Final

from strongroom.app.machine import Run
from strongroom.aws.buckets import find_bucket
from strongroom.aws.clients import Clients
from strongroom.aws.keys import source_path
from strongroom.aws.record import BucketRecord, packed_record
from strongroom.config.documents import DocumentsSettings
from strongroom.model.snapshot import Order
from strongroom.operations.backup import PlannedSource, Seen
from strongroom.operations.vanished import refuse_vanished
from strongroom.sources.s3.source import S3Options, S3Source

_CONNECTIONS: Final = 32  # for a restore, which writes with as many threads at most


def clients_in(run: Run, environment: str) -> Clients:
    """Return clients of the account of an environment; an empty name is where there is none."""
    return Clients(run.settings.account_in(environment), connections=_CONNECTIONS)


@contextmanager
def opened_documents(
    run: Run, wanted: Sequence[DocumentsSettings], *, allow_vanished: bool
) -> Iterator[list[PlannedSource]]:
    """Open the buckets; ``SourceError`` if one cannot be reached."""
    with ExitStack() as stack:
        planned = []
        for settings in wanted:
            bucket = find_bucket(clients_in(run, settings.environment), settings.bucket)
            options = S3Options(
                prefix=settings.prefix.encode("utf-8", "surrogateescape"),
                tags=settings.tags,
                configuration=settings.configuration,
            )
            source = S3Source(settings.name, bucket, options, run.machine.clock)
            stack.enter_context(source)
            top = b"/" + source_path(settings.name)
            guard = _guard(settings, allow=allow_vanished)
            record = BucketRecord(1, bucket.name, bucket.region, options.prefix, bucket.versioned)
            planned.append(PlannedSource(source, [top], Order.RAW, guard, packed_record(record)))
        yield planned


def _guard(settings: DocumentsSettings, *, allow: bool) -> Callable[[Seen], None] | None:
    if allow:
        return None
    extra = int(settings.configuration)

    def accept(seen: Seen) -> None:
        refuse_vanished(settings.bucket, seen, extra, settings.most_vanished)

    return accept
