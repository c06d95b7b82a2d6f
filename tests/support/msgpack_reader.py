"""MessagePack as ``docs/format.md`` 1 uses it, read without any of the program's code."""

from __future__ import annotations

import struct
from typing import Any

_FIXED = {  # first byte: format of what follows
    0xCC: ">B", 0xCD: ">H", 0xCE: ">I", 0xCF: ">Q",
    0xD0: ">b", 0xD1: ">h", 0xD2: ">i", 0xD3: ">q",
    0xC4: ">B", 0xC5: ">H", 0xC6: ">I",
    0xD9: ">B", 0xDA: ">H", 0xDB: ">I",
    0xDC: ">H", 0xDD: ">I",
}  # fmt: skip


def read(data: bytes | memoryview) -> Any:  # noqa: ANN401 - whatever was written
    """Return the one value that ``data`` holds: integers, bytes, text, None and lists of them."""
    value, end = _value(bytes(data), 0)
    assert end == len(data), "bytes after the value"
    return value


def _value(data: bytes, at: int) -> tuple[Any, int]:
    first, at = data[at], at + 1
    if first <= 0x7F or first >= 0xE0:
        return (first if first <= 0x7F else first - 0x100), at
    if first == 0xC0:
        return None, at
    if first & 0xE0 == 0xA0:
        number = first & 0x1F
    elif first & 0xF0 == 0x90:
        number = first & 0x0F
    else:
        form = struct.Struct(_FIXED[first])
        (number,) = form.unpack_from(data, at)
        at += form.size
    if 0xCC <= first <= 0xD3:
        return number, at
    if first in {0xC4, 0xC5, 0xC6} or first & 0xE0 == 0xA0 or first in {0xD9, 0xDA, 0xDB}:
        raw = data[at : at + number]
        return (raw if first in {0xC4, 0xC5, 0xC6} else raw.decode()), at + number
    values = []
    for _ in range(number):
        value, at = _value(data, at)
        values.append(value)
    return values, at
