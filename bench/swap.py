"""A swap and its undo under an application that writes all the time: how long it cannot."""

from __future__ import annotations

import os
import re
import statistics
import subprocess
import time
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from bench.peers import STRONGROOM
from tests.postgres.writer import Writer, writing
from tests.support.postgres import MAJORS, PostgresServer, running_server

_SETTLE: Final = 0.5  # seconds of undisturbed writing before and after
_HEAD: Final = """# A swap under load

Made by `./run bench swap` on {date:%Y-%m-%d}, {processors} processors: an application writes one
row after the other into `app`, each in its own transaction, and connects again at once whenever it
is disconnected, while `strongroom restore latest --database app --replace` and then `--undo` run.
Without service is the longest time between two writes that the server confirmed: medians of
{rounds} rounds, and the worst. Lost are confirmed writes that are in neither database.

| PostgreSQL | step | without service ms | worst ms | disconnected | written | lost |
|---|---|---|---|---|---|---|"""
_SAID: Final = re.compile(r"(?:FATAL|ERROR): +(.*)|(connection to server was lost)")


def run(work: Path, *, rounds: int) -> str:
    """Measure on each version and return the page."""
    lines = [_HEAD.format(date=datetime.now(UTC), processors=os.cpu_count(), rounds=rounds)]
    said: Counter[str] = Counter()
    for major in MAJORS:
        with running_server(major) as server:
            lines += _rows(_Trial(server, work / str(major)), rounds, said)
    lines += ["", "What the application was told, and how often:", ""]
    lines += [f"- `{words}` ({times})" for words, times in said.most_common()]
    return "\n".join([*lines, ""])


def _rows(trial: _Trial, rounds: int, said: Counter[str]) -> list[str]:
    found: dict[str, list[tuple[float, int, int, int]]] = {"swap": [], "undo": []}
    for _ in range(rounds):
        for step, words in (
            ("swap", ["latest", "--database", "app", "--replace"]),
            ("undo", ["--database", "app", "--undo"]),
        ):
            found[step].append(trial.under_load(words, said))
    rows = []
    for step, every in found.items():
        pauses, errors, written, lost = zip(*every, strict=True)
        rows.append(
            f"| {trial.server.major} | {step} | {statistics.median(pauses) * 1000:.0f} "
            f"| {max(pauses) * 1000:.0f} | {max(errors)} | {sum(written):,} | {sum(lost)} |"
        )
    return rows


class _Trial:
    """A server with ``app`` on it, and a repository with its dump."""

    def __init__(self, server: PostgresServer, folder: Path) -> None:
        self.server = server
        self._folder = folder
        folder.mkdir()
        (folder / "password").write_text("bench\n")
        (folder / "password").chmod(0o600)
        self._environment = {
            "HOME": str(folder),
            "PATH": os.environ["PATH"],
            "STRONGROOM_REPOSITORY": str(folder / "repository"),
            "STRONGROOM_PASSPHRASE_FILE": str(folder / "password"),
        }
        (folder / "strongroom.toml").write_text(
            'version = 1\n[sources.db]\ntype = "postgres"\ndatabases = ["app"]\n'
            f"connection = {{ {server.connection()} }}\n"
            f'programs = ["{server.programs}"]\n'
        )
        server.make_app()
        server.sql("CREATE TABLE log (n int)", "app")
        for words in (["init"], ["backup", "db"]):
            self._strongroom(*words)

    def under_load(self, words: list[str], said: Counter[str]) -> tuple[float, int, int, int]:
        """Return the longest pause, how often it was disconnected, writes, and lost writes."""
        for name in self._databases():
            if name != "app" and not name.startswith("app__before_"):
                self.server.sql(f'DROP DATABASE "{name}"')
        self.server.sql("TRUNCATE log", "app")
        with writing(self.server) as writer:
            time.sleep(_SETTLE)
            self._strongroom("restore", *words, "--no-confirm")
            time.sleep(_SETTLE)
        for error in writer.errors:
            said.update("".join(match) for match in _SAID.findall(error))
        return (
            writer.longest_pause(),
            len(writer.errors),
            len(writer.written),
            len(self._lost(writer)),
        )

    def _lost(self, writer: Writer) -> set[int]:
        there: set[int] = set()
        for name in self._databases():
            there |= set(map(int, self.server.sql("SELECT n FROM log", name).split()))
        return {number for _, number in writer.written} - there

    def _databases(self) -> list[str]:
        names = self.server.sql("SELECT datname FROM pg_database WHERE datname LIKE 'app%'")
        return names.splitlines()

    def _strongroom(self, *words: str) -> None:
        subprocess.run(
            [STRONGROOM, *words],
            cwd=self._folder,
            env=self._environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            check=True,
        )
