"""What a source could not save, one thing after another in a snapshot (``docs/format.md`` 5)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

from strongroom.errors import DamageError
from strongroom.model.entry import HOLE
from strongroom.model.snapshot import Stream
from strongroom.model.source import Problem
from strongroom.repository.canonical import encode
from strongroom.repository.content import FetchTree, flatten

_ARRAY: Final = 0x93  # of three
_LENGTHS: Final = {0xC4: 1, 0xC5: 2, 0xC6: 4}  # bytes of the length of a byte string


def pack_problems(problems: Iterable[Problem]) -> bytes:
    """Return the bytes of the stream."""
    return b"".join(
        encode([one.path, one.cause.encode("utf-8", "backslashreplace"), int(one.missing)])
        for one in problems
    )


def read_problems(where: str, stream: Stream, fetch: FetchTree) -> Iterator[Problem]:
    """Yield the problems of a source; ``DamageError`` names ``where``."""
    if not stream.content:
        return
    ids = [one.chunk_id for one in flatten(where, stream.content, stream.depth, fetch)]
    if HOLE in ids:
        raise _damaged(where)
    data = b"".join(fetch(ids))
    at = 0
    while at < len(data):
        if data[at] != _ARRAY:
            raise _damaged(where)
        path, at = _bytes(where, data, at + 1)
        cause, at = _bytes(where, data, at)
        missing = data[at : at + 1]
        if missing not in {b"\0", b"\1"}:
            raise _damaged(where)
        at += 1
        yield Problem(path, cause.decode("utf-8", "replace"), missing == b"\1")


def _bytes(where: str, data: bytes, at: int) -> tuple[bytes, int]:
    width = _LENGTHS.get(data[at]) if at < len(data) else None
    if width is None:
        raise _damaged(where)
    start = at + 1 + width
    end = start + int.from_bytes(data[at + 1 : start])
    if end > len(data):
        raise _damaged(where)
    return data[start:end], end


def _damaged(where: str) -> DamageError:
    return DamageError(f"{where} is damaged: what it says of problems cannot be read")
