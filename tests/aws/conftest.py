"""An account with configuration in it, a stricter RDS, and a program that saves both."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.harness import Program
from tests.support.aws import AwsServer
from tests.support.awsconfig import Estate, estate_of
from tests.support.rds_server import RdsServer, running_rds


@pytest.fixture
def estate(aws: AwsServer, tmp_path: Path) -> Estate:
    """Give an empty account, and a program with a repository that saves it."""
    return estate_of(aws, Program(tmp_path))


@pytest.fixture
def rds(aws: AwsServer) -> Iterator[RdsServer]:
    """Give an empty one; everything else of AWS is moto's."""
    with running_rds(aws.endpoint) as server:
        yield server
