"""Ask a recovered database whether it is one, with what the configuration knows of its users."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any, Final

from strongroom.app.databases import client_of, found_programs, newest, scratch_of
from strongroom.app.machine import Run
from strongroom.config.postgres import PostgresSettings
from strongroom.errors import StrongroomError, UsageError

_STATE: Final = """\
SELECT json_build_object(
  'version', current_setting('server_version'),
  'recovery', pg_is_in_recovery(),
  'databases', (SELECT json_agg(datname ORDER BY datname) FROM pg_database
                WHERE datallowconn AND NOT datistemplate))"""


def checker(run: Run, source: str) -> Callable[[str, int], str] | None:
    """Return what asks a host and port, and says what it found; None: we have no user there."""
    settings = run.settings.databases[source]
    if not settings.user and not settings.service:
        run.warn("no user of the database is configured, so the new one is asked nothing")
        return None
    try:
        found_programs(run, settings)
    except UsageError as error:
        run.warn(f"the new one is asked nothing: {error.message}")
        return None
    return lambda host, port: _ask(run, settings, host, port)


def _ask(run: Run, settings: PostgresSettings, host: str, port: int) -> str:
    there = replace(settings, host=host, port=port)
    with scratch_of(run, there) as scratch:
        said: dict[str, Any] = client_of(
            run, there, newest(found_programs(run, there)), scratch
        ).query(_STATE)
    if said["recovery"]:
        raise StrongroomError(f"{host} is still recovering, and takes no changes")
    databases = said["databases"] or []
    missing = sorted({*settings.databases, *filter(None, [settings.database])} - set(databases))
    if missing:
        raise StrongroomError(
            f"{host} has no database {', '.join(map(repr, missing))}",
            hint="It may not have been there at that moment.",
        )
    return f"PostgreSQL {said['version']} answers, with {', '.join(databases)}"
