"""A server of made-up objects, as fast as Python allows: what is measured is who asks it.

``python -m bench.object_server COUNT SIZE`` prints its port, and ends with its standard input.
It lists (version 2 and 1), gives objects, and takes new bytes for one; nothing is signed or kept.
"""

from __future__ import annotations

import asyncio
import hashlib
import re
import sys
from typing import Final
from urllib.parse import parse_qs

_PAGE: Final = 1000
_LISTING: Final = {"prefix", "delimiter", "max-keys", "marker", "encoding-type"}
_TIME: Final = "2026-01-02T03:04:05.000Z"
_KEY: Final = re.compile(rb"/docs/d\d{3}/(\d{7})\.txt")
_LENGTH: Final = re.compile(rb"(?i)content-length: (\d+)")
_END: Final = b"\r\n\r\n"
_OBJECT: Final = (
    b'HTTP/1.1 200 OK\r\nETag: "%b"\r\nLast-Modified: Fri, 02 Jan 2026 03:04:05 GMT\r\n'
    b"Content-Type: text/plain\r\nContent-Length: %d\r\n\r\n"
)
_OTHER: Final = b"HTTP/1.1 %b\r\nContent-Type: application/xml\r\nContent-Length: %d\r\n\r\n"


class Objects:
    """``count`` objects of about ``size`` bytes, in folders of a thousand."""

    def __init__(self, count: int, size: int) -> None:
        self.count = count
        self.size = size
        self.changed: dict[int, bytes] = {}
        self.etags = [_md5(self.data(number)) for number in range(count)]

    def data(self, number: int) -> bytes:
        """Return the bytes of one."""
        if number in self.changed:
            return self.changed[number]
        text = hashlib.sha256(b"%d" % number).hexdigest().encode()
        return (text * (self.size // len(text) + 1))[: self.size + number % 100]

    def put(self, number: int, data: bytes) -> None:
        """Make one another."""
        self.changed[number] = data
        self.etags[number] = _md5(data)

    def page(self, query: dict[str, list[str]]) -> bytes:
        """Return a page of the listing; the token is a number."""
        second = "list-type" in query
        token = query.get("continuation-token", query.get("marker", ["0"]))[0]
        start = int(token) if second or not token.startswith("d") else int(token[5:12]) + 1
        end = min(start + _PAGE, self.count)
        more = end < self.count
        next_one = f"<NextContinuationToken>{end}</NextContinuationToken>" if more else ""
        contents = "".join(
            f"<Contents><Key>d{n // 1000:03}/{n:07}.txt</Key><LastModified>{_TIME}</LastModified>"
            f"<ETag>&quot;{self.etags[n]}&quot;</ETag><Size>{len(self.data(n))}</Size>"
            "<StorageClass>STANDARD</StorageClass></Contents>"
            for n in range(start, end)
        )
        return (
            '<?xml version="1.0" encoding="UTF-8"?><ListBucketResult><Name>docs</Name>'
            f"<EncodingType>url</EncodingType><KeyCount>{end - start}</KeyCount>"
            f"<IsTruncated>{'true' if more else 'false'}</IsTruncated>{next_one}{contents}"
            "</ListBucketResult>"
        ).encode()

    def answer(self, method: bytes, target: bytes, body: bytes) -> bytes:
        """Return a whole answer."""
        path, _, query = target.partition(b"?")
        if b"tagging" in query:
            return _other(b"200 OK", b"<Tagging><TagSet></TagSet></Tagging>")
        if found := _KEY.fullmatch(path):
            number = int(found[1])
            if method == b"PUT":
                self.put(number, body)
            data = self.data(number)
            head = _OBJECT % (self.etags[number].encode(), len(data))
            return head + data if method == b"GET" else head.replace(b"%d" % len(data), b"0")
        asked = parse_qs(query.decode(), keep_blank_values=True)
        if method == b"HEAD" or "versioning" in asked:
            data = b"<VersioningConfiguration/>"
            return _other(b"200 OK", data if method == b"GET" else b"")
        if "list-type" in asked or not asked.keys() - _LISTING:
            return _other(b"200 OK", self.page(asked))
        return _other(b"404 Not Found", b"<Error><Code>NoSuchConfiguration</Code></Error>")


def _md5(data: bytes) -> str:
    return hashlib.md5(data, usedforsecurity=False).hexdigest()


def _other(status: bytes, data: bytes) -> bytes:
    return _OTHER % (status, len(data)) + data


class _Line(asyncio.Protocol):
    """One connection: requests one after the other."""

    def __init__(self, objects: Objects) -> None:
        self._objects = objects
        self._transport: asyncio.Transport | None = None
        self._come = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)  # noqa: S101 - as asyncio promises for TCP
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._come += data
        while _END in self._come and self._transport is not None:
            head, _, rest = self._come.partition(_END)
            length = _LENGTH.search(head)
            size = int(length[1]) if length else 0
            if len(rest) < size:
                return
            self._come = rest[size:]
            method, target, _ = head.split(b"\r\n", 1)[0].split(b" ")
            self._transport.write(self._objects.answer(method, target, rest[:size]))


async def _serve(objects: Objects) -> None:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: _Line(objects), "127.0.0.1", 0)
    sys.stdout.write(f"{server.sockets[0].getsockname()[1]}\n")
    sys.stdout.flush()
    async with server:
        await loop.run_in_executor(None, sys.stdin.read)


if __name__ == "__main__":
    asyncio.run(_serve(Objects(int(sys.argv[1]), int(sys.argv[2]))))
