"""Writing what is needed of old packs into new ones, before the run that removes the old ones.

The new packs lie beside the old ones until then; whoever is interrupted leaves chunks that lie
twice, and the next run keeps the fuller pack. Every chunk is verified on its way, twice.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

from strongroom.compression.codec import Compressor, Decompressor
from strongroom.crypto.primitives import sha256
from strongroom.errors import DamageError, ObjectMissingError
from strongroom.model.events import Advanced, Notice
from strongroom.repository import layout
from strongroom.repository.keyring import SessionKeys
from strongroom.repository.pack import SealedPack, read_whole_pack, stated_pack_domain
from strongroom.repository.packer import Packer, PackLimits
from strongroom.repository.putting import put_own
from strongroom.repository.records import IndexedPack
from strongroom.repository.relisting import put_segment
from strongroom.repository.repository import Repository

_CHECKPOINT: Final = 256 << 20

Needed = Callable[[Sequence[bytes]], list[bool]]


@dataclass(slots=True)
class Repacked:
    """What was written anew: old packs that are not needed any more, new ones; in bytes."""

    packs: list[bytes]
    made: list[IndexedPack] = field(default_factory=list)
    read: int = 0
    written: int = 0

    def add(self, packs: Sequence[bytes], made: Sequence[IndexedPack]) -> None:
        """Take in old packs, and the new ones that hold what is needed of them."""
        self.packs += packs
        self.made += made
        self.written += sum(pack.size for pack in made)


class Repacker:
    """Repacks; ``needed`` tells for chunk ids whether somebody needs them.

    ``take`` tells it as well, and of each chunk only once, however often it lies somewhere.
    """

    def __init__(
        self, repository: Repository, needed: Needed, take: Needed, checkpoint: int = _CHECKPOINT
    ) -> None:
        """Take ``checkpoint`` as the bytes read after which what was written is listed."""
        self._repository = repository
        self._bytes_between = checkpoint
        self._needed = needed
        self._take_once = take
        self._decompressor = Decompressor()
        self._domains: dict[bytes, _Domain] = {}

    def run(self, packs: Sequence[bytes], may_go_on: Callable[[], bool]) -> Repacked:
        """Repack, as long as it may; a pack that cannot be read is told of and stays as it is."""
        done = Repacked([])
        pending: list[bytes] = []
        since = 0
        for pack_id in packs:
            if not may_go_on():
                break
            try:
                size = self._take(pack_id)
            except (DamageError, ObjectMissingError) as error:
                text = f"warning: {error.message}; it stays as it is. Run 'strongroom verify'"
                self._repository.around.sink(Notice(text))
                continue
            pending.append(pack_id)
            done.read += size
            since += size
            self._repository.around.sink(Advanced(1, size))
            if since >= self._bytes_between:
                done.add(pending, self._checkpoint())
                pending, since = [], 0
        done.add(pending, self._checkpoint())
        return done

    def _take(self, pack_id: bytes) -> int:
        """Put the needed chunks of a pack on their way; its size in bytes.

        If one cannot be read, those before it lie twice then, and the pack stays.
        """
        key = layout.pack(pack_id)
        data = self._repository.store.get(key)
        if sha256(data) != pack_id:
            msg = f"{key} is damaged: its bytes are not those its name says"
            raise DamageError(msg)
        opener, frames = read_whole_pack(key, data, self._repository.keyring)
        view = memoryview(data)
        packer = self._domain(stated_pack_domain(data)).packer
        for frame in frames:
            if not any(self._needed(frame.ids)):
                continue
            sealed = view[frame.offset : frame.offset + frame.sealed_length]
            opened = opener.frame(frame, sealed, self._decompressor)
            mine = self._take_once(frame.ids)  # only now: what is taken is written in any case
            for chunk_id, chunk, is_mine in zip(frame.ids, opened, mine, strict=True):
                if is_mine:
                    packer.add(frame.kind, chunk_id, chunk)
        return len(data)

    def _domain(self, domain_id: bytes) -> _Domain:
        if domain_id not in self._domains:
            self._domains[domain_id] = _Domain(self._repository, domain_id)
        return self._domains[domain_id]

    def _checkpoint(self) -> list[IndexedPack]:
        return [pack for domain in self._domains.values() for pack in domain.finish()]


class _Domain:
    """New packs of one domain."""

    def __init__(self, repository: Repository, domain_id: bytes) -> None:
        self._repository = repository
        around = repository.around
        self._keys: SessionKeys = repository.keyring.begin_in(domain_id, around.randomness)
        core = repository.config.core
        self.packer = Packer(
            self._keys,
            self._put_pack,
            around.workers,
            PackLimits(core.frame_size, core.pack_size),
            around.randomness,
            Compressor(),
        )

    def finish(self) -> list[IndexedPack]:
        """Store what is on its way and list it; return it."""
        self.packer.flush()
        entries = [stored.entry for stored in self.packer.take_stored()]
        if entries:
            put_segment(self._repository, self._keys.domain.domain_id, entries)
        return entries

    def _put_pack(self, sealed: SealedPack) -> None:
        put_own(self._repository.store, layout.pack(sealed.pack_id), sealed.data)
