"""Signs of life where the store does not decide between two puts of one key.

Nobody is given up there for being silent. A person may say that a session is dead, once its last
sign is older than ``NAMED_AFTER_NS``; and a session that was silent for ``LEASE_NS``, which is
less, says no success and deletes nothing, for somebody may have given it up. Both go by the clock
of the store, so it does not matter which of the two came first (``docs/protocol.md``).
"""

from __future__ import annotations

from itertools import pairwise
from typing import Final

from strongroom.errors import FencedError
from strongroom.model.store import ObjectInfo, StoreReading
from strongroom.repository import layout
from strongroom.repository.opening import OpenedConfig

_MINUTE: Final = 60 * 1_000_000_000
LEASE_NS: Final = 100 * _MINUTE  # a sign comes every hour
NAMED_AFTER_NS: Final = 120 * _MINUTE


class Lease:
    """What a session may rely on: that nobody could call it dead."""

    def __init__(self, store: StoreReading, session: str) -> None:
        """Take the key of the session."""
        self._store = store
        self._session = session

    def require(self, last: str = "") -> None:
        """``FencedError`` if too much time lay between two signs of life, or they were removed.

        ``last``: the key of an object of this session that was put after all of them.
        """
        signs = self._listed(self._session)
        times = [
            one.stored_ns for one in [*signs, *self._listed(last)] if one.stored_ns is not None
        ]
        if not signs or any(later - one >= LEASE_NS for one, later in pairwise(sorted(times))):
            raise FencedError(
                "this session gave no sign of life for so long that a person may have said that "
                "it is dead, so it does not count",
                hint="Was this machine asleep? Run the same command again.",
            )

    def _listed(self, key: str) -> list[ObjectInfo]:
        """Return what is listed of a session, and the object of this key."""
        if not key:
            return []
        listed = self._store.list(key.rpartition("/")[0] + "/")
        return [one for one in listed if one.key == key or _is_sign(one.key, key)]


def lease_of(store: StoreReading, config: OpenedConfig, session: str) -> Lease | None:
    """Return what the session of this key has to mind; nothing where the store decides."""
    return Lease(store, session) if config.is_weaker else None


def _is_sign(key: str, session: str) -> bool:
    ids = layout.session_ids(key)
    return ids is not None and layout.session(ids[0], ids[1]) == session
