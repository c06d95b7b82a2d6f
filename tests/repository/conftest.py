"""What the tests of the engine share."""

from __future__ import annotations

from pathlib import Path

import pytest

from strongroom.repository.keyring import Keyring
from strongroom.storage.memory import MemoryStore
from tests.support.kit import Kit


@pytest.fixture
def kit(tmp_path: Path) -> Kit:
    """A host with a repository in memory."""
    kit = Kit(MemoryStore(), tmp_path / "state")
    kit.init()
    return kit


@pytest.fixture(scope="session")
def keyring(tmp_path_factory: pytest.TempPathFactory) -> Keyring:
    """The full key of some repository."""
    return Kit(MemoryStore(), tmp_path_factory.mktemp("state")).init().created.keyring
