"""A server for AWS, one for all tests of a process, empty at the start of each."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.aws import CREDENTIALS, AwsServer, running_aws


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
