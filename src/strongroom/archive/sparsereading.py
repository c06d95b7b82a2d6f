"""Reading the maps of sparse files in GNU's formats: the old one, and 0.0, 0.1 and 1.0 of pax."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, NamedTuple

from strongroom.archive.fields import MOST_SIZE, FieldError, Plain, Records, decimal, number, within
from strongroom.archive.headers import BLOCK
from strongroom.archive.sparse import SparseMap
from strongroom.archive.tarinput import TarInput

MOST_PARTS: Final = 1 << 22  # 64 MB of memory
_MOST_DIGITS: Final = 20


class Sparse(NamedTuple):
    """Where the data of a sparse file belongs, its size, and how many bytes of data are stored."""

    parts: SparseMap
    size: int
    stored: int


def sparse_map(
    plain: Plain, records: Records, block: bytes, source: TarInput, stored: int
) -> Sparse | None:
    """Return the map of a sparse file, of which ``source`` has ``stored`` bytes; None for others.

    ``FieldError`` for a map that is not in order, or does not fit what is stored.
    """
    values = records.values
    if plain.type == b"S":
        parts, size = _old(plain, block, source)
    elif values.get(b"GNU.sparse.major"):
        if (values[b"GNU.sparse.major"], values.get(b"GNU.sparse.minor")) != (b"1", b"0"):
            raise FieldError("it is a sparse file of a format that is not known")
        size = decimal(values, b"GNU.sparse.realsize", -1)
        begins = source.offset
        parts = _before_data(source, stored)
        stored -= source.offset - begins
    elif b"GNU.sparse.size" in values:
        size = decimal(values, b"GNU.sparse.size", -1)
        parts = _listed(records)
    else:
        return None
    if parts.data != stored or not parts.reached <= size <= MOST_SIZE:
        raise FieldError("the map of a sparse file does not fit its size")
    return Sparse(parts, size, stored)


def _listed(records: Records) -> SparseMap:
    """Read the map of format 0.1, one record, or of 0.0, two for each part."""
    numbers = records.sparse_pairs
    if not numbers:
        text = records.values.get(b"GNU.sparse.map", b"")
        numbers = text.split(b",") if text else []
    if len(numbers) % 2 or len(numbers) > 2 * MOST_PARTS:
        raise FieldError("the map of a sparse file does not come in pairs")
    return _filled(iter(numbers), len(numbers) // 2)


def _before_data(source: TarInput, stored: int) -> SparseMap:
    """Read the map of format 1.0: the number of parts, then two lines for each, in whole blocks."""
    lines = _lines(source, stored)
    return _filled(lines, within(_number(next(lines)), MOST_PARTS, "number of parts"))


def _lines(source: TarInput, stored: int) -> Iterator[bytes]:
    """Yield lines, block by block; the rest of the last block is passed over."""
    rest = b""
    for _ in range(stored // BLOCK):
        *lines, rest = (rest + source.take(BLOCK)).split(b"\n")
        yield from lines
        if len(rest) > _MOST_DIGITS:
            break
    raise FieldError("the map of a sparse file does not end")


def _filled(numbers: Iterator[bytes], count: int) -> SparseMap:
    parts = SparseMap()
    for _ in range(count):
        _add(parts, _number(next(numbers)), _number(next(numbers)))
    return parts


def _number(text: bytes) -> int:
    if not text.isdigit() or len(text) > _MOST_DIGITS:
        raise FieldError("the map of a sparse file holds something that is no number")
    return int(text)


def _add(parts: SparseMap, offset: int, length: int) -> None:
    if offset + length > MOST_SIZE or len(parts) > MOST_PARTS:
        raise FieldError("the map of a sparse file is out of range")
    try:
        parts.add(offset, length)
    except ValueError as error:
        raise FieldError(f"the map of a sparse file is not in order: {error}") from error


# -- GNU's old dialect: parts in the header, and in blocks after it

_OLD_PARTS: Final = range(386, 482, 24)
_OLD_MORE: Final = 482
_OLD_SIZE: Final = slice(483, 495)
_NEXT_PARTS: Final = range(0, 504, 24)
_NEXT_MORE: Final = 504


def _old(plain: Plain, block: bytes, source: TarInput) -> tuple[SparseMap, int]:
    if not plain.gnu:
        raise FieldError("it is of type b'S', in a header that is not GNU's")
    parts = SparseMap()
    size = number(block[_OLD_SIZE], "size")
    _add_old(parts, block, _OLD_PARTS)
    more = block[_OLD_MORE]
    while more:
        block = source.take(BLOCK)
        _add_old(parts, block, _NEXT_PARTS)
        more = block[_NEXT_MORE]
    return parts, size


def _add_old(parts: SparseMap, block: bytes, places: range) -> None:
    for at in places:
        field = block[at : at + 24]
        if not field[12]:
            return
        _add(parts, number(field[:12], "sparse map"), number(field[12:], "sparse map"))
