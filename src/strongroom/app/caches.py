"""Which cache of objects a command reads through: now by name, as of a time by version too.

Some objects have names that are not digests of them: commits, orders, runs. In a bucket that keeps
versions such a key can have been several things, and each time is to show its own.
"""

from __future__ import annotations

import hashlib

from strongroom.app.folders import cache_of
from strongroom.app.machine import Run
from strongroom.app.stores import OpenStore
from strongroom.aws.asof import AsOfStore
from strongroom.errors import StoreError
from strongroom.repository import layout
from strongroom.repository.cache import ObjectCache


def cache_for(run: Run, opened: OpenStore, repository_id: bytes) -> ObjectCache:
    """Return the cache for what is read from a store."""
    cache = cache_of(run, repository_id)
    return cache if opened.past is None else VersionCache(opened.past, cache)


class VersionCache:
    """An ``ObjectCache`` of what a store was at a moment; index segments are named by content."""

    def __init__(self, past: AsOfStore, cache: ObjectCache) -> None:
        """Take the store, which knows the versions, and what keeps them."""
        self._past = past
        self._cache = cache

    def get(self, key: str) -> bytes | None:
        """See ``ObjectCache``."""
        name = self._name(key)
        return None if name is None else self._cache.get(name)

    def put(self, key: str, value: bytes) -> None:
        """See ``ObjectCache``."""
        name = self._name(key)
        if name is not None:
            self._cache.put(name, value)

    def forget(self, key: str) -> None:
        """See ``ObjectCache``."""
        name = self._name(key)
        if name is not None:
            self._cache.forget(name)

    def _name(self, key: str) -> str | None:
        if layout.segment_id(key) is not None:
            return key
        try:
            version = self._past.version(key)
        except StoreError:  # who asks the store next is told
            return None
        if version is None:
            return None
        # an id may be that of several versions: all are "null" while none are kept
        about = f"{version.id} {version.stored_ns} {version.size} {version.etag}"
        return f"versions/{key}/{hashlib.sha256(about.encode()).hexdigest()}"
