"""Servers that archive: PostgreSQL runs the program itself, as the user that it runs as.

PostgreSQL refuses to run as root, so root starts it as a user without rights; that user needs an
interpreter that it may run. Everything is in one folder and gone with it. What is always the same
is made once and copied: the files of a new cluster, and a new repository.
"""

from __future__ import annotations

import atexit
import compileall
import os
import shlex
import shutil
import signal
import subprocess
import sys
import sysconfig
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, Final

from tests.support.other_user import NOBODY, in_memory, open_folder
from tests.support.postgres import _for_everybody, programs_of

ROOT: Final = Path(__file__).parents[2]
SEGMENT: Final = 1 << 20
_CLUSTER: Final = (
    "-U",
    "postgres",
    "-E",
    "UTF8",
    "--no-locale",
    "--no-sync",
    "--auth=trust",
    "--wal-segsize=1",
)
_SETTINGS: Final = """
listen_addresses = ''
fsync = off
shared_buffers = 16MB
max_connections = 20
max_wal_senders = 4
wal_level = replica
max_wal_size = 64MB
min_wal_size = 2MB
autovacuum = off
logging_collector = off
log_min_messages = warning
"""
_PROGRAM: Final = """\
#!/bin/sh
export HOME={home} PYTHONPATH={path} PYTHONDONTWRITEBYTECODE=1
export STRONGROOM_REPOSITORY={repository} STRONGROOM_KEY_FILE={key}
exec {python} -m strongroom.cli.entry "$@"
"""
STARTS: Final = 60.0


@dataclass
class Place:
    """A folder with a repository, the program, and servers of one version."""

    top: Path
    programs: Path
    major: int
    processes: list[subprocess.Popen[bytes]] = field(default_factory=list)
    made: int = 0

    @property
    def repository(self) -> Path:
        """The repository."""
        return self.top / "repository"

    @property
    def program(self) -> Path:
        """The program, with the repository and its key."""
        return self.top / "strongroom"

    def run(
        self, *words: str | Path, folder: Path | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Run the program as the server's user."""
        return subprocess.run(
            [str(self.program), *map(str, words)],
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
            **as_nobody(folder or self.top),
        )

    def good(self, *words: str | Path, folder: Path | None = None) -> str:
        """Run the program; it must end with 0."""
        done = self.run(*words, folder=folder)
        assert done.returncode == 0, done
        return done.stdout

    def make(self, name: str, archive_command: str, more: str = "") -> Server:
        """Make a cluster that archives with this command; it is not started.

        The first one is a copy, as in other places; the next ones have a system id of their own.
        """
        server = Server(self, self.top / name)
        if self.made:
            _quiet(self, "initdb", "-D", server.data, *_CLUSTER)
        else:
            _quiet_command(self, "cp", "-a", str(_new_cluster(self.major)), str(server.data))
        self.made += 1
        server.configure(
            f"{_SETTINGS}archive_mode = on\nunix_socket_directories = '{self.top}'\n"
            f"port = {_port(name)}\narchive_command = {_quoted(archive_command)}\n{more}"
        )
        return server

    def copy(self, source: Server, name: str) -> Server:
        """Copy the files of a cluster, as they are on the disk."""
        target = Server(self, self.top / name)
        _quiet_command(self, "cp", "-a", str(source.data), str(target.data))
        target.configure(f"port = {_port(name)}\n")
        return target

    def stop(self) -> None:
        """End every server at once."""
        for process in self.processes:
            if process.poll() is None:
                process.send_signal(signal.SIGQUIT)
        for process in self.processes:
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


@dataclass
class Server:
    """A cluster in a folder, at work or not."""

    place: Place
    data: Path
    process: subprocess.Popen[bytes] | None = None

    @property
    def name(self) -> str:
        """The name of its folder."""
        return self.data.name

    @property
    def port(self) -> int:
        """The number in the name of its socket."""
        return _port(self.name)

    @property
    def log(self) -> str:
        """What the server said since it was started."""
        return (self.place.top / f"{self.name}.log").read_text(errors="replace")

    @property
    def wal(self) -> Path:
        """Its pg_wal."""
        return self.data / "pg_wal"

    def configure(self, text: str) -> None:
        """Add settings; the last of a name counts."""
        with (self.data / "postgresql.conf").open("a") as file:
            file.write(text)

    def signal_recovery(self, kind: str = "recovery.signal") -> None:
        """Let it recover from an archive, or be a standby, when it is started."""
        path = self.data / kind
        path.touch()
        if os.geteuid() == 0:
            os.chown(path, NOBODY, NOBODY)

    def launch(self) -> subprocess.Popen[bytes]:
        """Start the process, and do not wait for it."""
        with (self.place.top / f"{self.name}.log").open("wb") as log:
            self.process = subprocess.Popen(
                [self.place.programs / "postgres", "-D", self.data],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                **as_nobody(self.place.top),
            )
        self.place.processes.append(self.process)
        return self.process

    def start(self) -> Server:
        """Start, and wait until it answers."""
        process = self.launch()
        assert wait_for(lambda: process.poll() is not None or self.answers()), self.log
        assert process.poll() is None, self.log
        return self

    def answers(self) -> bool:
        """Whether it takes connections."""
        return self._psql("SELECT 1").returncode == 0

    def sql(self, text: str) -> str:
        """Run SQL and return what it prints."""
        done = self._psql(text)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def stop(self, how: signal.Signals = signal.SIGINT) -> None:
        """Stop it: SIGINT in order, SIGQUIT at once."""
        assert self.process is not None
        self.process.send_signal(how)
        self.process.wait(60)

    def switch(self) -> str:
        """End the current segment; the name of the one that ended."""
        name = self.sql("SELECT pg_walfile_name(pg_current_wal_lsn())")
        self.sql("SELECT pg_switch_wal()")
        return name

    def switch_with_row(self) -> str:
        """Write something, and end the segment; its name."""
        self.sql("CREATE TABLE IF NOT EXISTS written (n int); INSERT INTO written VALUES (1)")
        return self.switch()

    def failures(self) -> str:
        """Return how often archiving failed, as the server counts."""
        return self.sql("SELECT failed_count FROM pg_stat_archiver")

    def archived(self, name: str) -> bool:
        """Whether a segment was archived, as the server sees it."""
        status = self.wal / "archive_status"
        return (status / f"{name}.done").exists() or not (status / f"{name}.ready").exists()

    def ready(self) -> list[str]:
        """Return what still waits to be archived."""
        return sorted(path.stem for path in (self.wal / "archive_status").glob("*.ready"))

    def base_backup(self, name: str) -> Server:
        """Take a base backup without WAL."""
        target = Server(self.place, self.place.top / name)
        _quiet(
            self.place,
            "pg_basebackup",
            "-h",
            self.place.top,
            "-p",
            str(_port(self.name)),
            "-U",
            "postgres",
            "-X",
            "none",
            "-c",
            "fast",
            "--no-sync",
            "-D",
            target.data,
        )
        target.configure(f"port = {_port(name)}\n")
        return target

    def pgbench(self, *words: str) -> None:
        """Run pgbench."""
        where = ("-h", self.place.top, "-p", str(_port(self.name)), "-U", "postgres")
        _quiet(self.place, "pgbench", *where, *words, "postgres")

    def _psql(self, text: str) -> subprocess.CompletedProcess[str]:
        connection = f"host={self.place.top} port={_port(self.name)} user=postgres dbname=postgres"
        command = ["psql", "-X", "-A", "-t", "-q", "-v", "ON_ERROR_STOP=1", "-d", connection]
        return subprocess.run(
            [self.place.programs / command[0], *command[1:]],
            input=text,
            capture_output=True,
            text=True,
            check=False,
            env={"PATH": os.environ["PATH"]},
        )


@contextmanager
def place_of(major: int) -> Iterator[Place]:
    """Make a folder with a repository for servers of a version; nothing of it is left."""
    with open_folder(in_memory()) as top:
        programs = _for_everybody(programs_of(major), top)
        folder = top / "p"
        folder.mkdir()
        place = Place(folder, programs, major)
        _write_program(place)
        _given_away(folder, *folder.iterdir())
        for name in ("repository", "key"):
            _quiet_command(place, "cp", "-a", str(_new_repository() / name), str(folder))
        try:
            yield place
        finally:
            place.stop()


@cache
def _made_once() -> Path:
    """Return a folder for what is copied, which goes when the tests end."""
    folder = Path(tempfile.mkdtemp(dir=in_memory()))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    folder.chmod(0o755)
    return folder


@cache
def _new_cluster(major: int) -> Path:
    """Return the files of a cluster that never ran."""
    top = _made_once() / str(major)
    top.mkdir()
    _given_away(top)
    place = Place(top, _for_everybody(programs_of(major), top), major)
    _quiet(place, "initdb", "-D", top / "data", *_CLUSTER)
    return top / "data"


@cache
def _new_repository() -> Path:
    """Return a folder with a new repository and its key."""
    compileall.compile_dir(ROOT / "src", quiet=2)  # the server's user cannot keep what it compiles
    top = _made_once() / "repository"
    top.mkdir()
    place = Place(top, top, 0)
    _write_program(place)
    _given_away(top, *top.iterdir())
    place.good("init")
    return top


def _given_away(*paths: Path) -> None:
    if os.geteuid() == 0:
        for path in paths:
            os.chown(path, NOBODY, NOBODY)


def wait_for(ready: Callable[[], bool], seconds: float = STARTS) -> bool:
    """Wait until something is so; whether it came to be."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if ready():
            return True
        time.sleep(0.05)
    return ready()


def interpreter() -> tuple[str, str]:
    """Return a Python that the server's user may run, and its path of modules."""
    modules = f"{ROOT / 'src'}:{sysconfig.get_paths()['purelib']}"
    ours = Path(sys.executable)
    if os.geteuid() != 0 or all(p.stat().st_mode & 1 for p in ours.resolve().parents):
        return sys.executable, modules
    version = f"{sys.version_info[0]}.{sys.version_info[1]}"
    other = shutil.which(f"python{version}", path="/usr/bin:/usr/local/bin")
    assert other is not None, f"no python{version} that other users may run"
    return other, modules


def as_nobody(folder: Path) -> dict[str, Any]:
    """Return how a process of the server's user is started."""
    given: dict[str, Any] = {
        "env": {"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8", "HOME": str(folder)},
        "cwd": folder,
    }
    if os.geteuid() == 0:
        given |= {"user": NOBODY, "group": NOBODY, "extra_groups": []}
    return given


def _write_program(place: Place) -> None:
    python, modules = interpreter()
    text = _PROGRAM.format(
        home=shlex.quote(str(place.top)),
        path=shlex.quote(modules),
        repository=shlex.quote(str(place.repository)),
        key=shlex.quote(str(place.top / "key")),
        python=shlex.quote(python),
    )
    place.program.write_text(text)
    place.program.chmod(0o755)


def _port(name: str) -> int:
    """Return the number of a socket's file: no port of the network."""
    return 20_000 + sum(ord(letter) << (n % 8) for n, letter in enumerate(name)) % 20_000


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def _quiet(place: Place, program: str, *words: str | Path) -> None:
    _quiet_command(place, place.programs / program, *words)


def _quiet_command(place: Place, *command: str | Path) -> None:
    done = subprocess.run(
        list(map(str, command)), capture_output=True, check=False, **as_nobody(place.top)
    )
    assert done.returncode == 0, done.stderr.decode(errors="replace")
