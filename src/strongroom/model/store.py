"""The store port: where a repository keeps its objects, and what every store promises.

* A key is lower-case ASCII letters, digits, ``-``, ``_``, ``.`` and ``/``; relative, without empty,
  ``.`` or ``..`` components, at most 512 characters (``checked_key``).
* ``put`` is atomic: a reader sees all of the value or no object. It never replaces: of any number
  of concurrent puts of one key exactly one succeeds, the others raise ``ObjectExistsError`` and
  change nothing.
* After ``put`` returned, the value survives a power cut; the *name* of an object that another
  process put is sure to survive only after ``sync``.
* A ``get``, ``get_range``, ``size`` or ``list`` that starts after a ``put`` or ``delete`` returned
  sees its effect.
* ``get_range`` returns exactly the bytes asked for, or raises ``RangeError``.
* ``list`` yields each object under a prefix once, in ascending order of key, complete or not at
  all: a listing that breaks off raises. Temporary names are never listed.
* ``delete`` of a key that does not exist is no error.
* A store that has a clock says when each object was put, and ``time_ns`` what it is now by the same
  clock. No time decides by itself that anything is deleted.
* Errors: ``ObjectMissingError``, ``ObjectExistsError``, ``RangeError``, ``StoreFullError``,
  ``StoreUnavailableError`` where the same request may be sent again (its effect is then unknown),
  ``StoreError`` for everything else. Nothing is retried except by the retrying wrapper.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple, Protocol

from strongroom.model.fs import Buffer

MAX_KEY_LENGTH: Final = 512
_KEY = re.compile(r"[a-z0-9_.-]+(?:/[a-z0-9_.-]+)*")


class ObjectInfo(NamedTuple):
    """One line of a listing; ``size`` in bytes.

    ``stored_ns``: when it was put, by the store's clock, in nanoseconds since 1970; None where the
    store has no clock.
    """

    key: str
    size: int
    stored_ns: int | None = None


class StoreReading(Protocol):
    """What a reader needs."""

    @property
    def url(self) -> str:
        """Where the store is, as a person would type it; without secrets."""
        ...

    def get(self, key: str) -> bytes:
        """Return the whole value."""
        ...

    def get_range(self, key: str, offset: int, length: int) -> bytes:
        """Return exactly ``length`` bytes from ``offset``."""
        ...

    def size(self, key: str) -> int:
        """Return the length of the value in bytes, without reading it."""
        ...

    def list(self, prefix: str) -> Iterator[ObjectInfo]:
        """Yield every object whose key starts with ``prefix``, which is empty or ends in ``/``."""
        ...


class Store(StoreReading, Protocol):
    """The full contract that a repository needs."""

    def put(self, key: str, value: Buffer) -> None:
        """Store ``value`` under a key that does not exist yet."""
        ...

    def delete(self, key: str) -> None:
        """Remove the object, if it is there."""
        ...

    def time_ns(self) -> int | None:
        """What time it is by the store's clock, nanoseconds since 1970; None if it has none."""
        ...

    def sync(self, prefixes: Sequence[str]) -> None:
        """Make durable the name of every object that a listing of ``prefixes`` shows now."""
        ...


def checked_key(key: str) -> str:
    """Return ``key`` if it is one that every store can hold; ``ValueError`` otherwise."""
    parts = key.split("/")
    if len(key) > MAX_KEY_LENGTH or not _KEY.fullmatch(key) or "." in parts or ".." in parts:
        msg = f"not a key of an object: {key!r}"
        raise ValueError(msg)
    return key
