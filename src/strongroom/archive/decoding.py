"""Reading compressed archives: several gzip members or zstd frames, and never too much at once.

What is held is bounded whatever the input says; how much there may be in all is up to whoever
reads. Data that ends too early, or goes on behind its end, is damage; zeros behind the end are not
(tapes and block devices leave them).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, Protocol, cast

import zstandard
from zlib_ng import zlib_ng

from strongroom.archive.codecs import Codec
from strongroom.archive.tarinput import Readable
from strongroom.errors import DamageError

PIECE: Final = 64 * 1024
MOST_WINDOW: Final = 1 << 27
_MOST_AT_ONCE: Final = 1 << 20
# A block of a zstd frame takes at least four bytes and gives at most 128 KiB, and the library has
# no limit of its own: so much input gives 32 MiB at most.
_ZSTD_STEP: Final = 1024
_GZIP: Final = 31  # window bits, and 16 for gzip's head and tail, which are checked
_HINT: Final = "Use another backup; what stands before this place can still be extracted."
_BAD: Final = (cast(type[Exception], zlib_ng.error), zstandard.ZstdError)


def decompressing(codec: Codec, stream: Readable) -> Readable:
    """Return a stream of what ``stream`` holds compressed; reading raises ``DamageError``."""
    if codec is Codec.GZIP:
        return _Frames(stream, "gzip", _GzipFrame)
    if codec is Codec.ZSTD:
        return _Frames(stream, "zstd", _ZstdFrame)
    return stream


class _Frame(Protocol):
    """One gzip member or zstd frame. ``rest`` is the input that was not taken yet."""

    ended: bool
    rest: memoryview

    def decode(self, data: memoryview) -> bytes:
        """Take some of ``data``; return what came of it, which may be nothing."""
        ...


class _GzipFrame:
    def __init__(self) -> None:
        self._decoder = zlib_ng.decompressobj(_GZIP)
        self.ended = False
        self.rest = memoryview(b"")

    def decode(self, data: memoryview) -> bytes:
        decoder = self._decoder
        found = decoder.decompress(data, _MOST_AT_ONCE)
        self.ended = decoder.eof
        self.rest = memoryview(decoder.unused_data if self.ended else decoder.unconsumed_tail)
        return found


class _ZstdFrame:
    def __init__(self) -> None:
        self._decoder = zstandard.ZstdDecompressor(max_window_size=MOST_WINDOW).decompressobj()
        self.ended = False
        self.rest = memoryview(b"")

    def decode(self, data: memoryview) -> bytes:
        decoder = self._decoder
        found: bytes = decoder.decompress(data[:_ZSTD_STEP])
        self.ended = decoder.eof
        self.rest = data[_ZSTD_STEP:]
        if self.ended and decoder.unused_data:
            self.rest = memoryview(decoder.unused_data + bytes(self.rest))
        return found


class _Frames:
    """A ``Readable`` over one frame after the other."""

    def __init__(self, stream: Readable, name: str, frame: Callable[[], _Frame]) -> None:
        self._stream = stream
        self._name = name
        self._new_frame = frame
        self._frame: _Frame | None = frame()  # the first one: an empty stream is cut off
        self._input = memoryview(b"")
        self._taken = 0
        self._ready = memoryview(b"")

    def read(self, size: int, /) -> bytes:
        """See ``Readable``."""
        while not self._ready:
            frame = self._frame
            if frame is None:
                if not self._next_begins():
                    return b""
                self._frame = self._new_frame()
                continue
            try:
                data = frame.decode(self._input)
            except _BAD as error:
                raise self._damaged(f"its {self._name} data cannot be read ({error})") from error
            self._input = frame.rest
            if frame.ended:
                self._frame = None
            elif not data and not self._input and not self._more():
                raise self._damaged(f"its {self._name} data is cut off")
            self._ready = memoryview(data)
        data = bytes(self._ready[:size])
        self._ready = self._ready[size:]
        return data

    def _next_begins(self) -> bool:
        """Whether something follows a frame; zeros to the end are nothing."""
        if not self._input and not self._more():
            return False
        if self._input[0]:
            return True
        while True:
            if bytes(self._input).strip(b"\0"):
                raise self._damaged("something stands behind its end")
            if not self._more():
                return False

    def _more(self) -> bool:
        data = self._stream.read(PIECE)
        self._taken += len(data)
        self._input = memoryview(data)
        return bool(data)

    def _damaged(self, why: str) -> DamageError:
        where = self._taken - len(self._input)
        return DamageError(f"the archive is damaged near its byte {where}: {why}", hint=_HINT)
