"""``python -m bench [files]``: measure, and write the table into ``docs/benchmarks.md``."""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

from bench import files


def main() -> int:
    """Parse the command line and run one benchmark."""
    parser = argparse.ArgumentParser(prog="./run bench", description=__doc__)
    parser.add_argument("name", nargs="?", default="files", choices=["files"])
    parser.add_argument("--rounds", type=int, default=3, help="counted rounds (default 3)")
    parser.add_argument("--sets", nargs="+", default=None, help="of python, small, large")
    parser.add_argument("--programs", nargs="+", default=None, help="default: all")
    parser.add_argument("--work", type=Path, default=None, help="folder for data and repositories")
    parser.add_argument("--no-write", action="store_true", help="print only")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="strongroom-bench-", dir=options.work) as work:
        table = files.run(
            Path(work), rounds=options.rounds, sets=options.sets, programs=options.programs
        )
    sys.stdout.write(table)
    if not options.no_write:
        Path(__file__).parents[1].joinpath("docs", "benchmarks.md").write_text(table)
    return 0


if __name__ == "__main__":
    sys.exit(main())
