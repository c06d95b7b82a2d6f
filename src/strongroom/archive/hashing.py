"""Hashing and counting what passes by."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Final

from strongroom.archive.tarinput import Readable
from strongroom.model.fs import Buffer

_ZEROS: Final = bytes(1 << 20)


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


class FileHash:
    """The SHA-256 of a file whose holes are not stored, as if they were: its bytes in order."""

    def __init__(self) -> None:
        self._hash = hashlib.sha256()
        self._at = 0

    def add(self, offset: int, data: Buffer) -> None:
        """Take in what is at ``offset``, behind all that came before."""
        self._zeros(offset)
        self._hash.update(data)
        self._at = offset + len(data)

    def digest(self, size: int) -> bytes:
        """Return the SHA-256 of all ``size`` bytes."""
        self._zeros(size)
        return self._hash.digest()

    def _zeros(self, end: int) -> None:
        while self._at < end:
            length = min(end - self._at, len(_ZEROS))
            self._hash.update(memoryview(_ZEROS)[:length])
            self._at += length
