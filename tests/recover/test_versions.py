"""Both versions of the format are read; they differ in the number in the headers alone."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from strongroom.repository.envelope import VERSION
from tests.recover.harness import DAMAGED, Recovery, objects_below, run

pytestmark = pytest.mark.spec("B10")

SRC = Path(__file__).parents[2] / "src"


@pytest.fixture(name="other", scope="module")
def _other(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository of the version that the program does not write, made by a program that does."""
    folder = tmp_path_factory.mktemp("other")
    shutil.copytree(SRC, folder / "src")
    envelope = folder / "src/strongroom/repository/envelope.py"
    text = envelope.read_text()
    line = "VERSION: Final = {}\n"
    assert line.format(VERSION) in text
    envelope.write_text(text.replace(line.format(VERSION), line.format(1 - VERSION)))
    (folder / "tree").mkdir()
    (folder / "tree/file").write_text("content")
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(folder),
        "PYTHONPATH": str(folder / "src"),
        "STRONGROOM_REPOSITORY": str(folder / "repository"),
        "STRONGROOM_KEY_FILE": str(folder / "key"),
    }
    for arguments in (("init",), ("backup", folder / "tree"), ("tag", "latest", "--add", "x")):
        command = [sys.executable, "-m", "strongroom.cli.main", *map(str, arguments)]
        subprocess.run(command, env=environment, check=True, capture_output=True, cwd=folder)
    return folder


def test_the_other_version_is_read(other: Path, tmp_path: Path) -> None:
    """Everything in it is verified and restored."""
    repository, key = other / "repository", ("--key-file", other / "key")
    assert (repository / "config").read_bytes()[4:6] == bytes([0, 1 - VERSION])
    assert run("verify", repository, *key).out.startswith("no damage found: 1 snapshot")
    assert run("restore", repository, "latest", tmp_path / "restored", *key).code == 0
    restored = tmp_path / "restored" / str(other / "tree")[1:]
    assert objects_below(restored) == {"file": b"content"}


@pytest.mark.parametrize("prefix", ["commits", "orders", "sessions", "writers"])
def test_an_object_of_another_version_than_its_config_is_damage(
    other: Path, recovery: Recovery, prefix: str
) -> None:
    """Even one that is good in its own repository."""
    objects = objects_below(other / "repository")
    key = next(key for key in objects if key.startswith(prefix))
    recovery.put(objects | {key: objects[key][:5] + bytes([VERSION]) + objects[key][6:]})
    result = run("verify", recovery.repository, "--key-file", other / "key")
    assert key in {line.partition(": ")[0] for line in result.damage}
    assert result.code == DAMAGED
