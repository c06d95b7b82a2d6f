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
from urllib.parse import parse_qs, urlsplit

_PAGE: Final = 1000
_TIME: Final = "2026-01-02T03:04:05.000Z"
_DATE: Final = "Fri, 02 Jan 2026 03:04:05 GMT"
_KEY: Final = re.compile(r"/docs/d(\d{3})/(\d{7})\.txt")


class Objects:
    """``count`` objects of about ``size`` bytes, in folders of a thousand."""

    def __init__(self, count: int, size: int) -> None:
        self.count = count
        self.size = size
        self.changed: dict[int, bytes] = {}

    def data(self, number: int) -> bytes:
        """Return the bytes of one."""
        if number in self.changed:
            return self.changed[number]
        text = hashlib.sha256(b"%d" % number).hexdigest().encode()
        return (text * (self.size // len(text) + 1))[: self.size + number % 100]

    def etag(self, number: int) -> str:
        """Return its MD5, as S3 has it."""
        return hashlib.md5(self.data(number), usedforsecurity=False).hexdigest()

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
            f"<ETag>&quot;{self.etag(n)}&quot;</ETag><Size>{len(self.data(n))}</Size>"
            "<StorageClass>STANDARD</StorageClass></Contents>"
            for n in range(start, end)
        )
        return (
            '<?xml version="1.0" encoding="UTF-8"?><ListBucketResult><Name>docs</Name>'
            f"<EncodingType>url</EncodingType><KeyCount>{end - start}</KeyCount>"
            f"<IsTruncated>{'true' if more else 'false'}</IsTruncated>{next_one}{contents}"
            "</ListBucketResult>"
        ).encode()

    def answer(self, method: str, target: str, body: bytes) -> tuple[str, str, bytes]:
        """Return status line, more headers, and body."""
        parts = urlsplit(target)
        found = _KEY.fullmatch(parts.path)
        if "tagging" in parts.query:
            return "200 OK", "", b"<Tagging><TagSet></TagSet></Tagging>"
        if found is not None:
            number = int(found[2])
            if method == "PUT":
                self.changed[number] = body
            headers = (
                f'ETag: "{self.etag(number)}"\r\nLast-Modified: {_DATE}\r\n'
                "Content-Type: text/plain\r\n"
            )
            return "200 OK", headers, b"" if method == "PUT" else self.data(number)
        query = parse_qs(parts.query, keep_blank_values=True)
        if method == "HEAD" or "versioning" in query:
            return "200 OK", "", b"<VersioningConfiguration/>"
        if "list-type" in query or not query.keys() - {"prefix", "delimiter", "max-keys", "marker"}:
            return "200 OK", "Content-Type: application/xml\r\n", self.page(query)
        return "404 Not Found", "", b"<Error><Code>NoSuchConfiguration</Code></Error>"


async def _serve(objects: Objects) -> None:
    async def client(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                line, _, rest = head.decode("latin-1").partition("\r\n")
                method, target, _ = line.split(" ")
                length = re.search(r"(?i)content-length: (\d+)", rest)
                body = await reader.readexactly(int(length[1])) if length else b""
                status, headers, data = objects.answer(method, target, body)
                begin = f"HTTP/1.1 {status}\r\n{headers}Content-Length: {len(data)}\r\n\r\n"
                writer.write(begin.encode() + (b"" if method == "HEAD" else data))
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    server = await asyncio.start_server(client, "127.0.0.1", 0)
    sys.stdout.write(f"{server.sockets[0].getsockname()[1]}\n")
    sys.stdout.flush()
    async with server:
        await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)


if __name__ == "__main__":
    asyncio.run(_serve(Objects(int(sys.argv[1]), int(sys.argv[2]))))
