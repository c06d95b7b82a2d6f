"""Archives: made, verified and unpacked beside what tar and gzip take for it."""

from __future__ import annotations

import shutil
import statistics
from pathlib import Path
from typing import NamedTuple

from bench import data
from bench.files import Run, head, timed
from bench.peers import STRONGROOM

_STEPS = ("create", "verify", "restore")
_TITLE = """# Archives: speed, size and memory

Made by `./run bench archives`: medians of {rounds} rounds, the programs in turn within each round,
`sync` before each command, everything read just before. `tar` creates with `tar czf`, verifies with
`tar tzf` and unpacks with `tar xzf`; strongroom creates (and proves what it wrote), reads every
byte and compares it with the manifest, and unpacks into a new folder (read whole, unpacked, read
back and compared, put in place). Seconds are wall time; peak memory is that of the largest process.
"""


class Maker(NamedTuple):
    """A way to make an archive: its name, and the command of each step."""

    name: str
    create: str
    verify: str
    restore: str
    archive: str


_PROGRAM = str(STRONGROOM)
_MAKERS = (
    Maker(
        "tar czf",
        "tar -C {data} -czf {work}/a.tar.gz tree",
        "tar tzf {work}/a.tar.gz",
        "mkdir {out} && tar -C {out} -xzf {work}/a.tar.gz",
        "a.tar.gz",
    ),
    *(
        Maker(
            f"strongroom, {form}",
            f"{_PROGRAM} archive create --project {{data}} --folder {{work}}/b --scope tree "
            f"--format {form}",
            f"{_PROGRAM} archive verify --project {{data}} --folder {{work}}/b",
            f"{_PROGRAM} archive restore latest --project {{data}} --folder {{work}}/b "
            "--to {out}",
            "b/*/backup-*.tar.*",
        )
        for form in ("gzip", "zstd")
    ),
)


def run(work: Path, *, rounds: int) -> str:
    """Measure and return the page."""
    source = work / "data"
    tree = source / "tree"
    tree.mkdir(parents=True)
    described = data.make("python", tree)
    found: dict[str, list[dict[str, Run]]] = {maker.name: [] for maker in _MAKERS}
    sizes: dict[str, int] = {}
    for _ in range(rounds):
        for maker in _MAKERS:
            place = work / "made"
            place.mkdir()
            names = {"data": source, "work": place, "out": work / "out"}
            timed("cat $(find {data} -type f | head -60000) | wc -c", names)
            found[maker.name].append({s: timed(getattr(maker, s), names) for s in _STEPS})
            (archive,) = place.glob(maker.archive)
            sizes[maker.name] = archive.stat().st_size
            shutil.rmtree(place)
            shutil.rmtree(work / "out")
    lines = [
        _TITLE.format(rounds=rounds),
        head([]),
        f"## {described}",
        "",
        "| program | create | verify | restore | size MB | peak MB to create |",
        "|---|---|---|---|---|---|",
        *(_row(maker.name, found[maker.name], sizes[maker.name]) for maker in _MAKERS),
        "",
        _said(found, sizes),
    ]
    return "\n".join(lines)


def _wall(rounds: list[dict[str, Run]], step: str) -> float:
    return statistics.median(one[step].wall for one in rounds)


def _row(name: str, rounds: list[dict[str, Run]], size: int) -> str:
    cells = " | ".join(f"{_wall(rounds, step):.2f}" for step in _STEPS)
    peak = max(one["create"].peak for one in rounds)
    return f"| {name} | {cells} | {size / 1e6:.1f} | {peak:.0f} |"


def _cpu(rounds: list[dict[str, Run]], step: str) -> float:
    return statistics.median(one[step].cpu for one in rounds)


def _said(found: dict[str, list[dict[str, Run]]], sizes: dict[str, int]) -> str:
    tar, ours = _MAKERS[0].name, _MAKERS[1].name
    faster = _wall(found[tar], "create") / _wall(found[ours], "create")
    larger = sizes[ours] / sizes[tar]
    return (
        f"With gzip: created {faster:.1f} times as fast as `tar czf` (aim 4), {larger:.3f} times "
        "the size (aim at most 1.05).\n\n"
        f"To create it took {_cpu(found[ours], 'create'):.1f} seconds of processor time, the\n"
        "reading back of what was written included: two processors cannot do that in less than\n"
        "half of it. A lower level (`--level 1`) is faster and larger.\n"
        "A restore does far more than `tar xzf`, and takes longer: it reads the archive whole\n"
        "before the first file is written, and reads back every file after.\n"
    )
