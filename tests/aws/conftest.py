"""An account with configuration in it, and a program that saves it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.harness import Program
from tests.support.aws import AwsServer
from tests.support.awsconfig import Estate, estate_of


@pytest.fixture
def estate(aws: AwsServer, tmp_path: Path) -> Estate:
    """Give an empty account, and a program with a repository that saves it."""
    return estate_of(aws, Program(tmp_path))
