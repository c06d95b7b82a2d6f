"""What a table about databases must not say, beyond what its schema says."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

HIGHEST_PORT: Final = 65535
_MOST_JOBS: Final = 64
_SSL_MODES: Final = ("disable", "allow", "prefer", "require", "verify-ca", "verify-full")


def wrong_in(
    top: tuple[str, ...], table: Mapping[str, Any]
) -> Iterator[tuple[tuple[str, ...], str]]:
    """Yield the keys of a source of databases, which stands at ``top``, that mean nothing."""
    jobs = table.get("jobs")
    if isinstance(jobs, int) and not 1 <= jobs <= _MOST_JOBS:
        yield (*top, "jobs"), f"a number from 1 to {_MOST_JOBS}"
    databases = table.get("databases")
    if isinstance(databases, list) and "" in databases:
        yield (*top, "databases"), "none that is empty"
    connection = table.get("connection")
    if not isinstance(connection, dict):
        return
    port = connection.get("port")
    if isinstance(port, int) and not 0 < port <= HIGHEST_PORT:
        yield (*top, "connection", "port"), f"a number from 1 to {HIGHEST_PORT}"
    mode = connection.get("sslmode")
    if isinstance(mode, str) and mode not in _SSL_MODES:
        yield (*top, "connection", "sslmode"), f"{mode!r} is none of {', '.join(_SSL_MODES)}"
    password = connection.get("password")
    if isinstance(password, dict) and len(password) != 1:
        yield (*top, "connection", "password"), "give one of file, env and command"
