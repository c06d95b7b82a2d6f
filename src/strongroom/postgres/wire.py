"""A connection by libpq itself, in this process: SQL, and the replication protocol.

PostgreSQL 14 and newer. psycopg is needed for nothing else and loaded when a connection is opened.
What it waits for it waits for in ``poll``, so that an interruption gets through.
"""

from __future__ import annotations

import select
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from strongroom.errors import SourceError, StrongroomError, UsageError
from strongroom.postgres.connection import Connection, key_values

if TYPE_CHECKING:
    from psycopg.pq.abc import PGconn, PGresult

_OLDEST: Final = 140_000
_SECONDS: Final = 20.0  # between two looks at a connection where nothing comes
_MOST_SAID: Final = 600
_KEEP_ALIVE: Final = {"keepalives_idle": "60", "keepalives_interval": "15", "keepalives_count": "8"}

Row = tuple[str | None, ...]


class ServerError(StrongroomError):
    """What a server said no to: ``state`` is its SQLSTATE, empty where the connection was lost."""

    def __init__(self, message: str, *, state: str, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.state = state


class Wire:
    """An open connection; ``notices`` are the warnings of the server, as they come."""

    def __init__(self, connection: Connection, raw: PGconn, broken: type[Exception]) -> None:
        """Take a connection of psycopg's, and what that raises if it breaks."""
        self.connection = connection
        self._raw = raw
        self._broken = broken
        self.notices: list[str] = []
        raw.notice_handler = self._noticed

    @property
    def version(self) -> int:
        """The version of the server as a number: 180001 for 18.1."""
        return self._raw.server_version

    @property
    def process(self) -> int:
        """The number of the process of the server that we speak with."""
        return self._raw.backend_pid

    def send(self, command: str) -> None:
        """Send a command whose results are then asked for one after the other."""
        try:
            self._raw.send_query(command.encode("utf-8", "surrogateescape"))
            while self._raw.flush():
                self._pass_time(_SECONDS, select.POLLOUT)
        except self._broken as error:
            raise self.lost() from error

    def ask(self, command: str) -> list[Row]:
        """Return the rows that a command gives; ``ServerError`` with what the server said."""
        self.send(command)
        rows: list[Row] = []
        failure: ServerError | None = None
        while (result := self.result()) is not None:
            failure = self.error_of(result) or failure
            rows += rows_of(result)
        if failure is not None:
            raise failure
        return rows

    def value(self, command: str) -> str:
        """Return the one value that a command gives, empty for NULL."""
        return self.ask(command)[0][0] or ""

    def result(self) -> PGresult | None:
        """Wait for the next result; None after the last one."""
        try:
            while self._raw.is_busy():
                self._wait()
            return self._raw.get_result()
        except self._broken as error:
            raise self.lost() from error

    def copied(self) -> memoryview | None:
        """Wait for the next message of a COPY; None after the last one: a result comes then.

        The message stays as it is for as long as somebody has it.
        """
        try:
            looked = False
            while True:
                size, data = self._raw.get_copy_data(1)
                if size > 0:
                    return memoryview(data)
                if size < 0:
                    return None
                if looked:
                    self._wait()
                else:  # most often the next message is there already
                    self._raw.consume_input()
                    looked = True
        except self._broken as error:
            raise self.lost() from error

    def copied_within(self, seconds: float) -> bytes | None:
        """As ``copied``; empty if nothing came within so many seconds."""
        try:
            for waited in (False, True):
                size, data = self._raw.get_copy_data(1)
                if size > 0:
                    return bytes(data)
                if size < 0:
                    return None
                if not waited:
                    self._pass_time(seconds)
                    self._raw.consume_input()
        except self._broken as error:
            raise self.lost() from error
        return b""

    def say(self, message: bytes) -> None:
        """Send a message within a COPY of both sides."""
        try:
            self._raw.put_copy_data(message)
            while self._raw.flush():
                self._pass_time(_SECONDS, select.POLLOUT)
        except self._broken as error:
            raise self.lost() from error

    def end_copy(self) -> None:
        """Say that nothing more comes from this side of a COPY."""
        try:
            self._raw.put_copy_end()
        except self._broken as error:
            raise self.lost() from error

    def error_of(self, result: PGresult) -> ServerError | None:
        """Return what a result says went wrong, if anything did."""
        message = result.error_message.decode("utf-8", "replace")
        if not message:
            return None
        state = result.error_field(_SQLSTATE)
        return ServerError(
            self._redacted(message), state=state.decode("ascii", "replace") if state else ""
        )

    def lost(self) -> SourceError:
        """Return the error for a connection that broke."""
        said = self._redacted(self._raw.error_message.decode("utf-8", "replace"))
        return SourceError(
            f"the connection to the server was lost: {said} ({self.connection.shown})",
            hint="Is the server still running? Nothing was saved; run the same command again.",
        )

    def _wait(self) -> None:
        self._pass_time(_SECONDS)
        self._raw.consume_input()

    def _pass_time(self, seconds: float, until: int = select.POLLIN) -> None:
        """Wait until something can be read, or written, or for so long.

        ``select`` would not do: it knows no descriptor beyond 1024.
        """
        looking = select.poll()
        looking.register(self._raw.socket, until)
        looking.poll(seconds * 1000)

    def _noticed(self, result: PGresult) -> None:
        said = result.error_message.decode("utf-8", "replace")
        self.notices.append(_sentence(said).removeprefix("WARNING: "))

    def _redacted(self, text: str) -> str:
        return self.connection.redacted(_sentence(text))


_SQLSTATE: Final = ord("C")  # PG_DIAG_SQLSTATE


def rows_of(result: PGresult) -> Iterator[Row]:
    """Yield the rows of a result as text."""
    for row in range(result.ntuples):
        values = (result.get_value(row, column) for column in range(result.nfields))
        yield tuple(
            None if value is None else value.decode("utf-8", "surrogateescape") for value in values
        )


@contextmanager
def connected(connection: Connection, *, replication: bool = False) -> Iterator[Wire]:
    """Open a connection for as long as the block lasts; ``SourceError`` if that cannot be done."""
    connect, broken = _loaded()
    raw = connect(_string(connection, replication=replication).encode("utf-8", "surrogateescape"))
    try:
        if raw.status != 0:
            raise _refused(connection, raw.error_message.decode("utf-8", "replace"))
        wire = Wire(connection, raw, broken)
        if wire.version < _OLDEST:
            raise SourceError(
                f"base backups and WAL are for PostgreSQL 14 and newer, and the server is of "
                f"version {wire.version // 10000} ({connection.shown})",
                hint="Save its databases by dumps, until it is a newer one.",
            )
        yield wire
    finally:
        raw.finish()


def _loaded() -> tuple[Callable[[bytes], PGconn], type[Exception]]:
    """Return what connects, and what is raised where a connection breaks."""
    try:
        from psycopg import Error  # noqa: PLC0415 - an extra, which few commands need
        from psycopg.pq import PGconn  # noqa: PLC0415 - as above
    except ImportError as error:
        raise UsageError(
            f"base backups and WAL speak PostgreSQL's own protocol, for which psycopg is missing "
            f"({error})",
            hint="Install it: pip install 'strongroom[postgres]'.",
        ) from error
    return PGconn.connect, Error


def _string(connection: Connection, *, replication: bool) -> str:
    """Return all that libpq is to know; what stands in our environment says nothing of it."""
    said = {"options": "", "client_encoding": "UTF8", **_KEEP_ALIVE}
    if not connection.service:
        said |= {"host": connection.host, "port": str(connection.port or "")}
    if connection.password is not None:
        said["password"] = connection.password
    if replication:
        said["replication"] = "true"
    return f"{connection.string()} {key_values(said)}"


def _refused(connection: Connection, message: str) -> SourceError:
    text = connection.redacted(_sentence(message))
    user = connection.user or "backup"
    hint = "Check host, port, user and password of the source, and that the server runs."
    if "replication role" in message or "start WAL sender" in message:
        hint = f'Let the role do that: ALTER ROLE "{user}" REPLICATION;'
    elif "pg_hba.conf" in message and "replication" in message:
        hint = (
            f"Allow it in pg_hba.conf, and reload: host replication {user} ADDRESS/32 scram-sha-256"
        )
    elif "max_wal_senders" in message:
        hint = "Raise max_wal_senders in postgresql.conf, or try again when others have ended."
    return SourceError(f"connecting to PostgreSQL: {text} ({connection.shown})", hint=hint)


def _sentence(text: str) -> str:
    """Return what libpq said, which has several lines, as one."""
    lines = (" ".join(line.split()) for line in text.splitlines())
    return "; ".join(line for line in lines if line)[:_MOST_SAID]
