"""Databases: backup and restore beside pg_dump and pg_restore, and what each day costs."""

from __future__ import annotations

import json
import os
import shutil
import statistics
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.chunk_sizes import SHOP, SHOP_ROWS, compared
from bench.files import Run, head, timed
from bench.peers import STRONGROOM
from tests.support.postgres import PostgresServer, running_server

SCALE = 50
MAJOR = 15
MEMORY = Path("/dev/shm")  # noqa: S108 - where rows stand if there is plenty
_TITLE = """# PostgreSQL: speed, size, memory and scratch

Made by `./run bench postgres`: `pgbench -i -s {scale}` on a server of PostgreSQL {major} with its
own programs, `fsync` off, a key file, everything on one machine and one disk. Medians of {rounds}
rounds, the programs in turn within each, `sync` before each command. Seconds are wall time; peak
memory is that of the largest process (the server is not counted); scratch is what stood in the
scratch folder at most, looked at every 10 ms. What a backup does beyond dumping is in both figures:
it encrypts, verifies each pack, reads the lists of the dump back, and commits.
"""
_DAYS = (
    ("nothing", "SELECT 1"),
    ("50,000 rows in a stretch", "UPDATE {0} SET {1} WHERE aid BETWEEN 2500001 AND 2550000"),
    (
        "50,000 rows more",
        "INSERT INTO {0} SELECT aid + 5000000, bid, 0, filler FROM {0} WHERE aid <= 50000",
    ),
    ("50,000 rows, one in a hundred", "UPDATE {0} SET {1} WHERE aid % 100 = 7"),
)
_LATER = "strongroom, a day later"
_CHANGES = {  # of the largest table, what a day may change; the same rows each time
    "bench": "UPDATE pgbench_accounts SET abalance = abalance + 7 "
    "WHERE aid BETWEEN 2500001 AND 2550000",
    "sold": "UPDATE orders_1 SET amount = amount + 1 WHERE id BETWEEN 600001 AND 636000",
}
_CHANGED = ("pgbench_accounts", "abalance = abalance + 7")
_TRANSACTIONS = 50_000
_LOAD = f"{_TRANSACTIONS:,} transactions of pgbench"


@dataclass
class _Peak:
    """The most that a folder held, in bytes."""

    bytes: int = 0


@contextmanager
def _watched(folder: Path) -> Iterator[_Peak]:
    """Look at what stands in scratch: in the folder, or in memory."""
    peak, ended = _Peak(), threading.Event()

    def watch() -> None:
        while not ended.wait(0.01):
            in_memory = sum(map(_held, MEMORY.glob("strongroom-scratch-*")))
            peak.bytes = max(peak.bytes, in_memory + _held(folder))

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield peak
    finally:
        ended.set()
        thread.join()


def _held(folder: Path) -> int:
    total = 0
    for held, _, names in os.walk(folder):  # which passes over a folder that went meanwhile
        for name in names:
            with suppress(FileNotFoundError):
                total += Path(held, name).lstat().st_blocks * 512
    return total


class _Bench:
    """A server with the database ``bench``, and a folder for everything else."""

    def __init__(self, server: PostgresServer, work: Path) -> None:
        self.server = server
        self.work = work
        self.names = {"work": work, "programs": server.programs, "host": server.folder}
        self.use("bench")
        self.ours = (
            "cd {work} && env STRONGROOM_CACHE_DIR={work}/cache HOME={work} "
            f"STRONGROOM_KEY_FILE={{work}}/key {STRONGROOM}"
        )

    def use(self, database: str) -> None:
        """Let the source of the configuration be this database."""
        (self.work / "strongroom.toml").write_text(
            f"""\
version = 1
[repositories.main]
url = "{self.work}/repo"
[sources.db]
type = "postgres"
connection = {{ {self.server.connection()} }}
programs = ["{self.server.programs}"]
databases = ["{database}"]
"""
        )

    def new_repository(self) -> None:
        """Begin anew."""
        for name in ("repo", "cache", ".local"):
            shutil.rmtree(self.work / name, ignore_errors=True)
        (self.work / "key").unlink(missing_ok=True)
        timed(f"{self.ours} init", self.names)

    def backup(self) -> tuple[Run, int]:
        """Back up: how long, and the most that scratch held."""
        with _watched(self.work / "cache" / "scratch") as peak:
            run = timed(f"{self.ours} backup -q db", self.names)
        return run, peak.bytes

    def summary(self) -> dict[str, Any]:
        """Back up, and return what strongroom says of it."""
        command = f"{self.ours} backup --json db".format(**self.names)
        done = subprocess.run(["sh", "-c", command], check=True, capture_output=True, text=True)
        records = [json.loads(line) for line in done.stdout.splitlines()]
        (summary,) = [one for one in records if one["message_type"] == "summary"]
        return dict(summary)

    def restore(self, command: str) -> Run:
        """Restore into the database ``again``, which is not there before and after."""
        run = timed(command, self.names)
        self.server.sql("DROP DATABASE again")
        return run


def run(work: Path, *, rounds: int) -> str:
    """Measure and return the page."""
    with running_server(MAJOR) as server:
        server.sql("CREATE DATABASE bench")
        server.pgbench("--initialize", f"--scale={SCALE}", "--quiet", "bench")
        server.sql("CHECKPOINT")
        bench = _Bench(server, work)
        parts = [_TITLE.format(scale=SCALE, major=MAJOR, rounds=rounds), head([])]
        _fill_shop(server)
        titles = {
            "bench": "pgbench: one large table, its rows mostly blanks",
            "sold": f"Three tables of {SHOP_ROWS} orders each, with texts, dates and numbers",
        }
        parts += [_speed(bench, name, title, rounds) for name, title in titles.items()]
        bench.use("bench")
        parts += [_days(bench), compared(server, work)]
    return "\n".join(parts)


def _fill_shop(server: PostgresServer) -> None:
    server.sql("CREATE DATABASE sold")
    for number in range(1, 4):
        server.sql(SHOP.replace("TABLE orders", f"TABLE orders_{number}"), "sold")
        server.sql(f"ALTER TABLE orders_{number} ADD PRIMARY KEY (id)", "sold")
    server.sql("CHECKPOINT")


def _speed(bench: _Bench, database: str, title: str, rounds: int) -> str:
    """Measure one database; each round changes one row in a hundred of a table, in a stretch."""
    bench.use(database)
    change = _CHANGES[database]
    size = int(bench.server.sql(f"SELECT pg_database_size('{database}')"))
    to = "-h {host} -U postgres"
    commands = {
        "pg_dump -Fc": f"{{programs}}/pg_dump -Fc {to} -f {{work}}/fc.dump {database}",
        "pg_dump -Fd -j2": f"{{programs}}/pg_dump -Fd -j2 {to} -f {{work}}/fd.dump {database}",
    }
    pg_restore = (
        f"{{programs}}/createdb {to} again && "
        f"{{programs}}/pg_restore -j2 {to} -d again {{work}}/fc.dump"
    )
    ours = f"{bench.ours} restore -q latest --database {database} --to-database again"
    backups: dict[str, list[Run]] = {name: [] for name in ("strongroom", _LATER, *commands)}
    restores: dict[str, list[Run]] = {"strongroom": [], "pg_restore -j2": []}
    scratch, stored = 0, 0
    for number in range(rounds):
        bench.new_repository()
        run, held = bench.backup()
        backups["strongroom"].append(run)
        scratch = max(scratch, held)
        stored = _size(bench.work / "repo")
        bench.server.sql(change, database)
        backups[_LATER].append(bench.backup()[0])
        for name, command in commands.items():
            shutil.rmtree(bench.work / "fd.dump", ignore_errors=True)
            backups[name].append(timed(command, bench.names))
        restores["strongroom"].append(bench.restore(ours))
        restores["pg_restore -j2"].append(bench.restore(pg_restore))
        walls = ", ".join(f"{name} {runs[-1].wall:.2f}" for name, runs in backups.items())
        print(f"{database}, round {number + 1}: {walls}", flush=True)
    return "\n".join(
        [
            f"## {title}",
            "",
            f"{size / 1e6:.0f} MB in the server.",
            "",
            "| backup | seconds | fastest | of processor | peak MB | stored MB | scratch MB |",
            "|---|---|---|---|---|---|---|",
            _row("strongroom", backups, stored, f"{scratch / 1e6:.0f}"),
            _row(_LATER, backups, 0, "-"),
            _row("pg_dump -Fc", backups, _size(bench.work / "fc.dump"), "-"),
            _row("pg_dump -Fd -j2", backups, _size(bench.work / "fd.dump"), "-"),
            "",
            _verdict("strongroom", "pg_dump -Fc", backups),
            _verdict(_LATER, "pg_dump -Fc", backups),
            "",
            "| restore into a new database | seconds | fastest | of processor |",
            "|---|---|---|---|",
            *(
                f"| {name} | {_wall(runs):.2f} | {_fastest(runs):.2f} | {_cpu(runs):.2f} |"
                for name, runs in restores.items()
            ),
            "",
            _verdict("strongroom", "pg_restore -j2", restores),
            "",
        ]
    )


def _verdict(name: str, rival: str, found: dict[str, list[Run]]) -> str:
    ours, theirs = found[name], found[rival]
    return (
        f"{name.capitalize()} took {_wall(ours) / _wall(theirs):.2f} times the wall time of "
        f"`{rival}`, "
        f"{_fastest(ours) / _fastest(theirs):.2f} times in the fastest\nrounds (aim: at most 1).\n"
    )


def _row(name: str, found: dict[str, list[Run]], stored: int, scratch: str) -> str:
    runs = found[name]
    peak = max(one.peak for one in runs)
    times = f"{_wall(runs):.2f} | {_fastest(runs):.2f} | {_cpu(runs):.2f}"
    held = f"{stored / 1e6:.1f}" if stored else "-"
    return f"| {name} | {times} | {peak:.0f} | {held} | {scratch} |"


def _wall(runs: list[Run]) -> float:
    return statistics.median(one.wall for one in runs)


def _fastest(runs: list[Run]) -> float:
    return min(one.wall for one in runs)


def _cpu(runs: list[Run]) -> float:
    return statistics.median(one.cpu for one in runs)


def _size(path: Path) -> int:
    if path.is_file():
        return path.stat().st_size
    return sum(one.stat().st_size for one in path.rglob("*") if one.is_file())


def _days(bench: _Bench) -> str:
    bench.new_repository()
    first = bench.summary()
    lines = [
        "## What a day costs",
        "",
        "Each after the one before, in one repository. *New* is what was not there of the rows,",
        "before it is compressed; *stored* are the packs that were put; *repository* is by how",
        "much all of it grew, with index and snapshot.",
        "",
        "| changed since the last backup | new MB | of the first | stored MB | repository MB |",
        "|---|---|---|---|---|",
    ]
    before = _size(bench.work / "repo")
    lines.append(_day("first backup", first, first, before))
    for name, sql in _DAYS:
        bench.server.sql(sql.format(*_CHANGED), "bench")
        before = _add_day(bench, lines, name, first, before)
    bench.server.pgbench("-n", "-c", "2", "-t", str(_TRANSACTIONS // 2), "bench")
    _add_day(bench, lines, _LOAD, first, before)
    return "\n".join([*lines, ""])


def _add_day(bench: _Bench, lines: list[str], name: str, first: dict[str, Any], before: int) -> int:
    summary = bench.summary()
    after = _size(bench.work / "repo")
    lines.append(_day(name, summary, first, after - before))
    print(lines[-1], flush=True)
    return after


def _day(name: str, summary: dict[str, Any], first: dict[str, Any], grew: int) -> str:
    added = summary["data_added"]
    share = added / first["data_added"]
    packed = summary["data_added_packed"]
    return f"| {name} | {added / 1e6:.2f} | {share:.2%} | {packed / 1e6:.2f} | {grew / 1e6:.2f} |"
