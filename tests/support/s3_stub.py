"""A small S3 in this process that does wrong what it is told to: late, twice, half, or not at all.

It knows one bucket, and of S3 what the store asks of it. Requests are signed, which it only notes.
"""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.utils import formatdate
from enum import Enum, auto
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Final
from urllib.parse import parse_qs, unquote, urlsplit
from xml.sax.saxutils import escape

from strongroom.aws.bucket import Credential

BUCKET: Final = "stub"
_RANGE: Final = re.compile(r"bytes=(\d+)-(\d+)")
_TIME: Final = "2023-11-14T22:13:20.000Z"


class Kind(Enum):
    """What goes wrong with a request."""

    REFUSE = auto()  # it is not done, and answered with ``status`` and ``code``
    FORGET = auto()  # it is done, and answered so all the same
    VANISH = auto()  # it is not done, and the connection ends
    SWALLOW = auto()  # it is done, and the connection ends
    DAWDLE = auto()  # it is done, and the answer comes after ``seconds``
    CUT = auto()  # half of the body comes, then the connection ends
    SHORT = auto()  # half of the body comes, and the length says that this is all


@dataclass
class Fault:
    """What happens to the next ``times`` requests of a method whose path ends in ``key``.

    ``skip`` of them go well before. Without a method, any request is meant.
    """

    kind: Kind
    method: str = ""
    key: str = ""
    status: int = 500
    code: str = "InternalError"
    times: int = 1
    seconds: float = 5.0
    skip: int = 0

    def strikes(self, method: str, path: str) -> bool:
        """Count a request; whether it is one that goes wrong."""
        if not self.times or self.method not in {"", method} or not path.endswith(self.key):
            return False
        if self.skip:
            self.skip -= 1
            return False
        self.times -= 1
        return True


@dataclass
class Stub:
    """The bucket, and what is wrong with it."""

    objects: dict[str, tuple[bytes, dict[str, str]]] = field(default_factory=dict)
    faults: list[Fault] = field(default_factory=list)
    requests: list[tuple[str, str]] = field(default_factory=list)
    keys: list[str] = field(default_factory=list)  # that requests were signed with
    ignores_conditions: bool = False
    refuses_conditions: bool = False
    page: int = 1000
    backwards: bool = False
    endpoint: str = ""
    lock: threading.Lock = field(default_factory=threading.Lock)

    def fault_for(self, method: str, path: str) -> Fault | None:
        """Return what goes wrong with this request."""
        with self.lock:
            return next((one for one in self.faults if one.strikes(method, path)), None)


@dataclass
class StubAccess:
    """Who we are to the stub; ``failure`` is raised instead of a key."""

    endpoint: str
    key: str = "first"
    failure: Exception | None = None

    def credential(self) -> Credential:
        if self.failure is not None:
            raise self.failure
        return Credential(self.key, "secret", None)

    def region(self) -> str:
        return "eu-west-2"

    def time_ns(self) -> int:
        return 0


@contextmanager
def running_stub() -> Iterator[Stub]:
    """Run it for as long as the block lasts."""
    stub = Stub()

    class Handler(_Handler):
        served = stub

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    stub.endpoint = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield stub
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


Answer = tuple[int, bytes, dict[str, str]]


def _no(status: int, code: str) -> Answer:
    body = f"<Error><Code>{code}</Code><Message>said the stub</Message></Error>".encode()
    return status, body, {}


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # or a client waits 40 ms for what comes after the headers
    served: Stub

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - as it is called there
        """Say nothing."""

    def _serve(self) -> None:
        stub, address = self.served, urlsplit(self.path)
        path = unquote(address.path)
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        with stub.lock:
            stub.requests.append((self.command, path))
            signed = re.search(r"Credential=([^/]+)/", self.headers.get("Authorization", ""))
            stub.keys.append(signed[1] if signed else "")
        fault = stub.fault_for(self.command, path)
        if fault is not None and fault.kind is Kind.REFUSE:
            self._answer(_no(fault.status, fault.code))
        elif fault is not None and fault.kind is Kind.VANISH:
            self.close_connection = True
        else:
            with stub.lock:
                answer = self._act(path.removeprefix(f"/{BUCKET}").lstrip("/"), address.query, body)
            self._answer_with(fault, answer)

    do_GET = do_PUT = do_HEAD = do_DELETE = _serve  # noqa: N815 - as the server calls them

    def _refusal(self, key: str) -> Answer | None:
        """Return the answer to a conditional put that is not done."""
        if self.served.refuses_conditions:
            return _no(501, "NotImplemented")
        if key in self.served.objects and not self.served.ignores_conditions:
            return _no(412, "PreconditionFailed")
        return None

    def _act(self, key: str, query: str, body: bytes) -> Answer:
        objects = self.served.objects
        if self.command == "PUT":
            guarded = self.headers.get("If-None-Match") == "*"
            refusal = self._refusal(key) if guarded else None
            if refusal is not None:
                return refusal
            meta = {
                name.lower(): value
                for name, value in self.headers.items()
                if name.lower().startswith("x-amz-meta-")
            }
            objects[key] = body, meta
            return 200, b"", {"ETag": '"x"'}
        if self.command == "DELETE":
            objects.pop(key, None)
            return 204, b"", {}
        if not key:
            return self._list(parse_qs(query))
        if key not in objects:
            return _no(404, "NoSuchKey")
        return self._read(*objects[key])

    def _read(self, value: bytes, meta: dict[str, str]) -> Answer:
        headers = {**meta, "ETag": '"x"', "Last-Modified": formatdate(usegmt=True)}
        asked = _RANGE.fullmatch(self.headers.get("Range", ""))
        if asked is None:
            return 200, value, headers
        first, last = int(asked[1]), int(asked[2])
        if first >= len(value):
            return _no(416, "InvalidRange")
        part = value[first : last + 1]
        headers["Content-Range"] = f"bytes {first}-{first + len(part) - 1}/{len(value)}"
        return 206, part, headers

    def _list(self, query: dict[str, list[str]]) -> Answer:
        stub, prefix = self.served, query.get("prefix", [""])[0]
        after = query.get("continuation-token", [""])[0]
        found = sorted(key for key in stub.objects if key.startswith(prefix))
        rest = [key for key in found if key > after]
        page = rest[: stub.page]
        more = len(rest) > len(page)
        if stub.backwards:
            page.reverse()
        rows = "".join(
            f"<Contents><Key>{escape(key)}</Key><LastModified>{_TIME}</LastModified>"
            f'<ETag>"x"</ETag><Size>{len(stub.objects[key][0])}</Size></Contents>'
            for key in page
        )
        token = f"<NextContinuationToken>{page[-1]}</NextContinuationToken>" if more else ""
        told = f"<IsTruncated>{'true' if more else 'false'}</IsTruncated>{token}{rows}"
        body = f"<ListBucketResult><Name>{BUCKET}</Name>{told}</ListBucketResult>"
        return 200, body.encode(), {"Content-Type": "application/xml"}

    def _answer_with(self, fault: Fault | None, answer: Answer) -> None:
        kind = fault.kind if fault is not None else None
        if fault is not None and kind is Kind.FORGET:
            answer = _no(fault.status, fault.code)
        if fault is not None and kind is Kind.DAWDLE:
            time.sleep(fault.seconds)
        if kind is Kind.SWALLOW:
            self.close_connection = True
        else:
            self._answer(answer, kind)

    def _answer(self, answer: Answer, kind: Kind | None = None) -> None:
        status, body, headers = answer
        length = len(body)
        if kind in {Kind.CUT, Kind.SHORT}:
            body = body[: length // 2]
            length = len(body) if kind is Kind.SHORT else length
            self.close_connection = kind is Kind.CUT
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(length))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)
