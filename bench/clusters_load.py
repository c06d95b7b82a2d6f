"""Base backups of a cluster at work beside those of pgBackRest; both must restore the same."""

from __future__ import annotations

import hashlib
import re
import shutil
import signal
import statistics
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Final, NamedTuple, cast

from bench.clusters_programs import (
    AS_SERVER,
    Targets,
    configuration,
    size_of,
    targets_of,
)
from bench.files import Run, timed
from tests.postgres.cluster_kit import agents_of, cluster_of, configure, port_of, shim
from tests.support.wal_server import Place, Server, as_nobody, wait_for

_SCALE: Final = 100
_RATE: Final = 200  # transactions a second while backups are made
_MORE: Final = 2_000  # transactions between two backups
_SIDE: Final = 5598
_POINT: Final = "the_end"
_OURS, _THEIRS = "strongroom", "pgBackRest, zstd"
_RUN: Final = "pgbackrest --config={top}/pgbackrest.conf --stanza=x --repo1-path={top}/zstd"
_OPTIONS: Final = "--compress-type=zst --compress-level=3 --process-max=2 --start-fast"
_NAMES: Final = re.compile(rb"\\(un)?restrict ")  # are drawn anew for each dump
_TEXT: Final = f"""
## Of a cluster at work

pgbench's tables, scale {_SCALE}, with {_RATE} transactions a second while both make their first
backup, one after the other (the order changes with each round); then {_MORE:,} transactions, a
checkpoint, and the next backup, which is a full one of strongroom and an incremental one of
pgBackRest (zstd 3, two processes). WAL is archived into both repositories all the while, by
strongroom's agent. `stored` is what the backup adds, without WAL, in MB. Restores are into new
folders, in memory and onto a disk as above, without recovery; then both are recovered to the same
restore point, and what `pg_dumpall` says of both is compared. Medians of {{rounds}} round(s).
"""


class _Round(NamedTuple):
    first: Run
    stored: int
    later: Run
    added: int
    in_memory: Run
    onto_disk: Run


def section(work: Path, *, rounds: int) -> str:
    """Measure, and return the section of the page; ``work`` is a folder on a disk."""
    found: dict[str, list[_Round]] = {_OURS: [], _THEIRS: []}
    same = True
    for number in range(rounds):
        settings = "shared_buffers = 128MB\nmax_wal_size = 4GB\ncheckpoint_timeout = 1h\n"
        with cluster_of(15, settings, archive=True) as (place, server):
            targets = targets_of(place, work)
            same = _round(place, server, targets, found, turned=bool(number % 2)) and same
    lines = [_TEXT.format(rounds=rounds)]
    backups = "first: s | stored | next: s | stored"
    restores = "restore in memory: s | restore onto a disk: s"
    lines.append(f"| program | {backups} | {restores} | peak MB |")
    lines.append("|---|---|---|---|---|---|---|---|")
    lines += [_row(name, done) for name, done in found.items()]
    said = "no difference" if same else "**they differ**"
    return "\n".join([*lines, "", f"`pg_dumpall` of both restores: {said}.", ""])


def _row(name: str, done: list[_Round]) -> str:
    def median(of: str) -> float:
        return float(statistics.median(getattr(one, of).wall for one in done))

    stored = statistics.median(one.stored for one in done) / 1e6
    added = statistics.median(one.added for one in done) / 1e6
    runs = [run for one in done for run in one if isinstance(run, Run)]
    peak = max(run.peak for run in runs)
    return (
        f"| {name} | {median('first'):.1f} | {stored:.1f} | {median('later'):.1f} | {added:.2f} "
        f"| {median('in_memory'):.1f} | {median('onto_disk'):.1f} | {peak:.0f} |"
    )


def _round(
    place: Place,
    server: Server,
    targets: Targets,
    found: dict[str, list[_Round]],
    *,
    turned: bool,
) -> bool:
    """Measure both; whether they restore the same."""
    _archive_by(server, "true")  # what fills the tables would be on its way for minutes
    server.pgbench("-i", "-s", str(_SCALE), "-q")
    server.sql("VACUUM FREEZE; CHECKPOINT")
    (place.top / "pgbackrest.conf").write_text(configuration(place, server))
    configure(place, server, '{ wal = "archive" }')
    _timed(place, f"{_RUN} stanza-create", "zstd")
    _archive_by(server, f"{shim(place)} && {_RUN.format(top=place.top)} archive-push %p")
    kinds = {
        _OURS: ("{top}/strongroom -q backup db",) * 2,
        _THEIRS: tuple(f"{_RUN} {_OPTIONS} --type={kind} backup" for kind in ("full", "incr")),
    }
    order = sorted(kinds, reverse=turned)
    with agents_of(place):
        with _load(place, server):
            first = {name: _timed(place, kinds[name][0], name) for name in order}
        server.pgbench("-c", "2", "-t", str(_MORE // 2))
        server.sql("CHECKPOINT")
        later = {name: _timed(place, kinds[name][1], name) for name in order}
        server.sql(f"SELECT pg_create_restore_point('{_POINT}')")
        _wait_for_archive(server)
    in_memory = {name: _restored(place, name, targets.memory) for name in order}
    onto_disk = {name: _restored(place, name, targets.disk) for name in order}
    for name in order:
        found[name].append(_Round(*first[name], *later[name], in_memory[name], onto_disk[name]))
    return _recovered_by_us(place) == _recovered_by_them(place)


def _restored(place: Place, name: str, out: Path) -> Run:
    """Restore the last backup of a program into a new folder, which goes again."""
    commands = {
        _OURS: f"{{top}}/strongroom -q restore latest:/cluster/db/data --to {out} --no-owner",
        _THEIRS: f"mkdir -m 700 {out} && {_RUN} --process-max=2 --pg1-path={out} --type=none"
        " restore",
    }
    run, _ = _timed(place, commands[name], name)
    shutil.rmtree(out)
    return run


def _archive_by(server: Server, command: str) -> None:
    """Let another command archive, from the next segment on."""
    _wait_for_archive(server)
    server.sql(f"ALTER SYSTEM SET archive_command = '{command}'")
    server.sql("SELECT pg_reload_conf()")


def _wait_for_archive(server: Server) -> None:
    server.switch()
    if not wait_for(lambda: not server.ready(), 300):
        raise RuntimeError(f"WAL is not archived: {server.failures()} failures")


@contextmanager
def _load(place: Place, server: Server) -> Iterator[None]:
    """Keep the server busy for as long as the block lasts."""
    where = ["-h", place.top, "-p", str(port_of(server)), "-U", "postgres"]
    command = [place.programs / "pgbench", *where, "-c", "2", f"--rate={_RATE}", "-T", "3600"]
    with subprocess.Popen(
        [*map(str, command), "postgres"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        **as_nobody(place.top),
    ) as process:
        try:
            yield
        finally:
            process.send_signal(signal.SIGINT)


def _timed(place: Place, command: str, name: str) -> tuple[Run, int]:
    """Run a command as the server's user; what it took, and what a repository grew by, in bytes."""
    before = _stored(place, name)
    words = f"cd {{top}} && HOME={{top}} {AS_SERVER} /bin/sh -c '{command}'"
    run = timed(words, {"top": place.top})
    return run, _stored(place, name) - before


def _stored(place: Place, name: str) -> int:
    """Return the bytes of a repository that are no WAL."""
    if name != _OURS:
        return size_of(place.top / "zstd/backup")
    return size_of(place.repository) - size_of(place.repository / "wal")


def _recovered_by_us(place: Place) -> str:
    folder = place.top / "ours"
    target = ["--to-name", _POINT, "--snapshot", "latest"]
    place.good("recover", "db", *target, "--into", folder, "--port", str(_SIDE))
    return _dumped(place, folder, folder)


def _recovered_by_them(place: Place) -> str:
    folder = place.top / "theirs"
    command = f"mkdir -m 700 {{top}}/theirs && {_RUN} --pg1-path={{top}}/theirs --type=name"
    _timed(place, f"{command} --target={_POINT} --target-action=promote restore", _THEIRS)
    words = [
        place.programs / "pg_ctl",
        "-D",
        folder,
        "-w",
        "-t",
        "300",
        "-l",
        place.top / "their.log",
    ]
    options = f"-p {_SIDE} -k {place.top} -c listen_addresses= -c archive_mode=off"
    subprocess.run([*map(str, words), "-o", options, "start"], check=True, **as_nobody(place.top))
    return _dumped(place, folder, place.top)


def _dumped(place: Place, folder: Path, host: Path) -> str:
    """Return a digest of all that a server holds, once it was promoted, and stop it."""
    where = ["-h", str(host), "-p", str(_SIDE), "-U", "postgres"]
    asked = [str(place.programs / "psql"), *where, "-Atc", "SELECT pg_is_in_recovery()", "postgres"]

    def is_open() -> bool:
        said = subprocess.run(asked, capture_output=True, text=True, check=False)
        return said.stdout.strip() == "f"

    if not wait_for(is_open, 120):
        raise RuntimeError(f"the server in {folder} is not open")
    command = [str(place.programs / "pg_dumpall"), *where]
    digest = hashlib.sha256()
    with subprocess.Popen(command, stdout=subprocess.PIPE) as dumping:
        for line in cast(IO[bytes], dumping.stdout):
            if not _NAMES.match(line):
                digest.update(line)
    if dumping.returncode:
        raise RuntimeError(f"pg_dumpall ended with {dumping.returncode}")
    stop = [place.programs / "pg_ctl", "-D", folder, "-m", "immediate", "-w", "stop"]
    subprocess.run(list(map(str, stop)), check=True, capture_output=True, **as_nobody(place.top))
    shutil.rmtree(folder)
    return digest.hexdigest()
