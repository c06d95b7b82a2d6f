"""What all wrappers share: every call goes on to the store within."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Literal, TypeVar

from strongroom.model.fs import Buffer
from strongroom.model.store import ObjectInfo, Store

Verb = Literal["get", "get_range", "size", "list", "put", "delete", "time_ns", "sync"]
Answer = TypeVar("Answer")


class ForwardingStore:
    """A store that does what the store within does.

    A wrapper overrides ``_request``, through which everything goes that is one request and one
    answer, or the verbs that it changes.
    """

    def __init__(self, within: Store) -> None:
        self._within = within

    @property
    def url(self) -> str:
        """See ``Store``."""
        return self._within.url

    def get(self, key: str) -> bytes:
        """See ``Store``."""
        return self._request("get", 0, lambda: self._within.get(key))

    def get_range(self, key: str, offset: int, length: int) -> bytes:
        """See ``Store``."""
        return self._request("get_range", 0, lambda: self._within.get_range(key, offset, length))

    def size(self, key: str) -> int:
        """See ``Store``."""
        return self._request("size", 0, lambda: self._within.size(key))

    def list(self, prefix: str) -> Iterator[ObjectInfo]:
        """See ``Store``."""
        return self._request("list", 0, lambda: self._within.list(prefix))

    def put(self, key: str, value: Buffer) -> None:
        """See ``Store``."""
        sent = memoryview(value).nbytes
        self._request("put", sent, lambda: self._within.put(key, value))

    def delete(self, key: str) -> None:
        """See ``Store``."""
        self._request("delete", 0, lambda: self._within.delete(key))

    def time_ns(self) -> int | None:
        """See ``Store``."""
        return self._request("time_ns", 0, self._within.time_ns)

    def sync(self, prefixes: Sequence[str]) -> None:
        """See ``Store``."""
        self._request("sync", 0, lambda: self._within.sync(prefixes))

    def _request(self, _verb: Verb, _sent: int, ask: Callable[[], Answer], /) -> Answer:
        """Do one request that carries ``sent`` bytes of a value."""
        return ask()


def bytes_received(answer: object) -> int:
    """Return how many bytes of a value an answer carries."""
    return len(answer) if isinstance(answer, bytes) else 0
