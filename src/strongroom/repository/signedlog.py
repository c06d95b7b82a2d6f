"""Signed objects below one prefix that never change, read through a cache."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Generic, TypeVar

from strongroom.errors import DamageError, ObjectMissingError
from strongroom.model.store import StoreReading
from strongroom.repository.cache import ObjectCache
from strongroom.repository.envelope import MAX_OBJECT

Read = TypeVar("Read")


class SignedLog(Generic[Read]):
    """Reads the objects below ``prefix``; ``decode`` verifies the bytes of one, ``DamageError``."""

    def __init__(
        self,
        store: StoreReading,
        prefix: str,
        cache: ObjectCache,
        decode: Callable[[str, bytes], Read],
    ) -> None:
        self._store = store
        self._prefix = prefix
        self._cache = cache
        self._decode = decode

    def read(self, key: str, *, cached: bool = True) -> Read:
        """Return the object at ``key``; ``DamageError``, ``ObjectMissingError``."""
        data = self._cache.get(key) if cached else None
        if data is not None:
            try:
                return self._decode(key, data)
            except DamageError:
                self._cache.forget(key)
        data = self._store.get(key)
        found = self._decode(key, data)
        if cached:
            self._cache.put(key, data)
        return found

    def read_all(
        self, on_damage: Callable[[str, DamageError], None], *, cached: bool = True
    ) -> Iterator[Read]:
        """Yield every object in the order of keys; those that cannot be read are reported."""
        for info in list(self._store.list(self._prefix)):
            if info.size > MAX_OBJECT:
                what = f"{info.key} is damaged: {info.size} bytes are no length of an object"
                on_damage(info.key, DamageError(what))
                continue
            try:
                yield self.read(info.key, cached=cached)
            except ObjectMissingError:
                continue
            except DamageError as error:
                on_damage(info.key, error)
