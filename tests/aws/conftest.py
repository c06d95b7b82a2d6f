"""A server for AWS, one for all tests of a process, empty at the start of each."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.aws import CREDENTIALS, AwsServer, running_aws
from tests.support.rds_server import RdsServer, running_rds


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


@pytest.fixture(scope="session")
def rds_server(aws_server: AwsServer) -> Iterator[RdsServer]:
    """Run the stricter RDS; everything else of AWS is moto's."""
    with running_rds(aws_server.endpoint) as server:
        yield server


@pytest.fixture
def rds(rds_server: RdsServer, aws: AwsServer) -> RdsServer:
    """Give an empty one."""
    del aws
    rds_server.reset()
    return rds_server
