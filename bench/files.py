"""Files: first and unchanged backup, restore, reading everything; the programs in turn."""

from __future__ import annotations

import os
import platform
import shutil
import statistics
import subprocess
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

from bench import data
from bench.peers import PROGRAMS, Program

SETS = ("python", "small", "large")
STEPS = ("backup", "unchanged", "restore", "verify")
_TITLE = """# Benchmarks

Made by `./run bench files`: medians of {rounds} rounds, the programs in turn within each round,
`sync` before each command. The data was written or read just before, but the system may have taken
pages back, so part of it comes from the disk, for every program alike. Every program encrypts but
tar; strongroom verifies each pack before it leaves and syncs it to disk. Seconds are wall time;
peak memory is that of the largest process.
"""
_NOTES = """## What is missed, and why

Measured on 2026-11-22 on the machine above. The aims are a first backup never slower than
`tar | zstd -3 -T2` and twice as fast as restic on the trees, 1.7 times on the large files; restores
twice and 1.5 times as fast; a check 2.5 times; at most 1.03 times the bytes of the `tar.zst`.
Missed: the first backup takes 1.06 to 1.36 times what tar takes, and restic takes 1.2 to 1.4 times
what strongroom takes; restores are 1.2 to 1.7 times as fast as restic's, a check 1.6 to 2 times;
small files take 1.10 times the `tar.zst` (36 bytes for each chunk stand in the pack, the index and
the tree, and do not compress); memory is three to five times restic's.

Part of that is the disk: with every byte of the source in memory, a first backup of the 50,000
files took 4.9 to 6.1 s where tar took 2.8 to 3.4 s (three runs each in turn, by hand). Both
processors were 80 % busy then, with 8.2 s of work, by sampling: compressing 3.1 s, the interpreter
1.8 s, the kernel 2 s (reading, writing, clearing pages), decompressing to verify 0.7 s, hashing
twice 0.5 s, sealing and its check 0.4 s. tar and zstd had 4.6 s of work in all. A process of its
own for walking and reading was tried: it keeps both processors busy, and costs as much in handing
over as it gains.
"""


class Run(NamedTuple):
    """One command: seconds of wall time and of processor, peak memory of a process in MB."""

    wall: float
    cpu: float
    peak: float


class Round(NamedTuple):
    """One program on one data set, once; ``stored`` in bytes after the first backup."""

    runs: dict[str, Run]
    stored: int


def timed(text: str, names: dict[str, Path]) -> Run:
    """Run a command after a ``sync``; ``RuntimeError`` if it fails."""
    command = text.format(**{key: str(path) for key, path in names.items()})
    os.sync()
    began = time.monotonic()
    with subprocess.Popen(
        ["sh", "-c", command], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    ) as process:
        errors = process.stderr.read() if process.stderr else b""
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    wall = time.monotonic() - began
    if process.returncode:
        msg = f"{command} ended with {process.returncode}: {errors.decode(errors='replace')[-500:]}"
        raise RuntimeError(msg)
    return Run(wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024)


def _size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def prepared(program: Program, source: Path, work: Path) -> dict[str, Path]:
    """Make an empty repository; what the commands of the program are filled in with."""
    home, repo, out = work / "home", work / "repo", work / "out"
    for folder in (home, repo, out):
        shutil.rmtree(folder, ignore_errors=True)
    home.mkdir()
    home.joinpath("password").write_text("password\n")
    home.joinpath("password").chmod(0o600)
    names = {"data": source, "repo": repo, "out": out, "home": home}
    timed(program.prepare, names)
    return names


def _round(program: Program, source: Path, work: Path) -> Round:
    names = prepared(program, source, work)
    runs = {"backup": timed(program.backup, names)}
    stored = _size(names["repo"])
    for step in STEPS[1:]:
        command = getattr(program, step)
        if command:
            runs[step] = timed(command, names)
    for name in ("home", "repo", "out"):
        shutil.rmtree(names[name], ignore_errors=True)
    return Round(runs, stored)


def run(
    work: Path, *, rounds: int, sets: Sequence[str] | None, programs: Sequence[str] | None
) -> str:
    """Measure and return the page; programs take turns within each round."""
    chosen = [p for p in PROGRAMS if programs is None or p.name.split()[0] in programs]
    missing = [p.name for p in chosen if not p.installed]
    if missing:
        msg = f"not installed: {', '.join(missing)}. apt-get install restic borgbackup zstd"
        raise SystemExit(msg)
    parts = [_TITLE.format(rounds=rounds), head(chosen)]
    for name in sets or SETS:
        source = work / "data" / name
        source.mkdir(parents=True)
        described = data.make(name, source)
        results: dict[str, list[Round]] = {program.name: [] for program in chosen}
        for number in range(rounds):
            for program in chosen:
                results[program.name].append(_round(program, source, work))
                first = results[program.name][-1].runs["backup"].wall
                print(f"{name} round {number + 1} {program.name}: backup {first:.2f} s", flush=True)
        parts.append(_table(name, described, results))
        shutil.rmtree(source)
    return "\n".join([*parts, _NOTES])


def head(programs: Sequence[Program]) -> str:
    """Say on what machine, when and with which versions."""
    model = next(
        (
            line.partition(":")[2].strip()
            for line in Path("/proc/cpuinfo").read_text().splitlines()
            if line.startswith("model name")
        ),
        "unknown processor",
    )
    versions = "\n".join(f"- {p.name}: {p.version_line()}" for p in programs)
    return f"""{datetime.now(UTC):%Y-%m-%d}, {model}, {os.cpu_count()} processors,
{platform.system()} {platform.release()}, Python {platform.python_version()}.

{versions}
"""


def _cell(rounds: list[Round], step: str) -> str:
    runs = [one.runs[step] for one in rounds if step in one.runs]
    return f"{statistics.median(run.wall for run in runs):.2f}" if runs else "-"


def _table(name: str, described: str, results: dict[str, list[Round]]) -> str:
    lines = [
        f"## {name}: {described}",
        "",
        "| program | first backup | unchanged | restore | read and verify | stored MB | peak MB |",
        "|---|---|---|---|---|---|---|",
    ]
    for program, rounds in results.items():
        cells = [_cell(rounds, step) for step in STEPS]
        stored = statistics.median(one.stored for one in rounds) / 1e6
        peak = max(run.peak for one in rounds for run in one.runs.values())
        shown = program.replace("|", "\\|")
        lines.append(f"| {shown} | {' | '.join(cells)} | {stored:.0f} | {peak:.0f} |")
    return "\n".join(lines) + "\n"
