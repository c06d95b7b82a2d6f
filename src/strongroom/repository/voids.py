"""Objects that an order declared absent (``docs/format.md`` 10)."""

from __future__ import annotations

from collections.abc import Iterable

from strongroom.crypto.primitives import sha256
from strongroom.errors import ObjectMissingError
from strongroom.model.store import StoreReading
from strongroom.repository import layout
from strongroom.repository.records import Voided


def is_void(store: StoreReading, one: Voided) -> bool:
    """Whether what is at a key now is what was declared absent, or nothing if that was."""
    try:
        return sha256(store.get(one.key)) == one.sha256
    except ObjectMissingError:
        return not one.sha256


def void_segments(store: StoreReading, voids: Iterable[Voided]) -> frozenset[bytes]:
    """Return the index segments that count as absent."""
    named = [(layout.segment_id(one.key), one) for one in voids]
    return frozenset(name for name, one in named if name is not None and is_void(store, one))
