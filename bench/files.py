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
    return "\n".join(parts)


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
