"""Walking snapshots, and giving every chunk that they need a sound place.

A chunk without one is read from wherever it still can be: a damaged pack whose frame is whole, a
pack that a collector named, a replica. Its id is computed again from its bytes, which therefore
are the right ones wherever they come from. Trees are gone through on the way, so what is below a
piece that came from a replica is looked at too. With no writer it is only said what is missing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final

from strongroom.errors import DamageError, MissingObjectError
from strongroom.model.entry import HOLE, Entry
from strongroom.model.events import Advanced
from strongroom.model.snapshot import ListedSnapshot, Order, SourceRecord, Stream
from strongroom.repository.columns import ChunkKind
from strongroom.repository.content import flatten
from strongroom.repository.reader import Lost, ReadChunk, Reader
from strongroom.repository.repair.holdings import Holdings
from strongroom.repository.tree import Root
from strongroom.repository.treecursor import TreeCursor
from strongroom.repository.writer import ChunkWriter

_WINDOW: Final = 32 << 20

WriterOf = Callable[[bytes], ChunkWriter]
"""From the id of a domain to what writes into it."""


@dataclass(slots=True)
class Healed:
    """What was found: chunks that had no sound place and got one, or would; and that are lost.

    ``suspects``: packs that were taken for sound, and do not give what they should.
    """

    chunks: set[bytes] = field(default_factory=set)
    lost: set[bytes] = field(default_factory=set)
    suspects: set[bytes] = field(default_factory=set)
    whole: list[ListedSnapshot] = field(default_factory=list)
    broken: list[ListedSnapshot] = field(default_factory=list)


class Healer:
    """Walks snapshots one after the other; ``readers``: where chunks may be had, ours first."""

    def __init__(
        self, holdings: Holdings, readers: Sequence[Reader], writer_of: WriterOf | None = None
    ) -> None:
        self._holdings = holdings
        self._readers = readers
        self._writer_of = writer_of
        self._domain = b""
        self._whole: set[bytes] = set()
        self._wanted: dict[bytes, int] = {}
        self.result = Healed()

    def run(self, snapshots: Iterable[ListedSnapshot], told: Callable[[Advanced], None]) -> Healed:
        """Walk snapshots; ``told`` hears of each."""
        for listed in snapshots:
            sound = self._snapshot(listed)
            (self.result.whole if sound else self.result.broken).append(listed)
            told(Advanced(1, 0))
        return self.result

    def _snapshot(self, listed: ListedSnapshot) -> bool:
        self._domain = listed.domain
        where = f"snapshot {listed.short_id}"
        sound = True
        for source in listed.snapshot.sources:
            sound = self._source(where, source) and sound
            sound = self._content(where, source.problems) and sound
        return self._get_wanted() and sound

    def _source(self, where: str, source: SourceRecord) -> bool:
        root = Root(source.root, source.levels, source.counts.entries)
        sound = True
        try:
            cursor = TreeCursor(where, root, Order(source.order), self._trees)
        except DamageError:
            return False
        while (part := cursor.part) is not None:
            if part.level == 0 and part.chunk_id in self._whole:
                cursor.skip()
                continue
            try:
                entries = cursor.enter(self._whole.__contains__)
            except DamageError:
                sound = False
                continue
            if entries is not None:
                if self._entries(where, entries):
                    self._whole.add(part.chunk_id)
                else:
                    sound = False
        return sound

    def _entries(self, where: str, entries: Iterable[Entry]) -> bool:
        sound = True
        for entry in entries:
            stream = Stream(entry.content, entry.depth)
            sound = self._content(where, stream) and sound
        return self._get_wanted() and sound

    def _content(self, where: str, stream: Stream) -> bool:
        """Want the chunks of a file; False if some of it is lost."""
        sound = True
        try:
            for extent in flatten(where, stream.content, stream.depth, self._trees):
                if extent.chunk_id != HOLE:
                    self._wanted[extent.chunk_id] = extent.length
                if len(self._wanted) >= 1 << 16:
                    sound = self._get_wanted() and sound
        except DamageError:
            return False
        return sound

    # -- chunks

    def _get_wanted(self) -> bool:
        """Give a place to each wanted chunk; False if one is lost."""
        wanted, self._wanted = self._wanted, {}
        ids = list(wanted)
        missing = [i for i, ok in zip(ids, self._holdings.are_sound(ids), strict=True) if not ok]
        sound = not self.result.lost.intersection(ids)
        missing = [chunk_id for chunk_id in missing if chunk_id not in self.result.lost]
        self.result.chunks.update(missing)
        if self._writer_of is None:
            return sound
        while missing:
            size = 0
            window = []
            while missing and size < _WINDOW:
                window.append(missing.pop())
                size += wanted[window[-1]]
            got, lost = self._obtain(window)
            self._keep(ChunkKind.DATA, got)
            self.result.lost.update(one.chunk_id for one in lost)
            sound = sound and not lost
        return sound

    def _trees(self, ids: list[bytes]) -> list[bytes]:
        """Return tree chunks; those without a sound place get one. ``DamageError``."""
        sound = dict(zip(ids, self._holdings.are_sound(ids), strict=True))
        got, lost = self._obtain(ids)
        found = {chunk_id: data for chunk_id, data in got.items() if not sound[chunk_id]}
        self.result.chunks.update(found)
        self._keep(ChunkKind.TREE, found)
        if lost:
            self.result.lost.update(one.chunk_id for one in lost)
            raise lost[0].error
        return [got[chunk_id] for chunk_id in ids]

    def _obtain(self, ids: Sequence[bytes]) -> tuple[dict[bytes, bytes], list[Lost]]:
        """Read chunks from whoever has them."""
        got: dict[bytes, bytes] = {}

        def keep(chunks: Sequence[ReadChunk]) -> None:
            got.update((one.chunk_id, bytes(one.data)) for one in chunks)

        lost = [Lost(i, MissingObjectError(f"chunk {i.hex()[:16]} is nowhere")) for i in ids]
        for number, reader in enumerate(self._readers):
            lost = reader.stream([one.chunk_id for one in lost], keep)
            if number == 0:
                self._suspect([one.chunk_id for one in lost])
            if not lost:
                break
        return got, lost

    def _suspect(self, ids: list[bytes]) -> None:
        """Note the packs that should have given these chunks."""
        index = self._holdings.sound
        for chunk_id in ids:
            for place in index.places(chunk_id):
                self.result.suspects.add(index.frame(place.frame).pack_id)

    def _keep(self, kind: ChunkKind, chunks: dict[bytes, bytes]) -> None:
        if self._writer_of is not None and chunks:
            self._writer_of(self._domain).save(kind, list(chunks.items()))
