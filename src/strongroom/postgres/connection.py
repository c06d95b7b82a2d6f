"""Where a server is, and how a client is told without a password in its arguments.

libpq reads a connection string (PostgreSQL manual, 34.1.1): ``key='value'`` with backslashes before
quotes and backslashes. Passwords go through a file (34.16): ``host:port:database:user:password``
with backslashes before colons and backslashes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from strongroom.errors import UsageError

_SECONDS_TO_CONNECT: Final = 15
_PASSED_ON: Final = (
    "HOME",
    "PATH",
    "TMPDIR",
    "TZ",
    "LD_LIBRARY_PATH",
    "KRB5CCNAME",
    "PGPASSFILE",
    "PGSERVICEFILE",
    "PGSYSCONFDIR",
    "PGSSLCERT",
    "PGSSLKEY",
    "PGSSLROOTCERT",
    "PGSSLCRL",
)
"""What of our environment a client may see: where things are, never where to connect."""


@dataclass(frozen=True, slots=True)
class Connection:
    """A server, and as whom; what is empty is left to libpq or its service file.

    ``database`` is where to connect to ask what there is. ``password`` is never shown.
    """

    host: str = ""
    port: int | None = None
    user: str = ""
    database: str = ""
    service: str = ""
    sslmode: str = ""
    password: str | None = field(default=None, repr=False)

    def string(self, database: str = "") -> str:
        """Return libpq's connection string for a database; no secret is in it."""
        said = {
            "service": self.service,
            "host": self.host,
            "port": "" if self.port is None else str(self.port),
            "user": self.user,
            "dbname": database or self.database,
            "sslmode": self.sslmode,
            "connect_timeout": str(_SECONDS_TO_CONNECT),
            "application_name": "strongroom",
        }
        return key_values({key: value for key, value in said.items() if value})

    def password_file(self) -> bytes | None:
        """Return what a password file for this connection holds; None without a password."""
        if self.password is None:
            return None
        if "\n" in self.password or "\0" in self.password:
            raise UsageError("a database password of several lines cannot be used")
        escaped = self.password.replace("\\", "\\\\").replace(":", "\\:")
        return f"*:*:*:*:{escaped}\n".encode("utf-8", "surrogateescape")

    @property
    def shown(self) -> str:
        """How a person knows the server."""
        if not self.host and self.service:
            return f"service {self.service}"
        return f"{self.host or 'the local socket'}, port {self.port or 5432}"

    def redacted(self, text: str) -> str:
        """Return a text without the password."""
        return text.replace(self.password, "(hidden)") if self.password else text


def client_environment(ours: Mapping[str, str], password_file: str | None) -> dict[str, str]:
    """Return all that a client sees: messages in English, and who we are, not what we know."""
    environment = {name: ours[name] for name in _PASSED_ON if ours.get(name)}
    environment["LC_ALL"] = "C.UTF-8"
    if password_file is not None:
        environment["PGPASSFILE"] = password_file
    return environment


def key_values(said: Mapping[str, str]) -> str:
    """Return a connection string, whatever characters are in the values."""
    return " ".join(f"{key}={_quoted(value)}" for key, value in said.items())


def _quoted(value: str) -> str:
    escaped = value.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"
