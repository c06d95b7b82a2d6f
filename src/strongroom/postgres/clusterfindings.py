"""What is found of a cluster: fine, unwise, or a base backup that fails. Pure.

The code of a finding is the one that a backup would end with: 14 where the server lets nobody
replicate, 1 where a backup waits in vain for its WAL.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence
from typing import Final

from strongroom.postgres.clusterfacts import ClusterFacts, Slot
from strongroom.postgres.findings import FAILS, UNREACHABLE, Finding, ok, problem, warning
from strongroom.postgres.names import identifier, literal
from strongroom.postgres.programs import Programs

_FILES: Final = ("config_file", "hba_file", "ident_file")
_BACKLOG: Final = 3  # files that wait: the archiver takes one after the other, at once
_STUCK: Final = 60.0  # seconds that one file waits
_MUCH: Final = 1 << 30  # bytes that a slot without a reader keeps
_NO_LIMIT: Final = -1
_SKEW: Final = 5.0
_SECOND_NS: Final = 1_000_000_000
_RESTART: Final = "(and a restart)"
_RELOAD: Final = "SELECT pg_reload_conf();"
_OURS: Final = "strongroom"


def of_replication(facts: ClusterFacts) -> Iterator[Finding]:
    """Judge whether the role may replicate, and whether a connection for it is free."""
    role = identifier(facts.name)
    if not facts.replication:
        yield problem(
            "replication",
            f"{role} may not replicate, so it gets no base backup",
            f"ALTER ROLE {role} REPLICATION;",
            UNREACHABLE,
        )
    if facts.setting("wal_level") == "minimal":
        yield problem(
            "wal_level",
            "it is minimal, and such WAL recovers no base backup",
            f"ALTER SYSTEM SET wal_level = 'replica'; {_RESTART}",
            UNREACHABLE,
        )
    most = facts.number("max_wal_senders")
    if facts.senders >= most:
        yield problem(
            "wal senders",
            f"{facts.senders} of {most} are in use, and a base backup needs one",
            f"ALTER SYSTEM SET max_wal_senders = {most + 2}; {_RESTART}",
            UNREACHABLE,
        )
    else:
        yield ok("wal senders", f"{most - facts.senders} of {most} are free")


def of_slots(facts: ClusterFacts, *, with_wal: bool) -> Iterator[Finding]:
    """Judge the slots; a backup ``with_wal`` takes one for as long as it lasts."""
    most = facts.number("max_replication_slots")
    if with_wal and len(facts.slots) >= most:
        yield warning(
            "replication slots",
            f"all {most} are taken: a backup makes do without, and fails if the server removes "
            "WAL meanwhile",
            f"ALTER SYSTEM SET max_replication_slots = {most + 2}; {_RESTART}",
        )
    elif with_wal:
        yield ok("replication slots", f"{most - len(facts.slots)} of {most} are free")
    unlimited = facts.number("max_slot_wal_keep_size") == _NO_LIMIT
    for slot in facts.slots:
        yield _of_slot(slot, unlimited=unlimited)


def _of_slot(slot: Slot, *, unlimited: bool) -> Finding:
    check = f"slot {slot.name}"
    drop = f"SELECT pg_drop_replication_slot({literal(slot.name)});"
    retained = slot.retained or 0
    kept = f"keeps {retained:,} bytes of WAL"
    if slot.lost:
        text = "the server gave up its WAL, so there is a gap"
        return warning(check, text, f"{drop} and a base backup after it")
    if not slot.active and retained >= _MUCH:
        return warning(check, f"it {kept}, and nobody reads it", f"start its reader; or {drop}")
    if not slot.active and unlimited:
        return warning(
            check,
            f"it {kept}, nobody reads it, and nothing bounds it, so it fills the disk",
            "start its reader; ALTER SYSTEM SET max_slot_wal_keep_size = '10GB'; "
            f"{_RELOAD} or {drop}",
        )
    return ok(check, f"it {kept}, {'and is read' if slot.active else 'and nobody reads it'}")


def of_archiving(facts: ClusterFacts, source: str, *, needed: bool) -> Iterator[Finding]:
    """Judge whether WAL goes anywhere; ``needed``: a backup waits for it (``wal = "archive"``)."""
    streams = any(slot.physical and slot.active for slot in facts.slots)
    command = facts.setting("archive_command")
    modes = {"always"} if facts.standby else {"on", "always"}
    archives = facts.setting("archive_mode") in modes and bool(
        command or facts.setting("archive_library")
    )
    if archives:
        yield from _of_archiver(facts, needed=needed and not streams)
        if command and needed and not streams and _OURS not in command:
            yield warning(
                "archive_command",
                f"it does not look like strongroom's, and backups wait for WAL here: {command}",
                f"ALTER SYSTEM SET archive_command = {_push(source)}; {_RELOAD}",
            )
        if facts.number("archive_timeout") == 0:
            yield warning(
                "archive_timeout",
                "it is 0, so a quiet server archives nothing for hours, and that would be lost",
                f"ALTER SYSTEM SET archive_timeout = '60s'; {_RELOAD}",
            )
    elif streams:
        yield ok("archiving", "WAL is streamed by a slot")
    elif facts.standby:
        yield ok("archiving", "it is a standby, whose primary archives: look at that one too")
    elif needed:
        yield problem(
            "archiving",
            "the server archives no WAL and nobody streams it, so a backup waits in vain",
            _turn_on(facts, source),
            FAILS,
        )
    else:
        yield ok("archiving", "no WAL is archived: recoveries go to base backups alone")


def _turn_on(facts: ClusterFacts, source: str) -> str:
    push = f"ALTER SYSTEM SET archive_command = {_push(source)};"
    if facts.setting("archive_mode") in {"on", "always"}:
        return f"{push} {_RELOAD}"
    return f"{push} ALTER SYSTEM SET archive_mode = 'on'; {_RESTART}"


def _push(source: str) -> str:
    return literal(f"strongroom wal push --source {shlex.quote(source)} %p")


def _of_archiver(facts: ClusterFacts, *, needed: bool) -> Iterator[Finding]:
    archiver, waiting = facts.archiver, facts.waiting
    fix = (
        "read the log of the server, and run its archive_command by hand, as its user; "
        "pg_stat_archiver does not count one that cannot be started at all"
    )
    failing = archiver.failed_age is not None and (
        archiver.last_age is None or archiver.failed_age < archiver.last_age
    )
    stuck = waiting is not None and (waiting.count >= _BACKLOG or waiting.seconds >= _STUCK)
    said = [f"{archiver.failed} was not archived"] if failing else []
    if waiting is not None and waiting.count:
        said.append(f"{waiting.count:,} files wait, the first for {waiting.seconds:.0f} s")
    last = f"the last was {archiver.last}, {archiver.last_age:.0f} s ago" if archiver.last else ""
    text = "; ".join([*said, last or "nothing was archived since statistics began"])
    if (failing or stuck) and needed:
        yield problem("archiver", text, fix, FAILS)
    elif failing or stuck:
        yield warning("archiver", text, fix)
    else:
        yield ok("archiver", text)
    if waiting is None:
        yield warning(
            "archiver",
            "how many files wait may not be seen by this role",
            f"GRANT pg_monitor TO {identifier(facts.name)};",
        )


def of_cluster(facts: ClusterFacts, *, needed: bool) -> Iterator[Finding]:
    """Judge what a base backup says of the cluster; ``needed``: its WAL comes from the archive."""
    role = identifier(facts.name)
    if not facts.setting("data_directory"):
        yield warning(
            "settings",
            "where the data directory and its configuration are may not be seen by this role, so "
            "a recovery must be told",
            f"GRANT pg_read_all_settings TO {role};",
        )
    yield from _outside(facts)
    if facts.setting("data_checksums") == "off":
        yield warning(
            "checksums",
            "pages have none, so damaged ones are not noticed",
            "pg_checksums --enable --pgdata DATA_DIRECTORY, while the server is stopped",
        )
    else:
        yield ok("checksums", "pages have checksums, which each base backup checks")
    for database, count in facts.damaged:
        yield warning(
            "checksums",
            f"the server found {count:,} damaged pages since its statistics began; a backup ends "
            "with 3 as long as they are",
            "keep the last whole backup, look at the disk, and recover or rewrite the table",
            database,
        )
    if facts.setting("full_page_writes") == "off":
        yield warning(
            "full_page_writes",
            "it is off, so a crash can tear pages, and a standby of it gives no base backup",
            f"ALTER SYSTEM SET full_page_writes = 'on'; {_RELOAD}",
        )
    if needed and not facts.standby and not facts.may_name_moments:
        yield warning(
            "restore points",
            f"{role} may make none, so no backup has a name to recover to",
            f"GRANT EXECUTE ON FUNCTION pg_create_restore_point(text) TO {role};",
        )
    if facts.standby:
        yield ok("standby", "it is one: base backups of it work, and what it lags they lag")
    for name, folder in facts.tablespaces:
        yield ok("tablespaces", f"{name} is in {folder}, and a recovery puts it there again")


def _outside(facts: ClusterFacts) -> Iterator[Finding]:
    top = facts.setting("data_directory")
    for name in _FILES:
        path = facts.setting(name)
        if top and path and not path.startswith(f"{top}/"):
            yield warning(
                "configuration",
                f"{name} is {path}, outside of the data directory, and in no base backup",
                f"a source of files that has {path}",
            )


def of_clock(facts: ClusterFacts, now_ns: int) -> Finding:
    """Judge the clock of the server beside ours, by which a person names moments."""
    apart = abs(facts.now_ns - now_ns) / _SECOND_NS
    if apart > _SKEW:
        return warning(
            "clock",
            f"the clock of the server and that of this machine are {apart:.0f} s apart; a recovery "
            "to a time means that of the server",
            "timedatectl set-ntp true, on both",
        )
    return ok("clock", "the clock of the server is that of this machine, within seconds")


def of_server_programs(found: Sequence[Programs], major: int, verifies: str | None) -> Finding:
    """Judge what a recovery on this machine would use; ``verifies``: what pg_verifybackup says."""
    fix = f"apt-get install postgresql-{major}, on the machine to recover on"
    here = ", ".join(one.version for one in found) or "none"
    mine = next((one for one in found if one.major == major), None)
    if mine is None:
        text = f"a recovery needs server programs of {major} where it runs; here: {here}"
        return warning("server programs", text, fix)
    if verifies is None:
        text = f"{mine.path('pg_verifybackup')} does not work, so a recovery compares nothing"
        return warning("server programs", text, fix)
    text = f"server programs {mine.version} in {mine.folder}, pg_verifybackup {verifies}"
    return ok("server programs", text)


def of_space(check: str, folder: str, free: int, facts: ClusterFacts, fix: str) -> Finding:
    """Judge room for a whole cluster on a disk."""
    text = f"{folder} has {free:,} bytes free, and the databases have {facts.size or 0:,}"
    if facts.size is not None and free < facts.size:
        return warning(check, text, fix)
    return ok(check, text)
