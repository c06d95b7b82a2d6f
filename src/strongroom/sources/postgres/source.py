"""Databases as a source: dumped one after the other, each saved while it is dumped."""

from __future__ import annotations

import os
from collections.abc import Callable, Generator
from dataclasses import dataclass
from pathlib import Path

from strongroom.clock import Clock
from strongroom.errors import NotFoundError
from strongroom.model.entry import Entry
from strongroom.model.fs import Fs
from strongroom.model.source import Part, Problem, Report
from strongroom.postgres.catalog import Server, databases_of
from strongroom.postgres.client import Client
from strongroom.postgres.names import GLOBALS, RECORD, folder_name, source_path
from strongroom.postgres.recordtext import encoded
from strongroom.sources.made import made_file
from strongroom.sources.postgres.dumping import Dump, Dumped, dump_database, dump_globals


@dataclass(frozen=True, slots=True, kw_only=True)
class PostgresOptions:
    """What of a server is saved: ``databases``, or all that can be connected to.

    ``role_passwords``: None: where the server lets us read them, and it is said where it does not.
    ``row_counts``: the server counts the rows of each table too, and they are compared.
    ``subscriptions``: False: they are not wanted. ``without``: databases that are not among all.
    """

    databases: tuple[str, ...] = ()
    role_passwords: bool | None = None
    jobs: int = 2
    row_counts: bool = False
    subscriptions: bool = True
    without: tuple[str, ...] = ()


class PostgresSource:
    """An ``ArrivingSource``. What is dumped stands in ``scratch`` until it is read.

    ``most``: the bytes that may stand there before who dumps is held.
    """

    kind = "postgres"

    def __init__(  # noqa: PLR0913 - what one backup of a server needs
        self,
        name: str,
        client: Client,
        server: Server,
        options: PostgresOptions,
        *,
        scratch: Path,
        most: int,
        fs: Fs,
        clock: Clock,
        tell: Callable[[str], None],
    ) -> None:
        self.name = name
        self._client = client
        self._server = server
        self._options = options
        self._scratch = scratch
        self._clock = clock
        self._dump = Dump(
            client,
            server,
            fs,
            scratch,
            most=most,
            jobs=options.jobs,
            row_counts=options.row_counts,
            subscriptions=options.subscriptions,
            tell=tell,
        )

    @property
    def top(self) -> bytes:
        """The folder of the snapshot that all of it is in."""
        return source_path(self.name).encode()

    def arrivals(self, report: Report) -> Generator[Part | None, None, None]:
        """See ``ArrivingSource``; any dump that fails ends the backup."""
        chosen = self._chosen(report)
        yield self._globals(report)
        for name in chosen:
            yield from self._database(name, report)

    def _database(self, name: str, report: Report) -> Generator[Part | None, None, None]:
        top = self.top + b"/" + os.fsencode(folder_name(name)) + b"/"
        dumping = dump_database(self._dump, name)
        while True:
            try:
                piece = next(dumping)
            except StopIteration as ended:
                dumped: Dumped = ended.value
                for cause in dumped.left_out:
                    report(Problem(top[:-1], cause, missing=False))
                yield self._whole(top + RECORD.encode(), encoded(dumped.record))
                return
            if piece is None:
                yield None
                continue
            path, size = top + piece.name, piece.size
            yield Part(path, piece.data, None if size is None else self._entry(path, size))

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
        ignored = self._options.without
        wanted = [one for one in known.values() if not one.template and one.name not in ignored]
        for one in wanted:
            if not one.open:
                path = self.top + b"/" + os.fsencode(folder_name(one.name))
                report(Problem(path, "this database allows no connections"))
        return [one.name for one in wanted if one.open]

    def _globals(self, report: Report) -> Part:
        wanted = self._options.role_passwords
        able = self._server.reads_roles
        file, path = self._scratch / GLOBALS, self.top + b"/" + GLOBALS.encode()
        dump_globals(self._client, file, with_passwords=able if wanted is None else wanted)
        if wanted is None and not able:
            cause = (
                "the passwords of roles cannot be read by this user and are not saved; "
                "role_passwords = false in the source accepts that"
            )
            report(Problem(path, cause, missing=False))
        data = file.read_bytes()
        file.unlink()
        return self._whole(path, data)

    def _whole(self, path: bytes, data: bytes) -> Part:
        return Part(path, data, self._entry(path, len(data)))

    def _entry(self, path: bytes, size: int) -> Entry:
        return made_file(path, size, self._clock.now_ns())
