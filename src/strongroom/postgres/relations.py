"""What the first page of a relation's file says of it (``src/include/storage/bufpage.h``).

Pages of indexes have room of their own at their end, which those of tables have not.
"""

from __future__ import annotations

import struct
from typing import Final

from strongroom.model.fs import Buffer

PAGE_HEADER: Final = 24
_FIELDS: Final = struct.Struct("=12xHHHH")  # lower, upper, special; size and version
_SIZES: Final = frozenset({1024, 2048, 4096, 8192, 16384, 32768})
_VERSION: Final = 0x00FF


def is_index(first: Buffer) -> bool:
    """Whether a file that begins so is one of an index; a page that was never used says nothing."""
    if len(first) < PAGE_HEADER:
        return False
    lower, upper, special, packed = _FIELDS.unpack_from(first)
    size = packed & ~_VERSION
    return size in _SIZES and PAGE_HEADER <= lower <= upper <= special < size
