"""A program for each test."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.harness import Program


@pytest.fixture
def empty(tmp_path: Path) -> Program:
    """Return a program without a repository."""
    return Program(tmp_path)


@pytest.fixture
def program(empty: Program) -> Program:
    """Return a program with a repository, and nothing in it."""
    empty.good("init")
    return empty
