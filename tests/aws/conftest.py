"""A server for AWS, one for all tests of a process, empty at the start of each."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.harness import Program
from tests.support.aws import CREDENTIALS, AwsServer, running_aws
from tests.support.awsconfig import Estate, estate_of


@pytest.fixture(scope="session")
def aws_server() -> Iterator[AwsServer]:
    """Run the server."""
    with running_aws() as server:
        yield server


@pytest.fixture
def aws(aws_server: AwsServer, monkeypatch: pytest.MonkeyPatch) -> AwsServer:
    """Give an empty server, and credentials that it takes."""
    for name, value in CREDENTIALS.items():
        monkeypatch.setenv(name, value)
    aws_server.reset()
    return aws_server


@pytest.fixture
def estate(aws: AwsServer, tmp_path: Path) -> Estate:
    """Give an empty account, and a program with a repository that saves it."""
    return estate_of(aws, Program(tmp_path))
