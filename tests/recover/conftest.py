"""A host with a repository, and a reader for it."""

from __future__ import annotations

from pathlib import Path

import pytest

from strongroom.storage.memory import MemoryStore
from tests.cli.harness import Program
from tests.recover.harness import Recovery
from tests.support.kit import Kit


@pytest.fixture
def kit(tmp_path: Path) -> Kit:
    """Return a host with a repository that is empty."""
    made = Kit(MemoryStore(), tmp_path / "state")
    made.init()
    return made


@pytest.fixture
def recovery(tmp_path: Path) -> Recovery:
    """Return a reader; its repository is yet to be written."""
    return Recovery(tmp_path)


@pytest.fixture
def program(tmp_path: Path) -> Program:
    """Return the program on a machine with an empty repository."""
    made = Program(tmp_path)
    made.good("init")
    return made
