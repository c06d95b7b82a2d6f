"""Fidelity: an awkward tree backed up and restored by each program, and compared by another one."""

from __future__ import annotations

import dataclasses
import os
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from bench.files import head, prepared
from bench.peers import PROGRAMS, Program
from tests.support.compare_trees import Seen, describe
from tests.support.file_trees import every_kind

_TITLE: Final = """# Fidelity

Made by `./run bench fidelity`: a tree with every kind of file, link, device, hole, mode, owner,
time, attribute and name that a file system holds (`tests/support/file_trees.py`) is backed up and
restored by each program as root, with the flags that keep the most, and compared by
`tests/support/compare_trees.py`, which shares no code with any of them. What stands in a cell is
how many of the things that have an attribute came back without it, or with another one.
"""
# What is compared: title, and the fact that must be equal.
_SAME: Final = (
    ("what it is", "kind"),
    ("bytes", "content"),
    ("mode", "mode"),
    ("owner and group", "owner"),
    ("modification time to the nanosecond", "mtime_ns"),
    ("extended attributes, access lists, capabilities", "xattrs"),
    ("target of symbolic links", "target"),
    ("numbers of devices", "device"),
)
_EMPTY: Final = (None, (), "", b"", (0, 0))
_SLACK: Final = 8192
_BEST: Final = {
    "borg": {"restore": (" extract ", " extract --sparse ")},
    "tar": {
        "backup": ("tar ", "tar --acls --xattrs --xattrs-include='*' --sparse "),
        "restore": ("| tar ", "| tar --acls --xattrs --xattrs-include='*' --same-owner -p "),
    },
}


def run(work: Path, *, programs: Sequence[str] | None) -> str:
    """Back up and restore with each program; return the page."""
    chosen = [p for p in PROGRAMS if programs is None or p.name.split()[0] in programs]
    source = work / "tree"
    every_kind(source)
    wanted = describe(source)
    found = {}
    for program in chosen:
        found[program.name] = _restored(_with_best_flags(program), source, work)
        print(f"{program.name}: {len(found[program.name])} of {len(wanted)} things", flush=True)
    return "\n".join([_TITLE, head(chosen), _table(wanted, found)])


def _with_best_flags(program: Program) -> Program:
    changes = _BEST.get(program.name.split()[0], {})
    commands = {step: getattr(program, step).replace(*pair) for step, pair in changes.items()}
    return dataclasses.replace(program, **commands)


def _restored(program: Program, source: Path, work: Path) -> dict[bytes, Seen]:
    names = prepared(program, source, work)
    for command in (program.backup, program.restore):
        text = command.format(**{key: str(path) for key, path in names.items()})
        subprocess.run(["sh", "-c", text], check=False, stdout=subprocess.DEVNULL)
    below = names["out"] / source.relative_to("/")
    return describe(below if below.exists() else names["out"])


def _table(wanted: dict[bytes, Seen], found: dict[str, dict[bytes, Seen]]) -> str:
    names = list(found)
    shown = [name.replace("|", "\\|") for name in names]
    lines = [
        f"| of {len(wanted)} things | {' | '.join(shown)} |",
        f"|---|{'---|' * len(names)}",
        _row("there at all", [_lost(wanted, found[name]) for name in names]),
    ]
    for title, fact in _SAME:
        having = {p: s for p, s in wanted.items() if p and getattr(s, fact) not in _EMPTY}
        cells = [
            [
                p
                for p, s in having.items()
                if p in seen and getattr(seen[p], fact) != getattr(s, fact)
            ]
            for seen in found.values()
        ]
        lines.append(_row(f"{title} ({len(having)})", cells))
    linked = {p: s.link for p, s in wanted.items() if s.link}
    lines.append(
        _row(
            f"hard links ({len(linked)})",
            [
                [p for p, link in linked.items() if p in s and s[p].link != link]
                for s in found.values()
            ],
        )
    )
    holes = {p: s for p, s in wanted.items() if s.kind == "file" and s.allocated < s.size}
    lines.append(
        _row(
            f"holes ({len(holes)})",
            [
                [p for p, s in holes.items() if p in f and f[p].allocated > s.allocated + _SLACK]
                for f in found.values()
            ],
        )
    )
    return "\n".join(lines) + "\n"


def _lost(wanted: dict[bytes, Seen], found: dict[bytes, Seen]) -> list[bytes]:
    return [path for path in wanted if path not in found]


def _row(title: str, cells: Sequence[Sequence[bytes]]) -> str:
    return f"| {title} | {' | '.join(map(_cell, cells))} |"


def _cell(paths: Sequence[bytes]) -> str:
    if not paths:
        return "all"
    example = os.fsdecode(paths[0]).encode("ascii", "backslashreplace").decode()[:40]
    return f"**{len(paths)} lost**, such as `{example}`"
