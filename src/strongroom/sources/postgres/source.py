"""Databases as a source: dumped one after the other, each saved before the next one begins."""

from __future__ import annotations

import os
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from strongroom.clock import Clock
from strongroom.errors import NotFoundError, SourceError
from strongroom.model.entry import Entry, sort_key
from strongroom.model.fs import Fs
from strongroom.model.source import Content, Item, Loaded, Problem, Report
from strongroom.postgres.catalog import Server, databases_of
from strongroom.postgres.client import Client
from strongroom.postgres.names import GLOBALS, folder_name, source_path
from strongroom.sources.made import made_file
from strongroom.sources.postgres.dumping import dump_database, dump_globals
from strongroom.system.causes import cause_of

_BATCH: Final = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class PostgresOptions:
    """What of a server is saved: ``databases``, or all that can be connected to.

    ``role_passwords``: None: where the server lets us read them, and it is said where it does not.
    """

    databases: tuple[str, ...] = ()
    role_passwords: bool | None = None
    jobs: int = 2


class PostgresSource:
    """A ``Source``. Dumps stand in ``scratch`` until they are read; the largest must fit."""

    kind = "postgres"

    def __init__(  # noqa: PLR0913 - what one backup of a server needs
        self,
        name: str,
        client: Client,
        server: Server,
        options: PostgresOptions,
        *,
        scratch: Path,
        fs: Fs,
        clock: Clock,
        tell: Callable[[str], None],
    ) -> None:
        self.name = name
        self._client = client
        self._server = server
        self._options = options
        self._scratch = scratch
        self._fs = fs
        self._clock = clock
        self._tell = tell
        self._dumping: Generator[None, None, None] | None = None

    def close(self) -> None:
        """End a dump that nobody waits for any more."""
        if self._dumping is not None:
            self._dumping.close()

    @property
    def top(self) -> bytes:
        """The folder of the snapshot that all of it is in."""
        return source_path(self.name).encode()

    def walk(self, report: Report) -> Iterator[Sequence[Item]]:
        """See ``Source``; any dump that fails ends the backup."""
        names = {folder_name(name): name for name in self._chosen(report)}
        for number, folder in enumerate(sorted([*names, GLOBALS], key=os.fsencode)):
            place = self._scratch / str(number)  # names may be longer than the disk takes
            top = self.top + b"/" + os.fsencode(folder)
            if folder == GLOBALS:
                self._dump_globals(place, report)
                yield [Item(top, b"", place.stat().st_size, place)]
                continue
            jobs = self._options.jobs
            self._dumping = dump_database(
                self._client, self._server, names[folder], place, jobs, self._tell
            )
            for _ in self._dumping:
                yield []  # so that the session shows that we are alive
            items = sorted(_items(place, top), key=lambda item: sort_key(item.path))
            for start in range(0, len(items), _BATCH):
                yield items[start : start + _BATCH]

    def _chosen(self, report: Report) -> list[str]:
        known = {one.name: one for one in databases_of(self._client)}
        missing = [name for name in self._options.databases if name not in known]
        if missing:
            raise NotFoundError(
                f"there is no database {missing[0]!r} on {self._client.connection.shown}",
                hint=f"It has: {', '.join(sorted(known))}.",
            )
        if self._options.databases:
            return list(dict.fromkeys(self._options.databases))
        wanted = [one for one in known.values() if not one.template]
        for one in wanted:
            if not one.open:
                path = self.top + b"/" + os.fsencode(folder_name(one.name))
                report(Problem(path, "this database allows no connections"))
        return [one.name for one in wanted if one.open]

    def _dump_globals(self, file: Path, report: Report) -> None:
        wanted = self._options.role_passwords
        able = self._server.reads_roles
        dump_globals(self._client, file, with_passwords=able if wanted is None else wanted)
        if wanted is None and not able:
            cause = (
                "the passwords of roles cannot be read by this user and are not saved; "
                "role_passwords = false in the source accepts that"
            )
            report(Problem(self.top + b"/" + GLOBALS.encode(), cause, missing=False))

    def load(self, items: Sequence[Item]) -> list[Loaded]:
        """See ``Source``; what was read is removed. ``SourceError`` ends the backup."""
        loaded = []
        for item in items:
            path = _path_of(item)
            try:
                data = path.read_bytes()
                path.unlink()
            except OSError as error:
                raise _unreadable(path, error) from error
            loaded.append(Loaded(item, self._entry(item, len(data)), data, b""))
        return loaded

    @contextmanager
    def open(self, item: Item) -> Iterator[Content]:
        """See ``Source``; what was read is removed."""
        path = _path_of(item)
        try:
            fd = self._fs.open(os.fsencode(path), os.O_RDONLY)
        except OSError as error:
            raise _unreadable(path, error) from error
        try:
            yield _DumpContent(self._fs, fd, path, item, self._entry)
        finally:
            self._fs.close(fd)
            path.unlink(missing_ok=True)

    def _entry(self, item: Item, size: int) -> Entry:
        return made_file(item.path, size, self._clock.now_ns())


class _DumpContent:
    """A file of a dump that is too large to be loaded whole."""

    def __init__(
        self, fs: Fs, fd: int, path: Path, item: Item, made: Callable[[Item, int], Entry]
    ) -> None:
        self._fs = fs
        self._fd = fd
        self._path = path
        self._item = item
        self._made = made

    def extents(self) -> Sequence[tuple[int, int, bool]]:
        """See ``Content``."""
        return [(0, self._item.size, True)]

    def readinto(self, offset: int, buffer: memoryview) -> int:
        """See ``Content``; offsets only go on."""
        del offset
        try:
            return self._fs.readinto(self._fd, buffer)
        except OSError as error:
            raise _unreadable(self._path, error) from error

    def finish(self, size_read: int) -> Loaded:
        """See ``Content``; ``SourceError`` if it is not what was read back."""
        if size_read != self._item.size:
            raise SourceError(f"{self._path} changed while it was read, so no snapshot was made")
        return Loaded(self._item, self._made(self._item, size_read), b"", b"")


def _items(folder: Path, top: bytes) -> Iterator[Item]:
    for path in folder.iterdir():
        yield Item(top + b"/" + os.fsencode(path.name), b"", path.stat().st_size, path)


def _path_of(item: Item) -> Path:
    assert isinstance(item.handle, Path)  # noqa: S101 - walk made it
    return item.handle


def _unreadable(path: Path, error: OSError) -> SourceError:
    return SourceError(f"the dump {path} cannot be read: {cause_of(error)}")
