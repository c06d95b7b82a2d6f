"""What a pack says of itself, read from its ends: enough to list it in an index again."""

from __future__ import annotations

from typing import NamedTuple

from strongroom.errors import DamageError, RangeError
from strongroom.model.store import StoreReading
from strongroom.repository import layout
from strongroom.repository.columns import MAX_PACK, encode_columns
from strongroom.repository.keyring import Keys
from strongroom.repository.pack import (
    HEADER_SIZE,
    TRAILER_SIZE,
    open_pack,
    stated_pack_domain,
)
from strongroom.repository.records import IndexedPack


class FoundPack(NamedTuple):
    """A pack as an index lists it, and the domain that it belongs to."""

    domain_id: bytes
    entry: IndexedPack


def read_footer(store: StoreReading, keyring: Keys, pack_id: bytes, size: int) -> FoundPack:
    """Read header and footer of a pack of ``size`` bytes, and no frame.

    ``DamageError``, ``ObjectMissingError``.
    """
    key = layout.pack(pack_id)
    if not HEADER_SIZE + TRAILER_SIZE <= size <= MAX_PACK:
        msg = f"{key} is damaged: {size} bytes are no length of a pack"
        raise DamageError(msg)
    try:
        header = store.get_range(key, 0, HEADER_SIZE)
        opener = open_pack(key, header, keyring)
        trailer = store.get_range(key, size - TRAILER_SIZE, TRAILER_SIZE)
        offset, length = opener.footer_place(trailer, size)
        frames = opener.footer(offset, store.get_range(key, offset, length))
    except RangeError as error:
        msg = f"{key} is damaged: {error.message}"
        raise DamageError(msg) from error
    columns = encode_columns(frames)
    entry = IndexedPack(pack_id, size, columns.frames, columns.ids, columns.lengths)
    return FoundPack(stated_pack_domain(header), entry)
