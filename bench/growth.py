"""Growth: time and memory of a first and an unchanged backup, up to a million files."""

from __future__ import annotations

import math
import random
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Final, NamedTuple

from bench.files import Run, head, prepared, timed
from bench.peers import PROGRAMS

COUNTS: Final = (10_000, 100_000, 1_000_000)
STEPS: Final = ("backup", "unchanged")
_TITLE: Final = """# Growth

Made by `./run bench growth`: files of 20 to 400 bytes, a thousand in a folder, read before each
backup, so that what is measured is the programs and not the disk. One run each. Seconds are wall
time; peak memory is that of the largest process.
"""
_PICTURE: Final = "![Time and memory over the number of files](growth.svg)\n"
_READ: Final = "find {data} -type f -exec cat {{}} + > /dev/null"
_IN_FOLDER: Final = 1000
_WIDTH, _HEIGHT, _LEFT, _BOTTOM = 420, 260, 60, 40
_COLOURS: Final = ("#0b7285", "#e8590c", "#5f3dc4", "#2b8a3e")
_TITLES: Final = {
    ("backup", "wall"): "first backup, seconds",
    ("unchanged", "wall"): "unchanged backup, seconds",
    ("backup", "peak"): "first backup, peak MB",
    ("unchanged", "peak"): "unchanged backup, peak MB",
}


class Point(NamedTuple):
    """One program, one number of files, one step."""

    program: str
    files: int
    step: str
    run: Run


def make(folder: Path, count: int) -> None:
    """Make files of 20 to 400 bytes, a thousand in a folder."""
    rng = random.Random(23)
    text = "".join(f"{rng.getrandbits(64):016x}\n" for _ in range(10_000))
    for number in range(0, count, _IN_FOLDER):
        below = folder / f"{number // _IN_FOLDER % 32:02d}" / f"folder-{number // _IN_FOLDER:05d}"
        below.mkdir(parents=True)
        for item in range(min(_IN_FOLDER, count - number)):
            start, length = rng.randrange(len(text) - 400), rng.randrange(20, 400)
            below.joinpath(f"entry-{item:03d}.txt").write_text(text[start : start + length])


def run(work: Path, *, programs: Sequence[str] | None) -> tuple[str, str]:
    """Measure and return the page and the chart as SVG."""
    chosen = [p for p in PROGRAMS if p.name.split()[0] in (programs or ("strongroom", "restic"))]
    points: list[Point] = []
    for count in COUNTS:
        source = work / "data"
        source.mkdir()
        make(source, count)
        for program in chosen:
            names = prepared(program, source, work)
            for step in STEPS:
                timed(_READ, names)  # so that both read from memory
                one = timed(getattr(program, step), names)
                points.append(Point(program.name, count, step, one))
                print(f"{count:,} files, {program.name} {step}: {one.wall:.2f} s", flush=True)
        shutil.rmtree(source)
    title = f"# Growth\n\nMade by `./run bench growth`: {make.__doc__ or ''} One run each.\n"
    return "\n".join([title, head(chosen), _table(points), "![growth](growth.svg)\n"]), chart(
        points
    )


def _table(points: Sequence[Point]) -> str:
    lines = [
        "| files | program | first backup s | peak MB | unchanged s | peak MB |",
        "|---|---|---|---|---|---|",
    ]
    for first, again in zip(points[::2], points[1::2], strict=True):
        cells = [f"{p.run.wall:.2f} | {p.run.peak:.0f}" for p in (first, again)]
        lines.append(f"| {first.files:,} | {first.program} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def chart(points: Sequence[Point]) -> str:
    """Draw four pictures with logarithmic axes."""
    parts = [
        (
            '<svg xmlns="http://www.w3.org/2000/svg" font-family="sans-serif" font-size="11" '
            f'width="{2 * _WIDTH}" height="{2 * _HEIGHT}">'
        ),
        f'<rect width="{2 * _WIDTH}" height="{2 * _HEIGHT}" fill="white"/>',
    ]
    for number, ((step, what), title) in enumerate(_TITLES.items()):
        left, top = number % 2 * _WIDTH, number // 2 * _HEIGHT
        parts.append(f'<g transform="translate({left},{top})">')
        parts += _picture([p for p in points if p.step == step], what, title)
        parts.append("</g>")
    return "\n".join([*parts, "</svg>\n"])


def _picture(points: Sequence[Point], what: str, title: str) -> list[str]:
    values = [getattr(p.run, what) for p in points]
    low, high = math.floor(math.log10(min(values))), math.ceil(math.log10(max(values)))
    first, last = math.log10(COUNTS[0]), math.log10(COUNTS[-1])

    def x(files: int) -> float:
        return _LEFT + (math.log10(files) - first) / (last - first) * (_WIDTH - _LEFT - 90)

    def y(value: float) -> float:
        share = (math.log10(value) - low) / max(high - low, 1)
        return _HEIGHT - _BOTTOM - share * (_HEIGHT - _BOTTOM - 30)

    parts = [f'<text x="{_LEFT}" y="16" font-weight="bold">{title}</text>']
    for power in range(low, high + 1):
        at = y(10**power)
        parts.append(f'<path d="M{_LEFT} {at:.1f}H{_WIDTH - 80}" stroke="#ddd"/>')
        parts.append(
            f'<text x="{_LEFT - 6}" y="{at + 4:.1f}" text-anchor="end">{10.0**power:g}</text>'
        )
    for count in COUNTS:
        at = x(count)
        parts.append(f'<text x="{at:.1f}" y="{_HEIGHT - 20}" text-anchor="middle">{count:,}</text>')
    for number, program in enumerate(dict.fromkeys(p.program for p in points)):
        own = [(x(p.files), y(getattr(p.run, what))) for p in points if p.program == program]
        line = " ".join(f"{a:.1f},{b:.1f}" for a, b in own)
        colour = _COLOURS[number % len(_COLOURS)]
        parts.append(f'<polyline points="{line}" fill="none" stroke="{colour}" stroke-width="2"/>')
        a, b = own[-1]
        parts.append(f'<text x="{a + 6:.1f}" y="{b + 4:.1f}" fill="{colour}">{program}</text>')
    return parts
