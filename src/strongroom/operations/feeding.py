"""Several programs fed through their standard inputs, each as fast as it reads."""

from __future__ import annotations

import fcntl
import os
import select
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from itertools import islice
from typing import Final, Protocol

_PIPE: Final = 1 << 20  # bytes in a pipe, the most that anybody may ask for
_AT_ONCE: Final = 32  # pieces that are written by one call: more than a pipe holds
_SECONDS: Final = 0.5


class Fed(Protocol):
    """A program that reads its standard input."""

    @property
    def input(self) -> int:
        """The descriptor that its standard input is written to."""
        ...

    def end_input(self) -> None:
        """Close its standard input; it may have ended before."""
        ...


def feed(feeds: Sequence[tuple[Fed, Iterator[bytes]]], is_over: Callable[[], bool]) -> bool:
    """Write to each program what it is to have, and close its input then, in one thread.

    Returns whether all of it was written. It ends early when a program reads no more before its
    end, and if ``is_over``, which is asked where nobody reads; then, and if an iterator raises, the
    inputs that are open stay so.
    """
    poll = select.poll()
    open_feeds: dict[int, _Feed] = {}
    for program, pieces in feeds:
        os.set_blocking(program.input, False)
        with suppress(OSError):  # in a smaller one it would only wait for us more often
            fcntl.fcntl(program.input, fcntl.F_SETPIPE_SZ, _PIPE)
        poll.register(program.input, select.POLLOUT)
        open_feeds[program.input] = _Feed(program, pieces)
    while open_feeds:
        ready = poll.poll(_SECONDS * 1000)
        if not ready and is_over():
            return False
        for fd, _ in ready:
            fed = open_feeds[fd]
            if fed.is_done():
                poll.unregister(fd)
                open_feeds.pop(fd).program.end_input()
            elif not fed.write():
                return False
    return True


class _Feed:
    """What one program is to have."""

    def __init__(self, program: Fed, pieces: Iterator[bytes]) -> None:
        self.program = program
        self._pieces = pieces
        self._waiting: deque[memoryview] = deque()

    def is_done(self) -> bool:
        """Whether all was written."""
        if not self._waiting:
            self._waiting.extend(map(memoryview, islice(self._pieces, _AT_ONCE)))
        return not self._waiting

    def write(self) -> bool:
        """Write what there is room for; False if nobody reads."""
        try:
            written = os.writev(self.program.input, self._waiting)
        except BlockingIOError:
            return True
        except BrokenPipeError:
            return False
        self._forget(written)
        return True

    def _forget(self, written: int) -> None:
        while self._waiting and written >= len(self._waiting[0]):
            written -= len(self._waiting.popleft())
        if written:
            self._waiting[0] = self._waiting[0][written:]
