"""From a source to an archive: small items in batches, large ones as a stream, in walk order."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple

import msgspec

from strongroom.archive.tarwriting import TarWriter
from strongroom.model.entry import Entry, EntryKind
from strongroom.model.events import Advanced, ProblemFound, Sink, ignore
from strongroom.model.fs import Buffer
from strongroom.model.source import Content, InspectableSource, Item, Loaded, Problem

LARGE: Final = 1 << 20
BATCH_ITEMS: Final = 512
BATCH_BYTES: Final = 8 << 20
CHANGED: Final = "changed while being read"
_FILE: Final = int(EntryKind.FILE)
_DIRECTORY: Final = int(EntryKind.DIRECTORY)

Rename = Callable[[bytes], bytes | None]
Keep = Callable[[bytes, Item], bool]


class Captured(NamedTuple):
    """What was written. ``entry``: with the names of the archive. ``sha256``: of a file's bytes.

    The digest is empty for what is no file, and for a hard link that of the file it leads to.
    ``token``: what the next walk will compare with; empty if it may have changed meanwhile.
    """

    entry: Entry
    sha256: bytes
    token: bytes


@dataclass(slots=True)
class Tally:
    """What was written; ``size`` is the sum of the sizes of files, each hard link once.

    ``sockets`` are left out, since tar has no type for them and nothing is lost with them.
    """

    entries: int = 0
    files: int = 0
    directories: int = 0
    size: int = 0
    sockets: list[bytes] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)


def as_it_is(path: bytes) -> bytes | None:
    """Name a thing in an archive as its source does."""
    return path


def below(folder: bytes) -> Rename:
    """Name things relative to ``folder``, a path as its source gives it; others are left out."""
    prefix = folder + b"/"
    cut = len(prefix)

    def rename(path: bytes) -> bytes | None:
        return path[cut:] if path.startswith(prefix) else None

    return rename


def everything(_path: bytes, _item: Item) -> bool:
    """Choose every item."""
    return True


@dataclass(frozen=True, slots=True)
class Choice:
    """What of a source is written, and as what.

    ``rename`` gives the name in the archive, None for what does not belong there; ``keep`` is asked
    with that name, once for each item, in order. ``large``: from this size on a file is not loaded
    whole.
    """

    rename: Rename = as_it_is
    keep: Keep = everything
    large: int = LARGE


EVERYTHING: Final = Choice()


def ignore_captured(_captured: Captured) -> None:
    """Tell nobody."""


class _First(NamedTuple):
    """The member that the hard links of a group lead to."""

    path: bytes
    sha256: bytes


class _Writing:
    def __init__(
        self,
        source: InspectableSource,
        tar: TarWriter,
        choice: Choice,
        captured: Callable[[Captured], object],
        sink: Sink,
    ) -> None:
        self._source = source
        self._tar = tar
        self._choice = choice
        self._captured = captured
        self._sink = sink
        self._firsts: dict[bytes, _First] = {}
        self.tally = Tally()

    def run(self) -> None:
        batch: list[Item] = []
        size = 0
        for item in self._chosen():
            if item.size >= self._choice.large:
                self._small(batch)
                batch, size = [], 0
                self._large(item)
                continue
            batch.append(item)
            size += item.size
            if len(batch) >= BATCH_ITEMS or size >= BATCH_BYTES:
                self._small(batch)
                batch, size = [], 0
        self._small(batch)

    def report(self, problem: Problem) -> None:
        """Note a problem by the name that the thing has, or would have, in the archive."""
        path = self._choice.rename(problem.path)
        if path is not None:
            problem = problem._replace(path=path)
        self.tally.problems.append(problem)
        self._sink(ProblemFound(problem))

    def _chosen(self) -> Iterator[Item]:
        rename, keep = self._choice.rename, self._choice.keep
        for items in self._source.walk(self.report):
            for item in items:
                path = rename(item.path)
                if path and keep(path, item):
                    yield item

    # -- small items

    def _small(self, items: Sequence[Item]) -> None:
        if not items:
            return
        size = 0
        for loaded in self._source.load(items):
            if loaded.problem is not None:
                self.report(loaded.problem)
            entry = loaded.entry
            if entry is not None:
                size += len(loaded.data)
                self._add(self._renamed(entry), entry.link, loaded)
        self._sink(Advanced(len(items), size, items[-1].path))

    def _renamed(self, entry: Entry) -> Entry:
        """Return the entry with its name in the archive, and as a link only to what is there."""
        path = self._choice.rename(entry.path) or entry.path
        link = entry.link
        if not link:
            return entry if path is entry.path else msgspec.structs.replace(entry, path=path)
        first = self._firsts.get(link)
        return msgspec.structs.replace(entry, path=path, link=first.path if first else path)

    def _add(self, entry: Entry, link: bytes, loaded: Loaded) -> None:
        """Write a small item; ``link``: its group of hard links, empty for none."""
        data = loaded.data
        digest = b""
        if entry.kind == _FILE:
            digest = hashlib.sha256(data).digest()
        first = self._firsts.get(link) if link else None
        if first is not None:
            digest = first.sha256
        if not self._tar.add(entry, data):
            self.tally.sockets.append(entry.path)
            return
        if link and first is None:
            self._firsts[link] = _First(entry.path, digest)
        self._note(entry, digest, loaded.token)

    def _note(self, entry: Entry, digest: bytes, token: bytes) -> None:
        tally = self.tally
        tally.entries += 1
        if entry.kind == _FILE:
            tally.files += 1
            if not entry.link or entry.link == entry.path:
                tally.size += entry.size
        elif entry.kind == _DIRECTORY:
            tally.directories += 1
        self._captured(Captured(entry, digest, token))

    # -- large items

    def _large(self, item: Item) -> None:
        looked = self._source.look([item])[0]
        if looked.problem is not None:
            self.report(looked.problem)
        entry = looked.entry
        if entry is None:
            return
        first = self._firsts.get(entry.link) if entry.link else None
        if first is not None:
            self._add(self._renamed(entry), entry.link, looked)
            return
        try:
            with self._source.open(item) as content:
                self._stream(content, item, entry)
        except OSError as error:
            self.report(Problem(item.path, (error.strerror or str(error)).lower()))
        self._sink(Advanced(1, 0, item.path))

    def _stream(self, content: Content, item: Item, entry: Entry) -> None:
        """Write a large file; what goes wrong once its header is written becomes zeros."""
        digest = hashlib.sha256()
        failure = ""

        def readinto(offset: int, view: memoryview) -> int:
            nonlocal failure
            try:
                return 0 if failure else content.readinto(offset, view)
            except OSError as error:
                failure = (error.strerror or str(error)).lower()
                view[:] = bytes(len(view))
                return 0

        def observe(data: Buffer) -> None:
            digest.update(data)
            self._sink(Advanced(0, len(data), item.path))

        renamed = self._renamed(entry)
        found, size = self._tar.add_large(renamed, content.extents(), readinto, observe)
        token = b""
        if failure:
            cause = f"only its first {found} bytes are saved: {failure}"
            self.report(Problem(item.path, cause, missing=False))
        else:
            token = self._ended(content, item, entry, found, size)
        if entry.link:
            self._firsts[entry.link] = _First(renamed.path, digest.digest())
        self._note(msgspec.structs.replace(renamed, size=size), digest.digest(), token)

    def _ended(self, content: Content, item: Item, entry: Entry, found: int, size: int) -> bytes:
        """Return the token of a file that is now what its header says; empty, and told, if not."""
        try:
            loaded = content.finish(found)
        except OSError as error:
            self.report(Problem(item.path, (error.strerror or str(error)).lower(), missing=False))
            return b""
        if loaded.problem is not None:
            self.report(loaded.problem)
            return b""
        if loaded.entry != msgspec.structs.replace(entry, size=size):
            self.report(Problem(item.path, CHANGED, missing=False))
            return b""
        return loaded.token


def write_source(
    source: InspectableSource,
    tar: TarWriter,
    choice: Choice = EVERYTHING,
    *,
    captured: Callable[[Captured], object] = ignore_captured,
    sink: Sink = ignore,
) -> Tally:
    """Write what a source holds as members of ``tar``, which is not finished by that.

    ``captured`` is told of every member in order. A name of a group of hard links that is left out
    or lost does no harm: the first one written brings the bytes. Problems are in the result; what
    raises is what ends the whole archive (``SourceError``, and errors of writing it).
    """
    writing = _Writing(source, tar, choice, captured, sink)
    writing.run()
    return writing.tally
