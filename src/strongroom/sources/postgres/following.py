"""Files of a folder, read while a program writes them, each one from its start to its end.

A file is whole when all of it was read after nobody had it open for writing any more, which the
kernel says (``Fs.has_writer``); where it does not, or says so of a file that is still empty and so
may just have been made, when the program has ended. A whole file is emptied and moved aside: its
name stays for whoever asks what came. The room of what was read can be given back before that.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, NamedTuple

from strongroom.model.fs import Fs

_BLOCK: Final = 4096
_BUFFER: Final = 1 << 20
_WORTH: Final = 1 << 20  # bytes that are worth a look at a file that is still written
_TURN: Final = 8 << 20  # bytes of one file before the others have theirs


class Piece(NamedTuple):
    """Bytes of a file; ``size`` comes with the last of them: of the whole file.

    ``data`` is good until the next piece.
    """

    name: bytes
    data: memoryview
    size: int | None = None


@dataclass(slots=True)
class _File:
    fd: int
    name: bytes
    size: int = 0
    read: int = 0
    released: int = 0
    whole: bool = False


class Follower:
    """Follows what is written into ``folder``, and moves it into ``aside``; both are there.

    Names that end with one of ``kept`` are moved as they are: somebody reads them there.
    """

    def __init__(self, fs: Fs, folder: bytes, aside: bytes, kept: tuple[bytes, ...]) -> None:
        self._fs = fs
        self._kept = kept
        self._files: dict[bytes, _File] = {}
        self._folder = fs.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        self._aside = fs.open(aside, os.O_RDONLY | os.O_DIRECTORY)
        self._view = memoryview(bytearray(_BUFFER))

    def close(self) -> None:
        """Let go of everything."""
        for file in self._files.values():
            self._fs.close(file.fd)
        self._files.clear()
        self._fs.close(self._folder)
        self._fs.close(self._aside)

    @property
    def unread(self) -> int:
        """Bytes that the last look left to be read."""
        return sum(max(file.size - file.read, 0) for file in self._files.values())

    @property
    def standing(self) -> int:
        """Bytes that were read and still take room."""
        return sum(file.read - file.released for file in self._files.values())

    def look(self, *, all_of_it: bool) -> Iterator[Piece]:
        """Yield what is new and worth it, some of each file; ``all_of_it``: whatever is there."""
        yield from self._look(ended=False, least=1 if all_of_it else _WORTH)

    def finish(self) -> Iterator[Piece]:
        """Yield all the rest: whoever wrote has ended."""
        while self._files or self._fs.names(self._folder):
            yield from self._look(ended=True, least=1)

    def release(self) -> bool:
        """Give back the room of what was read; False if this file system cannot do that."""
        for file in self._files.values():
            until = file.read // _BLOCK * _BLOCK
            if until > file.released:
                fd = self._fs.open(file.name, os.O_WRONLY, dir_fd=self._folder)
                try:
                    if not self._fs.punch(fd, file.released, until - file.released):
                        return False
                finally:
                    self._fs.close(fd)
                file.released = until
        return True

    def _look(self, *, ended: bool, least: int) -> Iterator[Piece]:
        for name in self._fs.names(self._folder):
            file = self._files.get(name)
            if file is None:
                if not ended and not self._fs.stat(name, dir_fd=self._folder).size:
                    continue
                fd = self._fs.open(name, os.O_RDONLY, dir_fd=self._folder)
                file = self._files[name] = _File(fd, name)
            if not file.whole:
                file.whole = ended or self._fs.has_writer(file.fd) is False
            file.size = self._fs.fstat(file.fd).size  # of a whole one it is the last
            if file.whole or file.size - file.read >= least:
                yield from self._read(file)

    def _read(self, file: _File) -> Iterator[Piece]:
        until = file.read + _TURN
        while file.read < until:
            count = self._fs.readinto(file.fd, self._view)
            file.read += count
            is_last = file.whole and file.read >= file.size
            if is_last:
                self._end(file)
            if count or is_last:
                yield Piece(file.name, self._view[:count], file.read if is_last else None)
            if is_last or not count:
                return

    def _end(self, file: _File) -> None:
        fs = self._fs
        fs.close(self._files.pop(file.name).fd)
        if not file.name.endswith(self._kept):
            fd = fs.open(file.name, os.O_WRONLY, dir_fd=self._folder)
            try:
                fs.truncate(fd, 0)
            finally:
                fs.close(fd)
        fs.rename(file.name, file.name, old_dir_fd=self._folder, dir_fd=self._aside)
