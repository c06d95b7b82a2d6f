"""What the measurements of base backups share: pgBackRest's configuration, whose user, sizes."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

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
