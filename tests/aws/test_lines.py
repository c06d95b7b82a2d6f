"""A line is used again only while nothing came on it that nobody asked for."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from strongroom.aws.lines import MOST_FREE, Lines, Server
from strongroom.aws.wire import Line, LineError
from strongroom.errors import UsageError
from tests.support.tls import certificate

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"
Pair = tuple[socket.socket, socket.socket]


@pytest.fixture(params=["plain", "tls"])
def pair(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Pair]:
    """Give the two ends of a line, ours first."""
    ours, theirs = socket.socketpair()
    if request.param == "tls":
        server, file = certificate(tmp_path)
        client = ssl.create_default_context(cafile=file)
        with ThreadPoolExecutor(1) as thread:
            wrapped = thread.submit(server.wrap_socket, theirs, server_side=True)
            ours = client.wrap_socket(ours, server_hostname="127.0.0.1")
            theirs = wrapped.result()
    yield ours, theirs
    ours.close()
    theirs.close()


@pytest.fixture
def lines() -> Lines:
    """Give lines to a server that nobody asks."""
    return Lines(Server("http://127.0.0.1:1"))


def answered(pair: Pair, sent: bytes = ANSWER) -> Line:
    """Return a line on which an answer was read to its end."""
    line = Line(pair[0])
    pair[1].sendall(sent)
    line.head()
    while line.read(1):
        pass
    return line


def test_a_quiet_line_is_used_again(lines: Lines, pair: Pair) -> None:
    """The same one."""
    line = answered(pair)
    lines.give_back(line)
    assert lines.free() is line


def test_what_comes_unasked_ends_a_line(lines: Lines, pair: Pair) -> None:
    """It would be taken for the answer to the next request."""
    lines.give_back(answered(pair))
    pair[1].sendall(ANSWER)
    assert lines.free() is None
    assert pair[0].fileno() == -1


def test_what_came_with_the_answer_ends_a_line(lines: Lines, pair: Pair) -> None:
    """Also where TLS has taken it from the socket already."""
    long = ANSWER.replace(b"hello", b"x" * 5) + b"y" * 5
    line = Line(pair[0])
    pair[1].sendall(long[:-10])  # a record of its own, so that the head is read alone
    line.head()
    pair[1].sendall(long[-10:])
    assert line.whole(100) == b"xxxxx"
    lines.give_back(line)
    assert lines.free() is None


def test_a_line_that_its_server_ended_is_not_used(lines: Lines, pair: Pair) -> None:
    """A request on it would have to be sent again."""
    lines.give_back(answered(pair))
    pair[1].close()
    assert lines.free() is None


def test_a_line_that_is_stopped_gives_nothing_more(pair: Pair) -> None:
    """Whoever waits for an answer hears of it, and what came meanwhile is no part of a body."""
    line = Line(pair[0])
    pair[1].sendall(ANSWER.replace(b"hello", b""))
    line.head()
    with ThreadPoolExecutor(1) as thread:
        waiting = thread.submit(line.whole, 100)
        line.stop()
        with pytest.raises(LineError, match="5 bytes to come"):
            waiting.result(10)


def test_what_came_before_a_line_was_stopped_is_not_taken_raw(pair: Pair) -> None:
    """What TLS has not decoded yet would be bytes of a body that nobody sent."""
    line = Line(pair[0])
    pair[1].sendall(ANSWER.replace(b"hello", b""))
    line.head()
    pair[1].sendall(b"hello")
    line.stop()
    assert line.whole(100) == b"hello"


def test_only_so_many_free_lines_are_kept(lines: Lines) -> None:
    """Each is an open file."""
    pairs = [socket.socketpair() for _ in range(MOST_FREE + 3)]
    for pair in pairs:
        lines.give_back(answered(pair))
    assert sum(ours.fileno() >= 0 for ours, _ in pairs) == MOST_FREE
    lines.close()
    assert {ours.fileno() for ours, _ in pairs} == {-1}
    for _, theirs in pairs:
        theirs.close()


def test_no_line_is_kept_after_the_end(lines: Lines, pair: Pair) -> None:
    """Whoever still has one gives it back to nobody: it would stay open for ever."""
    line = answered(pair)
    lines.close()
    lines.give_back(line)
    assert pair[0].fileno() == -1
    assert lines.free() is None


def test_no_line_is_opened_after_the_end() -> None:
    """Nobody would end it."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        lines = Lines(Server(f"http://127.0.0.1:{server.getsockname()[1]}"))
        lines.close()
        with pytest.raises(OSError, match="closed"):
            lines.opened()


@pytest.mark.parametrize("text", [None, "no certificate"])
def test_certificates_that_cannot_be_read(tmp_path: Path, text: str | None) -> None:
    """The error names the file, and where it may have been named."""
    path = tmp_path / "bundle"
    if text is not None:
        path.write_text(text)
    with pytest.raises(UsageError, match=str(path)) as caught:
        Lines(Server("https://s3.test", str(path)))
    assert "REQUESTS_CA_BUNDLE" in caught.value.hint
