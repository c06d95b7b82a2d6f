"""Servers for AWS, one of each at most for all tests of a process, started by who is first."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Final

import pytest

from tests.support.aws import CREDENTIALS, AwsServer, running_aws
from tests.support.s3 import running_localstack

SERVERS: Final = {"moto": running_aws, "localstack": running_localstack}


@pytest.fixture(scope="session")
def s3_servers() -> Iterator[Callable[[str], AwsServer]]:
    """Return what starts a server by its name, or gives the one that runs."""
    running: dict[str, AwsServer] = {}
    with ExitStack() as stack:

        def started(name: str) -> AwsServer:
            if name not in running:
                running[name] = stack.enter_context(SERVERS[name]())
            return running[name]

        yield started


@pytest.fixture
def aws_credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    """Give credentials that the servers take, and nothing else of this machine's."""
    for name, value in CREDENTIALS.items():
        monkeypatch.setenv(name, value)


@pytest.fixture
def aws(moto: AwsServer) -> AwsServer:
    """Give a server for all of AWS, with nothing in it."""
    moto.reset()
    return moto


@pytest.fixture
def localstack(s3_servers: Callable[[str], AwsServer], aws_credentials: None) -> AwsServer:
    """Give the stricter server."""
    del aws_credentials
    return s3_servers("localstack")


@pytest.fixture
def moto(s3_servers: Callable[[str], AwsServer], aws_credentials: None) -> AwsServer:
    """Give the server that is there in no time, where either will do."""
    del aws_credentials
    return s3_servers("moto")
