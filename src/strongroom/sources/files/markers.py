"""Files that say what is to be left out of the directory they stand in."""

from __future__ import annotations

import os
import stat
from contextlib import suppress
from typing import Final

from strongroom.model.fs import Fs
from strongroom.model.source import Problem, Report
from strongroom.sources.files.excludes import IGNORE_FILE, Patterns, from_ignore_file, read_lines
from strongroom.system.causes import cause_of

CACHE_TAG: Final = b"CACHEDIR.TAG"
_CACHE_SIGNATURE: Final = b"Signature: 8a477f597d28d172789f06886806bc55"
_MOST: Final = 1 << 20
_OPEN: Final = os.O_RDONLY | os.O_NONBLOCK


class Markers:
    """Reads ignore files and cache tags; what cannot be read leaves nothing out."""

    def __init__(self, fs: Fs, report: Report) -> None:
        self._fs = fs
        self._report = report

    def ignore_file(self, dir_fd: int, directory: bytes) -> Patterns | None:
        """Read the ignore file of an open directory with this tree path."""
        path = directory + b"/" + IGNORE_FILE if directory else IGNORE_FILE
        try:
            data = self._head(IGNORE_FILE, dir_fd, _MOST + 1)
        except OSError as error:
            self._warn(path, f"nothing is left out by it: {cause_of(error)}")
            return None
        if data is None or len(data) > _MOST:
            why = "it is no regular file" if data is None else "it is larger than 1 MiB"
            self._warn(path, f"nothing is left out by it: {why}")
            return None
        patterns, bad = from_ignore_file(read_lines(data, "line"), directory)
        for line in bad:
            number = line.origin.rpartition(":")[2]
            self._warn(path, f"line {number} leaves nothing out: the pattern cannot be read")
        return patterns

    def is_cache(self, dir_fd: int) -> bool:
        """Whether the cache tag of an open directory has the standard signature."""
        try:
            data = self._head(CACHE_TAG, dir_fd, len(_CACHE_SIGNATURE))
        except OSError:  # loading the tag as a file reports it
            return False
        return data == _CACHE_SIGNATURE

    def _warn(self, path: bytes, cause: str) -> None:
        self._report(Problem(path, cause, missing=False))

    def _head(self, name: bytes, dir_fd: int, size: int) -> bytes | None:
        """Return the first bytes of a regular file; None for anything else."""
        fd = self._fs.open(name, _OPEN, dir_fd=dir_fd)
        try:
            if not stat.S_ISREG(self._fs.fstat(fd).mode):
                return None
            return self._fs.read(fd, size)
        finally:
            with suppress(OSError):
                self._fs.close(fd)
