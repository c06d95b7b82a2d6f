"""Where swaps are tried."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.file_trees import MEMORY


@pytest.fixture
def top(tmp_path: Path) -> Iterator[Path]:
    """Give a path for scenes: in memory where that holds attributes, since hundreds are made."""
    with tempfile.TemporaryDirectory(dir=MEMORY) as name:
        try:
            os.setxattr(name, "user.probe", b"")
        except OSError:
            yield tmp_path / "scene"
        else:
            yield Path(name) / "scene"
