"""``python -m bench NAME``: measure, and write the page into ``docs/``."""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path
from typing import Final

from bench import (
    archives,
    clusters,
    collection,
    documents,
    fidelity,
    files,
    growth,
    latency,
    postgres,
    startup,
    swap,
)

_MARK: Final = "<!-- by hand from here on: kept by ./run bench -->"


def main() -> int:
    """Parse the command line and run one benchmark."""
    parser = argparse.ArgumentParser(prog="./run bench", description=__doc__)
    kinds = ["files", "growth", "latency", "fidelity", "startup", "collection", "archives"]
    kinds += ["clusters", "postgres", "swap", "documents"]
    parser.add_argument("name", nargs="?", default="files", choices=kinds)
    parser.add_argument("--rounds", type=int, default=3, help="counted rounds (default 3)")
    parser.add_argument(
        "--sets", nargs="+", default=None, help="of python, small, large; latency: random, python"
    )
    parser.add_argument("--chunks", type=int, default=None, help="collection: how many")
    parser.add_argument("--snapshots", type=int, default=None, help="collection: how many")
    parser.add_argument("--objects", type=int, default=None, help="documents: how many")
    parser.add_argument("--programs", nargs="+", default=None, help="default: all")
    parser.add_argument("--work", type=Path, default=None, help="folder for data and repositories")
    parser.add_argument("--no-write", action="store_true", help="print only")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="strongroom-bench-", dir=options.work) as work:
        pages = _pages(options, Path(work))
    for name, page in pages.items():
        if name.endswith(".md"):
            sys.stdout.write(page)
        if not options.no_write:
            path = Path(__file__).parents[1].joinpath("docs", name)
            path.write_text(page + _by_hand(path))
    return 0


def _by_hand(path: Path) -> str:
    """Return what stands in a page from the mark on: a new measurement does not take it away."""
    if not path.exists():
        return ""
    _, mark, text = path.read_text().partition(_MARK)
    return f"\n{mark}{text}" if mark else ""


def _pages(options: argparse.Namespace, work: Path) -> dict[str, str]:  # noqa: C901, PLR0912 - one each
    match options.name:
        case "archives":
            found = {"archive-speed.md": archives.run(work, rounds=options.rounds)}
        case "clusters":
            found = {"base-backups.md": clusters.run(work, rounds=options.rounds)}
        case "postgres":
            found = {"postgres-speed.md": postgres.run(work, rounds=options.rounds)}
        case "growth":
            page, chart = growth.run(work, programs=options.programs)
            found = {"growth.md": page, "growth.svg": chart}
        case "latency":
            found = {"latency.md": latency.run(work, sets=options.sets)}
        case "documents":
            page = documents.run(work, rounds=options.rounds, count=options.objects)
            found = {"documents-speed.md": page}
        case "collection":
            page = collection.run(work, chunks=options.chunks, snapshots=options.snapshots)
            found = {"collection.md": page}
        case "swap":
            found = {"swap.md": swap.run(work, rounds=options.rounds)}
        case "startup":
            found = {"startup.md": startup.run()}
        case "fidelity":
            found = {"fidelity.md": fidelity.run(work, programs=options.programs)}
        case _:
            made = files.run(
                work, rounds=options.rounds, sets=options.sets, programs=options.programs
            )
            found = {"benchmarks.md": made}
    return found


if __name__ == "__main__":
    sys.exit(main())
