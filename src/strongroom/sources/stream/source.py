"""One stream as one file of a snapshot: its length is known when it has ended."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Final, Protocol

from strongroom.clock import Clock
from strongroom.errors import SourceError, StrongroomError
from strongroom.model.entry import Entry
from strongroom.model.fs import Fs
from strongroom.model.source import Content, Item, Loaded, Report
from strongroom.model.spawn import Running, Spawn
from strongroom.sources.made import made_file
from strongroom.system.causes import cause_of

_ENDLESS: Final = 1 << 62
_STANDARD_INPUT: Final = 0


class Stream(Protocol):
    """Where bytes come from."""

    def readinto(self, buffer: memoryview) -> int:
        """Fill a part of ``buffer``; 0 at the end. ``StrongroomError`` if that fails."""
        ...

    def finish(self) -> None:
        """Make sure that what was read is all of it; ``StrongroomError`` if it is not."""
        ...

    def close(self) -> None:
        """Let go of it, wherever it stands."""
        ...


class StandardInput:
    """What is piped into this process. Who pipes it has to see to its own failures."""

    def __init__(self, fs: Fs) -> None:
        self._fs = fs

    def readinto(self, buffer: memoryview) -> int:
        """See ``Stream``."""
        try:
            return self._fs.readinto(_STANDARD_INPUT, buffer)
        except OSError as error:
            raise SourceError(f"cannot read standard input: {cause_of(error)}") from error

    def finish(self) -> None:
        """See ``Stream``; the end of a pipe says nothing of how it came about."""

    def close(self) -> None:
        """See ``Stream``; standard input is not ours to close."""


class CommandOutput:
    """What a command prints; it is whole if the command ends with 0."""

    def __init__(self, spawn: Spawn, command: Sequence[str]) -> None:
        """Start it; ``SourceError`` if that cannot be done."""
        self._name = command[0]
        try:
            self._child: Running = spawn.start(command)
        except (OSError, ValueError) as error:
            cause = cause_of(error) if isinstance(error, OSError) else str(error)
            raise SourceError(
                f"the command '{self._name}' does not start: {cause}",
                hint="Nothing was saved. Is it installed, and on the PATH?",
            ) from error

    def readinto(self, buffer: memoryview) -> int:
        """See ``Stream``."""
        try:
            return self._child.readinto(buffer)
        except OSError as error:
            raise SourceError(
                f"cannot read what '{self._name}' prints: {cause_of(error)}"
            ) from error

    def finish(self) -> None:
        """See ``Stream``."""
        code = self._child.wait()
        if code == 0:
            return
        how = f"was killed by {_signal_name(-code)}" if code < 0 else f"ended with exit code {code}"
        raise StrongroomError(
            f"the command '{self._name}' {how}, so no snapshot was made",
            hint="What it printed on standard error says why.",
        )

    def close(self) -> None:
        """See ``Stream``; a command that still runs is killed."""
        self._child.kill()


class _StreamContent:
    """``Content`` whose end is not known before it is there."""

    def __init__(self, stream: Stream, item: Item, made: Callable[[int], Entry]) -> None:
        self._stream = stream
        self._item = item
        self._made = made

    def extents(self) -> Sequence[tuple[int, int, bool]]:
        """See ``Content``; reading ends before this does."""
        return [(0, _ENDLESS, True)]

    def readinto(self, offset: int, buffer: memoryview) -> int:
        """See ``Content``; offsets only go on."""
        del offset
        return self._stream.readinto(buffer)

    def finish(self, size_read: int) -> Loaded:
        """See ``Content``; ``StrongroomError`` if it is not all there, or nothing came."""
        self._stream.finish()
        if not size_read:
            raise StrongroomError(
                "nothing came, not one byte, so no snapshot was made",
                hint="An empty dump is hardly what was meant; look at what should have printed it.",
            )
        return Loaded(self._item, self._made(size_read), b"", b"")


class StreamSource:
    """A ``Source`` of one file, ``path``, with whatever ``opened`` gives; read once."""

    def __init__(
        self, kind: str, name: str, path: bytes, clock: Clock, opened: Callable[[], Stream]
    ) -> None:
        self.kind = kind
        self.name = name
        self._path = path
        self._clock = clock
        self._opened = opened

    def walk(self, report: Report) -> Iterator[Sequence[Item]]:
        """See ``Source``."""
        del report
        yield [Item(self._path, b"", _ENDLESS, None)]

    def load(self, items: Sequence[Item]) -> list[Loaded]:
        """See ``Source``; a stream is never small."""
        raise TypeError(items)

    @contextmanager
    def open(self, item: Item) -> Iterator[Content]:
        """See ``Source``; errors of a stream end the backup, since there is nothing else in it."""
        stream = self._opened()
        try:
            yield _StreamContent(stream, item, self._entry)
        finally:
            stream.close()

    def _entry(self, size: int) -> Entry:
        return made_file(self._path, size, self._clock.now_ns())


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
