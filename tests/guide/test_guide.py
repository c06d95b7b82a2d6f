"""Every shell block of the backup procedures guide does what it says, in a real shell."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any, Final

import pytest

from tests.cli.harness import COMMAND
from tests.guide.blocks import Block, blocks, typed
from tests.support.noise import noise

BLOCKS: Final = list(blocks())
ID: Final = re.compile(r"[0-9]{8}_[0-9]{6}")
FOLDERS: Final = ("scripts", "lib", "config", "docs", "tests")
_PASSES: Final = "#!/bin/bash\nexit 0\n"
_FAILS: Final = "#!/bin/bash\nexit 1\n"


class Project:
    """A project as the guide has it, with the shims in its ``scripts``."""

    def __init__(self, folder: Path) -> None:
        self.home = folder / "home"
        self.folder = folder / "project"
        self.elsewhere = folder / "elsewhere"
        self.home.mkdir()
        self.environment = {
            "HOME": str(self.home),
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        }
        for name in FOLDERS:
            (self.folder / name).mkdir(parents=True)
            (self.folder / name / "one.txt").write_bytes(noise(5000, name))
            (self.folder / name / "two.sh").write_text(f"echo {name}\n" * 500)
        (self.folder / "README.md").write_text("A project.\n")
        (self.folder / "Makefile").write_text("all:\n\techo\n")
        (self.folder / "backup.key").write_text("a secret that nobody guesses\n")
        (self.folder / "backup.key").chmod(0o600)
        self.script("validate-environment.sh", _PASSES)
        self.script("aws-deployment-modular.sh", _PASSES)
        subprocess.run(
            [*COMMAND, "shims", "install", "scripts/"],
            cwd=self.folder,
            env=self.environment,
            check=True,
            stdout=subprocess.DEVNULL,
        )

    def script(self, name: str, text: str) -> None:
        """Write a script of the project's own."""
        path = self.folder / "scripts" / name
        path.write_text(text)
        path.chmod(0o755)

    def shell(self, text: str, answer: str = "yes\n") -> subprocess.CompletedProcess[str]:
        """Type something into a shell in the project; ``answer`` is what is typed when asked."""
        return subprocess.run(
            ["bash", "-c", text],
            cwd=self.folder,
            env=self.environment,
            input=answer,
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )

    def good(self, text: str) -> str:
        """Type what must end with 0; what it printed."""
        done = self.shell(text)
        assert done.returncode == 0, (text, done)
        return done.stdout

    def ids(self) -> list[str]:
        """Return the ids of the archives, the oldest first; not those that restores made."""
        names = (path.name for path in (self.folder / "backup").iterdir())
        return sorted(name for name in names if ID.fullmatch(name))

    def created(self) -> str:
        """Make an archive, and return its id."""
        before = set(self.ids()) if (self.folder / "backup").exists() else set()
        self.good("./scripts/backup-system.sh create")
        (new,) = set(self.ids()) - before
        return new

    def contents(self) -> dict[str, bytes]:
        """Return every file of the project that is no archive."""
        return {
            str(path.relative_to(self.folder)): path.read_bytes()
            for path in sorted(self.folder.rglob("*"))
            if path.is_file() and "backup" not in path.relative_to(self.folder).parts
        }

    def metadata(self, one: str) -> dict[str, Any]:
        """Read the metadata of an archive."""
        text = (self.folder / "backup" / one / "backup-metadata.json").read_text()
        read: dict[str, Any] = json.loads(text)
        return read


@pytest.fixture(name="project")
def _project(tmp_path: Path) -> Project:
    return Project(tmp_path)


def block(beginning: str) -> Block:
    """Return the only block with a line that begins so."""
    (found,) = [one for one in BLOCKS if f"\n{beginning}" in f"\n{one.text}"]
    return found


@pytest.mark.spec("A1", "A2", "A3", "A4", "A5", "A6", "A7", "A10", "A12")
@pytest.mark.parametrize("number", range(len(BLOCKS)), ids=lambda n: f"{n}-{BLOCKS[n].heading}")
def test_every_block_as_typed(project: Project, tmp_path: Path, number: int) -> None:
    """In a project with two archives and one that a restore made, each block of the guide ends
    well, and what it leaves is sound; only the line that no script can obey ends with a refusal.
    """
    first = project.created()
    (project.folder / "lib/one.txt").write_text("changed")
    project.created()
    project.good(f"./scripts/restore-backup.sh restore {first}")
    (before,) = (path.name for path in (project.folder / "backup").glob("pre-restore-*"))
    ids = {"20241219_143022": first, "pre-restore-20241219_150000": before}
    done = project.shell(typed(BLOCKS[number].text, ids, tmp_path / "elsewhere"))
    assert done.returncode == 0, done
    assert "Traceback" not in done.stderr
    check = project.good("./scripts/verify-backup.sh --json --key-file backup.key")
    assert json.loads(check.splitlines()[-1])["damaged"] == 0


def test_there_are_all_of_them() -> None:
    """The guide has 24 shell blocks; none is passed over."""
    assert len(BLOCKS) == 24
