"""A bucket that is far away: how much of its line the commands use, as they are typed."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Final, cast
from urllib.parse import urlsplit

from bench.files import timed
from bench.peers import STRONGROOM
from tests.support.aws import CREDENTIALS, REGION, running_aws
from tests.support.s3 import new_bucket

_VERBS: Final = {
    "backup": "backup -q {data}",
    "restore": "restore -q latest --to {work}/out",
    "verify --read-data": "verify -q --read-data",
}


def measured(work: Path, source: Path, delay: float, bandwidth: float) -> list[str]:
    """Return the rows of a table: each verb, seconds, MB over the line, share of it, processor."""
    rows = []
    os.environ.update(CREDENTIALS)
    with running_aws() as server, _line(server.endpoint, delay, bandwidth) as (port, carried):
        variables = {**CREDENTIALS, "AWS_REGION": REGION}
        variables["AWS_ENDPOINT_URL"] = f"http://127.0.0.1:{port}"
        bucket = new_bucket(server)
        words = [f"{name}={value}" for name, value in variables.items()]
        words += ["HOME={work}", "STRONGROOM_KEY_FILE={work}/key"]
        ours = f"env -u AWS_CA_BUNDLE {' '.join(words)} {STRONGROOM} -r s3://{bucket}/far"
        names = {"work": work, "data": source}
        timed(f"{ours} init", names)
        for verb, command in _VERBS.items():
            before = carried()
            run = timed(f"{ours} {command}", names)
            moved = carried() - before
            share = moved / bandwidth / run.wall
            rows.append(
                f"| {verb} | {run.wall:.2f} | {moved / 1e6:.0f} | {share:.0%} | {run.cpu:.2f} |"
            )
        shutil.rmtree(work / "out")
    return rows


@contextmanager
def _line(endpoint: str, delay: float, bandwidth: float) -> Iterator[tuple[int, Callable[[], int]]]:
    """Run a line to the server; yields its port, and what tells how many bytes it has carried."""
    place = urlsplit(endpoint)
    words = [str(place.hostname), str(place.port), str(delay), str(bandwidth)]
    with subprocess.Popen(
        [sys.executable, "-m", "bench.far_line", *words],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        answers, asked = cast(IO[str], process.stdout), cast(IO[str], process.stdin)
        port = int(answers.readline())

        def carried() -> int:
            asked.write("\n")
            asked.flush()
            return int(answers.readline())

        try:
            yield port, carried
        finally:
            asked.close()
