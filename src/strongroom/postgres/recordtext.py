"""Records beside what a server gave: JSON that a person reads too, a line a value."""

from __future__ import annotations

import json
from typing import Protocol, TypeVar

import msgspec

from strongroom.errors import DamageError


class _Versioned(Protocol):
    @property
    def version(self) -> int: ...


R = TypeVar("R", bound=_Versioned)


def encoded(record: _Versioned) -> bytes:
    """Return a record as text; names of any bytes are kept by escapes."""
    return json.dumps(msgspec.to_builtins(record), indent=1).encode("ascii") + b"\n"


def decoded(data: bytes, kind: type[R], version: int, what: str) -> R:
    """Read a record of ``what``; ``DamageError`` if it is none, or of another version."""
    try:
        record = msgspec.convert(json.loads(data), kind)
    except (msgspec.ValidationError, ValueError, RecursionError) as error:
        raise DamageError(f"the record of {what} cannot be read: {error}") from error
    if record.version != version:
        raise DamageError(f"the record of {what} is of version {record.version}, not {version}")
    return record
