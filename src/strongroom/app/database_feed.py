"""A dump on its way to ``pg_restore``: its rows through pipes, as they come from the repository.

No disk has to hold them. Where the list of contents is of a version that is not known here, all of
the dump lies in a folder, which ``pg_restore`` may know how to read.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NamedTuple, Protocol

from strongroom.app.dumps import Dump, refuse_without_room, write_out
from strongroom.app.machine import Run
from strongroom.app.opening import Opened
from strongroom.errors import DamageError, StrongroomError
from strongroom.model.spawn import Attended
from strongroom.operations.feeding import feed
from strongroom.operations.stored_dump import StoredFiles
from strongroom.postgres.client import Client
from strongroom.postgres.custom import custom_of
from strongroom.postgres.passes import listed, passes
from strongroom.postgres.toc import CONTENTS, Toc, toc_of
from strongroom.repository.reader import Reader

_AT_ONCE: Final = 32 << 20  # bytes of rows that are read for all programs, while as many are used
_LEAST_AT_ONCE: Final = 1 << 20
_A_MOMENT: Final = 1.0  # seconds that a program has to end in which no longer reads


class Feed(Protocol):
    """What fills a new database; ``toc`` is what is in the dump, if that is known here."""

    @property
    def toc(self) -> Toc | None:
        """The contents of the dump."""
        ...

    def pour(self, database: str, arguments: Sequence[str], what: str) -> None:
        """Restore all that is wanted, by several programs at once; an error unless all came."""
        ...


class Way(NamedTuple):
    """How a dump gets to a server: by ``client``, with ``scratch`` for what needs a folder.

    ``jobs``: programs at once. ``chosen``: the numbers of the entries that are wanted, if not all.
    """

    client: Client
    scratch: Path
    jobs: int
    chosen: Sequence[int] | None


def feed_of(run: Run, opened: Opened, reader: Reader, dump: Dump, way: Way) -> Feed:
    """Return what gives a dump to a server.

    ``RefusedError`` if it has to lie in scratch and has no room there; ``DamageError``.
    """
    try:
        return pipes_of(run, reader, dump, way)
    except DamageError:
        raise
    except StrongroomError as error:  # pg_restore may know what we do not
        run.warn(
            f"settings, rights and comment of the database itself are not restored: {error.message}"
        )
    refuse_without_room(way.scratch, dump.size)
    write_out(run, opened, reader, dump, way.scratch / "dump")
    return _Folder(way, way.scratch / "dump")


def pipes_of(run: Run, reader: Reader, dump: Dump, way: Way) -> Pipes:
    """Return what gives a dump to a server through pipes; errors as of ``toc_of``."""
    window = max(_AT_ONCE // way.jobs, _LEAST_AT_ONCE)
    files = StoredFiles(reader, dump.listed, dump.path, run.sink, window)
    contents = files.read(CONTENTS)
    toc = toc_of(contents)
    folder = way.scratch / "contents"
    folder.mkdir()
    (folder / CONTENTS).write_bytes(contents)
    return Pipes(way, toc, files, dump, folder)


@dataclass(frozen=True, slots=True)
class _Folder:
    """All of a dump in a folder."""

    way: Way
    folder: Path
    toc: Toc | None = None

    def pour(self, database: str, arguments: Sequence[str], what: str) -> None:
        """See ``Feed``."""
        client = self.way.client
        command = [*arguments, f"--jobs={self.way.jobs}", *client.connected(database)]
        client.work("pg_restore", [*command, str(self.folder)], what)


@dataclass(frozen=True, slots=True)
class Pipes:
    """A dump whose list of contents alone lies in a folder."""

    way: Way
    toc: Toc
    files: StoredFiles
    dump: Dump
    folder: Path

    def pour(self, database: str, arguments: Sequence[str], what: str) -> None:
        """See ``Feed``."""
        sizes = {name: entry.size for name, entry in self.dump.files.items()}
        parts = passes(self.toc, sizes, self.way.jobs, self.way.chosen)
        command = [*arguments, *self.way.client.connected(database)]
        self._work(command, parts.before, what)
        self._fill(command, parts.rows, what)
        at_once = [f"--jobs={self.way.jobs}", *command]
        self._work(at_once, parts.after, what)
        self._work(command, parts.attaching, what)
        self._work(at_once, parts.last, what)

    def pour_as_one(self, database: str, arguments: Sequence[str], what: str) -> None:
        """Restore what was chosen into a database that exists, in one transaction, or nothing."""
        command = [*arguments, "--single-transaction", *self.way.client.connected(database)]
        self._fill(command, [self.way.chosen or ()], what)

    def _work(self, command: Sequence[str], numbers: Sequence[int], what: str) -> None:
        """Restore what has no rows."""
        if numbers:
            chosen = self._list("rest", numbers)
            self.way.client.work("pg_restore", [*command, chosen, str(self.folder)], what)

    def _fill(self, command: Sequence[str], parts: Sequence[Sequence[int]], what: str) -> None:
        """Restore each part by a program of its own."""
        with ExitStack() as stack:
            fed: list[tuple[Attended, Iterator[bytes]]] = []
            for number, part in enumerate(parts):
                arguments = ["--format=custom", *command, self._list(f"part-{number}", part)]
                child = stack.enter_context(self.way.client.attended("pg_restore", arguments))
                fed.append((child, custom_of(self.toc, self.files, only=set(part))))
            children = [child for child, _ in fed]
            if not feed(fed, lambda: all(child.ended(0) is not None for child in children)):
                children.sort(key=lambda child: child.ended(_A_MOMENT) is None)  # who failed first
            for child in children:
                child.end_input()  # it was closed, unless another one failed
                self.way.client.check("pg_restore", child, what)

    def _list(self, name: str, numbers: Sequence[int]) -> str:
        path = self.folder.parent / f"{name}.list"
        path.write_bytes(listed(numbers))
        return f"--use-list={path}"
