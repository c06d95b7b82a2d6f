"""What one directory holds, as far as it is to be saved."""

from __future__ import annotations

import errno
from collections.abc import Callable, Iterator, Sequence
from typing import Final, NamedTuple

from strongroom.model.fs import Fs, Stat
from strongroom.model.source import Report
from strongroom.sources.files.excludes import IGNORE_FILE
from strongroom.sources.files.markers import CACHE_TAG, Markers
from strongroom.sources.files.rules import Excluded, Rules
from strongroom.system.directories import Directories, Directory

_SLICE: Final = 1000


class Listed(NamedTuple):
    """The names in a directory, the rules for them, and whether these are all of its names."""

    names: list[bytes]
    rules: Rules
    complete: bool


class Listing:
    """Lists directories; ``skip_caches`` leaves out what is marked as a cache."""

    def __init__(
        self,
        fs: Fs,
        directories: Directories,
        counts: Excluded,
        report: Report,
        *,
        skip_caches: bool,
    ) -> None:
        self._fs = fs
        self._directories = directories
        self._counts = counts
        self._markers = Markers(fs, report)
        self._skip_caches = skip_caches

    def names(
        self, directory: Directory, path: bytes, rules: Rules, *, is_root: bool, had_links: bool
    ) -> Listed:
        """List a directory with this tree path; OSError if that cannot be done.

        ``had_links``: the walk saw a link count of it. If it has none now, it was removed, and its
        names may be too few.
        """
        with self._directories.use(directory) as fd:
            names = self._fs.names(fd)
            if had_links and not self._fs.fstat(fd).links:
                raise FileNotFoundError(errno.ENOENT, "removed")
            tagged = self._skip_caches and not is_root and CACHE_TAG in names
            if tagged and self._markers.is_cache(fd):
                self._counts.in_caches += len(names) - 1
                return Listed([CACHE_TAG], rules, complete=False)
            if IGNORE_FILE in names:
                patterns = self._markers.ignore_file(fd, path)
                if patterns is not None:
                    rules = rules.with_ignore_file(patterns)
        return Listed(names, rules, complete=True)

    def look_at(
        self,
        directory: Directory,
        names: Sequence[bytes],
        lose: Callable[[bytes, OSError], None],
    ) -> Iterator[tuple[bytes, Stat]]:
        """Yield what each name stands for; those that cannot be looked at go to ``lose``."""
        stat = self._fs.stat
        for start in range(0, len(names), _SLICE):
            part = names[start : start + _SLICE]
            found = []
            try:
                fd = self._directories.take(directory)
            except OSError as error:
                for name in part:
                    lose(name, error)
                continue
            for name in part:
                try:
                    found.append((name, stat(name, dir_fd=fd)))
                except OSError as error:
                    lose(name, error)
            self._directories.give_back(directory)
            yield from found
