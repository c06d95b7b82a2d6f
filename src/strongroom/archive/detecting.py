"""A tar out of whatever it is packed in: found out by how it begins, not by its name."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext

from strongroom.archive.codecs import HEAD, detect
from strongroom.archive.decoding import decompressing
from strongroom.archive.sealing import is_sealed
from strongroom.archive.tarinput import Readable
from strongroom.errors import DamageError, KeyRefusedError

Unseal = Callable[[Readable], AbstractContextManager[Readable]]


class _Peeked:
    """A ``Readable`` whose first bytes are known."""

    def __init__(self, stream: Readable) -> None:
        self._stream = stream
        head = b""
        while len(head) < HEAD and (part := stream.read(HEAD - len(head))):
            head += part
        self.head = head
        self._left = head

    def read(self, size: int, /) -> bytes:
        """See ``Readable``."""
        if self._left:
            data, self._left = self._left[:size], self._left[size:]
            return data
        return self._stream.read(size)


@contextmanager
def detected(stream: Readable, unseal: Unseal | None, shown: str) -> Iterator[Readable]:
    """Give the tar in a stream, opened by ``unseal`` if it is sealed; ``shown`` is what it is.

    ``DamageError`` for what is no archive, ``KeyRefusedError`` without the key.
    """
    outer = _Peeked(stream)
    sealed = is_sealed(outer.head)
    if sealed and unseal is None:
        raise KeyRefusedError(
            f"{shown} is encrypted, and no key was given",
            hint="Give the key file that it was made with, or an age identity: "
            "--archive-key-file FILE.",
        )
    opening = unseal(outer) if sealed and unseal is not None else nullcontext(outer)
    with opening as plain:
        inner = _Peeked(plain)
        codec = detect(inner.head)
        if codec is None:
            raise DamageError(
                f"{shown} is no tar, gzip or zstd, or hardly its beginning",
                hint="Of another compression, unpack it first: xz -dc FILE | strongroom import -",
            )
        yield decompressing(codec, inner)
