"""What the tests of base backups and recoveries share: a cluster, and what is made of it."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from tests.support.wal_server import Place, Server, _port, as_nobody, place_of, wait_for

CLUSTER_TOO = re.compile(r"^\\(un)?restrict .*$", re.MULTILINE)


def push(place: Place) -> str:
    """Return an archive_command."""
    return f"{place.program} wal push --source db %p"


def configure(place: Place, server: Server, physical: str = "true", more: str = "") -> None:
    """Write a configuration with the source ``db``: base backups of a cluster."""
    port = _port(server.name)
    (place.top / "strongroom.toml").write_text(
        f"""\
version = 1
[sources.db]
type = "postgres"
connection = {{ host = "{place.top}", port = {port}, user = "postgres" }}
programs = [{json.dumps(str(place.programs))}]
physical = {physical}
{more}
"""
    )


@contextmanager
def cluster_of(
    major: int, more: str = "", *, archive: bool = False
) -> Iterator[tuple[Place, Server]]:
    """Give a cluster at work, and a configuration for it; nothing of both is left."""
    with place_of(major) as place:
        server = place.make("main", push(place) if archive else "", more)
        if not archive:
            server.configure("archive_mode = off\n")
        server.start()
        configure(place, server)
        try:
            yield place, server
        finally:
            stop_all(place)


def stop_all(place: Place) -> None:
    """End every server that was started below a place, also those that the program started."""
    for file in place.top.rglob("postmaster.pid"):
        with suppress(OSError, ValueError, IndexError):
            pid = int(file.read_text().splitlines()[0])
            if Path(f"/proc/{pid}/cwd").readlink() == file.parent:
                os.kill(pid, signal.SIGQUIT)
                wait_for(lambda pid=pid: not _is_there(pid), 20)  # type: ignore[misc]


def _is_there(pid: int) -> bool:
    with suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    return False


@contextmanager
def agents_of(place: Place) -> Iterator[list[subprocess.Popen[bytes]]]:
    """Run an agent; the last of the list is the one at work."""
    running = [agent_started(place)]
    try:
        yield running
    finally:
        for process in running:
            process.kill()
            process.wait()


def agent_started(place: Place) -> subprocess.Popen[bytes]:
    """Start an agent, and do not wait for it."""
    return subprocess.Popen(
        [str(place.program), "wal", "agent", "--source", "db"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        **as_nobody(place.top),
    )


def shim(place: Place) -> str:
    """Write the scripts; return the command that archives.

    The interpreter is one that finds its modules by a variable, which the script does not know.
    """
    place.good("wal", "shims", "--source", "db", "--to", place.top / "bin")
    script = place.top / "bin/strongroom-wal-push"
    text = script.read_text()
    for line in place.program.read_text().splitlines():
        if line.startswith("export HOME"):
            text = text.replace(
                "export STRONGROOM_REPOSITORY", f"{line}\nexport STRONGROOM_REPOSITORY"
            )
    script.write_text(text)
    return f"{script} %p"


def begun(place: Place, *words: str) -> subprocess.Popen[str]:
    """Start the program as the server's user, and do not wait for it."""
    return subprocess.Popen(
        [str(place.program), *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        process_group=0,
        **as_nobody(place.top),
    )


def sql_at(place: Place, folder: Path, port: int, text: str, database: str = "postgres") -> str:
    """Ask the server that listens in a folder."""
    done = subprocess.run(
        [
            *(place.programs / "psql", "-X", "-A", "-t", "-q", "-v", "ON_ERROR_STOP=1"),
            *("-h", folder, "-p", str(port), "-U", "postgres", "-d", database),
        ],
        input=text,
        capture_output=True,
        text=True,
        check=False,
        env={"PATH": os.environ["PATH"]},
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def everything(place: Place, folder: Path, port: int) -> str:
    """Return all that a cluster holds, as SQL."""
    done = subprocess.run(
        [place.programs / "pg_dumpall", "-h", folder, "-p", str(port), "-U", "postgres"],
        capture_output=True,
        text=True,
        check=False,
        env={"PATH": os.environ["PATH"]},
    )
    assert done.returncode == 0, done.stderr
    return CLUSTER_TOO.sub("", done.stdout)


def port_of(server: Server) -> int:
    """Return the number of the socket of a server."""
    return _port(server.name)


def records(text: str) -> list[dict[str, Any]]:
    """Return the JSON lines of an output."""
    return [json.loads(line) for line in text.splitlines() if line.startswith("{")]


def record_of(place: Place, snapshot: str = "latest", source: str = "db") -> dict[str, Any]:
    """Return the record of a base backup."""
    text = place.good("dump", snapshot, f"/cluster/{source}/backup.json")
    found: dict[str, Any] = json.loads(text)
    return found


def backed_up(place: Place, *words: str) -> dict[str, Any]:
    """Make a base backup, which must be whole; its summary."""
    (summary,) = [
        one
        for one in records(place.good("backup", "db", "--json", *words))
        if one["message_type"] == "summary"
    ]
    return summary
