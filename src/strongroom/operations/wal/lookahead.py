"""Archive WAL ahead of the server's asking: what waits in ``archive_status`` goes in parallel.

The server asks for one file after the other. When it asks for the first, the ones that wait behind
it are archived as well, and what is durable is remembered, by the very file that was read: the
server is answered from memory. Nothing is answered before it is durable.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from concurrent.futures import Executor, Future
from contextlib import suppress
from typing import Final, NamedTuple

from strongroom.errors import SourceError, StrongroomError
from strongroom.model.fs import Fs
from strongroom.operations.wal.files import named_file
from strongroom.postgres.wal.names import WalKind, parse_name

AHEAD: Final = 16  # files that are archived beside the one that was asked for
_READY: Final = b".ready"


class Identity(NamedTuple):
    """Which file it was: a segment that is used again gets another name, and another time."""

    inode: int
    device: int
    size: int
    mtime_ns: int


class LookAhead:
    """Archives what is asked for, and what waits behind it.

    ``push`` archives the file at a path and returns when it is durable; it runs on ``executor``.
    """

    def __init__(
        self, fs: Fs, push: Callable[[bytes], object], executor: Executor, ahead: int = AHEAD
    ) -> None:
        self._fs = fs
        self._push = push
        self._executor = executor
        self._ahead = ahead
        self._lock = threading.Lock()
        self._known: dict[bytes, tuple[Identity, Future[object]]] = {}
        self.archived = 0

    def archive(self, path: bytes, seconds: float) -> None:
        """Return when the file at ``path`` is in the repository; raises why it is not.

        ``TimeoutError`` after so many seconds.
        """
        if named_file(path) is None:
            raise SourceError(f"{os.fsdecode(path)} is no WAL file")
        future = self._begun(path)
        for waiting in self._waiting(path):
            with suppress(StrongroomError):  # it may be gone; who asks for it is told
                self._begun(waiting)
        try:
            future.result(seconds)
        except BaseException:
            if future.done():
                self._forget(path, future)
            raise
        with self._lock:
            self.archived += 1
        if self._identity(path) != self._known_identity(path, future):
            self._forget(path, future)
            raise SourceError(
                f"{os.fsdecode(path)} changed while it was archived",
                hint="It is archived again when the server asks for it again.",
            )

    def _begun(self, path: bytes) -> Future[object]:
        """Return the work on a file, begun now unless the same file was begun before."""
        identity = self._identity(path)
        with self._lock:
            known = self._known.get(path)
            if known is not None and known[0] == identity and not _failed(known[1]):
                return known[1]
            future = self._executor.submit(self._push, path)
            self._known[path] = identity, future
            return future

    def _waiting(self, path: bytes) -> list[bytes]:
        """Return the files beside ``path`` that wait, histories first, then in their order.

        What does not wait any more is forgotten: the server has its answer.
        """
        folder, _, asked = path.rpartition(b"/")
        try:
            fd = self._fs.open(folder + b"/archive_status", os.O_RDONLY | os.O_DIRECTORY)
            try:
                names = self._fs.names(fd)
            finally:
                self._fs.close(fd)
        except OSError:
            return []
        found = []
        for name in names:
            parsed = parse_name(os.fsdecode(name.removesuffix(_READY)))
            if name.endswith(_READY) and parsed is not None:
                found.append((parsed.kind is not WalKind.HISTORY, name.removesuffix(_READY)))
        found.sort()
        ready = {folder + b"/" + name for _, name in found}
        with self._lock:
            for known, (_, future) in list(self._known.items()):
                beside = known.rpartition(b"/")[0] == folder
                if beside and known not in ready and known != path and future.done():
                    del self._known[known]
        order = [name for _, name in found if name != asked]
        return [folder + b"/" + name for name in order[: self._ahead]]

    def _identity(self, path: bytes) -> Identity:
        try:
            found = self._fs.stat(path)
        except OSError as error:
            raise SourceError(
                f"cannot read {os.fsdecode(path)}: {(error.strerror or str(error)).lower()}"
            ) from error
        return Identity(found.inode, found.device, found.size, found.mtime_ns)

    def _known_identity(self, path: bytes, future: Future[object]) -> Identity | None:
        with self._lock:
            known = self._known.get(path)
            return known[0] if known is not None and known[1] is future else None

    def _forget(self, path: bytes, future: Future[object]) -> None:
        with self._lock:
            known = self._known.get(path)
            if known is not None and known[1] is future:
                del self._known[path]


def _failed(future: Future[object]) -> bool:
    return future.done() and (future.cancelled() or future.exception() is not None)
