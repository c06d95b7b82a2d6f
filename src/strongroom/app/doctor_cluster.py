"""Say whether base backups of a cluster, and its WAL, are saved, and could be recovered here."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from strongroom.app.addresses import address_of
from strongroom.app.databases import connection_of
from strongroom.app.machine import Run
from strongroom.config.environment import read_environment
from strongroom.config.postgres import PostgresSettings
from strongroom.errors import SourceError, StrongroomError, UsageError
from strongroom.postgres.clusterfacts import ClusterFacts, cluster_facts
from strongroom.postgres.clusterfindings import (
    of_archiving,
    of_clock,
    of_cluster,
    of_replication,
    of_server_programs,
    of_slots,
    of_space,
)
from strongroom.postgres.connection import Connection, client_environment
from strongroom.postgres.findings import FAILS, UNREACHABLE, Finding, Level, ok, problem
from strongroom.postgres.programs import SERVER, find_programs
from strongroom.postgres.wire import ServerError, connected

_SECONDS: Final = 30.0
_A_MAJOR: Final = 10_000


def check_cluster(run: Run, settings: PostgresSettings) -> Iterator[Finding]:
    """Yield what is found, one after the other; nothing is changed on the server."""
    try:
        connection = connection_of(run, settings)
        with connected(connection) as wire:
            major = wire.version // _A_MAJOR
            facts = cluster_facts(wire)
            now_ns = run.machine.clock.now_ns()
    except (SourceError, UsageError) as error:
        yield problem("cluster", error.message, error.hint, error.code)
        return
    except ServerError as error:
        yield problem("cluster", error.message, error.hint, FAILS)
        return
    yield ok(
        "cluster",
        f"{connection.shown} as {facts.name}, PostgreSQL {facts.setting('server_version')}",
    )
    with_wal = settings.physical is None or settings.physical.with_wal
    yield from _replication(connection, facts)
    yield from of_slots(facts, with_wal=with_wal)
    yield from of_archiving(facts, settings.name, needed=not with_wal)
    yield from of_cluster(facts, needed=not with_wal)
    yield of_clock(facts, now_ns)
    yield _programs(run, settings, major)
    yield from _room(run, facts)


def _replication(connection: Connection, facts: ClusterFacts) -> Iterator[Finding]:
    """Judge by what the server says, and where that tells of no problem, by trying."""
    found = list(of_replication(facts))
    yield from found
    if any(finding.level is Level.PROBLEM for finding in found):
        return
    try:
        with connected(connection, replication=True) as wire:
            ((system, *_),) = wire.ask("IDENTIFY_SYSTEM")
    except StrongroomError as error:
        yield problem("replication", error.message, error.hint, UNREACHABLE)
    else:
        yield ok("replication", f"{facts.name} may replicate; the cluster is {system}")


def _programs(run: Run, settings: PostgresSettings, major: int) -> Finding:
    ours = read_environment().variables()
    spawn, path = run.machine.spawn, ours.get("PATH", "")
    found = find_programs(spawn, settings.programs, path, needed=SERVER)
    verifies = None
    for programs in found:
        if programs.major == major:
            command = [programs.path("pg_verifybackup"), "--version"]
            try:
                done = spawn.run(
                    command, seconds=_SECONDS, environment=client_environment(ours, None)
                )
            except OSError:
                continue
            if done.code == 0:
                verifies = done.output.decode("utf-8", "replace").split(") ", 1)[-1].strip()
    return of_server_programs(found, major, verifies)


def _room(run: Run, facts: ClusterFacts) -> Iterator[Finding]:
    """Judge the disks that are here: that of the repository, and that of the data directory."""
    place = run.settings.place
    if place is not None and (address := address_of(place)).scheme == "file":
        folder = Path(address.path)
        if folder.is_dir():
            yield of_space(
                "room to save",
                str(folder),
                shutil.disk_usage(folder).free,
                facts,
                "a larger disk, or 'strongroom prune'; what is saved already takes no room again",
            )
    data = facts.setting("data_directory")
    if data and Path(data).is_dir():
        above = Path(data).parent
        yield of_space(
            "room to recover",
            str(above),
            shutil.disk_usage(above).free,
            facts,
            "recover --into a larger disk: in its place the old data directory is kept",
        )
