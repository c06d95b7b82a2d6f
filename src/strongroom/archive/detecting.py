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


class Peeked:
    """A ``Readable`` whose first bytes are known: ``head``, 512 of them or all."""

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
def unsealed(stream: Readable, unseal: Unseal | None, shown: str) -> Iterator[Peeked]:
    """Give what is in a stream, opened by ``unseal`` if it is sealed; ``shown`` is what it is.

    ``KeyRefusedError`` without the key.
    """
    outer = Peeked(stream)
    sealed = is_sealed(outer.head)
    if sealed and unseal is None:
        raise KeyRefusedError(
            f"{shown} is encrypted, and no key was given",
            hint="Give the key file that it was made with, or an age identity: "
            "--archive-key-file FILE.",
        )
    opening = unseal(outer) if sealed and unseal is not None else nullcontext(outer)
    with opening as plain:
        yield Peeked(plain)


def tar_in(plain: Peeked, shown: str) -> Readable:
    """Return the tar in what may be compressed; ``DamageError`` for what is no archive."""
    codec = detect(plain.head)
    if codec is None:
        raise DamageError(
            f"{shown} is no tar, gzip or zstd, or hardly its beginning",
            hint="Of another compression, unpack it first: xz -dc FILE | strongroom import -",
        )
    return decompressing(codec, plain)
