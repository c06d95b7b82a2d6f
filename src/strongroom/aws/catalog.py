"""Which version of each key is meant: listed once, a folder at a time, then looked up."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from itertools import islice
from typing import Final

from strongroom.aws.versions import BucketVersions, History, Version

FEW: Final = 4000
_SINGLES: Final = 4

Choose = Callable[[History], Version | None]


class Catalog:
    """What ``choose`` says of each key; of None the key is not there. For any number of threads.

    What was listed is not asked for again, so it fits where the answer does not change.
    """

    def __init__(self, versions: BucketVersions, choose: Choose, *, few: int = FEW) -> None:
        """Ask nobody yet.

        ``few``: how many keys of a top folder are listed for the sake of one, before only the
        folder is listed that the one is in.
        """
        self._versions = versions
        self._choose = choose
        self._few = few
        self._known: dict[str, Version] = {}
        self._whole: set[str] = set()  # prefixes of which everything is known
        self._large: set[str] = set()
        self._singles: dict[str, int] = {}
        self._lock = threading.Lock()
        self._locks: dict[str, threading.Lock] = {}

    def list(self, prefix: str) -> Iterator[Version]:
        """Yield everything that begins with ``prefix``, in order."""
        if not self._is_whole(prefix):
            yield from (one for one in self._listed(prefix) if one is not None)
            return
        with self._lock:
            found = [one for key, one in self._known.items() if key.startswith(prefix)]
        yield from sorted(found)

    def find(self, key: str) -> Version | None:
        """Find a key: the first few of a top folder by themselves, then by what lies beside them.

        One listing serves many that follow: of all of a top folder, if that is few; else of the
        folder that the key is in.
        """
        if not self._is_whole(key):
            folder = key.rpartition("/")[0] + "/"
            top = key.partition("/")[0] + "/"
            if folder == "/" or self._is_early(top):
                self._load(key)
            else:
                self._load(top, None if top == folder else self._few)
                if top in self._large:
                    self._load(folder)
        with self._lock:
            return self._known.get(key)

    def _is_early(self, top: str) -> bool:
        with self._lock:
            self._singles[top] = self._singles.get(top, 0) + 1
            return self._singles[top] <= _SINGLES

    def _load(self, prefix: str, most: int | None = None) -> None:
        """List what begins with ``prefix``, once, by whichever thread is first.

        ``most``: no more than so many, and no more at all where that was not enough before.
        """
        with self._lock:
            lock = self._locks.setdefault(prefix, threading.Lock())
        with lock:
            if self._is_whole(prefix) or (most is not None and prefix in self._large):
                return
            count = sum(1 for _ in islice(self._listed(prefix), most))
            if most is not None and count == most:
                with self._lock:
                    self._large.add(prefix)

    def _is_whole(self, prefix: str) -> bool:
        with self._lock:
            ends = (end for end in range(len(prefix)) if prefix[end] == "/")
            above = [prefix[: end + 1] for end in ends]
            return any(one in self._whole for one in ("", prefix, *above))

    def _listed(self, prefix: str) -> Iterator[Version | None]:
        """List, and know what was listed from now on; None for each key that is not there."""
        for history in self._versions.histories(prefix):
            found = self._choose(history)
            if found is not None:
                with self._lock:
                    self._known[found.key] = found
            yield found
        with self._lock:
            self._whole.add(prefix)
