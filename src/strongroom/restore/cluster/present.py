"""What there is where a cluster is to be recovered: looked at, and nothing changed."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from typing import Final, NamedTuple

from strongroom.errors import RefusedError
from strongroom.postgres.wal.names import WalKind, WalName, parse_name
from strongroom.postgres.wal.pages import HEADER_SIZE, WalContentError, check_segment
from strongroom.system.causes import cause_of

_PID: Final = "postmaster.pid"
_CONTROL: Final = "global/pg_control"
_ID_SIZE: Final = 8
_LOST_AND_FOUND: Final = "lost+found"


class Present(NamedTuple):
    """A data directory, or a place for one. ``path`` is real, without links.

    ``system`` is the id of the cluster in it, None where none is; ``owner`` is user and group;
    ``wal`` the real folder of its WAL, and ``wal_is_link`` whether that lies elsewhere.
    """

    path: Path
    exists: bool
    in_use: bool
    owner: tuple[int, int] | None
    system: int | None
    version: str
    wal: Path
    wal_is_link: bool


def look(path: Path) -> Present:
    """Look at a place; ``RefusedError`` if it cannot be one, or a server runs in it."""
    real = Path(os.path.realpath(path))
    try:
        if not real.exists():
            return Present(real, False, False, None, None, "", real / "pg_wal", False)  # noqa: FBT003
        if not real.is_dir():
            raise RefusedError(f"{real} is not a directory")
        names = {name.name for name in real.iterdir()} - {_LOST_AND_FOUND}
        found = real.stat()
        wal = real / "pg_wal"
        return Present(
            real,
            exists=True,
            in_use=bool(names),
            owner=(found.st_uid, found.st_gid),
            system=_system(real),
            version=_text(real / "PG_VERSION").strip(),
            wal=Path(os.path.realpath(wal)),
            wal_is_link=wal.is_symlink(),
        )
    except OSError as error:
        raise RefusedError(f"cannot look into {real}: {cause_of(error)}") from error


def running(path: Path) -> int | None:
    """Return the process of the server that runs in a data directory, if one does."""
    lines = _text(path / _PID).splitlines()
    if not lines or not lines[0].strip().isdigit():
        return None
    pid = int(lines[0])
    return pid if is_alive(pid) and _may_be_server(pid, path) else None


def is_alive(pid: int) -> bool:
    """Whether a process is there, and has not ended."""
    status = _text(Path(f"/proc/{pid}/stat"))
    if status:
        return status.rpartition(")")[2].split()[0] != "Z"
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _may_be_server(pid: int, path: Path) -> bool:
    """Whether a process may be the server: another program may have its number after a restart."""
    with suppress(OSError):
        return Path(f"/proc/{pid}/cwd").readlink() == path
    return True


def segments_in(folder: Path, system: int) -> list[WalName]:
    """Return the segments in a folder of WAL that hold what they are called; not recycled ones."""
    found = []
    with suppress(FileNotFoundError):
        for path in sorted(folder.iterdir()):
            name = parse_name(path.name)
            if name is None or name.kind is not WalKind.SEGMENT:
                continue
            with path.open("rb") as file:
                begin = file.read(HEADER_SIZE)
            with suppress(WalContentError):
                header = check_segment(name, begin, path.stat().st_size)
                if header.system_id == system:
                    found.append(name)
    return found


def _system(path: Path) -> int | None:
    """Return the first field of ``pg_control``, in the byte order of this machine."""
    with suppress(FileNotFoundError, NotADirectoryError), (path / _CONTROL).open("rb") as file:
        data = file.read(_ID_SIZE)
        return int.from_bytes(data, "little") if len(data) == _ID_SIZE else None
    return None


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
