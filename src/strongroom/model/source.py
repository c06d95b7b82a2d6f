"""The ports between what is backed up and what stores it.

A ``Source`` yields items in the order of ``sort_key``; for each item that changed it is asked for
the entry and its bytes. An ``ArrivingSource`` gives files as they are being made. A ``Target`` is
where entries are restored to. None of them knows a repository.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from typing import NamedTuple, Protocol

from strongroom.model.entry import Entry
from strongroom.model.fs import Buffer


class Problem(NamedTuple):
    """One thing that was not saved, or not as it should be.

    ``missing`` tells the two apart: True where the thing is not in the snapshot at all.
    """

    path: bytes
    cause: str
    missing: bool = True


Report = Callable[[Problem], None]


class Item(NamedTuple):
    """One thing a source found.

    ``token`` changes whenever the thing may have changed; an empty one never matches. ``size`` is
    the number of bytes that reading it will take, as far as is known. ``handle`` belongs to the
    source.
    """

    path: bytes
    token: bytes
    size: int
    handle: object


class Loaded(NamedTuple):
    """An item as captured: the entry without its content, and the bytes.

    ``entry`` is None if nothing could be captured; ``problem`` then says why. ``token`` is what
    the next walk will compare with (empty: capture it again next time).
    """

    item: Item
    entry: Entry | None
    data: bytes
    token: bytes
    problem: Problem | None = None


class Content(Protocol):
    """An open item too large to be loaded whole."""

    def extents(self) -> Iterable[tuple[int, int, bool]]:
        """Give (offset, length, is data) from 0 to the end without gaps; the rest is holes.

        Each may be read before the next is asked for.
        """
        ...

    def readinto(self, offset: int, buffer: memoryview) -> int:
        """Fill ``buffer`` from ``offset``; fewer bytes than asked only at the end of the item.

        Raises OSError, which makes a Problem of the item and not of the store.
        """
        ...

    def finish(self, size_read: int) -> Loaded:
        """Return the entry (size ``size_read``) and whether the item changed meanwhile."""
        ...


class Source(Protocol):
    """Something to protect."""

    @property
    def kind(self) -> str:
        """``files``, later ``postgres``, ``s3`` and others."""
        ...

    @property
    def name(self) -> str:
        """The stable id that retention and the local state know this source by."""
        ...

    def walk(self, report: Report) -> Iterator[Sequence[Item]]:
        """Yield batches of items in order; each problem found on the way is reported.

        A source that has to wait for its items yields empty batches meanwhile, one a minute or so.
        """
        ...

    def load(self, items: Sequence[Item]) -> list[Loaded]:
        """Capture small items whole; called from any thread, never raises for a single item."""
        ...

    def open(self, item: Item) -> AbstractContextManager[Content]:
        """Open a large item; OSError if that cannot be done."""
        ...


class Part(NamedTuple):
    """The next bytes of a file, of which others may be given in between.

    ``data`` is good until the next part is asked for. ``entry`` comes with the last part, which may
    be without bytes, and states how many there were in all. ``block``: the file is cut every so
    many bytes, as is good for what is rewritten in place, and ``data`` stays as it is; 0: as usual.
    """

    path: bytes
    data: Buffer
    entry: Entry | None = None
    block: int = 0


class ArrivingSource(Protocol):
    """Something to protect whose files are being made, in any order and several at once."""

    @property
    def kind(self) -> str:
        """As of a ``Source``."""
        ...

    @property
    def name(self) -> str:
        """As of a ``Source``."""
        ...

    def arrivals(self, report: Report) -> Generator[Part | None, None, None]:
        """Yield the parts of every file, those of each in order; each problem is reported.

        None now and then while there is nothing. Whoever closes it before its end ends what makes
        the files. An error means that nothing of it is good.
        """
        ...


class InspectableSource(Source, Protocol):
    """A source that can say what it holds without reading all of it."""

    def look(self, items: Sequence[Item]) -> list[Loaded]:
        """As ``load``, without the bytes; the entry states their number."""
        ...


class Extra(NamedTuple):
    """Something in a target that goes, since a snapshot does not have it."""

    path: bytes
    is_directory: bool


class Difference(NamedTuple):
    """What of a restored thing is not as in the snapshot; ``of_bytes``: of what it holds."""

    what: str
    of_bytes: bool = False


class OpenFile(Protocol):
    """A file that is being restored in pieces, in any order."""

    def write(self, offset: int, data: Buffer) -> None:
        """Put ``data`` at ``offset``; what is never written stays a hole."""
        ...

    def finish(self) -> None:
        """All pieces are there: set size, owner, mode, times and attributes, and close."""
        ...

    def abandon(self) -> None:
        """A piece cannot be had: close, and leave nothing under the final name."""
        ...


class Target(Protocol):
    """Where entries are restored to. Problems go to the ``report`` given when it was made.

    The order of calls: ``place`` with every entry in tree order, in batches; ``write`` and
    ``open`` for the files among them, in any order and from any thread; ``finish`` at the end.
    ``remove`` goes before or after all of them, and before ``finish``.
    """

    def place(self, entries: Sequence[Entry]) -> Sequence[Entry]:
        """Make directories, links and special files; return the files whose bytes are wanted."""
        ...

    def write(self, files: Sequence[tuple[Entry, Buffer]]) -> int:
        """Restore whole small files; the number restored without a problem."""
        ...

    def open(self, entry: Entry) -> OpenFile | None:
        """Begin a large file; None if it cannot be made (reported)."""
        ...

    def remove(self, extras: Sequence[Extra]) -> int:
        """Remove what is there and should not be, in this order; the number removed."""
        ...

    def finish(self) -> None:
        """Make hard links, set what directories need, make everything durable."""
        ...
