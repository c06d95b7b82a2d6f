"""HTTP/1.1 as a client of S3 needs it: an answer after each request, over a line that stays.

RFC 9112. Bytes of a body come as they are sent: nothing is decoded but chunks. ``http.client``
would read the headers of each as those of a mail, which counts at thousands of objects a second.
"""

from __future__ import annotations

import re
import select
import socket
from collections.abc import Mapping
from contextlib import suppress
from typing import Final, NamedTuple, Protocol, cast

_END: Final = b"\r\n\r\n"
_PIECE: Final = 64 << 10  # bytes taken from the line at once
_MOST_HEAD: Final = 256 << 10
_TO_THE_END: Final = 1 << 62  # of the line: nobody said how long the body is
_META: Final = "x-amz-meta-"
_NO_BODY: Final = frozenset({204, 304})
_FINAL: Final = 200  # statuses below announce another
_MOST_ANNOUNCED: Final = 10
_SWITCHED: Final = 101  # nobody asked for another protocol
_STATUS: Final = re.compile(r"HTTP/1\.([01]) ([1-5][0-9]{2})(?: .*)?", re.DOTALL)
_LENGTH: Final = re.compile(r"[0-9]{1,18}")
_CHUNK: Final = re.compile(rb"([0-9A-Fa-f]{1,15})[ \t]*(?:;.*)?", re.DOTALL)
_CONTROL: Final = re.compile(
    r"[\0\r\n]"
)  # in a header they would begin another for whoever sends it


class LineError(OSError):
    """What came is no whole answer."""


class Socket(Protocol):
    """What is used of a socket, plain or of TLS, to talk; only a real one can be stopped."""

    def sendall(self, data: bytes, /) -> None: ...  # noqa: D102
    def recv(self, size: int, /) -> bytes: ...  # noqa: D102
    def fileno(self) -> int: ...  # noqa: D102
    def close(self) -> None: ...  # noqa: D102


class Head(NamedTuple):
    """What comes before a body; names of ``headers`` are in small letters.

    ``metadata``: of a user, named as they came and without ``x-amz-meta-``.
    """

    status: int
    headers: dict[str, str]
    metadata: dict[str, str]


class Line:
    """A connection that one thread uses at a time: ``send``, ``head``, ``read`` to the end."""

    __slots__ = ("__weakref__", "_chunked", "_come", "_left", "_reusable", "_socket")

    def __init__(self, connected: Socket) -> None:
        self._socket = connected
        self._come = b""
        self._left = 0
        self._chunked = False
        self._reusable = True

    @property
    def is_free(self) -> bool:
        """Whether the answer was read to its end, and the server waits for another request."""
        return self._reusable and not self._left and not self._chunked and not self._come

    def is_quiet(self) -> bool:
        """Whether nothing came since the last answer, of which the next would begin.

        Neither the end of the line nor bytes, which would be taken for the answer to what is asked
        next. Those that TLS has decoded already are not seen by whoever polls.
        """
        if getattr(self._socket, "pending", int)():
            return False
        polled = select.poll()
        polled.register(self._socket.fileno(), select.POLLIN)
        return not polled.poll(0)

    def send(self, request: bytes) -> None:
        """Send a request without a body; OSError."""
        self._socket.sendall(request)

    def head(self) -> Head:
        """Wait for an answer; ``LineError`` or another OSError if none comes."""
        head = read_head(self._text(_END))
        announced = 0
        while head.status < _FINAL:
            announced += 1
            if head.status == _SWITCHED or announced > _MOST_ANNOUNCED:
                raise LineError(f"the answer is only announced ({head.status})")
            head = read_head(self._text(_END))
        headers = head.headers
        coding = headers.get("transfer-encoding")
        if coding is not None and coding.lower() != "chunked":
            raise LineError(f"the answer is packed in a way that nobody asked for: {coding[:40]!r}")
        self._chunked = coding is not None and head.status not in _NO_BODY
        self._left = 0 if self._chunked else _length(head)
        # with two lengths whoever stands in between may see another end than we do
        unsure = self._left == _TO_THE_END or (coding is not None and "content-length" in headers)
        if unsure or "close" in headers.get("connection", "").lower():
            self._reusable = False
        return head

    def read(self, most: int) -> bytes:
        """Return up to ``most`` bytes of the body, none only at its end; OSError before it."""
        if not self._left and self._chunked:
            self._next_chunk()
        wanted = min(most, self._left)
        if not wanted:
            return b""
        data, self._come = self._come[:wanted], self._come[wanted:]
        if not data:
            data = self._socket.recv(min(wanted, _PIECE))
        if not data:
            if self._left != _TO_THE_END:
                raise LineError(f"the line ended with {self._left:,} bytes to come")
            self._left = 0
            return b""
        if self._left != _TO_THE_END:
            self._left -= len(data)
        if self._chunked and not self._left and self._text(b"\r\n"):
            raise LineError("a chunk of the answer is longer than it says")
        return data

    def whole(self, most: int) -> bytes:
        """Return all that is left of the body, or its first ``most`` bytes; OSError."""
        data = self.read(most)
        if len(data) >= most or not (self._left or self._chunked):
            return data
        pieces, size = [data], len(data)
        while size < most and (data := self.read(most - size)):
            pieces.append(data)
            size += len(data)
        return b"".join(pieces)

    def stop(self) -> None:
        """End it under whoever waits for it, who gets an OSError; any thread may.

        The socket itself is asked: TLS would take its own end off first, and give whoever reads
        what is still encrypted.
        """
        with suppress(OSError):  # it has ended
            socket.socket.shutdown(cast("socket.socket", self._socket), socket.SHUT_RDWR)

    def close(self) -> None:
        """Close it."""
        self._reusable = False
        self._socket.close()

    def _next_chunk(self) -> None:
        text = self._text(b"\r\n")
        found = _CHUNK.fullmatch(text)
        if found is None:
            raise LineError(f"a chunk of the answer has no size: {text[:20]!r}")
        self._left = int(found[1], 16)
        if not self._left:
            while self._text(b"\r\n"):
                pass  # trailers
            self._chunked = False

    def _text(self, end: bytes) -> bytes:
        """Return what comes before ``end``, and leave what is behind it."""
        come = self._come
        while (at := come.find(end)) < 0:
            if len(come) > _MOST_HEAD:
                raise LineError("the answer has no end to its headers")
            data = self._socket.recv(_PIECE)
            if not data:
                raise LineError("the line ended without an answer")
            come = come + data if come else data
        self._come = come[at + len(end) :]
        return come[:at]


def read_head(data: bytes) -> Head:
    """Read status and headers; ``LineError`` if it is no answer of HTTP/1.

    One of HTTP/1.0 that does not say that its line stays has ``connection: close``.
    """
    first, *lines = data.decode("latin-1").split("\r\n")
    status = _STATUS.fullmatch(first)
    if status is None:
        raise LineError(f"the answer is not HTTP/1.1: {first[:40]!r}")
    headers: dict[str, str] = {}
    metadata: dict[str, str] = {}
    for line in lines:
        name, colon, value = line.partition(":")
        if not colon or not name or name[0] in " \t" or _CONTROL.search(line):
            raise LineError(f"a header of the answer is none: {line[:40]!r}")
        low, value = name.lower(), value.strip(" \t")
        if low.startswith(_META):
            low, kept = name[len(_META) :], metadata
        else:
            kept = headers
        kept[low] = f"{kept[low]}, {value}" if low in kept else value
    if status[1] == "0" and "keep-alive" not in headers.get("connection", "").lower():
        headers["connection"] = "close"
    return Head(int(status[2]), headers, metadata)


def _length(head: Head) -> int:
    text = head.headers.get("content-length")
    if head.status in _NO_BODY:
        return 0
    if text is None:
        return _TO_THE_END
    if not _LENGTH.fullmatch(text):
        raise LineError(f"the answer does not say how long it is: {text[:40]!r}")
    return int(text)


def request_of(target: str, headers: Mapping[str, str], more: str = "") -> bytes:
    """Return a GET request; ``target`` is the path and the query, already quoted.

    ``more``: headers as ``header_lines`` makes them.
    """
    return f"GET {target} HTTP/1.1\r\n{header_lines(headers)}{more}\r\n".encode()


def header_lines(headers: Mapping[str, str]) -> str:
    """Return headers as they are sent."""
    return "".join([f"{name}: {value}\r\n" for name, value in headers.items()])
