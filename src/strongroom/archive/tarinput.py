"""A stream of bytes as a tar reader needs it: exact pieces, and errors that say where."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, Protocol

from strongroom.archive.headers import BLOCK
from strongroom.errors import DamageError

PIECE: Final = 256 * 1024
_HINT: Final = "Use another backup; what stands before this place can still be extracted."


class Readable(Protocol):
    """Where bytes come from."""

    def read(self, size: int, /) -> bytes:
        """Return 1 to ``size`` bytes, none at the end."""
        ...


class TarInput:
    """Reads ahead by one piece. ``name``: the member that errors are about, or come after."""

    def __init__(self, stream: Readable) -> None:
        self._stream = stream
        self._piece = b""
        self._at = 0
        self._before = 0
        self.name = b""

    @property
    def offset(self) -> int:
        """How many bytes of the archive have been taken."""
        return self._before + self._at

    def damaged(self, why: str, offset: int | None = None) -> DamageError:
        """Return an error that names the member and the place (here, unless said)."""
        shown = self.name.decode("utf-8", "backslashreplace") or "the first member"
        where = self.offset if offset is None else offset
        return DamageError(
            f"the archive is damaged at {shown}, byte {where} of the tar: {why}", hint=_HINT
        )

    def block(self) -> bytes | None:
        """Return the next block; None if the stream ends just here."""
        at = self._at
        block = self._piece[at : at + BLOCK]
        if len(block) == BLOCK:
            self._at = at + BLOCK
            return block
        if not block and not self._more():
            return None
        return self.take(BLOCK)

    def take(self, size: int) -> bytes:
        """Return the next ``size`` bytes, which must be few enough to be held."""
        at = self._at
        data = self._piece[at : at + size]
        if len(data) == size:
            self._at = at + size
            return data
        return b"".join(self.pieces(size))

    def pieces(self, size: int) -> Iterator[memoryview]:
        """Yield the next ``size`` bytes in pieces; each is taken when it is asked for."""
        left = size
        while left:
            if self._at == len(self._piece) and not self._more():
                raise self.damaged(f"it is cut off, {left} bytes are missing here")
            piece = memoryview(self._piece)[self._at : self._at + left]
            self._at += len(piece)
            left -= len(piece)
            yield piece

    def skip(self, size: int) -> None:
        """Pass over the next ``size`` bytes."""
        if self._at + size <= len(self._piece):
            self._at += size
            return
        for _ in self.pieces(size):
            pass

    def rest(self) -> Iterator[memoryview]:
        """Yield everything to the end of the stream."""
        while self._at < len(self._piece) or self._more():
            piece = memoryview(self._piece)[self._at :]
            self._at = len(self._piece)
            yield piece

    def _more(self) -> bool:
        self._before += len(self._piece)
        self._piece = self._stream.read(PIECE)
        self._at = 0
        return bool(self._piece)
