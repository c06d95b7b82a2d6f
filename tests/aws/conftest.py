"""A server for AWS, one for all tests of a process, empty at the start of each."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.support.aws import AwsServer


@pytest.fixture
def aws(s3_servers: Callable[[str], AwsServer], aws_credentials: None) -> AwsServer:
    """Give an empty server, and credentials that it takes."""
    del aws_credentials
    server = s3_servers("moto")
    server.reset()
    return server
