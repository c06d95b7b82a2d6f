"""The session of a repair: what it writes, and why no collector takes it away again.

A repair keeps to the protocol of a writer (``docs/format.md`` 13), although it commits nothing. It
puts a session first, then lists ``gc/``, packs and index, and counts on no pack that a run tombed
or killed. A collector that began after that waits for the decision of this session, so whatever it
has listed before, it reads everything again later. One that began before has named its tombs
already: what they name is not counted on, and what is written now is not among them.

The ABORT that ends the session comes last: after the new packs, the segments that list them, the
order that quarantines the bad packs and the commits that are back. So a collector that decides
after it finds the new places listed, and does not count a bad pack as one (else it could take a
bad pack for the place that stays, and the good one for the second). A repair that dies leaves a
session without a decision, which is given up after a day like any other; what it put may be used
by the next one, or is collected.

Nothing is moved, overwritten or deleted. Everything is a new object under a key that was free.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from strongroom.compression.codec import Compressor
from strongroom.repository import layout
from strongroom.repository.index import ChunkIndex
from strongroom.repository.pack import SealedPack
from strongroom.repository.packer import Packer, PackLimits
from strongroom.repository.putting import put_own
from strongroom.repository.records import IndexedPack
from strongroom.repository.relisting import put_segment
from strongroom.repository.repair.footers import FoundPack
from strongroom.repository.repository import Repository
from strongroom.repository.session import BackupSession
from strongroom.repository.writer import ChunkWriter, Written


class RepairSession:
    """Announced when it is made; then ``write_into`` the index of what is sound."""

    def __init__(self, repository: Repository) -> None:
        """``KeyRefusedError`` unless the key is full."""
        repository.keyring.admin_signer()
        self._repository = repository
        self._session = BackupSession(repository)
        self._session.announce()
        self._sound = ChunkIndex()
        self._writers: dict[bytes, ChunkWriter] = {}

    def write_into(self, sound: ChunkIndex) -> None:
        """Take the chunks that need not be written; it grows by those that are."""
        self._sound = sound

    def beat(self) -> None:
        """Show a sign of life, now and then."""
        self._session.beat()

    def writer(self, domain_id: bytes) -> ChunkWriter:
        """Return what writes into one domain."""
        if domain_id not in self._writers:
            self._writers[domain_id] = self._new_writer(domain_id)
        self.beat()
        return self._writers[domain_id]

    def _new_writer(self, domain_id: bytes) -> ChunkWriter:
        repository = self._repository
        around, core = repository.around, repository.config.core
        keys = repository.keyring.begin_in(domain_id, around.randomness)

        def put_pack(sealed: SealedPack) -> None:
            put_own(repository.store, layout.pack(sealed.pack_id), sealed.data)

        def list_packs(packs: Sequence[IndexedPack]) -> None:
            put_segment(repository, domain_id, packs)

        packer = Packer(
            keys,
            put_pack,
            around.workers,
            PackLimits(core.frame_size, core.pack_size),
            around.randomness,
            Compressor(),
        )
        return ChunkWriter(keys.domain, self._sound, packer, list_packs, around.clock)

    def list_again(self, packs: Iterable[FoundPack]) -> int:
        """Put segments that list packs which are in no sound one; how many packs."""
        domains: dict[bytes, list[IndexedPack]] = {}
        for found in packs:
            domains.setdefault(found.domain_id, []).append(found.entry)
        for domain_id, entries in sorted(domains.items()):
            put_segment(self._repository, domain_id, entries)
        return sum(map(len, domains.values()))

    def finish(self) -> Written:
        """Store and list everything that was written; what it came to."""
        total = Written()
        for writer in self._writers.values():
            writer.finish()
            total.chunks += writer.written.chunks
            total.plain_bytes += writer.written.plain_bytes
            total.stored_bytes += writer.written.stored_bytes
            total.packs += writer.written.packs
        return total

    def end(self) -> None:
        """Let collectors go on: the last thing that a repair does."""
        self._session.abort()

    def give_up(self) -> None:
        """As ``end``, on the way out of an error."""
        self._session.give_up()


class InDomain(NamedTuple):
    """The session of a repair as the destination of a copy (``copying.Destination``)."""

    session: RepairSession
    domain_id: bytes

    @property
    def writer(self) -> ChunkWriter:
        """See ``Destination``."""
        return self.session.writer(self.domain_id)

    def beat(self) -> None:
        """See ``Destination``."""
        self.session.beat()
