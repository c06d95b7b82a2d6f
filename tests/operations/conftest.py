"""What the tests of the operations share."""

from __future__ import annotations

from pathlib import Path

import pytest

from strongroom.storage.memory import MemoryStore
from tests.support.kit import Kit


@pytest.fixture
def kit(tmp_path: Path) -> Kit:
    """A host with a repository in memory."""
    kit = Kit(MemoryStore(), tmp_path / "state")
    kit.init()
    return kit
