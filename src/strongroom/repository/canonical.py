"""Canonical MessagePack and PADME padding: the two encodings every object is made of.

``docs/format.md`` 1. What does not decode to exactly the type asked for, or does not encode again
to the same bytes, is a ``FormatError``; its callers name the object and raise ``DamageError``.
"""

from __future__ import annotations

import struct
from typing import Final, TypeVar

import msgspec

Record = TypeVar("Record")

_LENGTH: Final = struct.Struct(">I")
_encoder: Final = msgspec.msgpack.Encoder()


class FormatError(Exception):
    """Bytes are not what the format says; the message says in which way."""


def encode(record: object) -> bytes:
    """Return the canonical MessagePack of a record."""
    return _encoder.encode(record)


def decode(data: bytes | memoryview, kind: type[Record]) -> Record:
    """Read a record of ``kind``; ``FormatError``."""
    try:
        record = msgspec.msgpack.decode(data, type=kind)
    except (msgspec.DecodeError, ValueError, RecursionError) as error:
        msg = f"not a record: {error}"
        raise FormatError(msg) from error
    if _encoder.encode(record) != data:
        msg = "not in canonical form"
        raise FormatError(msg)
    return record


def padme(length: int) -> int:
    """Round a length up so that it tells little about what is inside."""
    if length < 2:  # noqa: PLR2004 - the logarithms need two
        return length
    exponent = length.bit_length() - 1
    kept = exponent.bit_length()
    mask = (1 << (exponent - kept)) - 1 if exponent > kept else 0
    return (length + mask) & ~mask


def pad(record: bytes, *, around: int = 0) -> bytes:
    """Return length, record and zeros, so that it is ``padme`` long with ``around`` bytes more."""
    used = _LENGTH.size + len(record)
    return _LENGTH.pack(len(record)) + record + bytes(padme(around + used) - around - used)


def unpad(padded: bytes | memoryview) -> memoryview:
    """Inverse of ``pad``; ``FormatError``."""
    view = memoryview(padded)
    if len(view) < _LENGTH.size:
        msg = f"{len(view)} bytes are too short for a length"
        raise FormatError(msg)
    (length,) = _LENGTH.unpack_from(view)
    end = _LENGTH.size + length
    if end > len(view) or bytes(view[end:]).strip(b"\0"):
        msg = "padding does not fit"
        raise FormatError(msg)
    return view[_LENGTH.size : end]
