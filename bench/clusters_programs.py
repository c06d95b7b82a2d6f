"""What the measurements of base backups share: pgBackRest's configuration, whose user, sizes."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Final, NamedTuple

from tests.postgres.cluster_kit import port_of
from tests.support.other_user import NOBODY
from tests.support.wal_server import Place, Server

AS_SERVER: Final = (
    f"setpriv --reuid={NOBODY} --regid={NOBODY} --clear-groups" if os.geteuid() == 0 else ""
)


def configuration(place: Place, server: Server) -> str:
    """Return a configuration of pgBackRest for a server."""
    return (
        f"[global]\nlog-path={place.top}/log\nlock-path={place.top}/lock\n"
        f"spool-path={place.top}/spool\nlog-level-console=error\nlog-level-file=off\n"
        f"[x]\npg1-path={server.data}\npg1-port={port_of(server)}\n"
        f"pg1-socket-path={place.top}\npg1-user=postgres\n"
    )


class Targets(NamedTuple):
    """Folders that restores make: one in memory, one on a disk; ``kind``: its file system."""

    memory: Path
    disk: Path
    kind: str


def targets_of(place: Place, work: Path) -> Targets:
    """Return where restores go to; ``SystemExit`` if ``work`` is in memory, too."""
    kind = _file_system(work)
    if kind in {"tmpfs", "ramfs"}:
        raise SystemExit(f"{work} is in memory: give a folder on a disk by --work")
    work.chmod(0o755)
    folder = work / place.top.name
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    if AS_SERVER:
        os.chown(folder, NOBODY, NOBODY)
    return Targets(place.top / "out", folder / "out", kind)


def _file_system(folder: Path) -> str:
    """Return the kind of the file system that a folder is in."""
    mounts = [line.split()[1:3] for line in Path("/proc/mounts").read_text().splitlines()]
    above = [(len(point), kind) for point, kind in mounts if folder.is_relative_to(point)]
    return max(above)[1]


def size_of(folder: Path) -> int:
    """Return the bytes of all files below a folder; what goes meanwhile does not count."""
    total = 0
    for held, _, names in os.walk(folder):
        for name in names:
            try:
                total += Path(held, name).stat().st_size
            except FileNotFoundError:
                continue
    return total
