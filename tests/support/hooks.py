"""A store that does something else at a chosen moment: another writer, a collector, an attacker."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from strongroom.model.fs import Buffer
from strongroom.model.store import ObjectInfo, Store

Hook = Callable[[], object]


class HookedStore:
    """A ``Store`` around another one; each hook runs once, before or after a request."""

    def __init__(self, within: Store) -> None:
        self._within = within
        self._before: list[tuple[str, str, Hook]] = []
        self._after: list[tuple[str, str, Hook]] = []

    def before(self, verb: str, prefix: str, hook: Hook) -> None:
        """Run ``hook`` before the next such request."""
        self._before.append((verb, prefix, hook))

    def after(self, verb: str, prefix: str, hook: Hook) -> None:
        """Run ``hook`` after the next such request; a listing shows the moment before."""
        self._after.append((verb, prefix, hook))

    def after_nth(self, nth: int, verb: str, prefix: str, hook: Hook) -> None:
        """Run ``hook`` after the ``nth`` such request from now, counted from 1."""
        again = hook if nth == 1 else lambda: self.after_nth(nth - 1, verb, prefix, hook)
        self.after(verb, prefix, again)

    @staticmethod
    def _run(hooks: list[tuple[str, str, Hook]], verb: str, key: str) -> None:
        due = [one for one in hooks if one[0] == verb and key.startswith(one[1])]
        for one in due:
            hooks.remove(one)
            one[2]()

    @property
    def url(self) -> str:
        """See ``Store``."""
        return self._within.url

    def get(self, key: str) -> bytes:
        """See ``Store``."""
        self._run(self._before, "get", key)
        value = self._within.get(key)
        self._run(self._after, "get", key)
        return value

    def get_range(self, key: str, offset: int, length: int) -> bytes:
        """See ``Store``."""
        self._run(self._before, "get_range", key)
        value = self._within.get_range(key, offset, length)
        self._run(self._after, "get_range", key)
        return value

    def size(self, key: str) -> int:
        """See ``Store``."""
        self._run(self._before, "size", key)
        return self._within.size(key)

    def list(self, prefix: str) -> Iterator[ObjectInfo]:
        """See ``Store``."""
        self._run(self._before, "list", prefix)
        found = tuple(self._within.list(prefix))
        self._run(self._after, "list", prefix)
        return iter(found)

    def put(self, key: str, value: Buffer) -> None:
        """See ``Store``."""
        self._run(self._before, "put", key)
        self._within.put(key, value)
        self._run(self._after, "put", key)

    def delete(self, key: str) -> None:
        """See ``Store``."""
        self._run(self._before, "delete", key)
        self._within.delete(key)
        self._run(self._after, "delete", key)

    def time_ns(self) -> int | None:
        """See ``Store``."""
        return self._within.time_ns()

    def sync(self, prefixes: Sequence[str]) -> None:
        """See ``Store``."""
        self._within.sync(prefixes)
