"""Where a cluster is recovered to, as whom, and by which programs: looked at, nothing changed."""

from __future__ import annotations

import os
import pwd
from pathlib import Path
from typing import Final

from strongroom.app.machine import Run
from strongroom.app.sources import absolute
from strongroom.config.environment import read_environment
from strongroom.config.postgres import PostgresSettings
from strongroom.errors import RefusedError, UsageError
from strongroom.operations.recovery import refuse_running
from strongroom.postgres.cluster import ClusterRecord
from strongroom.postgres.programs import SERVER, Programs, find_programs
from strongroom.restore.cluster.present import Present, look, running
from strongroom.restore.cluster.server import is_root

LONGEST_SOCKET: Final = 107 - len("/.s.PGSQL.65535")
_USUAL_USER: Final = "postgres"


def data_directory(run: Run, into: str, record: ClusterRecord | None) -> Path:
    """Return the place, without links; ``RefusedError`` where it is not known."""
    if into:
        path = Path(os.path.realpath(absolute(run.settings.folder, into)))
        if len(os.fsencode(path)) > LONGEST_SOCKET:
            raise UsageError(
                f"--into {path} is too long a name for a socket in it",
                hint=f"Name a folder of at most {LONGEST_SOCKET} bytes.",
            )
        return path
    if record is not None and not record.data_directory:
        raise RefusedError(
            "no base backup says where the data directory is: its role may not see that",
            hint="Recover beside it with --into FOLDER; for the next time: GRANT "
            "pg_read_all_settings TO the role.",
        )
    return Path(os.path.realpath(record.data_directory if record is not None else "/nowhere"))


def refuse_place(present: Present, record: ClusterRecord, *, side: bool) -> None:
    """``RefusedError`` if nothing may be put there."""
    path = present.path
    refuse_running(running(path), path)
    if side and present.in_use:
        raise RefusedError(f"{path} is not empty", hint="Give a new folder with --into.")
    if present.in_use and str(present.system) != record.system_id:
        what = f"cluster {present.system}" if present.system is not None else "no data directory"
        raise RefusedError(
            f"{path} holds {what}, and the base backup is of cluster {record.system_id}",
            hint="Recover beside it with --into FOLDER.",
        )
    if present.exists and path.is_mount():
        raise RefusedError(
            f"{path} is where a disk is mounted, and cannot be renamed",
            hint="Recover with --into, to a folder below it or on another disk.",
        )
    above = path.parent
    if not above.is_dir():
        raise RefusedError(f"{above} is not there", hint="Make it, or name another place.")


def owner_of(present: Present) -> tuple[int, int] | None:
    """Return whom the restored cluster belongs to; None: us, who can give nothing away."""
    if not is_root():
        if present.owner is not None and present.owner[0] != os.geteuid():
            raise RefusedError(
                f"{present.path} belongs to another user",
                hint="Run it as that user, or as root.",
            )
        return None
    if present.owner is not None and present.owner[0] != 0:
        return present.owner
    above = present.path.parent.stat()
    if above.st_uid != 0:
        return above.st_uid, above.st_gid
    try:
        user = pwd.getpwnam(_USUAL_USER)
    except KeyError:
        raise RefusedError(
            "PostgreSQL does not run as root, and there is no user postgres here",
            hint="Make the folder first, for the user that it shall run as: install -d -o USER "
            f"{present.path}",
        ) from None
    return user.pw_uid, user.pw_gid


def tablespace_places(present: Present, record: ClusterRecord, *, side: bool) -> dict[int, Path]:
    """Return where each tablespace goes: its own place, or beside a side instance."""
    if not side:
        return {one.oid: Path(os.path.realpath(one.location)) for one in record.tablespaces}
    top = present.path.with_name(f"{present.path.name}.tablespaces")
    places = {one.oid: top / str(one.oid) for one in record.tablespaces}
    for place in places.values():
        if look(place).in_use:
            raise RefusedError(f"{place} is not empty, and a tablespace goes there")
    return places


def server_programs(run: Run, settings: PostgresSettings, record: ClusterRecord) -> Programs:
    """Return the server programs of the backup's major version; ``RefusedError``."""
    search_path = read_environment().get("PATH") or ""
    found = find_programs(run.machine.spawn, settings.programs, search_path, needed=SERVER)
    for programs in found:
        if programs.major == record.major:
            return programs
    here = ", ".join(one.version for one in found) or "none"
    raise RefusedError(
        f"a base backup of PostgreSQL {record.major} is read by that version only, and here are "
        f"server programs of: {here}",
        hint=f"Install it (apt-get install postgresql-{record.major}) or name its folder with "
        "programs = [...]; into another version go dumps: 'strongroom restore --database'.",
    )
