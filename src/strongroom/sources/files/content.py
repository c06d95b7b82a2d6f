"""Reading a large file in pieces, holes left out."""

from __future__ import annotations

from collections.abc import Iterator

from strongroom.model.entry import CHANGED_WHILE_READ
from strongroom.model.fs import Fs
from strongroom.model.source import Item, Loaded, Problem
from strongroom.sources.files.entries import EntryMaker
from strongroom.sources.files.loading import CHANGED, attributes, current_link, differs
from strongroom.sources.files.opening import Opened, said
from strongroom.sources.files.tokens import settled, token_of
from strongroom.sources.files.walk import Found


class FileContent:
    """An open file, read by one thread at a time; a ``Content``."""

    def __init__(
        self, fs: Fs, maker: EntryMaker, item: Item, walked: Found, opened: Opened
    ) -> None:
        self._fs = fs
        self._maker = maker
        self._item = item
        self._walked = walked
        self._fd = opened.fd
        self._before = opened.stat
        self._began_ns = opened.began_ns
        self._position = 0

    def extents(self) -> Iterator[tuple[int, int, bool]]:
        """See ``Content``; where the file system knows no holes, all is data.

        One after the other, as they are asked for: a file may have millions.
        """
        size = self._before.size
        position = 0
        while position < size:
            start, end = self._data_from(position, size)
            if start > position:
                yield position, start - position, False
            if end > start:
                yield start, end - start, True
            position = end

    def readinto(self, offset: int, buffer: memoryview) -> int:
        """See ``Content``."""
        fs, fd = self._fs, self._fd
        try:
            if offset != self._position:
                fs.seek(fd, offset)
            filled = 0
            while filled < len(buffer):
                count = fs.readinto(fd, buffer[filled:])
                if count == 0:
                    break
                filled += count
        except OSError as error:
            self._position = -1
            raise said(error) from error
        self._position = offset + filled
        return filled

    def finish(self, size_read: int) -> Loaded:
        """See ``Content``."""
        item = self._item
        try:
            xattrs, cause = attributes(self._fs.xattrs, self._fd)
            after = self._fs.fstat(self._fd)
        except OSError as error:
            raise said(error) from error
        changed = size_read != self._before.size or differs(self._before, after)
        link = current_link(self._walked, after, item.path)
        flags = CHANGED_WHILE_READ if changed else 0
        entry = self._maker.file(item.path, after, size_read, link, xattrs, flags)
        if changed or cause:
            problem = Problem(item.path, CHANGED if changed else cause, missing=False)
            return Loaded(item, entry, b"", b"", problem)
        token = token_of(after, link) if settled(after, self._began_ns) else b""
        return Loaded(item, entry, b"", token)

    def _data_from(self, position: int, size: int) -> tuple[int, int]:
        """Return where data begins and ends, from ``position`` on and up to ``size``."""
        self._position = -1
        try:
            data = self._fs.seek_data(self._fd, position)
            if data is None or data >= size:
                return size, size
            end = self._fs.seek_hole(self._fd, data)
        except OSError:  # what is wrong with the file itself, reading it will tell
            return position, size
        if not position <= data < end:
            return position, size
        return data, min(end, size)
