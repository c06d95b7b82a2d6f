"""PostgreSQL's programs at work: each with the same connection, each looked at until its end."""

from __future__ import annotations

import json
import re
import signal
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

from strongroom.errors import SourceError, StrongroomError
from strongroom.model.spawn import Attended, Spawn
from strongroom.postgres.connection import Connection
from strongroom.postgres.programs import Programs

_SESSION: Final = (
    "SET statement_timeout = 0; SET lock_timeout = 0; "
    "SET idle_in_transaction_session_timeout = 0;\n"
)
_UNREACHABLE: Final = re.compile(
    r"connection to server|could not connect|could not translate host|password authentication"
    r"|no password supplied|definition of service|the database system is|server closed the conn"
)
_QUIET: Final = re.compile(r"^(pg_\w+|psql): (error|fatal|detail|hint|warning): ", re.MULTILINE)
_TOLD: Final = 600
_HINTS: Final = (
    (
        "permission denied to create database",
        "Let the user make databases: ALTER ROLE … CREATEDB.",
    ),
    (
        "permission denied for",
        "Let the user read everything: GRANT pg_read_all_data TO its role (14 and newer).",
    ),
    (
        "row-level security",
        "Its rows would be left out silently: give the role BYPASSRLS, or own the table.",
    ),
    ("No space left", "Name a folder with more room: scratch = '/path', in the source."),
    (
        'unrecognized configuration parameter "transaction_timeout"',
        (
            "The dump was made by programs of 17 or newer, and goes into servers of 17 and newer: "
            "restore it there with --server; and install programs of this server's version, which "
            "the next backup takes."
        ),
    ),
    (
        'unrecognized parameter "pg_attver"',
        (
            "The dump was made by programs that are older than the last release of its server, and "
            "goes into a server of that release: restore it there with --server; and bring the "
            "client programs up to date, which the next backup takes."
        ),
    ),
    ("version mismatch", "Install client programs as new as the server."),
)
_BETWEEN: Final = 20.0  # seconds
_TO_LEAVE: Final = 5.0  # seconds that a psql has to say goodbye


@dataclass(frozen=True, slots=True)
class Client:
    """What runs programs against one server; ``environment`` is all that they see.

    ``fresh`` is called before each: it renews a password that does not last.
    """

    spawn: Spawn
    connection: Connection
    programs: Programs
    environment: Mapping[str, str]
    fresh: Callable[[], None] | None = None

    @contextmanager
    def attended(self, name: str, arguments: Sequence[str]) -> Iterator[Attended]:
        """Start a program; it does not outlive the block. ``SourceError`` if it does not start."""
        command = [self.programs.path(name), *arguments]
        if self.fresh is not None:
            self.fresh()
        try:
            child = self.spawn.attend(command, environment=self.environment)
        except (OSError, ValueError) as error:
            raise SourceError(f"{command[0]} does not start: {error}") from error
        try:
            yield child
        finally:
            child.kill()

    def connected(self, database: str = "") -> list[str]:
        """Return the arguments that connect a program; a password is never asked for."""
        return ["--no-password", "--dbname", self.connection.string(database)]

    def work(self, name: str, arguments: Sequence[str], what: str) -> None:
        """Run a program that prints nothing we want; an error unless it ends with 0.

        ``what`` says in the error what was being done.
        """
        for _ in self.working(name, arguments, what):
            pass

    def working(
        self, name: str, arguments: Sequence[str], what: str
    ) -> Generator[None, None, None]:
        """As ``work``, of a program that prints nothing; yields now and then until it ends."""
        with self.attended(name, arguments) as child:
            child.end_input()
            while child.ended(_BETWEEN) is None:
                yield
            self.check(name, child, what)

    def output(self, name: str, arguments: Sequence[str], what: str) -> bytes:
        """Return what a program prints; an error unless it ends with 0."""
        with self.attended(name, arguments) as child:
            child.end_input()
            printed = b"".join(iter(child.line, b""))
            self.check(name, child, what)
        return printed

    def check(self, name: str, child: Attended, what: str) -> None:
        """Wait for the end of a child; an error with what it said unless that is 0."""
        code = child.wait()
        if code != 0:
            raise self.failure(name, code, child.said(), what)

    def failure(self, name: str, code: int, said: bytes, what: str) -> StrongroomError:
        """Return the error for a program that did not end well."""
        text = self.connection.redacted(said.decode("utf-8", "replace")).strip()
        if _UNREACHABLE.search(text):
            return SourceError(
                f"{what}: {_sentence(text)} ({self.connection.shown})",
                hint="Check host, port, user and password of the source, and that the server runs.",
            )
        how = f"was killed by {_signal_name(-code)}" if code < 0 else f"ended with {code}"
        why = f": {_sentence(text)}" if text else ""
        return StrongroomError(f"{what}: {name} {how}{why}", hint=_hint(text))

    def query(self, sql: str, database: str = "") -> Any:  # noqa: ANN401 - what the server says
        """Return the one JSON value that a query gives."""
        with self.session(database) as session:
            return session.ask(sql)

    @contextmanager
    def session(self, database: str = "") -> Iterator[Session]:
        """Open a connection that lasts as long as the block."""
        arguments = ["-X", "-A", "-t", "-q", "-v", "ON_ERROR_STOP=1", *self.connected(database)]
        with self.attended("psql", arguments) as child:
            session = Session(self, child)
            session.tell(_SESSION)
            yield session
            child.end_input()
            child.ended(_TO_LEAVE)


class Session:
    """A connection, by a ``psql`` that is talked to; what it prints is a line for each query."""

    def __init__(self, client: Client, child: Attended) -> None:
        self._client = client
        self._child = child

    def tell(self, sql: str) -> None:
        """Send statements that print nothing."""
        try:
            self._child.send(sql.encode("utf-8", "surrogateescape"))
        except OSError:
            raise self._failure() from None

    def ask(self, sql: str) -> Any:  # noqa: ANN401 - what the server says
        """Return the JSON value that a query gives: one row, one column."""
        self.tell(f"{sql};\n")
        return self.answer()

    def answer(self) -> Any:  # noqa: ANN401 - what the server says
        """Return the JSON value of a query that was told: one row, one column."""
        line = self._child.line()
        if not line.endswith(b"\n"):
            raise self._failure()
        return json.loads(line.decode("utf-8", "surrogateescape"))

    def query(self, sql: str) -> Any:  # noqa: ANN401 - what the server says
        """Return the one JSON value that a query gives, as ``Client.query`` does."""
        return self.ask(sql)

    def finish(self) -> None:
        """End it in order; an error if anything that was told failed."""
        self._child.end_input()
        self._client.check("psql", self._child, "asking the server")

    def _failure(self) -> StrongroomError:
        self._child.end_input()
        code = self._child.wait()
        return self._client.failure("psql", code, self._child.said(), "asking the server")


def _sentence(text: str) -> str:
    """Return the first lines of what a program said, as one line."""
    plain = _QUIET.sub("", text)
    lines = [" ".join(line.split()) for line in plain.splitlines() if line.strip()]
    return "; ".join(lines)[:_TOLD]


def _hint(text: str) -> str:
    for said, hint in _HINTS:
        if said in text:
            return hint
    return "What it says is the server's or the program's own word."


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
