"""A store that nobody writes to."""

from __future__ import annotations

from typing import NoReturn

from strongroom.errors import RefusedError
from strongroom.model.fs import Buffer
from strongroom.storage.wrappers.forwarding import ForwardingStore


class ReadOnlyStore(ForwardingStore):
    """Refuses ``put`` and ``delete`` before anything is sent."""

    def put(self, key: str, value: Buffer) -> NoReturn:
        """Raise RefusedError."""
        del value
        raise RefusedError(f"cannot store {self.url}/{key}: the store is open for reading only")

    def delete(self, key: str) -> NoReturn:
        """Raise RefusedError."""
        raise RefusedError(f"cannot delete {self.url}/{key}: the store is open for reading only")
