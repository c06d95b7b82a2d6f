"""A server of each version, started when a test first asks for it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.cli.harness import Program
from tests.support.postgres import IN_TURN, PostgresServer, running_server

ServerOf = Callable[[int], PostgresServer]


@pytest.fixture(scope="session")
def server_of() -> Iterator[ServerOf]:
    """Return what gives the server of a version."""
    with ExitStack() as stack:
        servers: dict[int, PostgresServer] = {}

        def server(major: int) -> PostgresServer:
            if major not in servers:
                servers[major] = stack.enter_context(running_server(major))
            return servers[major]

        yield server


@pytest.fixture(params=IN_TURN)
def each_server(request: pytest.FixtureRequest, server_of: ServerOf) -> Iterator[PostgresServer]:
    """Each version in turn, without databases and roles of other tests."""
    server = server_of(request.param)
    yield server
    server.clear()


@pytest.fixture
def server(server_of: ServerOf) -> Iterator[PostgresServer]:
    """Return one server, where the version makes no difference."""
    server = server_of(18)
    yield server
    server.clear()


@pytest.fixture
def program(tmp_path: Path) -> Program:
    """Return the program with a new repository."""
    program = Program(tmp_path)
    program.good("init")
    return program
