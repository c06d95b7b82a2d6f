"""Answers of HTTP come whole and as they were sent, or not at all."""

from __future__ import annotations

import pytest

from strongroom.aws.wire import Line, LineError


class Pieces:
    """A socket that gives what a server sent in pieces of a size, and then its end."""

    def __init__(self, data: bytes, size: int) -> None:
        self.data = data
        self.size = size
        self.sent = b""
        self.closed = False

    def sendall(self, data: bytes, /) -> None:
        self.sent += data

    def recv(self, size: int, /) -> bytes:
        size = min(size, self.size)
        data, self.data = self.data[:size], self.data[size:]
        return data

    def fileno(self) -> int:
        return -1

    def close(self) -> None:
        self.closed = True


def read(line: Line) -> bytes:
    """Read an answer."""
    line.head()
    return line.whole(100)


LONG = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nX-Amz-Meta-Odd: a: b\r\n\r\nhello"
CHUNKED = (
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    b"3\r\nhel\r\n2;why=so\r\nlo\r\n0\r\nX-Trailer: 1\r\n\r\n"
)
ODD_SIZES = (b"-3", b"+3", b"0x3", b"0_3", b" 3", b"", b"\xb3", b"f" * 5000)
ODD_CODINGS = (b"gzip, chunked", b"chunked, chunked", b"identity", b"gzip", b"")
CONTINUED = b"HTTP/1.1 100 Continue\r\n\r\n" + LONG


@pytest.mark.parametrize("size", [1, 2, 7, 65536])
@pytest.mark.parametrize("data", [LONG, CHUNKED, CONTINUED])
def test_two_answers_on_one_line(data: bytes, size: int) -> None:
    """Each is read to its end, in whatever pieces it comes, and the line is good for another."""
    line = Line(Pieces(data * 2, size))
    for _ in range(2):
        head = line.head()
        assert (head.status, line.whole(100)) == (200, b"hello")
        if data is not CHUNKED:
            assert head.metadata == {"Odd": "a: b"}
    assert line.is_free


def test_a_body_without_a_length_goes_to_the_end_of_the_line() -> None:
    """And the line is not used again."""
    line = Line(Pieces(b"HTTP/1.0 200 OK\r\n\r\nhello", 3))
    line.head()
    assert line.whole(100) == b"hello"
    assert not line.is_free


def test_a_line_is_not_free_before_all_was_read() -> None:
    """Nor if the server says that it closes it."""
    line = Line(Pieces(LONG, 100))
    line.head()
    assert line.whole(3) == b"hel"
    assert not line.is_free
    closing = Line(Pieces(LONG.replace(b"X-Amz-Meta-Odd: a: b", b"Connection: close"), 100))
    closing.head()
    assert closing.whole(100) == b"hello"
    assert not closing.is_free


@pytest.mark.parametrize(
    ("data", "free"),
    [
        (LONG.replace(b"HTTP/1.1", b"HTTP/1.0"), False),
        (LONG.replace(b"/1.1 200 OK", b"/1.0 200 OK\r\nConnection: Keep-Alive"), True),
        (CHUNKED.replace(b"\r\nTransfer", b"\r\nContent-Length: 99\r\nTransfer"), False),
        (CHUNKED.replace(b"\r\n3\r\n", b"\r\n3 \r\n"), True),
        (LONG.replace(b"200 OK", b"200"), True),
    ],
)
def test_a_line_stays_where_its_server_means_it(data: bytes, *, free: bool) -> None:
    """HTTP/1.0 has to say so, and an answer with two lengths may have ended elsewhere."""
    line = Line(Pieces(data, 100))
    assert read(line) == b"hello"
    assert line.is_free == free


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"HTTP/1.1 200 OK\r\nContent-Le",
        LONG[:-1],
        CHUNKED[:-2],
        CHUNKED[:-20],
        CHUNKED.replace(b"\r\n3\r\n", b"\r\nthree\r\n"),
        CHUNKED.replace(b"\r\n3\r\nhel", b"\r\n2\r\nhel"),
        LONG.replace(b"Length: 5", b"Length: -5"),
        LONG.replace(b"Length: 5", b"Length: 5, 5"),
        LONG.replace(b"Length: 5", b"Length: \xb2"),
        LONG.replace(b"Length: 5", b"Length: +5"),
        LONG.replace(b"Length: 5", b"Length: " + b"5" * 5000),
        LONG.replace(b"HTTP/1.1", b"RTSP/1.0"),
        LONG.replace(b"200", b"\xb2\xb2\xb2"),
        LONG.replace(b"200", b"20"),
        LONG.replace(b"200", b"2000"),
        LONG.replace(b"200", b"099"),
        LONG.replace(b"a: b", b"a\rb"),
        LONG.replace(b"a: b", b"a\nETag: b"),
        b"HTTP/1.1 101 Switching Protocols\r\n\r\n" + LONG,
        b"HTTP/1.1 100 Continue\r\n\r\n" * 1000 + LONG,
        *(CHUNKED.replace(b"\r\n3\r\n", b"\r\n%b\r\n" % size) for size in ODD_SIZES),
        *(CHUNKED.replace(b": chunked", b": " + coding) for coding in ODD_CODINGS),
        LONG.replace(b"X-Amz-Meta-Odd: a: b", b"nothing"),
        b"HTTP/1.1 200 OK\r\n" + b"A: " + b"x" * 600_000,
    ],
)
def test_what_is_not_whole_is_no_answer(data: bytes) -> None:
    """It must not look like a shorter one."""
    line = Line(Pieces(data, 1000))
    with pytest.raises(LineError):
        read(line)
