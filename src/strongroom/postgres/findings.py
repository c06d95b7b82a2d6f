"""What is found of a server and its databases: fine, unwise, or a backup that fails. Pure.

The code of a finding is the one that a backup would end with: 2 where it cannot be used as it is
configured, 14 where the server is not reached, 1 where a backup fails, 15 for a database that is
not there, 6 where it has no room, 3 where something would be missing.
"""

from __future__ import annotations

import enum
import re
from collections.abc import Collection, Iterator, Sequence
from typing import Final, NamedTuple

from strongroom.postgres.checkup import DatabaseFacts, KnownDatabase, Prepared, ServerFacts, Some
from strongroom.postgres.leftout import said_of
from strongroom.postgres.names import identifier, literal
from strongroom.postgres.programs import Programs

FAILS: Final = 1
USAGE: Final = 2
INCOMPLETE: Final = 3
REFUSED: Final = 6
UNREACHABLE: Final = 14
NOT_THERE: Final = 15
_ORDER: Final = (
    USAGE,
    UNREACHABLE,
    NOT_THERE,
    REFUSED,
    FAILS,
    INCOMPLETE,
)  # the first that there is, counts
_BESIDES: Final = 2  # connections: the one that holds the snapshot, and the first of pg_dump
_READ_ALL: Final = 14
_NO_LIMIT: Final = -1
_MINOR: Final = re.compile(r"[0-9]+\.([0-9]+)")
_LOCK_WAIT: Final = 60  # seconds, after which pg_dump gives up

# what was found in clients, and the versions without it (postgresql.org/support/security)
_HOLES: Final = (
    (
        "CVE-2026-6477, a server can overwrite the memory of pg_dump",
        {14: 23, 15: 18, 16: 14, 17: 10, 18: 4},
    ),
    (
        "CVE-2025-8714, a dump as SQL can run commands in psql",
        {13: 22, 14: 19, 15: 14, 16: 10, 17: 6},
    ),
)


class Level(enum.StrEnum):
    """How bad it is."""

    OK = "ok"
    WARNING = "warning"
    PROBLEM = "problem"


class Finding(NamedTuple):
    """One line; ``fix`` is the statement or the setting that mends it, ``database`` where."""

    check: str
    level: Level
    text: str
    fix: str = ""
    code: int = 0
    database: str = ""


def ok(check: str, text: str, database: str = "") -> Finding:
    """Return that something is as it should be."""
    return Finding(check, Level.OK, text, database=database)


def warning(check: str, text: str, fix: str, database: str = "") -> Finding:
    """Return that something is unwise, though a backup would be whole."""
    return Finding(check, Level.WARNING, text, fix, database=database)


def problem(check: str, text: str, fix: str, code: int, database: str = "") -> Finding:
    """Return that a backup would end with this code."""
    return Finding(check, Level.PROBLEM, text, fix, code, database)


def exit_code(found: Collection[Finding]) -> int:
    """Return the code that a backup would end with: 0, or that of the worst problem."""
    codes = {finding.code for finding in found}
    return next((code for code in _ORDER if code in codes), 0)


def of_programs(chosen: Programs, server: int) -> Finding:
    """Judge the client programs that would be used for a server of this major version."""
    match = _MINOR.match(chosen.version)
    number = int(match[1]) if match else None  # none of a version that is yet to come
    holes = [
        (mended[chosen.major], hole)
        for hole, mended in _HOLES
        if number is not None and number < mended.get(chosen.major, 0)
    ]
    if holes:
        least, _ = max(holes)
        refused = "" if chosen.sound else "; restores refuse it"
        return warning(
            "programs",
            f"{chosen.version} in {chosen.folder} has known holes: "
            f"{'; '.join(hole for _, hole in holes)}{refused}; {chosen.major}.{least} has not",
            f"apt-get install --only-upgrade postgresql-client-{chosen.major}",
        )
    if chosen.is_too_new_for(server):
        return warning(
            "programs",
            f"dumps by {chosen.version} in {chosen.folder} do not go back into a server of version "
            f"{server}: they set transaction_timeout, which it does not know",
            f"apt-get install postgresql-client-{server}",
        )
    return ok("programs", f"client programs {chosen.version} in {chosen.folder}")


def of_role(server: ServerFacts, stated: bool | None) -> Iterator[Finding]:  # noqa: FBT001 - role_passwords, which may be unsaid
    """Judge the role; ``stated`` is what the source says of the passwords of roles."""
    role = identifier(server.name)
    if server.reads_roles or stated is False:
        saved = "are saved" if server.reads_roles and stated is not False else "are left out"
        yield ok("role passwords", f"the passwords of roles {saved}")
    else:
        yield problem(
            "role passwords",
            "the passwords of roles cannot be read by this role, and would be missing",
            f"GRANT SELECT ON pg_catalog.pg_authid TO {role}; or, to do without: "
            "role_passwords = false",
            INCOMPLETE if stated is None else FAILS,
        )
    if server.superuser:
        yield ok("restore", f"{role} is a superuser, and may restore everything")
    elif server.creates_databases:
        yield ok(
            "restore",
            f"{role} may make databases; event triggers and the like are left to superusers",
        )
    else:
        yield warning(
            "restore",
            f"{role} may not make databases, so it cannot restore any",
            f"ALTER ROLE {role} CREATEDB;",
        )


def of_connections(server: ServerFacts, jobs: int) -> Finding:
    """Judge whether a dump gets the connections that it needs."""
    needed = jobs + _BESIDES
    reserved = 0 if server.superuser else server.reserved
    free = server.most - reserved - server.connections + 1  # the one that asked ends
    role = identifier(server.name)
    if server.limit != _NO_LIMIT and server.limit - server.connected + 1 < needed:
        return problem(
            "connections",
            f"a dump with {jobs} jobs needs {needed}, and {role} may have {server.limit} and has "
            f"{server.connected - 1}",
            f"ALTER ROLE {role} CONNECTION LIMIT {needed + server.connected};",
            UNREACHABLE,
        )
    if free < needed:
        return problem(
            "connections",
            f"a dump with {jobs} jobs needs {needed}, and {max(free, 0)} of {server.most} are free",
            f"ALTER SYSTEM SET max_connections = {server.most + needed}; (and a restart), or "
            "jobs = 1",
            UNREACHABLE,
        )
    return ok("connections", f"{free} free, {needed} needed")


def of_databases(
    server: ServerFacts, named: Sequence[str], jobs: int
) -> tuple[list[KnownDatabase], list[Finding]]:
    """Return the databases that can be looked into, and what is wrong with the others.

    ``named``: those that the source names; none: all that are no templates.
    """
    known = {one.name: one for one in server.databases}
    wanted = [known[name] for name in dict.fromkeys(named) if name in known]
    if not named:
        wanted = [one for one in known.values() if not one.template]
    found = [
        problem(
            "databases",
            f"there is no database {name!r} here",
            f"databases = [{', '.join(sorted(known))}], as far as they are meant",
            NOT_THERE,
            name,
        )
        for name in dict.fromkeys(named)
        if name not in known
    ]
    looked = []
    for one in wanted:
        wrong = _closed(server, one, named=bool(named), needed=jobs + _BESIDES)
        if wrong is None:
            looked.append(one)
        else:
            found.append(wrong)
    return looked, found


def _closed(server: ServerFacts, one: KnownDatabase, *, named: bool, needed: int) -> Finding | None:
    name = identifier(one.name)
    if not one.allowed:
        return problem(
            "databases",
            "it allows no connections, so that it would be missing",
            f"ALTER DATABASE {name} ALLOW_CONNECTIONS true;",
            UNREACHABLE if named else INCOMPLETE,
            one.name,
        )
    if not one.may_connect:
        return problem(
            "databases",
            f"{identifier(server.name)} may not connect to it",
            f"GRANT CONNECT ON DATABASE {name} TO {identifier(server.name)};",
            UNREACHABLE,
            one.name,
        )
    if _NO_LIMIT < one.limit < needed and not server.superuser:
        return problem(
            "databases",
            f"a dump needs {needed} connections, and {one.limit} are allowed",
            f"ALTER DATABASE {name} CONNECTION LIMIT {needed};",
            UNREACHABLE,
            one.name,
        )
    return None


def of_database(
    name: str, facts: DatabaseFacts, server: ServerFacts, major: int
) -> Iterator[Finding]:
    """Judge one database: what pg_dump would not read, and what it would wait for."""
    wrong = [*_unreadable(name, facts, server, major), *_in_the_way(name, facts)]
    if not any(finding.level is Level.PROBLEM for finding in wrong):
        yield ok("readable", "everything in it can be read", name)
    yield from wrong
    if facts.unlogged.count:
        listed = _listed(facts.unlogged)
        text = f"unlogged, so empty after a crash of the server; saved as all others: {listed}"
        yield ok("unlogged", text, name)


def _unreadable(
    name: str, facts: DatabaseFacts, server: ServerFacts, major: int
) -> Iterator[Finding]:
    role = identifier(server.name)
    if facts.unreadable.count or facts.sequences.count:
        what = [f"tables {_listed(facts.unreadable)}"] if facts.unreadable.count else []
        what += [f"sequences {_listed(facts.sequences)}"] if facts.sequences.count else []
        fix = f"GRANT pg_read_all_data TO {role};"
        if major < _READ_ALL:
            fix = f"GRANT USAGE ON SCHEMA …, SELECT ON ALL TABLES IN SCHEMA … TO {role};"
        yield problem("readable", f"cannot be read: {'; '.join(what)}", fix, FAILS, name)
    if facts.secured.count:
        yield problem(
            "row security",
            f"rows would be left out, so pg_dump refuses: {_listed(facts.secured)}",
            f"ALTER ROLE {role} BYPASSRLS;",
            FAILS,
            name,
        )
    if facts.objects.count:
        grant = f"format('GRANT SELECT ON LARGE OBJECT %s TO %I', oid, {literal(server.name)})"
        fix = f"SELECT {grant} FROM pg_largeobject_metadata \\gexec"  # noqa: S608 - for a person
        text = f"cannot be read: {_listed(facts.objects)}"
        yield problem("large objects", text, fix, FAILS, name)


def of_left_out(
    name: str, facts: DatabaseFacts, server: ServerFacts, *, subscriptions: bool
) -> Iterator[Finding]:
    """Judge what only a superuser dumps; ``subscriptions``: whether they are wanted."""
    left_out = facts.left_out
    for text in said_of(left_out.subscriptions, left_out.mappings, wanted=subscriptions):
        fix = f"ALTER ROLE {identifier(server.name)} SUPERUSER;"
        yield problem("left out", text, fix, INCOMPLETE, name)


def _in_the_way(name: str, facts: DatabaseFacts) -> Iterator[Finding]:
    if facts.locks.count:
        ends = "; ".join(f"SELECT pg_terminate_backend({pid})" for pid in facts.locked_by)
        yield warning(
            "locks",
            f"locked, for {facts.locked_for} s by now; a dump waits {_LOCK_WAIT} s and fails: "
            f"process {_listed(facts.locks)}",
            f"wait, or {ends};",
            name,
        )
    if facts.absent.count:
        yield warning(
            "extensions",
            f"their files are not on this server, so it cannot be restored here: "
            f"{_listed(facts.absent)}",
            "install the packages that they came from, in these versions",
            name,
        )


def of_owners(name: str, facts: DatabaseFacts, server: ServerFacts) -> Iterator[Finding]:
    """Judge whether the role can give things to those whom they belong to."""
    if facts.owners.count and not server.superuser:
        roles = ", ".join(identifier(owner) for owner in facts.owners.names)
        yield warning(
            "owners",
            f"a restore by {identifier(server.name)} cannot give things to {_listed(facts.owners)}",
            f"GRANT {roles} TO {identifier(server.name)}; or restore with --no-owner",
            name,
        )


def of_prepared(prepared: Sequence[Prepared]) -> Iterator[Finding]:
    """Judge transactions that somebody prepared and never ended."""
    for one in prepared:
        yield warning(
            "prepared transactions",
            f"{one.id!r} was prepared {one.seconds} s ago: what it did is in no dump, and its "
            "locks stay",
            f"ROLLBACK PREPARED {literal(one.id)}; or COMMIT PREPARED, in that database",
            one.database,
        )


def of_room(free: int, least: int, databases: Sequence[KnownDatabase], folder: str) -> Finding:
    """Judge whether dumps have room, of which ``least`` bytes are needed."""
    largest = max((one.size or 0 for one in databases), default=0)
    text = f"{folder} has {free:,} bytes free; the largest database has {largest:,} in the server"
    fix = 'scratch = "/a/folder/with/more/room", in the source'
    if free < least:
        return problem("scratch", f"{text}, and a dump needs {least:,}", fix, REFUSED)
    if free < largest:
        return warning("scratch", f"{text}, so that it waits to be saved now and then", fix)
    return ok("scratch", text)


def _listed(some: Some) -> str:
    more = some.count - len(some.names)
    return ", ".join(some.names) + (f" and {more:,} more" if more else "")
