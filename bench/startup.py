"""Start-up: what a command costs that has nothing to do."""

from __future__ import annotations

import os
import platform
import statistics
from datetime import UTC, datetime
from pathlib import Path

from bench.files import Run, timed
from bench.peers import STRONGROOM

_RUNS = 15
_COMMANDS = ("--version", "--help", "backup --help")
_HEAD = f"""# Start-up

Made by `./run bench startup` on {{date:%Y-%m-%d}}: medians of {_RUNS} runs in turn.
{os.cpu_count()} processors, Python {{python}}. Processor time, user and system together, is what a
busy machine does not change much, and so it is what the aim of 150 ms is held against.

| command | processor ms | wall ms | peak MB |
|---|---|---|---|"""


def run() -> str:
    """Measure and return the page."""
    found: dict[str, list[Run]] = {command: [] for command in _COMMANDS}
    for _ in range(_RUNS):
        for command, runs in found.items():
            runs.append(timed("{program} " + command, {"program": Path(STRONGROOM)}))
    rows = [_row(command, runs) for command, runs in found.items()]
    head = _HEAD.format(date=datetime.now(UTC), python=platform.python_version())
    return "\n".join([head, *rows, ""])


def _row(command: str, runs: list[Run]) -> str:
    wall, cpu, peak = (statistics.median(column) for column in zip(*runs, strict=True))
    return f"| `strongroom {command}` | {cpu * 1000:.0f} | {wall * 1000:.0f} | {peak:.0f} |"
