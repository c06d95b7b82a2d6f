"""A store that writes down what is asked of it."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence

from strongroom.model.fs import Buffer
from strongroom.model.store import ObjectInfo, Store


class RecordingStore:
    """A ``Store`` around another one; ``requests`` holds (verb, key or prefix) in their order."""

    def __init__(self, within: Store) -> None:
        self._within = within
        self._lock = threading.Lock()
        self.requests: list[tuple[str, str]] = []

    def _note(self, verb: str, key: str) -> None:
        with self._lock:
            self.requests.append((verb, key))

    @property
    def url(self) -> str:
        """See ``Store``."""
        return self._within.url

    def get(self, key: str) -> bytes:
        """See ``Store``."""
        self._note("get", key)
        return self._within.get(key)

    def get_range(self, key: str, offset: int, length: int) -> bytes:
        """See ``Store``."""
        self._note("get_range", key)
        return self._within.get_range(key, offset, length)

    def size(self, key: str) -> int:
        """See ``Store``."""
        self._note("size", key)
        return self._within.size(key)

    def list(self, prefix: str) -> Iterator[ObjectInfo]:
        """See ``Store``."""
        self._note("list", prefix)
        return self._within.list(prefix)

    def put(self, key: str, value: Buffer) -> None:
        """See ``Store``."""
        self._note("put", key)
        self._within.put(key, value)

    def delete(self, key: str) -> None:
        """See ``Store``."""
        self._note("delete", key)
        self._within.delete(key)

    def time_ns(self) -> int | None:
        """See ``Store``."""
        self._note("time_ns", "")
        return self._within.time_ns()

    def sync(self, prefixes: Sequence[str]) -> None:
        """See ``Store``."""
        self._note("sync", " ".join(prefixes))
        self._within.sync(prefixes)
