"""The chunk writer of one session: deduplicates, packs, and keeps the index up to date."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from strongroom.clock import Clock
from strongroom.model.fs import Buffer
from strongroom.model.snapshot import Order
from strongroom.repository.columns import ChunkKind
from strongroom.repository.content import ContentBuilder
from strongroom.repository.index import ChunkIndex
from strongroom.repository.keyring import DomainKeys
from strongroom.repository.layout import HASH_SIZE
from strongroom.repository.packer import Packer, StoredPack
from strongroom.repository.records import IndexedPack
from strongroom.repository.tree import TreeWriter

CHECKPOINT_SECONDS: Final = 300.0
CHECKPOINT_CHUNKS: Final = 500_000


@dataclass(slots=True)
class Written:
    """What a session stored; sizes in bytes, before and after compression."""

    chunks: int = 0
    plain_bytes: int = 0
    stored_bytes: int = 0
    packs: int = 0


class ChunkWriter:
    """Stores chunks once; called from one thread.

    ``index`` holds exactly the chunks that this session may rely on. ``put_segment`` stores an
    index segment for packs whose put returned.
    """

    def __init__(
        self,
        domain: DomainKeys,
        index: ChunkIndex,
        packer: Packer,
        put_segment: Callable[[Sequence[IndexedPack]], None],
        clock: Clock,
    ) -> None:
        self._domain = domain
        self._index = index
        self._packer = packer
        self._put_segment = put_segment
        self._clock = clock
        self._on_the_way: set[bytes] = set()
        self._unlisted: list[IndexedPack] = []
        self._unlisted_chunks = 0
        self._last_checkpoint = clock.elapsed()
        self.pack_ids: list[bytes] = []
        self.pack_sizes: list[int] = []
        self.written = Written()

    @property
    def hash_data(self) -> Callable[[Buffer], bytes]:
        """Return the function from bytes to the id of a data chunk; for any thread."""
        return self._domain.data_hasher

    def relies_on(self, ids: Sequence[bytes]) -> list[bool]:
        """Tell for each chunk id whether it is stored already, or on its way."""
        known = self._index.known(ids)
        return [k or i in self._on_the_way for k, i in zip(known, ids, strict=True)]

    def has(self, joined: bytes) -> bool:
        """Whether every one of these ids, one after the other, is stored or on its way."""
        return self._index.holds(joined) or all(self.relies_on(_split(joined)))

    def save_data(self, chunks: Sequence[tuple[bytes, Buffer]]) -> None:
        """Store data chunks, given with their ids."""
        self.save(ChunkKind.DATA, chunks)

    def save_tree(self, chunk: bytes) -> bytes:
        """Store a tree chunk and return its id."""
        chunk_id = self._domain.tree_hasher(chunk)
        self.save(ChunkKind.TREE, [(chunk_id, chunk)])
        return chunk_id

    def new_content(self) -> ContentBuilder:
        """Begin the list of what one file contains."""
        return ContentBuilder(self.save_tree)

    def new_tree(self, order: Order = Order.COMPONENTS) -> TreeWriter:
        """Begin the tree of one source, whose entries come in this order."""
        return TreeWriter(self.save_tree, order)

    def save(self, kind: ChunkKind, chunks: Sequence[tuple[bytes, Buffer]]) -> None:
        """Store chunks of one kind, given with their ids."""
        known = self.relies_on([chunk_id for chunk_id, _ in chunks])
        for (chunk_id, chunk), is_known in zip(chunks, known, strict=True):
            if not is_known and chunk_id not in self._on_the_way:
                self._on_the_way.add(chunk_id)
                self.written.chunks += 1
                self._packer.add(kind, chunk_id, chunk)
        self._register(self._packer.take_stored())

    def _register(self, stored: Sequence[StoredPack]) -> None:
        for pack in stored:
            entry = pack.entry
            self._index.add("the new index", [entry])
            ids = _split(entry.ids)
            self._on_the_way.difference_update(ids)
            self._unlisted.append(entry)
            self._unlisted_chunks += len(ids)
            self.pack_ids.append(entry.pack_id)
            self.pack_sizes.append(entry.size)
            self.written.packs += 1
            self.written.plain_bytes += pack.plain_bytes
            self.written.stored_bytes += entry.size
        late = self._clock.elapsed() - self._last_checkpoint > CHECKPOINT_SECONDS
        if self._unlisted_chunks > CHECKPOINT_CHUNKS or (late and self._unlisted):
            self._checkpoint()

    def _checkpoint(self) -> None:
        if self._unlisted:
            self._put_segment(self._unlisted)
        self._unlisted = []
        self._unlisted_chunks = 0
        self._last_checkpoint = self._clock.elapsed()

    def finish(self) -> None:
        """Store all that was saved, and list it in the index."""
        self._packer.flush()
        self._register(self._packer.take_stored())
        self._checkpoint()

    def keep_what_is_stored(self) -> None:
        """Before giving up: list the packs that reached the store, so that they are not in vain."""
        self._packer.settle()
        self._register(self._packer.take_stored())
        self._checkpoint()


def _split(joined: bytes) -> list[bytes]:
    return [joined[i : i + HASH_SIZE] for i in range(0, len(joined), HASH_SIZE)]
