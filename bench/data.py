"""The data that is backed up: made the same way on every machine, but for the installed Python."""

from __future__ import annotations

import random
import shutil
import sys
from pathlib import Path

WORDS = (
    *(
        "account",
        "amount",
        "backup",
        "balance",
        "client",
        "created",
        "customer",
        "date",
        "delivery",
    ),
    *("email", "entry", "error", "first", "group", "invoice", "item", "journal", "last", "line"),
    *("name", "number", "order", "payment", "price", "product", "quantity", "record", "region"),
    *("report", "result", "sale", "section", "state", "status", "stock", "street", "system"),
    *("time", "total", "type", "unit", "update", "user", "value", "version", "warehouse", "year"),
)


def make(name: str, folder: Path) -> str:
    """Make the data set ``name`` in ``folder``; a line that says what it is."""
    {"python": _python, "small": _small, "large": _large}[name](folder)
    files = [path for path in folder.rglob("*") if path.is_file() and not path.is_symlink()]
    size = sum(path.stat().st_size for path in files)
    what = {
        "python": "a copy of an installed Python",
        "small": "small text files in 1,000 folders",
        "large": "a table of rows as text, and random bytes",
    }[name]
    return f"{what}: {len(files):,} files, {size / 1e6:,.0f} MB"


def _python(folder: Path) -> None:
    shutil.copytree(sys.base_prefix, folder, symlinks=True, dirs_exist_ok=True)


def _small(folder: Path) -> None:
    rng = random.Random(20)
    pieces = [
        " ".join(rng.choices(WORDS, k=12)) + f" {rng.randrange(10**9)}\n" for _ in range(20_000)
    ]
    for number in range(1000):
        below = folder / f"{number % 10}" / f"folder-{number:04d}"
        below.mkdir(parents=True)
        for item in range(100):
            count = max(1, int(rng.expovariate(1 / 55)))
            below.joinpath(f"entry-{item:03d}.txt").write_text(
                "".join(rng.choices(pieces, k=count))
            )


def _large(folder: Path) -> None:
    rng = random.Random(21)
    folder.mkdir(parents=True, exist_ok=True)
    suffixes = [
        f"{rng.choice(WORDS)},{rng.random():.6f},{rng.getrandbits(64):016x},"
        f"2026-{rng.randrange(1, 13):02d}-{rng.randrange(1, 29):02d}\n"
        for _ in range(100_000)
    ]
    with folder.joinpath("rows.csv").open("w") as out:
        written, number = 0, 0
        while written < 1_000_000_000:
            picked = rng.choices(suffixes, k=50_000)
            written += out.write("".join([f"{number + i},{row}" for i, row in enumerate(picked)]))
            number += 50_000
    with folder.joinpath("random.bin").open("wb") as raw:
        for _ in range(50):
            raw.write(rng.randbytes(10_000_000))
