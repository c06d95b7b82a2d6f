"""A store in memory: the contract in its simplest form, for tests and rehearsals."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence

from strongroom.clock import Clock
from strongroom.errors import ObjectExistsError, ObjectMissingError, RangeError
from strongroom.model.fs import Buffer
from strongroom.model.store import ObjectInfo
from strongroom.storage.arguments import check_range, flat, listing_prefix, object_key


class MemoryStore:
    """Objects in a dictionary, gone with it; safe in any number of threads."""

    def __init__(self, url: str = "memory:", clock: Clock | None = None) -> None:
        """Take ``clock`` as what says when an object was put; without one nothing does."""
        self._url = url
        self._clock = clock
        self._objects: dict[str, bytes] = {}
        self._stored_ns: dict[str, int | None] = {}
        self._lock = threading.Lock()

    @property
    def url(self) -> str:
        """See ``Store``."""
        return self._url

    def get(self, key: str) -> bytes:
        """See ``Store``."""
        try:
            return self._objects[object_key(key)]
        except KeyError:
            raise ObjectMissingError(f"no object {self._url}/{key}") from None

    def get_range(self, key: str, offset: int, length: int) -> bytes:
        """See ``Store``."""
        check_range(offset, length)
        value = self.get(key)
        if offset + length > len(value):
            raise RangeError(
                f"object {self._url}/{key} has {len(value)} bytes: "
                f"{length} bytes from {offset} are not all there"
            )
        return value[offset : offset + length]

    def size(self, key: str) -> int:
        """See ``Store``."""
        return len(self.get(key))

    def list(self, prefix: str) -> Iterator[ObjectInfo]:
        """See ``Store``; shows the moment of the call."""
        listing_prefix(prefix)
        with self._lock:
            found = [
                ObjectInfo(key, len(value), self._stored_ns[key])
                for key, value in self._objects.items()
                if key.startswith(prefix)
            ]
        found.sort(key=lambda info: info.key)
        return iter(found)

    def put(self, key: str, value: Buffer) -> None:
        """See ``Store``."""
        copy = bytes(flat(value))
        with self._lock:
            if object_key(key) in self._objects:
                raise ObjectExistsError(f"object {self._url}/{key} exists already")
            self._objects[key] = copy
            self._stored_ns[key] = self.time_ns()

    def delete(self, key: str) -> None:
        """See ``Store``."""
        with self._lock:
            self._objects.pop(object_key(key), None)
            self._stored_ns.pop(key, None)

    def time_ns(self) -> int | None:
        """See ``Store``."""
        return None if self._clock is None else self._clock.now_ns()

    def sync(self, prefixes: Sequence[str]) -> None:
        """See ``Store``."""
        for prefix in prefixes:
            listing_prefix(prefix)
