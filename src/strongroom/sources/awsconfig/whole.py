"""``Content`` of bytes that are there already."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from strongroom.model.source import Content, Loaded


@contextmanager
def whole(data: bytes, loaded: Callable[[], Loaded]) -> Iterator[Content]:
    """Give the content; ``loaded`` makes what is known of it in the end."""
    yield _Whole(data, loaded)


class _Whole:
    """``Content`` that is there already."""

    def __init__(self, data: bytes, loaded: Callable[[], Loaded]) -> None:
        self._data = data
        self._loaded = loaded

    def extents(self) -> Sequence[tuple[int, int, bool]]:
        """See ``Content``."""
        return [(0, len(self._data), True)]

    def readinto(self, offset: int, buffer: memoryview) -> int:
        """See ``Content``."""
        piece = self._data[offset : offset + len(buffer)]
        buffer[: len(piece)] = piece
        return len(piece)

    def finish(self, size_read: int) -> Loaded:
        """See ``Content``."""
        del size_read
        return self._loaded()
