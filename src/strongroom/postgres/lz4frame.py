"""An LZ4 frame as it comes (LZ4 Frame Format 1.6), decompressed on the way.

The library is needed for nothing else and loaded when a frame begins.
"""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType
from typing import Final, cast

from strongroom.errors import SourceError, UsageError
from strongroom.model.fs import Buffer

_MOST: Final = 256 << 10  # of what is given at once: so large are the blocks of a server


class Lz4Frame:
    """One frame; ``read`` gives its next compressed bytes, none when nothing more comes."""

    def __init__(self, read: Callable[[], Buffer]) -> None:
        frame = loaded()
        self._compressed = read
        self._context = frame.create_decompression_context()
        self._decompress = frame.decompress_chunk
        self._left = memoryview(b"")
        self._is_whole = False

    def read(self) -> bytes:
        """Return what it holds next, none at its end; ``SourceError`` if it is damaged."""
        while True:
            if not self._left:
                self._left = memoryview(self._compressed())
            if not self._left and self._is_whole:
                return b""
            if not self._left or self._is_whole:
                raise _wrong("it is cut off" if not self._left else "something stands behind it")
            try:
                data, taken, self._is_whole = self._decompress(
                    self._context, self._left, max_length=_MOST
                )
            except RuntimeError as error:
                raise _wrong(str(error)) from error
            self._left = self._left[taken:]
            if data:
                return bytes(data)


def loaded() -> ModuleType:
    """Return the library; ``UsageError`` if it is missing."""
    try:
        from lz4 import frame  # noqa: PLC0415 - an extra, which few commands need
    except ImportError as error:
        raise UsageError(
            f"this server sends base backups compressed by LZ4, for which lz4 is missing ({error})",
            hint="Install it: pip install 'strongroom[postgres]'.",
        ) from error
    return cast("ModuleType", frame)


def _wrong(why: str) -> SourceError:
    return SourceError(
        f"what the server sent is no LZ4 frame: {why}",
        hint="Nothing was saved. Run the same command again; if it comes again, look at what lies "
        "between here and the server.",
    )
