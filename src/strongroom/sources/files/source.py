"""The files source: paths of this machine, everything below them, and what leads to them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from types import TracebackType
from typing import Self, cast

from strongroom.clock import Clock
from strongroom.model.fs import Fs
from strongroom.model.source import Content, Item, Loaded, Report
from strongroom.sources.files.content import FileContent
from strongroom.sources.files.entries import EntryMaker
from strongroom.sources.files.excludes import from_options
from strongroom.sources.files.loading import Loader
from strongroom.sources.files.opening import said
from strongroom.sources.files.options import FilesOptions
from strongroom.sources.files.owners import Owners
from strongroom.sources.files.roots import wanted
from strongroom.sources.files.rules import Excluded
from strongroom.sources.files.walk import Found, Walk
from strongroom.system.directories import Directories


class FilesSource:
    """A ``Source`` of absolute, normalised paths, in which symbolic links are not resolved.

    The path of an entry is that of the thing, without the slash it begins with. The directories
    above each path are entries too, without what else is in them, so that a restore can make them
    as they were; where one of them is a symbolic link, its entry is the directory that it leads to.
    A path that is itself a symbolic link is saved as one. Roots below other roots are part of them.

    Descriptors stay open until ``close``.
    """

    def __init__(
        self,
        fs: Fs,
        clock: Clock,
        paths: Sequence[bytes],
        *,
        name: str,
        options: FilesOptions | None = None,
        owners: Owners | None = None,
    ) -> None:
        """Check paths and patterns; ``UsageError`` if one of them cannot be meant."""
        self._fs = fs
        self._clock = clock
        self._name = name
        self._options = options or FilesOptions()
        self._wanted = wanted(paths)
        from_options(self._options.exclude, b"")
        self._directories = Directories(fs)
        self._maker = EntryMaker(owners or Owners())
        self._loader = Loader(fs, clock, self._directories, self._maker, self.large)
        self._excluded = Excluded()

    @property
    def kind(self) -> str:
        """See ``Source``."""
        return "files"

    @property
    def name(self) -> str:
        """See ``Source``."""
        return self._name

    @property
    def large(self) -> int:
        """From this size on an item is to be opened and not loaded."""
        return self._options.large

    @property
    def excluded(self) -> Excluded:
        """What the last walk left out on purpose, so far."""
        return self._excluded

    def walk(self, report: Report) -> Iterator[Sequence[Item]]:
        """See ``Source``; ``SourceError`` if no path of it can be reached."""
        walk = Walk(self._fs, self._directories, self._options, report)
        self._excluded = walk.excluded
        yield from walk.batches(self._wanted)

    def load(self, items: Sequence[Item]) -> list[Loaded]:
        """See ``Source``."""
        return self._loader.load(items)

    def look(self, items: Sequence[Item]) -> list[Loaded]:
        """See ``InspectableSource``."""
        return self._loader.look(items)

    @contextmanager
    def open(self, item: Item) -> Iterator[Content]:
        """See ``Source``; the message of the OSError is for people."""
        found = cast(Found, item.handle)
        try:
            with self._directories.use(found.directory) as dir_fd:
                opened = self._loader.opener.open(found, dir_fd)
        except OSError as error:
            raise said(error) from error
        try:
            yield FileContent(self._fs, self._maker, item, found, opened)
        finally:
            self._loader.opener.close(opened.fd)

    def close(self) -> None:
        """Close what is open; items of a walk cannot be loaded afterwards."""
        self._directories.close()

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Close."""
        self.close()
