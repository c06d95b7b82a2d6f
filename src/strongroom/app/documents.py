"""From what the configuration says of documents to sources."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import ExitStack, contextmanager
from typing import Final

from strongroom.app.machine import Run
from strongroom.aws.buckets import Bucket, find_bucket
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


class Ahead:
    """Looks for buckets while something else is done, such as opening the repository.

    Both a passphrase and the clients of AWS take a processor their time. Nobody waits
    for a bucket that is not asked for in the end. Where there is a person nothing is done before it
    is asked for: AWS may want a code of a device, and would ask beside the question for the
    passphrase.
    """

    def __init__(self, run: Run, wanted: Sequence[DocumentsSettings]) -> None:
        self._run = run
        self._coming: dict[str, Future[Bucket]] = {}
        if wanted and run.person is None:
            self._coming = {one.name: Future() for one in wanted}
            threading.Thread(target=self._look, args=[wanted], name="buckets", daemon=True).start()

    def bucket(self, settings: DocumentsSettings) -> Bucket:
        """Wait for a bucket; ``SourceError`` if it cannot be reached."""
        coming = self._coming.get(settings.name)
        return self._find(settings) if coming is None else coming.result()

    def _look(self, wanted: Sequence[DocumentsSettings]) -> None:
        for one in wanted:
            coming = self._coming[one.name]
            try:
                coming.set_result(self._find(one))
            except BaseException as error:  # noqa: BLE001 - it is raised for whoever waits
                coming.set_exception(error)

    def _find(self, settings: DocumentsSettings) -> Bucket:
        return find_bucket(clients_in(self._run, settings.environment), settings.bucket)


@contextmanager
def opened_documents(
    run: Run, wanted: Sequence[DocumentsSettings], ahead: Ahead, *, allow_vanished: bool
) -> Iterator[list[PlannedSource]]:
    """Open the buckets; ``SourceError`` if one cannot be reached."""
    with ExitStack() as stack:
        planned = []
        for settings in wanted:
            bucket = ahead.bucket(settings)
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
