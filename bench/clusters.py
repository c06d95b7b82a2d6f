"""Base backups beside those of pgBackRest: one server, the same days, in turn."""

from __future__ import annotations

import shutil
import statistics
import subprocess
from pathlib import Path
from typing import Final, NamedTuple

from bench import clusters_load
from bench.clusters_programs import (
    AS_SERVER,
    Targets,
    configuration,
    size_of,
    targets_of,
)
from bench.files import Run, head, timed
from tests.postgres.cluster_kit import cluster_of, configure
from tests.support.wal_server import Place, Server, as_nobody

_SCALE: Final = 60
_RESTORES: Final = ("restore in memory", "restore onto a disk")
_STEPS: Final = ("first", "at once again", "after 1 %", "after 1 % spread", *_RESTORES)
_TITLE: Final = """# Base backups: speed and size

Made by `./run bench clusters`: medians of {rounds} rounds, the programs in turn within each round,
on one PostgreSQL 15 server with pgbench's tables ({size} MB) that does nothing else. pgBackRest
makes a full backup and then differential ones, with its defaults (gzip 6, one process) and as its
documentation recommends (zstd 3, two processes). Every backup of strongroom is a full one that
stands alone. Before the third backup the balances of one percent of the accounts are changed in a
stretch, before the fourth those of every hundredth account, each followed by a checkpoint. What is
restored is the last backup, into a new folder: in memory (`/dev/shm`), where server and
repositories are as well, and onto a disk ({kind}), where each program waits for the disk at its
end. Seconds are wall time, after a `sync`; `stored` is what the repository grew by, in MB; peak
memory is that of the largest process. The order of the programs changes with each round.
"""


class _Maker(NamedTuple):
    """A way to make base backups: commands, with ``{top}`` and ``{out}``; ``stores``: where."""

    name: str
    prepare: str
    first: str
    later: str
    restore: str
    stores: str


def _pgbackrest(name: str, options: str) -> _Maker:
    processes = " ".join(word for word in options.split() if "process-max" in word)
    run = f"pgbackrest --config={{top}}/pgbackrest.conf --stanza=x --repo1-path={{top}}/{name}"
    return _Maker(
        f"pgBackRest, {name}",
        f"{run} stanza-create",
        f"{run} {options} --type=full --start-fast --no-archive-check backup",
        f"{run} {options} --type=diff --start-fast --no-archive-check backup",
        f"mkdir -m 700 {{out}} && {run} {processes} --pg1-path={{out}} --type=none restore",
        f"{name}/backup",
    )


_MAKERS: Final = (
    _Maker(
        "strongroom",
        "true",
        "{top}/strongroom -q backup db",
        "{top}/strongroom -q backup db",
        "{top}/strongroom -q restore latest:/cluster/db/data --to {out} --no-owner",
        "repository",
    ),
    _pgbackrest("defaults", ""),
    _pgbackrest("zstd", "--compress-type=zst --compress-level=3 --process-max=2"),
)
_CHANGES: Final = {
    "after 1 %": "aid BETWEEN 1000000 AND 1060000",
    "after 1 % spread": "aid % 100 = 7",
}


def run(work: Path, *, rounds: int) -> str:
    """Measure and return the page; ``work`` is a folder on a disk."""
    found: dict[str, list[dict[str, tuple[Run, int]]]] = {maker.name: [] for maker in _MAKERS}
    size, kind = 0, ""
    for number in range(rounds):
        makers = _MAKERS[:: -1 if number % 2 else 1]
        settings = "shared_buffers = 128MB\nmax_wal_size = 4GB\ncheckpoint_timeout = 1h\n"
        with cluster_of(15, settings) as (place, server):
            size = _begin(place, server)
            targets = targets_of(place, work)
            kind = targets.kind
            done: dict[str, dict[str, tuple[Run, int]]] = {maker.name: {} for maker in _MAKERS}
            for step in _STEPS:
                if step in _CHANGES:
                    where = _CHANGES[step]
                    server.sql(f"UPDATE pgbench_accounts SET abalance = aid % 1000 WHERE {where}")  # noqa: S608 - ours
                    server.sql("CHECKPOINT")
                for maker in makers:
                    done[maker.name][step] = _timed(place, maker, step, targets)
            for name, one in done.items():
                found[name].append(one)
    title = _TITLE.format(rounds=rounds, size=size, kind=kind)
    return _page(title, found) + clusters_load.section(work, rounds=rounds)


def _begin(place: Place, server: Server) -> int:
    """Fill the server and prepare the programs; its size in MB."""
    server.pgbench("-i", "-s", str(_SCALE), "-q")
    server.sql("VACUUM FREEZE; CHECKPOINT")
    (place.top / "pgbackrest.conf").write_text(configuration(place, server))
    configure(place, server)
    for maker in _MAKERS:
        _shell(place, maker.prepare)
    return (size_of(server.data) - size_of(server.wal)) // 1_000_000


def _timed(place: Place, maker: _Maker, step: str, targets: Targets) -> tuple[Run, int]:
    out = targets.memory if step == _RESTORES[0] else targets.disk
    first = maker.first if step == "first" else maker.later
    command = maker.restore if step in _RESTORES else first
    before = size_of(place.top / maker.stores)
    words = f"cd {{top}} && HOME={{top}} {AS_SERVER} /bin/sh -c '{command}'"
    measured = timed(words, {"top": place.top, "out": out})
    shutil.rmtree(out, ignore_errors=True)
    return measured, size_of(place.top / maker.stores) - before


def _shell(place: Place, command: str) -> None:
    subprocess.run(
        ["/bin/sh", "-c", command.format(top=place.top, out="")],
        check=True,
        **as_nobody(place.top),
    )


def _versions() -> str:
    done = subprocess.run(["pgbackrest", "version"], capture_output=True, text=True, check=True)
    return f"- {done.stdout.strip()}"


def _page(title: str, found: dict[str, list[dict[str, tuple[Run, int]]]]) -> str:
    lines = [title, head([]), _versions(), ""]
    backups = " | ".join(f"{step}: s | stored" for step in _STEPS if step not in _RESTORES)
    restores = " | ".join(f"{step}: s" for step in _RESTORES)
    lines.append(f"| program | {backups} | {restores} | peak MB |")
    lines.append("|---" * (2 * len(_STEPS) - len(_RESTORES) + 2) + "|")
    for name, done in found.items():
        cells = [name]
        for step in _STEPS:
            cells.append(f"{statistics.median(one[step][0].wall for one in done):.1f}")
            if step not in _RESTORES:
                cells.append(f"{statistics.median(one[step][1] for one in done) / 1e6:.1f}")
        peak = max(one[step][0].peak for one in done for step in _STEPS)
        lines.append("| " + " | ".join([*cells, f"{peak:.0f}"]) + " |")
    return "\n".join(lines) + "\n"
