"""What the tests of the engine share."""

from __future__ import annotations

from pathlib import Path

import pytest

from strongroom.repository.keyring import Keyring
from strongroom.storage.memory import MemoryStore
from tests.support.kit import Kit, timed_kit


@pytest.fixture
def kit(tmp_path: Path) -> Kit:
    """A host with a repository in memory."""
    kit = Kit(MemoryStore(), tmp_path / "state")
    kit.init()
    return kit


@pytest.fixture
def host(tmp_path: Path) -> Kit:
    """A host with a repository in memory, whose storage has a time."""
    return timed_kit(tmp_path / "host")


@pytest.fixture(scope="session")
def keyring(tmp_path_factory: pytest.TempPathFactory) -> Keyring:
    """The full key of some repository."""
    return Kit(MemoryStore(), tmp_path_factory.mktemp("state")).init().created.keyring
