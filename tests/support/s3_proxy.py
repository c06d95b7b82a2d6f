"""A server between a program and an S3 server: it writes down what is asked, and may meddle."""

from __future__ import annotations

import http.client
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final, NamedTuple
from urllib.parse import urlsplit

_HOP: Final = frozenset({"connection", "transfer-encoding", "content-length", "server", "date"})

Reply = tuple[int, bytes]


class Request(NamedTuple):
    """What was asked; names of headers are small."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes


class Proxy:
    """What was asked, as ``METHOD PATH``; ``meddle`` may give a reply of its own, or None.

    So may ``judge``, before a request is passed on, and, with the status, when it was answered.
    """

    def __init__(self, upstream: str) -> None:
        self.host = urlsplit(upstream).netloc
        self.asked: list[str] = []
        self.meddle: Callable[[str, str], Reply | None] = lambda _method, _path: None
        self.judge: Callable[[Request, int], Reply | None] = lambda _request, _status: None
        self.endpoint = ""

    def forget(self) -> None:
        """Begin to count anew."""
        self.asked.clear()

    def objects(self, method: str, bucket: str) -> list[str]:
        """Return the requests about single objects of a bucket, without their parameters."""
        begin = f"{method} /{bucket}/"
        return [one.partition("?")[0] for one in self.asked if one.startswith(begin)]


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    proxy: Proxy

    def _pass_on(self) -> None:
        proxy = self.proxy
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        proxy.asked.append(f"{self.command} {self.path}")
        headers = {name.lower(): value for name, value in self.headers.items()}
        request = Request(self.command, self.path, headers, body)
        if self._replied(proxy.meddle(self.command, self.path) or proxy.judge(request, 0)):
            return
        line = http.client.HTTPConnection(proxy.host, timeout=60)
        line.putrequest(self.command, self.path, skip_host=True, skip_accept_encoding=True)
        for name, value in self.headers.items():
            if name.lower() not in {"content-length", "connection", "expect"}:
                line.putheader(name, value)
        line.putheader("Content-Length", str(len(body)))
        line.endheaders(body)
        answer = line.getresponse()
        content = answer.read()
        line.close()
        if not self._replied(proxy.judge(request, answer.status)):
            self._answer(answer.status, dict(answer.getheaders()), content)

    def _replied(self, reply: Reply | None) -> bool:
        if reply is not None:
            self._answer(reply[0], {}, reply[1])
        return reply is not None

    def _answer(self, status: int, headers: dict[str, str], body: bytes) -> None:
        self.send_response(status)
        for name, value in headers.items():
            if name.lower() not in _HOP:
                self.send_header(name, value)
        size = headers.get("Content-Length") if self.command == "HEAD" else None
        self.send_header("Content-Length", size or str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = _pass_on  # noqa: N815

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002, ANN401
        del format, args


@contextmanager
def running_proxy(upstream: str) -> Iterator[Proxy]:
    """Run it on a free port of this machine for as long as the block lasts."""
    proxy = Proxy(upstream)
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"proxy": proxy}))
    server.daemon_threads = True
    proxy.endpoint = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield proxy
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
