"""A server that answers byte for byte as a test says, one request after the other: bad answers."""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Final, NamedTuple

_END: Final = b"\r\n\r\n"


class Reply(NamedTuple):
    """What is sent. Then the line is closed if it ``ends``, or nothing comes if it ``stalls``."""

    data: bytes
    ends: bool = False
    stalls: bool = False


class Seen(NamedTuple):
    """A request: its target as it came, and its headers in small letters."""

    target: str
    headers: dict[str, str]
    method: str = "GET"


def good(data: bytes, *headers: str, status: str = "200 OK") -> bytes:
    """Return an answer that says how long it is."""
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(data)}", *headers]
    return "\r\n".join(lines).encode() + _END + data


def refused(status: str, code: str, *headers: str) -> bytes:
    """Return an error of S3."""
    text = f"<Error><Code>{code}</Code><Message>it says</Message></Error>"
    return good(text.encode(), *headers, status=status)


class ObjectStub:
    """``replies`` come first, in their order; then ``answer`` says what to reply to a request."""

    replies: list[Reply | bytes]
    answer: Callable[[Seen], Reply | bytes]
    seen: list[Seen]
    lines: int

    def __init__(self) -> None:
        self.endpoint = ""
        self.tls: ssl.SSLContext | None = None
        self.over = threading.Event()
        self._lock = threading.Lock()
        self.forget()

    def forget(self) -> None:
        """Begin anew, as for another test."""
        self.replies = []
        self.answer = lambda _seen: good(b"")
        self.seen = []
        self.lines = 0

    def serve(self, line: socket.socket) -> None:
        """Answer all requests of one line."""
        with self._lock:
            self.lines += 1
        with suppress(OSError):
            if self.tls is not None and line.recv(1, socket.MSG_PEEK) != b"C":  # of CONNECT
                line = self.tls.wrap_socket(line, server_side=True)
            while not self.over.is_set() and (head := self._head(line)):
                reply = self._reply(head)
                line.sendall(reply.data)
                if head.startswith("CONNECT") and self.tls is not None:
                    line = self.tls.wrap_socket(line, server_side=True)
                if reply.stalls:
                    self.over.wait(60)
                if reply.ends or reply.stalls:
                    break
        line.close()

    def _head(self, line: socket.socket) -> str:
        data = b""
        while not data.endswith(_END):
            more = line.recv(65536)
            if not more:
                return ""
            data += more
        return data.decode()

    def _reply(self, head: str) -> Reply:
        first, *lines = head.strip().split("\r\n")
        named = (line.partition(": ") for line in lines)
        method, target, _ = first.split(" ")
        seen = Seen(target, {name.lower(): value for name, _, value in named}, method)
        with self._lock:
            self.seen.append(seen)
            found = self.replies.pop(0) if self.replies else None
        if method == "CONNECT":
            found = b"HTTP/1.1 200 Connection established\r\n\r\n"
        found = self.answer(seen) if found is None else found
        return found if isinstance(found, Reply) else Reply(found)


@contextmanager
def running_objects(stub: ObjectStub | None = None) -> Iterator[ObjectStub]:
    """Run it on a free port of this machine for as long as the block lasts."""
    stub = stub or ObjectStub()
    listener = socket.create_server(("127.0.0.1", 0))
    scheme = "https" if stub.tls is not None else "http"
    stub.endpoint = f"{scheme}://127.0.0.1:{listener.getsockname()[1]}"
    threads: list[threading.Thread] = []
    lines: list[socket.socket] = []

    def accept() -> None:
        while True:
            try:
                line, _ = listener.accept()
            except OSError:
                return
            line.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            lines.append(line)
            threads.append(threading.Thread(target=stub.serve, args=[line]))
            threads[-1].start()

    accepting = threading.Thread(target=accept)
    accepting.start()
    try:
        yield stub
    finally:
        stub.over.set()
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        accepting.join()
        for line in lines:
            with suppress(OSError):
                line.shutdown(socket.SHUT_RDWR)
        for thread in threads:
            thread.join()
        for line in lines:
            line.close()
