"""Documents: many small objects of one bucket, saved beside ``rclone sync``, from one server."""

from __future__ import annotations

import shutil
import statistics
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from bench.files import Run, head, timed
from bench.peers import STRONGROOM

COUNT: Final = 100_000
_SIZE: Final = 2_000
_OURS: Final = {"tags": "strongroom", "no-tags": "strongroom, `tags = false`"}
_STEPS: Final = ("first", "unchanged", "one changed")
_TITLE: Final = """# Documents in S3: speed and memory

Made by `./run bench documents`: {count:,} objects of about {size:,} bytes, medians of {rounds}
round(s), the programs in turn within each, from one server on this machine, a single Python process
that shares its processors with who asks. `rclone sync` copies into a folder, unencrypted, without
history, 16 at once, lists without folders (`--fast-list`), and compares by ETag (`--checksum`);
strongroom keeps the headers and tags of each object, compresses, encrypts, and reads every pack
back before it stores it. Tags are one more request for each object, which rclone does not make:
with `tags = false` both make the same ones. The server makes one object another before the last
step. Seconds are wall time; processor time is that of the program alone; peak memory is that of the
largest process of each.
"""
_CONFIGURATION: Final = """version = 1
[sources.documents]
type = "s3"
bucket = "docs"
tags = {tags}
"""
_ENVIRONMENT: Final = (
    "env AWS_ACCESS_KEY_ID=a AWS_SECRET_ACCESS_KEY=b AWS_EC2_METADATA_DISABLED=true "
    "AWS_REGION=eu-west-2 AWS_ENDPOINT_URL={endpoint} STRONGROOM_CACHE_DIR={{home}}/{name} "
    "STRONGROOM_STATE_DIR={{home}}/{name} STRONGROOM_PASSPHRASE_FILE={{home}}/password "
    "STRONGROOM_CONFIG={{home}}/{name}.toml"
)
_RCLONE: Final = (
    "env -u AWS_CA_BUNDLE rclone --config /dev/null --s3-provider Other "
    "--s3-access-key-id a --s3-secret-access-key b "
    "--s3-endpoint {endpoint} --transfers 16 --checkers 16 --checksum --use-server-modtime "
    "--fast-list -q "
    "sync :s3:docs {{out}}"
)


def run(work: Path, *, rounds: int, count: int | None) -> str:
    """Measure and return the page."""
    count = count or COUNT
    found: dict[str, dict[str, list[Run]]] = {}
    for number in range(rounds):
        with _server(count) as endpoint:
            names = _prepared(work / str(number))
            commands = _commands(endpoint, names)
            for step in _STEPS:
                if step == _STEPS[-1]:
                    _change(endpoint, count // 2)
                for name, command in commands.items():
                    steps = found.setdefault(name, {})
                    steps.setdefault(step, []).append(timed(command, names))
            _check(names["out"], count)
            shutil.rmtree(work / str(number))
    return _page(found, rounds, count)


def _commands(endpoint: str, names: dict[str, Path]) -> dict[str, str]:
    """Make a repository for each way to call ours, and return all commands."""
    commands = {}
    for name, called in _OURS.items():
        environment = _ENVIRONMENT.format(endpoint=endpoint, name=name)
        ours = f"{environment} {STRONGROOM} -q -r {{repo}}/{name}"
        timed(f"{ours} init >/dev/null", names)
        commands[called] = f"{ours} backup documents"
    return commands | {"rclone sync": _RCLONE.format(endpoint=endpoint)}


def _check(out: Path, count: int) -> None:
    """Fail unless all objects were copied: a program that does nothing would be the fastest."""
    copied = sum(path.is_file() for path in out.rglob("*"))
    if copied != count:
        raise RuntimeError(f"rclone copied {copied:,} of {count:,} objects")


def _page(found: dict[str, dict[str, list[Run]]], rounds: int, count: int) -> str:
    version = subprocess.run(["rclone", "version"], capture_output=True, text=True, check=True)
    lines = [
        _TITLE.format(count=count, size=_SIZE, rounds=rounds),
        head([]),
        f"- {version.stdout.splitlines()[0]}\n",
        f"| program, seconds | {' | '.join(_STEPS)} | objects/s | CPU s | peak MB |",
        f"|---|{'---|' * (len(_STEPS) + 3)}",
    ]
    for name, steps in found.items():
        walls = [statistics.median(one.wall for one in steps[step]) for step in _STEPS]
        cpu = statistics.median(one.cpu for one in steps["first"])
        peak = max(one.peak for runs in steps.values() for one in runs)
        cells = " | ".join(f"{wall:.1f}" for wall in walls)
        lines.append(f"| {name} | {cells} | {count / walls[0]:,.0f} | {cpu:.1f} | {peak:.0f} |")
    return "\n".join(lines) + "\n"


def _prepared(work: Path) -> dict[str, Path]:
    names = {name: work / name for name in ("home", "repo", "out")}
    for folder in names.values():
        folder.mkdir(parents=True)
    password = names["home"] / "password"
    password.write_text("password\n")
    password.chmod(0o600)
    for name in _OURS:
        text = _CONFIGURATION.format(tags="true" if name == "tags" else "false")
        (names["home"] / f"{name}.toml").write_text(text)
    return names


def _change(endpoint: str, number: int) -> None:
    url = f"{endpoint}/docs/d{number // 1000:03}/{number:07}.txt"
    request = urllib.request.Request(url, data=b"another" * 100, method="PUT")  # noqa: S310
    with urllib.request.urlopen(request, timeout=10):  # noqa: S310 - our own server
        pass


@contextmanager
def _server(count: int) -> Iterator[str]:
    command = [sys.executable, "-m", "bench.object_server", str(count), str(_SIZE)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        if process.stdin is None or process.stdout is None:
            raise RuntimeError("the server has no pipes")
        try:
            yield f"http://127.0.0.1:{process.stdout.readline().strip()}"
        finally:
            process.stdin.close()
            process.wait(timeout=30)
