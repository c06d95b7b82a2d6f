"""A large file, written in pieces by several threads."""

from __future__ import annotations

from collections.abc import Callable
from threading import Lock

from strongroom.model.entry import Entry
from strongroom.model.fs import Buffer
from strongroom.restore.files.newfile import NewFile
from strongroom.restore.files.tools import FAILED, Tools


class LargeFile:
    """An ``OpenFile``: what goes wrong is reported once, and then nothing more is written.

    ``settle`` is called when the file is complete, ``give_up`` when it never will be.
    """

    def __init__(
        self,
        tools: Tools,
        file: NewFile,
        entry: Entry,
        settle: Callable[[Entry], None],
        give_up: Callable[[Entry], None],
    ) -> None:
        self._tools = tools
        self._file = file
        self._entry = entry
        self._settle = settle
        self._give_up = give_up
        self._failed = False
        self._lock = Lock()

    def write(self, offset: int, data: Buffer) -> None:
        """See ``OpenFile``."""
        if self._failed:
            return
        try:
            if offset < 0 or offset + len(data) > self._entry.size:
                raise ValueError(offset)
            self._file.write(offset, data)
        except FAILED as error:
            self._fail(error)

    def finish(self) -> None:
        """See ``OpenFile``; as ``abandon`` if a piece could not be written."""
        if not self._failed:
            try:
                self._file.finish()
            except FAILED as error:
                self._fail(error)
            else:
                self._settle(self._entry)
                return
        self._end()

    def abandon(self) -> None:
        """See ``OpenFile``; who abandons a file knows why, and reports that."""
        self._end()

    def _end(self) -> None:
        self._failed = True
        try:
            self._file.abandon()
        except FAILED as error:
            self._tools.fail(self._entry.path, error)
        self._give_up(self._entry)

    def _fail(self, error: OSError | ValueError | OverflowError) -> None:
        with self._lock:
            first, self._failed = not self._failed, True
        if first:
            self._tools.fail(self._entry.path, error)
