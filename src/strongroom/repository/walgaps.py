"""The word that segments never come (``docs/format.md`` 17), so that nobody takes it for the end.

Whatever is archived all the same counts: a gap is only what of its range is not there.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable
from typing import NamedTuple

import msgspec

from strongroom.errors import DamageError, ObjectExistsError
from strongroom.postgres.wal.names import is_segment_size, parse_name, segment_name
from strongroom.postgres.wal.pages import Cluster
from strongroom.postgres.wal.ranges import Missing
from strongroom.repository import layout
from strongroom.repository.canonical import encode
from strongroom.repository.envelope import Kind, unwrap, wrap
from strongroom.repository.records import read_body
from strongroom.repository.wal import archive_of
from strongroom.repository.walparts import WithWal


class GapReason(enum.IntEnum):
    """Why segments never come; numbers are part of the format."""

    NOT_ARCHIVED = 1
    NOT_KEPT = 2
    GIVEN_UP = 3

    @property
    def text(self) -> str:
        """How a person reads it."""
        return _TEXTS[self]


_TEXTS = {
    GapReason.NOT_ARCHIVED: "the server went on without archiving them",
    GapReason.NOT_KEPT: "the server's slot did not keep them",
    GapReason.GIVEN_UP: "somebody gave them up",
}


class GapBody(msgspec.Struct, array_like=True, frozen=True, forbid_unknown_fields=True):
    """Body of ``wal/…/gaps/<first>-<last>``."""

    writer_id: bytes
    time_ns: int
    segment_size: int
    reason: int


class Gap(NamedTuple):
    """What was said of segments that never come, when (nanoseconds), and why."""

    system_id: int
    missing: Missing
    segment_size: int
    time_ns: int
    reason: GapReason


class WalGaps:
    """The gaps that are on record in a repository."""

    def __init__(self, repository: WithWal) -> None:
        self._store = repository.store
        self._keys = repository.keyring
        self._writers = repository.writers
        self._clock = repository.around.clock
        self._archive = archive_of(repository)

    def of(self, system_id: int, damaged: dict[str, str] | None = None) -> list[Gap]:
        """Return what is on record of a cluster, each gap once, by timeline and number.

        What cannot be read goes into ``damaged`` by key; without it the first is ``DamageError``.
        """
        found: dict[Missing, Gap] = {}
        for key in self._listed(system_id):
            try:
                gap = self.read(key)
            except DamageError as error:
                if damaged is None:
                    raise
                damaged[key] = error.message
                continue
            before = found.get(gap.missing)
            if before is None or gap.time_ns < before.time_ns:
                found[gap.missing] = gap
        return [found[missing] for missing in sorted(found)]

    def _listed(self, system_id: int) -> Iterable[str]:
        for domain in self._archive.domains():
            for info in self._store.list(layout.wal_gaps(domain, system_id)):
                if layout.wal_gap_ids(info.key) is not None:
                    yield info.key

    def record(self, cluster: Cluster, missing: Missing, reason: GapReason) -> bool:
        """Say that segments never come; whether that is new. Durable when this returns."""
        writer, size = self._keys.writer(), cluster.segment_size
        first = segment_name(missing.timeline, missing.first, size).text
        last = segment_name(missing.timeline, missing.last, size).text
        domain = self._keys.own_domain.domain_id
        key = layout.wal_gap(domain, cluster.system_id, first, last)
        body = GapBody(writer.id, self._clock.now_ns(), size, reason)
        data = wrap(
            Kind.WAL_GAP,
            self._keys.repository_id,
            key,
            encode(body),
            writer.sign,
            version=self._keys.version,
        )
        try:
            self._store.put(key, data)
        except ObjectExistsError:
            self.read(key)
            self._store.sync([key.rpartition("/")[0] + "/"])
            return False
        return True

    def read(self, key: str) -> Gap:
        """Return what the object at ``key`` says; ``DamageError``."""
        ids = layout.wal_gap_ids(key)
        if ids is None:
            raise ValueError(key)
        domain, system_id, *texts = ids
        envelope = unwrap(self._store.get(key), Kind.WAL_GAP, key, self._keys.repository_id)
        body = read_body(key, envelope.body, GapBody)
        writer = self._writers.writer(body.writer_id)
        envelope.check(writer.public_key)
        first, last = (parse_name(text) for text in texts)
        if (
            first is None
            or last is None
            or writer.domain_id != domain
            or not is_segment_size(body.segment_size)
            or not (first.fits(body.segment_size) and last.fits(body.segment_size))
            or (first.timeline, first.log, first.part) > (last.timeline, last.log, last.part)
            or body.reason not in set(GapReason)
        ):
            msg = f"{key} is damaged: it does not say what its name says"
            raise DamageError(msg)
        numbers = first.number(body.segment_size), last.number(body.segment_size)
        return Gap(
            system_id,
            Missing(first.timeline, *numbers),
            body.segment_size,
            body.time_ns,
            GapReason(body.reason),
        )
