"""Runs ``recover.py`` in a process of its own, on repositories in folders."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from strongroom.crypto.keytext import key_to_text
from strongroom.model.store import StoreReading
from strongroom.repository.slots import Secret
from tests.support.kit import SECRET

RECOVER: Final = Path(__file__).parents[2] / "recover.py"
DONE, FAILED, USAGE, INCOMPLETE, DAMAGED = 0, 1, 2, 3, 4
NO_REPOSITORY, KEY_REFUSED, NOT_FOUND = 10, 12, 15


@dataclass(frozen=True)
class Result:
    """How a run ended."""

    code: int
    out: str
    err: str

    @property
    def records(self) -> list[dict[str, Any]]:
        """The JSON lines of standard output."""
        return [json.loads(line) for line in self.out.splitlines()]

    @property
    def damage(self) -> list[str]:
        """What is told of damage, wherever it is told."""
        lines = f"{self.out}{self.err}".splitlines()
        return [line.removeprefix("damage: ") for line in lines if line.startswith("damage: ")]


def run(*arguments: str | Path, command: tuple[str | Path, ...] = ("-I", RECOVER)) -> Result:
    """Run the program; whatever happens, it must end without a traceback."""
    done = subprocess.run(
        [sys.executable, *command, *arguments],
        capture_output=True,
        check=False,
        timeout=120,
        env={"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8"},
    )
    result = Result(done.returncode, done.stdout.decode(), done.stderr.decode())
    assert "Traceback" not in result.err, result.err
    return result


def objects_below(folder: Path) -> dict[str, bytes]:
    """Return the files below a folder by their keys."""
    files = (path for path in sorted(folder.rglob("*")) if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


class Recovery:
    """A repository in a folder, and a key that opens it."""

    def __init__(self, folder: Path, secret: Secret = SECRET) -> None:
        self.folder = folder
        self.repository = folder / "repository"
        self.key_file = folder / "key"
        self.key_file.write_text(key_to_text(secret.value))

    def put(self, objects: Mapping[str, bytes]) -> None:
        """Write objects where they are not, or are others."""
        for key, value in objects.items():
            path = self.repository / key
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(value)

    def copy(self, store: StoreReading) -> Recovery:
        """Write all objects of a store."""
        self.put({info.key: store.get(info.key) for info in store.list("")})
        return self

    def run(self, verb: str, *arguments: str | Path) -> Result:
        """Run a verb on the repository."""
        return run(verb, self.repository, *arguments, "--key-file", self.key_file)

    def good(self, verb: str, *arguments: str | Path) -> Result:
        """Run a verb that must end with 0 and tell of no damage."""
        result = self.run(verb, *arguments)
        assert (result.code, result.damage) == (DONE, []), result
        return result

    def restored(self, snapshot: str, name: str = "restored") -> tuple[Result, dict[bytes, bytes]]:
        """Restore a snapshot; return how that ended, and the files that are there then."""
        target = self.folder / name
        result = self.run("restore", snapshot, target)
        return result, {os.fsencode(key): data for key, data in objects_below(target).items()}
