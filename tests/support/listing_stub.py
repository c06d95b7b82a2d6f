"""A server that lists a bucket of any size, and gives bad pages when it is told to."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, quote, urlsplit

PAGE = 1000

Keys = Callable[[int], bytes]
Reply = tuple[int, bytes]


class ListingStub:
    """Objects ``key_of(0)`` to ``key_of(count - 1)``, which must be in the order of their bytes.

    ``replies``: what to answer instead, one request after the other; None: what is right.
    """

    def __init__(self, count: int, key_of: Keys) -> None:
        self.count = count
        self.key_of = key_of
        self.replies: list[Reply | Callable[[bytes], Reply] | None] = []
        self.requests = 0
        self.headers: dict[str, str] = {}
        self.endpoint = ""

    def page(self, query: dict[str, list[str]]) -> bytes:
        """Return the page that is asked for."""
        start = int(query.get("continuation-token", ["0"])[0])
        end = min(start + PAGE, self.count)
        more = (
            f"<IsTruncated>true</IsTruncated><NextContinuationToken>{end}</NextContinuationToken>"
            if end < self.count
            else "<IsTruncated>false</IsTruncated>"
        )
        contents = "".join(self._contents(number) for number in range(start, end))
        return (
            '<?xml version="1.0" encoding="UTF-8"?>'
            '<ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Name>b</Name>'
            f"<EncodingType>url</EncodingType>{more}{contents}</ListBucketResult>"
        ).encode()

    def _contents(self, number: int) -> str:
        key = quote(self.key_of(number), safe="").replace("%20", "+")
        return (
            f"<Contents><Key>{key}</Key><LastModified>2026-01-02T03:04:05.000Z</LastModified>"
            f"<ETag>&quot;{number:032x}&quot;</ETag><Size>{number % 1000}</Size>"
            "<StorageClass>STANDARD</StorageClass></Contents>"
        )

    def answer(self, path: str) -> Reply:
        """Return status and body."""
        self.requests += 1
        right = self.page(parse_qs(urlsplit(path).query))
        reply = self.replies.pop(0) if self.replies else None
        if reply is None:
            return 200, right
        return reply(right) if callable(reply) else reply


@contextmanager
def running_stub(stub: ListingStub) -> Iterator[ListingStub]:
    """Run it on a free port of this machine for as long as the block lasts."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            stub.headers = dict(self.headers.items())
            status, body = stub.answer(self.path)
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002, ANN401
            del format, args

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    stub.endpoint = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield stub
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
