"""Hashing and counting what passes by."""

from __future__ import annotations

import hashlib
from collections.abc import Callable

from strongroom.archive.tarinput import Readable
from strongroom.model.fs import Buffer


class HashingWriter:
    """Hands on what is written; ``size`` in bytes, and the SHA-256 of all of it."""

    def __init__(self, out: Callable[[Buffer], object]) -> None:
        self._out = out
        self._hash = hashlib.sha256()
        self.size = 0

    def write(self, data: Buffer) -> None:
        """Take in ``data``, then hand it on."""
        self._hash.update(data)
        self.size += len(data)
        self._out(data)

    def digest(self) -> bytes:
        """Return the SHA-256 of what was written so far, 32 bytes."""
        return self._hash.digest()


class HashingReader:
    """A ``Readable``; ``size`` in bytes, and the SHA-256 of what was read so far."""

    def __init__(self, stream: Readable) -> None:
        self._stream = stream
        self._hash = hashlib.sha256()
        self.size = 0

    def read(self, size: int, /) -> bytes:
        """See ``Readable``."""
        data = self._stream.read(size)
        self._hash.update(data)
        self.size += len(data)
        return data

    def drain(self) -> None:
        """Read what is left, which nobody wants but the hash."""
        while self.read(1 << 20):
            pass

    def digest(self) -> bytes:
        """Return the SHA-256 of what was read so far, 32 bytes."""
        return self._hash.digest()
