"""The ``pg_restore`` programs of this machine, for whoever reads dumps of any version."""

from __future__ import annotations

from strongroom.app.machine import Run
from strongroom.config.environment import read_environment
from strongroom.operations.archives.plainfiles import Restorers
from strongroom.postgres.client import Client
from strongroom.postgres.connection import Connection, client_environment
from strongroom.postgres.programs import Programs, find_programs


def restorers_of(run: Run) -> Restorers:
    """Return what finds the oldest programs that are new enough; looked for when first asked."""
    found: list[Programs] | None = None

    def restorer(major: int) -> Client | None:
        nonlocal found
        if found is None:
            found = _found(run)
        for programs in found:
            if programs.major >= major:
                return client_without_server(run, programs)
        return None

    return restorer


def client_without_server(run: Run, programs: Programs) -> Client:
    """Return what runs programs that connect to nothing."""
    environment = client_environment(read_environment().variables(), None)
    return Client(run.machine.spawn, Connection(), programs, environment)


def _found(run: Run) -> list[Programs]:
    """Return those that any source names, and those in the usual places, oldest first."""
    named = [path for one in run.settings.databases.values() for path in one.programs]
    search_path = read_environment().get("PATH") or ""
    places = [find_programs(run.machine.spawn, named, search_path)]
    if named:
        places.append(find_programs(run.machine.spawn, [], search_path))
    found: dict[int, Programs] = {}
    for programs in (one for place in places for one in place):
        found.setdefault(programs.major, programs)
    return [found[major] for major in sorted(found)]
