"""Files of a snapshot into pipes, each as fast as whoever reads it; none of them lies on a disk."""

from __future__ import annotations

import os
import select
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from typing import Final

from strongroom.errors import DamageError
from strongroom.model.entry import HOLE, Entry, Extent
from strongroom.model.events import Advanced, Sink
from strongroom.repository.content import flatten
from strongroom.repository.reader import Reader, Stream

_FIRST: Final = 128 << 10  # more than a pipe holds: what nobody reads yet costs no more than this
_WINDOW: Final = 4 << 20
_AT_ONCE: Final = 256  # pieces that are written by one call
_SECONDS: Final = 0.5


class Feeder:
    """Feeds pipes, in one thread; their ends are closed when all is written, or nobody reads."""

    def __init__(self, reader: Reader, sink: Sink, files: Sequence[tuple[Entry, int]]) -> None:
        self._sink = sink
        self._feeds = {fd: _Feed(reader, entry, fd) for entry, fd in files}

    def feed(self, is_over: Callable[[], bool]) -> None:
        """Write all of it; ends early if ``is_over``, which is asked where nobody reads.

        ``DamageError`` if a file cannot be read back.
        """
        poll = select.poll()
        for fd in self._feeds:
            os.set_blocking(fd, False)
            poll.register(fd, select.POLLOUT)
        while self._feeds:
            ready = poll.poll(_SECONDS * 1000)
            if not ready and is_over():
                return
            for fd, event in ready:
                gone = event & (select.POLLERR | select.POLLHUP)
                if gone or not self._write(self._feeds[fd]):
                    poll.unregister(fd)
                    self._feeds.pop(fd).close()

    def _write(self, feed: _Feed) -> bool:
        """Write what there is room for; False when there is no more, or nobody reads."""
        try:
            written = feed.write()
        except BrokenPipeError:
            return False
        if written:
            self._sink(Advanced(0, written))
        return not feed.is_done

    def close(self) -> None:
        """Close every pipe; whoever reads sees its end."""
        for feed in self._feeds.values():
            feed.close()
        self._feeds.clear()


class _Feed:
    """One file on its way: a window is written while the next one is read."""

    def __init__(self, reader: Reader, entry: Entry, fd: int) -> None:
        self.fd = fd
        self._reader = reader
        self._shown = entry.path.decode("utf-8", "backslashreplace")
        self._extents = flatten(self._shown, entry.content, entry.depth, reader.fetch)
        self._left = entry.size
        self._pieces: deque[memoryview] = deque()
        self._coming: _Window | None = None
        self._size = _FIRST
        self._is_read = False

    @property
    def is_done(self) -> bool:
        """Whether all of it is written."""
        return not self._left

    def write(self) -> int:
        """Write what the pipe takes; the number of bytes."""
        if not self._pieces:
            window = self._coming or self._next()
            self._coming = None
            self._pieces.extend(window.finish())
            self._size = _WINDOW
        try:
            written = os.writev(self.fd, list(islice(self._pieces, _AT_ONCE)))
        except BlockingIOError:
            return 0
        if self._is_read and self._coming is None and written < self._left:
            self._coming = self._next()
        self._is_read = True  # a pipe that was filled takes more when somebody reads it
        self._left -= written
        self._forget(written)
        return written

    def _forget(self, written: int) -> None:
        while written:
            first = self._pieces.popleft()
            if len(first) > written:
                self._pieces.appendleft(first[written:])
            written -= min(written, len(first))

    def _next(self) -> _Window:
        return _Window(self._reader, self._shown, list(_taken(self._extents, self._size)))

    def close(self) -> None:
        """Close the pipe."""
        os.close(self.fd)
        if self._coming is not None:
            self._coming.cancel()


class _Window:
    """Some chunks in a row, being read."""

    def __init__(self, reader: Reader, shown: str, extents: Sequence[Extent]) -> None:
        self._shown = shown
        self._found: dict[bytes, bytes] = {}
        self._extents = extents
        ids = [one.chunk_id for one in extents if one.chunk_id != HOLE]
        self._stream: Stream = reader.begin(ids, self._keep)

    def _keep(self, chunks: Sequence[tuple[bytes, memoryview]]) -> None:
        self._found.update((chunk_id, bytes(chunk)) for chunk_id, chunk in chunks)

    def finish(self) -> list[memoryview]:
        """Wait for the chunks, and return them in their order; ``DamageError``."""
        for lost in self._stream.finish():
            raise DamageError(f"{self._shown} is damaged: {lost.error.message}")
        pieces = []
        for extent in self._extents:
            hole = extent.chunk_id == HOLE
            piece = bytes(extent.length) if hole else self._found[extent.chunk_id]
            if len(piece) != extent.length:
                raise DamageError(f"{self._shown} is damaged: one of its chunks has another size")
            pieces.append(memoryview(piece))
        if not pieces:
            raise DamageError(f"{self._shown} is damaged: its chunks do not add up to its size")
        return pieces

    def cancel(self) -> None:
        """Ask for no more."""
        self._stream.cancel()


def _taken(extents: Iterator[Extent], size: int) -> Iterator[Extent]:
    for extent in extents:
        yield extent
        size -= extent.length
        if size <= 0:
            return
