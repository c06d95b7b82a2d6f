"""Packs that are to take the place of others are read whole first, and hold what is said of them.

Before the second last copy of a chunk is removed, the last one is proven. What an index says of a
pack is the word of whoever may write into that domain, and a pack that was sound may have rotted.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping

from strongroom.compression.codec import Decompressor
from strongroom.crypto.primitives import sha256
from strongroom.errors import DamageError, ObjectMissingError
from strongroom.model.events import Notice
from strongroom.repository import layout
from strongroom.repository.pack import read_whole_pack
from strongroom.repository.records import IndexedPack, split
from strongroom.repository.repository import Repository


class Prover:
    """Proves packs of one repository, each once, as long as the same is said of it."""

    def __init__(self, repository: Repository) -> None:
        self._repository = repository
        self._proven: dict[bytes, bytes] = {}
        self._decompressor = Decompressor()

    def know(self, packs: Iterable[IndexedPack]) -> None:
        """Take packs for proven, which were just made, and verified as they were."""
        for pack in packs:
            ids = split(pack.ids, layout.HASH_SIZE, layout.pack(pack.pack_id))
            self._proven[pack.pack_id] = _digest(ids)

    def unproven(self, claims: Mapping[bytes, Collection[bytes]]) -> set[bytes]:
        """Return those that do not hold the chunks they are said to hold, by pack."""
        return {pack for pack, ids in sorted(claims.items()) if not self._is_proven(pack, ids)}

    def _is_proven(self, pack_id: bytes, ids: Collection[bytes]) -> bool:
        claimed = _digest(ids)
        if self._proven.get(pack_id) == claimed:
            return True
        key = layout.pack(pack_id)
        try:
            lacks = set(ids) - self._held(key, pack_id)
        except (DamageError, ObjectMissingError) as error:
            self._tell(error.message)
            return False
        if lacks:
            self._tell(f"{key} does not hold all that the index says")
            return False
        self._proven[pack_id] = claimed
        return True

    def _held(self, key: str, pack_id: bytes) -> set[bytes]:
        """Return the chunks of a pack, every one of them verified."""
        data = self._repository.store.get(key)
        if sha256(data) != pack_id:
            msg = f"{key} is damaged: its bytes are not those its name says"
            raise DamageError(msg)
        opener, frames = read_whole_pack(key, data, self._repository.keyring)
        view = memoryview(data)
        for frame in frames:
            sealed = view[frame.offset : frame.offset + frame.sealed_length]
            opener.frame(frame, sealed, self._decompressor)
        return {chunk_id for frame in frames for chunk_id in frame.ids}

    def _tell(self, what: str) -> None:
        text = f"warning: {what}; what it should hold is kept elsewhere. Run 'strongroom verify'"
        self._repository.around.sink(Notice(text))


def _digest(ids: Iterable[bytes]) -> bytes:
    return sha256(b"".join(sorted(set(ids))))
