"""A server that says what it is told to, for versions of PostgreSQL that no package here has.

Protocol: PostgreSQL manual, "Frontend/Backend Protocol", version 3; messages of the server only.
"""

from __future__ import annotations

import socketserver
import struct
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from multiprocessing import get_context
from pathlib import Path

Answer = Callable[[str], bytes]
"""Returns the messages that answer a command, but for the last one."""

_TEXT = 25
_READY = b"Z\0\0\0\5I"


def message(kind: bytes, body: bytes = b"") -> bytes:
    """Return a message."""
    return kind + struct.pack(">I", len(body) + 4) + body


def rows(*values: Sequence[str | None]) -> bytes:
    """Return a result with these rows, of which there is one at least."""
    columns = b"".join(b"c\0" + struct.pack(">IHIhih", 0, 0, _TEXT, -1, -1, 0) for _ in values[0])
    sent = [message(b"T", struct.pack(">H", len(values[0])) + columns)]
    for row in values:
        cells = b"".join(
            struct.pack(">i", -1) if one is None else struct.pack(">I", len(one)) + one.encode()
            for one in row
        )
        sent.append(message(b"D", struct.pack(">H", len(row)) + cells))
    return b"".join(sent) + message(b"C", b"SELECT\0")


def copied(*pieces: bytes) -> bytes:
    """Return a COPY that sends these."""
    sent = [message(b"H", b"\0\0\0"), *(message(b"d", one) for one in pieces), message(b"c")]
    return b"".join(sent)


def failure(state: str, text: str) -> bytes:
    """Return an error."""
    fields = [b"SERROR", b"C" + state.encode(), b"M" + text.encode()]
    return message(b"E", b"".join(one + b"\0" for one in fields) + b"\0")


@contextmanager
def postgres_stub(folder: Path, port: int, version: str, answer: Answer) -> Iterator[None]:
    """Listen on a socket of a folder, in a process of its own, for as long as the block lasts."""

    class Handler(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            (size,) = struct.unpack(">I", self.rfile.read(4))
            self.rfile.read(size - 4)
            said = message(b"S", b"server_version\0" + version.encode() + b"\0")
            self.wfile.write(message(b"R", bytes(4)) + said + message(b"K", bytes(8)) + _READY)
            while (kind := self.rfile.read(1)) and kind != b"X":
                (size,) = struct.unpack(">I", self.rfile.read(4))
                command = self.rfile.read(size - 4).rstrip(b"\0").decode()
                assert kind == b"Q"
                self.wfile.write(answer(command) + _READY)

    path = folder / f".s.PGSQL.{port}"
    with socketserver.ThreadingUnixStreamServer(str(path), Handler) as server:
        # libpq holds the interpreter's lock while it connects
        process = get_context("fork").Process(target=server.serve_forever)
        process.start()
        try:
            yield
        finally:
            process.terminate()
            process.join()
