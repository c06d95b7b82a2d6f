"""Hand out WAL ahead of PostgreSQL's asking: into a folder that its next commands take it from.

PostgreSQL asks for one segment after the other, and starts a program for each. What follows the one
that it asked for is fetched beside it, in parallel, verified in the same way, and there under its
name only when it is whole. A name never has another content in an archive, so that what lies there
cannot be out of date.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from concurrent.futures import Executor
from contextlib import suppress
from typing import Final

from strongroom.errors import StrongroomError
from strongroom.model.fs import Fs
from strongroom.operations.wal.fetch import Fetched
from strongroom.operations.wal.files import deliver
from strongroom.postgres.wal.names import WalKind, WalName, segment_name
from strongroom.repository.wal import WalArchive

AHEAD: Final = 16  # segments
_MOST_BYTES: Final = 256 << 20  # some of which are in memory at once
_SECONDS: Final = 20.0  # that all of it may take, judged by the one that was asked for
_PRIVATE: Final = 0o700


class FetchAhead:
    """Puts segments into ``folder``, which is made; what is there already is not fetched again."""

    def __init__(
        self, archive: WalArchive, fs: Fs, folder: bytes, domains: Sequence[bytes] | None
    ) -> None:
        self._archive = archive
        self._fs = fs
        self._folder = folder
        self._domains = domains

    def follow(self, fetched: Fetched, executor: Executor, seconds: float) -> int:
        """Fetch what follows a segment, as far as it is there; how many were.

        ``seconds``: how long that one took; where a store is slow it is fewer, or none. Whatever
        goes wrong is no error here: who asks for that segment is told.
        """
        names = list(self._following(fetched))
        if seconds * len(names) > _SECONDS:
            del names[int(_SECONDS / seconds) :]
        with suppress(OSError):
            if names:
                self._fs.mkdir(self._folder, _PRIVATE)
        return sum(executor.map(lambda name: self._put(fetched.system_id, name), names))

    def _following(self, fetched: Fetched) -> Iterator[WalName]:
        name, size = fetched.name, fetched.size
        if name.kind is not WalKind.SEGMENT or not fetched.delivered or fetched.partial or not size:
            return
        number = name.number(size)
        for ahead in range(1, min(AHEAD, _MOST_BYTES // size) + 1):
            following = segment_name(name.timeline, number + ahead, size)
            if not self._is_there(following):
                yield following

    def _is_there(self, name: WalName) -> bool:
        try:
            self._fs.stat(self._path(name))
        except OSError:
            return False
        return True

    def _put(self, system_id: int, name: WalName) -> bool:
        with suppress(StrongroomError):
            places = self._archive.find(system_id, name, self._domains)
            if places:
                deliver(self._fs, self._path(name), self._archive.get_agreed(places))
                return True
        return False

    def _path(self, name: WalName) -> bytes:
        return self._folder + b"/" + os.fsencode(name.text)
