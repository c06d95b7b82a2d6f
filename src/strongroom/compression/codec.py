"""Compression of frames: zstd where it helps, stored where it does not.

A frame's bytes are tried on a sample first: media and already compressed data cost little time.
"""

from __future__ import annotations

import threading
from typing import Final

import zstandard

STORED: Final = 0
ZSTD: Final = 1
DEFAULT_LEVEL: Final = 3
_SAMPLE: Final = 64 * 1024
_TRY_FROM: Final = 256 * 1024
_MAX_WINDOW_LOG: Final = 27


Data = bytes | bytearray | memoryview


class CodecError(Exception):
    """Compressed bytes do not decode to what they claim."""


class Compressor:
    """Compresses with one context a thread (``level`` 1 to 19)."""

    def __init__(self, level: int = DEFAULT_LEVEL) -> None:
        self._level = level
        self._local = threading.local()

    def compress(self, data: Data) -> tuple[int, Data]:
        """Return (codec, payload): STORED, and ``data`` itself, if zstd saves less than 1 in 32.

        The payload of zstd keeps all the room that it might have needed: copy what is kept.
        """
        context = getattr(self._local, "context", None)
        if context is None:
            context = zstandard.ZstdCompressor(level=self._level, write_content_size=True)
            self._local.context = context
        size = len(data)
        if size >= _TRY_FROM:
            middle = size // 2
            sample = memoryview(data)[middle : middle + _SAMPLE]
            if len(context.compress(sample)) > _SAMPLE - _SAMPLE // 64:
                return STORED, data
        payload: bytes = context.compress(data)
        if len(payload) > size - size // 32:
            return STORED, data
        return ZSTD, payload


class Decompressor:
    """Decompresses with one context a thread and never allocates more than it was told."""

    def __init__(self) -> None:
        self._local = threading.local()

    def decompress(self, codec: int, payload: memoryview, length: int) -> bytes | memoryview:
        """Return exactly ``length`` bytes; ``CodecError`` if the payload is anything else."""
        if codec == STORED:
            if len(payload) != length:
                msg = f"stored payload of {len(payload)} bytes claims {length}"
                raise CodecError(msg)
            return payload
        if codec != ZSTD:
            msg = f"unknown codec {codec}"
            raise CodecError(msg)
        context = getattr(self._local, "context", None)
        if context is None:
            context = zstandard.ZstdDecompressor(max_window_size=1 << _MAX_WINDOW_LOG)
            self._local.context = context
        try:
            claimed = zstandard.frame_content_size(payload)
            if claimed != length or not length:  # 0 is said of skippable frames, too
                msg = f"compressed payload claims {claimed} bytes, {length} expected"
                raise CodecError(msg)
            data: bytes = context.decompress(
                payload, max_output_size=length, allow_extra_data=False
            )
        except zstandard.ZstdError as error:
            msg = f"compressed payload does not decode: {error}"
            raise CodecError(msg) from error
        if len(data) != length:
            msg = f"compressed payload holds {len(data)} bytes, {length} expected"
            raise CodecError(msg)
        return data
