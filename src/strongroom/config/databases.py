"""What a table about databases must not say, beyond what its schema says."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from strongroom.config.quantities import parse_seconds
from strongroom.config.rds import wrong_in as wrong_in_rds
from strongroom.config.references import SERVICES, wrong_reference
from strongroom.errors import UsageError

HIGHEST_PORT: Final = 65535
_OF_DUMPS: Final = (
    "databases",
    "role_passwords",
    "subscriptions",
    "row_counts",
    "jobs",
    "scratch",
)
_MOST_JOBS: Final = 64
_PASSWORD: Final = ("file", "env", "command", *SERVICES, "rds_iam")
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
    yield from _wrong_kinds(top, table)
    yield from wrong_in_rds(top, table)
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
    if isinstance(password, dict) and (what := wrong_reference(password, _PASSWORD)):
        yield (*top, "connection", "password"), what
    path = connection.get("ssm")
    if isinstance(path, str) and not path.startswith("/"):
        yield (
            (*top, "connection", "ssm"),
            f"a path of parameters begins with '/': {path!r} does not",
        )


def _wrong_kinds(
    top: tuple[str, ...], table: Mapping[str, Any]
) -> Iterator[tuple[tuple[str, ...], str]]:
    physical, logical = table.get("physical"), table.get("logical")
    wait = physical.get("wait") if isinstance(physical, dict) else None
    if isinstance(wait, str):
        try:
            parse_seconds(wait, "wait")
        except UsageError:
            yield (*top, "physical", "wait"), "a time such as 10m"
    is_physical = physical is True or isinstance(physical, dict)
    if logical is False and not is_physical and "rds" not in table:
        yield (*top, "logical"), "then nothing is saved: physical = true makes base backups"
    if is_physical and logical is not True:
        for key in _OF_DUMPS:
            if key in table:
                yield (*top, key), "is for dumps: logical = true makes them too"
