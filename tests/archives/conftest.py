"""A project for each test."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.archives.project import Project


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """Return a project with a few files, and no archive."""
    return Project(tmp_path)
