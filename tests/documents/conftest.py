"""A program with a source of documents, and a server that has them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.harness import Program
from tests.support.aws import AwsServer
from tests.support.buckets import Client, make_bucket
from tests.support.s3_proxy import Proxy, running_proxy

CONFIGURATION = """\
version = 1
[sources.documents]
type = "s3"
bucket = "docs"
"""


@pytest.fixture
def proxy(aws: AwsServer) -> Iterator[Proxy]:
    """Give what stands between the program and the server."""
    with running_proxy(aws.endpoint) as found:
        yield found


@pytest.fixture
def s3(aws: AwsServer) -> Client:
    """Give a client, and an empty bucket ``docs``."""
    client = aws.client("s3")
    make_bucket(client, "docs")
    return client


@pytest.fixture
def program(tmp_path: Path, aws: AwsServer, proxy: Proxy) -> Program:
    """Give a program with a repository that saves the bucket ``docs``."""
    made = Program(tmp_path)
    made.environment |= {**aws.variables, "AWS_ENDPOINT_URL": proxy.endpoint}
    (tmp_path / "strongroom.toml").write_text(CONFIGURATION)
    made.good("init")
    return made
