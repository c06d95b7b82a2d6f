"""A new database beside the one that is meant, filled from a dump and counted; or nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

from strongroom.app.database_feed import Feed
from strongroom.app.dumps import Dump
from strongroom.app.machine import Run
from strongroom.errors import (
    InterruptError,
    RestoreError,
    RolledBackError,
    SourceError,
    StrongroomError,
)
from strongroom.model.events import PhaseBegan
from strongroom.postgres.catalog import (
    create_database,
    drop_database,
    extensions_of,
    has_role,
    has_tablespace,
)
from strongroom.postgres.client import Client, Session
from strongroom.postgres.counting import count_as_dumped
from strongroom.postgres.names import identifier
from strongroom.postgres.properties import Properties, properties_of
from strongroom.postgres.record import Table
from strongroom.postgres.swapping import rename_together

_ATTEMPTS: Final = 10
_PAUSE: Final = 1.0  # seconds
_QUICKLY: Final = (
    "SET synchronous_commit = off"  # the rename that puts it in place is flushed, with all
)


class Filled(NamedTuple):
    """What was restored; seconds that ``pg_restore`` took, and counting with the statistics."""

    rows: int
    restoring: float
    counting: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Filling:
    """Makes a database and fills it, connected to ``at`` while it makes it.

    ``target`` is what the database is for, and ``place`` what it is called meanwhile; ``whole``:
    all of the dump is wanted; ``size``: the bytes that are; ``tables``: those that get rows.
    """

    run: Run
    client: Client
    at: str
    dump: Dump
    target: str
    place: str
    jobs: int
    major: int
    owners: bool
    whole: bool
    size: int
    tables: Sequence[Table]

    def fill(self, feed: Feed, ready: str) -> Filled:
        """Fill it and count it; the database is called ``ready`` then.

        Whatever goes wrong, it is gone again.
        """
        self.run.sink(PhaseBegan("fill", 0, self.size))
        properties = self._properties(feed)
        self._create(properties)
        try:
            self._set(properties, end="ROLLBACK")  # what cannot be set is known before hours pass
            clock = self.run.machine.clock
            began = clock.elapsed()
            self._restore(feed)
            full = clock.elapsed()
            rows = self._counted()
            filled = Filled(rows, full - began, clock.elapsed() - full)
            self._set(properties, end="COMMIT")
            rename_together(self.client, self.at, [(self.place, ready)], self.run.machine.clock)
        except BaseException as error:
            self._drop(error)
            if isinstance(error, InterruptError) or not isinstance(error, StrongroomError):
                raise
            raise RolledBackError(
                f"{error.message}; the new database {self.target!r} was removed again",
                hint=role_hint(error),
            ) from error
        return filled

    def _properties(self, feed: Feed) -> Properties:
        if not self.whole or feed.toc is None:
            return Properties()
        return properties_of(feed.toc, self.dump.record.database, self.place, owners=self.owners)

    def _create(self, properties: Properties) -> None:
        with self.client.session(self.at) as session:
            owner = self._owner(session)
            space = properties.tablespace
            if space and not has_tablespace(session, space):
                self.run.warn(f"there is no tablespace {space!r} here: the usual one is taken")
                space = ""
            locale = self.dump.record.locale
            create_database(session, self.place, locale, owner, self.major, space)
            session.tell(f"ALTER DATABASE {identifier(self.place)} {_QUICKLY};\n")
            session.finish()

    def _owner(self, session: Session) -> str:
        owner = self.dump.record.owner
        if not self.owners:
            return ""
        if not has_role(session, owner):
            error = StrongroomError(f'role "{owner}" does not exist, who owns the database')
            raise RolledBackError(f"{error.message}; nothing was made", hint=role_hint(error))
        return owner

    def _set(self, properties: Properties, *, end: str) -> None:
        name = identifier(self.place)
        with self.client.session(self.place) as session:
            reset = f"ALTER DATABASE {name} RESET synchronous_commit"
            sql = ";\n".join([reset, *properties.sql])
            session.tell(
                f"SET standard_conforming_strings = on;\nBEGIN READ WRITE;\n{sql};\n{end};\n"
            )
            session.finish()

    def _restore(self, feed: Feed) -> None:
        arguments = ["--exit-on-error"]
        if not self.owners:
            arguments += ["--no-owner", "--no-privileges"]
        feed.pour(self.place, arguments, f"restoring {self.target!r}")

    def _counted(self) -> int:
        self.run.sink(PhaseBegan("count"))
        rows = count_as_dumped(self.client, self.place, self.tables, self.jobs, analyze=True)
        if self.whole:
            with self.client.session(self.place) as session:
                here = extensions_of(session)
                session.finish()
            for extension, version in self.dump.record.extensions.items():
                if extension not in here:
                    raise StrongroomError(f"extension {extension} is missing in what was restored")
                if here[extension] != version:
                    self.run.warn(
                        f"extension {extension} is {here[extension]} here, and was {version}"
                    )
        return rows

    def _drop(self, cause: BaseException) -> None:
        statement = f"DROP DATABASE {identifier(self.place)} WITH (FORCE)"
        for left in reversed(range(_ATTEMPTS)):
            try:
                drop_database(self.client, self.at, self.place)
            except StrongroomError as error:
                if left and isinstance(error, SourceError):  # it may be starting again
                    self.run.machine.clock.sleep(_PAUSE)
                    continue
                raise RestoreError(
                    f"restoring {self.target!r} failed ({cause}), and what was made of it stays: "
                    f"{error.message}",
                    hint=f"Remove it: {statement};",
                ) from cause
            return


def role_hint(error: StrongroomError) -> str:
    """Return what to do about an error: roles that are not there can be restored too."""
    if "role " in error.message and "does not exist" in error.message:
        return (
            "Make the roles first, of globals.sql in the same snapshot: strongroom restore SNAP "
            "--globals; or restore with --no-owner."
        )
    return error.hint
