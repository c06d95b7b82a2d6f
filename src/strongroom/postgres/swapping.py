"""Databases change their names while applications are connected: all at once, or not at all.

``ALTER DATABASE … RENAME`` works in a transaction, so several renames are one step, and whatever is
killed meanwhile leaves all as it was. It locks the database first, so that who connects now waits;
then it waits up to five seconds for sessions to leave (``CountOtherDBBackends``). Meanwhile a
second session ends them. No setting of the old database is changed, so none has to be put back.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Final, NamedTuple

from strongroom.clock import Clock
from strongroom.errors import RefusedError, StrongroomError
from strongroom.postgres.catalog import Database
from strongroom.postgres.client import Client, Session
from strongroom.postgres.names import identifier, literal

_PAUSE: Final = 0.01  # seconds between two looks at who is connected
_PATIENCE: Final = 3.0  # seconds that we wait for those whom we may not disconnect
_ATTEMPTS: Final = 3
_USUAL: Final = ("postgres", "template1")
_GONE: Final = re.compile(r'database ".*" does not exist', re.DOTALL)
_RENAMED: Final = "SELECT '\"renamed\"'"

_GROUND: Final = """\
SELECT json_build_object(
  'role', current_user,
  'creates', (SELECT rolcreatedb OR rolsuper FROM pg_roles WHERE rolname = current_user),
  'database', (SELECT json_build_object(
      'owner', pg_get_userbyid(datdba), 'owns', pg_has_role(datdba, 'USAGE'),
      'size', CASE WHEN has_database_privilege(oid, 'CONNECT') THEN pg_database_size(oid) END)
    FROM pg_database WHERE datname = {0}),
  'prepared', (SELECT count(*) FROM pg_prepared_xacts WHERE database = {0}),
  'sessions', (SELECT count(*) FROM pg_stat_activity WHERE datname = {0} AND usesysid IS NOT NULL
    AND pid <> pg_backend_pid()),
  'beyond', ({1}),
  'slots', (SELECT coalesce(json_agg(slot_name), '[]') FROM pg_replication_slots
    WHERE database = {0}),
  'subscriptions', (SELECT coalesce(json_agg(subname), '[]') FROM pg_subscription
    JOIN pg_database d ON d.oid = subdbid WHERE datname = {0}))"""

_MAY_END: Final = """\
((SELECT rolsuper FROM pg_roles WHERE rolname = current_user) OR NOT rolsuper AND
  (pg_has_role(usesysid, 'USAGE') OR pg_has_role('pg_signal_backend', 'USAGE')))"""

_BEYOND: Final = """\
SELECT coalesce(json_agg(DISTINCT rolname), '[]') FROM pg_stat_activity
JOIN pg_roles r ON r.oid = usesysid
WHERE datname IN ({names}) AND pid <> pg_backend_pid() AND NOT {may_end}"""

_END: Final = """\
SELECT json_build_object(
  'ended', (SELECT count(*) FILTER (WHERE pg_terminate_backend(pid)) FROM pg_stat_activity
    JOIN pg_roles r ON r.oid = usesysid
    WHERE datname IN ({names}) AND pid <> pg_backend_pid() AND {may_end}),
  'works', (SELECT state <> 'idle in transaction (aborted)' AND query NOT LIKE {renamed}
    FROM pg_stat_activity WHERE pid = {mover}))"""


class Ground(NamedTuple):
    """What a server says of us and of a database that may be there.

    ``size`` in bytes, None where we may not know. ``beyond``: who is connected to it and may not be
    disconnected by us. ``slots`` and ``subscriptions`` of logical
    replication go with a database, whatever it is called.
    """

    role: str
    may_create: bool
    exists: bool
    owner: str
    owns: bool
    size: int | None
    prepared: int
    sessions: int
    beyond: Sequence[str]
    slots: Sequence[str]
    subscriptions: Sequence[str]


@contextmanager
def somewhere(client: Client) -> Iterator[tuple[Session, str]]:
    """Open a session, and say in which database; another one if that which is named is gone."""
    for name in ("", *_USUAL):
        with client.session(name) as session:
            try:
                at = session.ask("SELECT to_json(current_database())")
            except StrongroomError as error:
                if name == _USUAL[-1] or _GONE.search(error.message) is None:
                    raise
                continue
            yield session, at
            return


def ground_of(session: Session, database: str) -> Ground:
    """Look at a database, from any other."""
    name = literal(database)
    said = session.ask(_GROUND.format(name, _BEYOND.format(names=name, may_end=_MAY_END)))
    there = said["database"]
    return Ground(
        role=said["role"],
        may_create=bool(said["creates"]),
        exists=there is not None,
        owner=there["owner"] if there else "",
        owns=bool(there and there["owns"]),
        size=there["size"] if there else None,
        prepared=said["prepared"],
        sessions=said["sessions"],
        beyond=said["beyond"],
        slots=said["slots"],
        subscriptions=said["subscriptions"],
    )


def other_database(known: Sequence[Database], asked: str, *not_these: str) -> str:
    """Return a database to work from: ``asked`` if it is none of these; ``RefusedError``."""
    names = [one.name for one in known if one.open and one.name not in not_these]
    for name in (asked, *_USUAL, *names):
        if name in names:
            return name
    raise RefusedError(
        f"the server has no database but {not_these[0]!r} to connect to, and none can be renamed "
        "from within",
        hint="Make one: CREATE DATABASE postgres;",
    )


def rename_together(
    client: Client, at: str, renames: Sequence[tuple[str, str]], clock: Clock
) -> None:
    """Rename databases, in this order, all or none, from the database ``at``.

    Who is connected to them is disconnected. ``RefusedError`` where we may not do that;
    ``StrongroomError`` with the server's words if it fails.
    """
    names = ", ".join(literal(old) for old, _ in renames)
    for attempt in range(_ATTEMPTS):
        with client.session(at) as watcher:
            _refuse_strangers(watcher, names, clock)
            try:
                with client.session(at) as mover:
                    _move(mover, watcher, names, renames, clock)
            except StrongroomError as error:
                again = "being accessed by other users" in error.message
                if not again or attempt == _ATTEMPTS - 1:
                    raise
            else:
                return


def _refuse_strangers(watcher: Session, names: str, clock: Clock) -> None:
    until = clock.elapsed() + _PATIENCE
    while beyond := watcher.ask(_BEYOND.format(names=names, may_end=_MAY_END)):
        if clock.elapsed() > until:
            raise RefusedError(
                f"somebody is connected whom this user may not disconnect: {', '.join(beyond)}",
                hint="Let them leave, or work as a superuser; GRANT pg_signal_backend TO the user "
                "is enough for all who are no superusers.",
            )
        clock.sleep(_PATIENCE / 10)


def _move(
    mover: Session,
    watcher: Session,
    names: str,
    renames: Sequence[tuple[str, str]],
    clock: Clock,
) -> None:
    number = mover.ask("SELECT pg_backend_pid()")
    statements = [
        f"ALTER DATABASE {identifier(old)} RENAME TO {identifier(new)};\n" for old, new in renames
    ]
    mover.tell("".join(["BEGIN READ WRITE;\n", *statements, f"{_RENAMED};\n"]))
    renamed = literal(f"{_RENAMED}%")
    end = _END.format(names=names, may_end=_MAY_END, renamed=renamed, mover=int(number))
    while watcher.ask(end)["works"]:
        clock.sleep(_PAUSE)
    mover.answer()
    mover.ask("COMMIT;\nSELECT 1")
    mover.finish()
