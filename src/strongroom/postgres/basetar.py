"""The tar archives of a base backup, read as a stream; nothing in them is believed.

PostgreSQL writes one dialect only (``tarCreateHeader`` in src/port/tar.c): ustar, names of up to 99
bytes in the first field, sizes in octal or, from 8 GiB on, in base 256; regular files and
directories. Links to tablespaces are not among them, since we ask for a map. Whatever else comes is
no base backup, and is refused before its name is used for anything.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from typing import Final, NamedTuple

from strongroom.errors import SourceError
from strongroom.model.fs import Buffer

_BLOCK: Final = 512
_HEADER: Final = struct.Struct("100s8s8s8s12s12s8s1s100s8s32s32s8s8s155s12s")
_END: Final = bytes(_BLOCK)
_SUM: Final = slice(148, 156)
_BLANKS: Final = 8 * ord(" ")
_MAGIC: Final = b"ustar\x0000"
_BASE_256: Final = 0x80
_MOST: Final = (1 << 63) - 1
_MOST_MODE: Final = 0o7777
_FILE: Final = b"0"
_DIRECTORY: Final = b"5"


class Member(NamedTuple):
    """A file or directory; ``name`` is relative, without ``.`` and ``..``. ``mtime`` in seconds."""

    name: bytes
    is_directory: bool
    mode: int
    uid: int
    gid: int
    user: bytes
    group: bytes
    size: int
    mtime: int


class BaseTar:
    """One archive; ``read`` gives its next bytes, none at its end."""

    def __init__(self, read: Callable[[], Buffer]) -> None:
        self._read = read
        self._piece = memoryview(b"")
        self._left = 0
        self._offset = 0

    def members(self) -> Iterator[Member]:
        """Yield each member; its bytes are had by ``piece`` until the next is asked for."""
        seen_end = False
        while True:
            at = self._offset
            block = self._block()
            if seen_end and block != _END:
                raise self._wrong("something stands behind its end", at)
            if seen_end:
                self._finish()
                return
            if block == _END:
                seen_end = True
                continue
            try:
                member = _member(block)
            except ValueError as error:
                raise self._wrong(str(error), at) from None
            self._left = member.size
            yield member
            self._skip(self._left)
            self._skip(-member.size % _BLOCK)

    def piece(self) -> memoryview:
        """Return the next bytes of the member, none at its end."""
        if not self._left:
            return memoryview(b"")
        if not self._piece:
            self._more()
        data = self._piece[: self._left]
        self._piece = self._piece[len(data) :]
        self._left -= len(data)
        self._offset += len(data)
        return data

    def _more(self) -> None:
        self._piece = memoryview(self._read())
        if not self._piece:
            raise self._wrong("it is cut off", self._offset)

    def _block(self) -> bytes:
        block = bytearray()
        while len(block) < _BLOCK:
            if not self._piece:
                self._more()
            part = self._piece[: _BLOCK - len(block)]
            block += part
            self._piece = self._piece[len(part) :]
        self._offset += _BLOCK
        return bytes(block)

    def _skip(self, size: int) -> None:
        self._left = 0
        self._offset += size
        while size:
            if not self._piece:
                self._more()
            count = min(size, len(self._piece))
            self._piece = self._piece[count:]
            size -= count

    def _finish(self) -> None:
        at = self._offset
        while self._piece:
            if bytes(self._piece).strip(b"\0"):
                raise self._wrong("something stands behind its end", at)
            self._piece = memoryview(self._read())

    @staticmethod
    def _wrong(why: str, at: int) -> SourceError:
        return SourceError(
            f"what the server sent is no base backup: byte {at} of an archive: {why}",
            hint="Nothing was saved. Is that really a PostgreSQL server?",
        )


def _member(block: bytes) -> Member:
    """Read a header; ``ValueError`` says what is wrong with it."""
    name, mode, uid, gid, size, mtime, stated, kind, link, magic, user, group, *_ = _HEADER.unpack(
        block
    )
    if sum(block) - sum(block[_SUM]) + _BLANKS != _number(stated, "checksum"):
        raise ValueError("what should be a header is none: its checksum does not match")
    prefix = _HEADER.unpack(block)[14]
    if magic != _MAGIC or prefix.strip(b"\0"):
        raise ValueError("its header is of another dialect than PostgreSQL's")
    if kind not in {_FILE, _DIRECTORY} or link.strip(b"\0"):
        raise ValueError(f"a member of type {kind!r} is neither file nor directory")
    is_directory = kind == _DIRECTORY
    path = _checked(name.partition(b"\0")[0].removesuffix(b"/" if is_directory else b""))
    length = _number(size, "size")
    if is_directory and length:
        raise ValueError(f"a directory cannot have {length} bytes")
    return Member(
        path,
        is_directory,
        _number(mode, "mode") & _MOST_MODE,
        _number(uid, "owner"),
        _number(gid, "group"),
        user.partition(b"\0")[0],
        group.partition(b"\0")[0],
        length,
        _number(mtime, "time"),
    )


def _checked(name: bytes) -> bytes:
    name = name.removeprefix(b"./")  # as the server calls the folder in pg_wal
    for component in name.split(b"/"):
        if component in {b"", b".", b".."}:
            shown = name.decode("utf-8", "backslashreplace")
            raise ValueError(f"{shown!r} is no name of something below a data directory")
    return name


def _number(field: bytes, what: str) -> int:
    if field[0] == _BASE_256:
        value = int.from_bytes(field[1:])
    else:
        digits = field.strip(b" \0")
        if not digits or digits.strip(b"01234567"):
            raise ValueError(f"its {what} is no number: {field!r}")
        value = int(digits, 8)
    if value > _MOST:
        raise ValueError(f"its {what} is out of range: {value}")
    return value
