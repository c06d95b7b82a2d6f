"""The journal of a swap: written whole before anything is changed, and only renamed afterwards.

The name says how the swap stands: ``journal`` (it is in the middle), ``journal.done`` or
``journal.rolled-back``; ``journal.new`` is one whose writing did not end, and means nothing.

It is text, a JSON value a line. The first is an object: ``format`` (``strongroom swap``),
``version`` (1), ``target`` (the path of the folder), ``inside`` (where the work folder lies in it,
empty if elsewhere) and the number of ``lines`` that follow before the last. Those are arrays, in
the order of a tree, each kind for itself:

``["put", PATH]``: what is in ``staged/`` takes this place, what was there goes to ``undo/``.
``["take", PATH]``: what is there goes to ``undo/``.
``["folder", PATH, HOME, BEFORE, AFTER]``: a directory and its attributes. HOME: ``kept``, it stays
where it is; ``in``, it comes from ``staged/`` (BEFORE is null); ``out``, it goes to ``undo/``
(AFTER is null). Attributes are ``[mode, uid, gid, mtime in nanoseconds, [[name, value], ...]]``
with names and values of extended attributes in base64; a time of null is left as it comes.

The last line is an object, ``sha256``: of all bytes before it, in hex. Paths are percent-encoded,
all but letters, digits and ``/._-~ ``, since a name may have any bytes.
"""

from __future__ import annotations

import enum
import hashlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, Literal
from urllib.parse import quote_from_bytes, unquote_to_bytes

import msgspec

from strongroom.errors import DamageError
from strongroom.model.fs import Fs
from strongroom.restore.files.newfile import write_all
from strongroom.restore.swap.dress import Dress
from strongroom.restore.swap.ground import is_path

FORMAT: Final = "strongroom swap"
VERSION: Final = 1
NEW_NAME: Final = b"journal.new"
_NEW: Final = os.O_WRONLY | os.O_CREAT | os.O_TRUNC
_MODE: Final = 0o600
_PIECE: Final = 1 << 20
_SAFE: Final = "/ "


class Standing(enum.Enum):
    """How a swap stands, by the name of its journal."""

    OPEN = b"journal"
    DONE = b"journal.done"
    ROLLED_BACK = b"journal.rolled-back"


class _Header(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    format: str
    version: int
    target: str
    inside: str
    lines: int


class _Put(msgspec.Struct, array_like=True, frozen=True, tag="put", forbid_unknown_fields=True):
    path: str


class _Take(msgspec.Struct, array_like=True, frozen=True, tag="take", forbid_unknown_fields=True):
    path: str


class _Folder(
    msgspec.Struct, array_like=True, frozen=True, tag="folder", forbid_unknown_fields=True
):
    path: str
    home: Literal["kept", "in", "out"]
    before: Dress | None
    after: Dress | None


class _Seal(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    sha256: str


_Line = _Put | _Take | _Folder
_line: Final = msgspec.json.Decoder(_Line)
_json: Final = msgspec.json.Encoder()


@dataclass(frozen=True, slots=True)
class Kept:
    """A directory that stays, and its attributes before and after."""

    path: bytes
    before: Dress
    after: Dress


@dataclass(frozen=True, slots=True)
class Moved:
    """A directory that moves as a whole, and what it looks like where it comes to."""

    path: bytes
    dress: Dress


@dataclass(frozen=True, slots=True)
class Journal:
    """What a swap does; each list in the order of a tree.

    ``coming`` and ``leaving``: directories among ``puts`` and ``takes``, since those that their
    owner may not write to must be opened up to be moved.
    """

    target: bytes
    inside: bytes
    puts: tuple[bytes, ...]
    takes: tuple[bytes, ...]
    kept: tuple[Kept, ...]
    coming: tuple[Moved, ...]
    leaving: tuple[Moved, ...]


def write_journal(fs: Fs, work_fd: int, journal: Journal) -> None:
    """Write a journal whole and durable, and give it its name last; OSError."""
    fd = fs.open(NEW_NAME, _NEW, dir_fd=work_fd, mode=_MODE)
    try:
        digest = hashlib.sha256()
        offset = 0
        for piece in _pieces(journal):
            digest.update(piece)
            write_all(fs, fd, piece, offset)
            offset += len(piece)
        write_all(fs, fd, _json.encode(_Seal(digest.hexdigest())) + b"\n", offset)
        fs.fsync(fd)
    finally:
        fs.close(fd)
    fs.rename(NEW_NAME, Standing.OPEN.value, old_dir_fd=work_fd, dir_fd=work_fd)
    fs.fsync(work_fd)


def read_journal(fs: Fs, work_fd: int) -> tuple[Journal, Standing] | None:
    """Read the journal of a work folder; None without one, ``DamageError`` for a damaged one."""
    for standing in Standing:
        try:
            fd = fs.open(standing.value, os.O_RDONLY, dir_fd=work_fd)
        except FileNotFoundError:
            continue
        try:
            data = bytearray()
            while piece := fs.read(fd, _PIECE):
                data += piece
        finally:
            fs.close(fd)
        return _parse(bytes(data)), standing
    return None


def set_standing(fs: Fs, work_fd: int, old: Standing, new: Standing) -> None:
    """Say durably how the swap stands; OSError."""
    fs.rename(old.value, new.value, old_dir_fd=work_fd, dir_fd=work_fd)
    fs.fsync(work_fd)


def _pieces(journal: Journal) -> Iterator[bytes]:
    """Yield the text but for the seal, about a mebibyte at a time."""
    lines = [_json.encode(_header(journal))]
    size = 0
    for line in _lines(journal):
        lines.append(_json.encode(line))
        size += len(lines[-1])
        if size > _PIECE:
            yield b"\n".join(lines) + b"\n"
            lines, size = [], 0
    if lines:
        yield b"\n".join(lines) + b"\n"


def _header(journal: Journal) -> _Header:
    lists = (journal.puts, journal.takes, journal.kept, journal.coming, journal.leaving)
    count = sum(len(one) for one in lists)
    return _Header(FORMAT, VERSION, _quote(journal.target), _quote(journal.inside), count)


def _lines(journal: Journal) -> Iterator[_Line]:
    yield from (_Put(_quote(path)) for path in journal.puts)
    yield from (_Take(_quote(path)) for path in journal.takes)
    for kept in journal.kept:
        yield _Folder(_quote(kept.path), "kept", kept.before, kept.after)
    for moved in journal.coming:
        yield _Folder(_quote(moved.path), "in", None, moved.dress)
    for moved in journal.leaving:
        yield _Folder(_quote(moved.path), "out", moved.dress, None)


def _parse(data: bytes) -> Journal:
    body, newline, last = data.rstrip(b"\n").rpartition(b"\n")
    body += newline
    try:
        sealed = msgspec.json.decode(last, type=_Seal).sha256
    except msgspec.MsgspecError as error:
        raise DamageError("the journal has no end") from error
    if sealed != hashlib.sha256(body).hexdigest():
        raise DamageError("the journal does not have the checksum that it states")
    first, _, rest = body.partition(b"\n")
    try:
        header = msgspec.json.decode(first, type=_Header)
        if (header.format, header.version) != (FORMAT, VERSION):
            raise DamageError(f"the journal is of {header.format!r}, version {header.version}")
        lines = [_line.decode(line) for line in rest.splitlines()]
    except msgspec.MsgspecError as error:
        raise DamageError(f"the journal cannot be understood: {error}") from error
    if len(lines) != header.lines:
        raise DamageError(f"the journal has {len(lines)} lines and not {header.lines}")
    return _journal(header, lines)


def _journal(header: _Header, lines: list[_Line]) -> Journal:
    puts, takes = [], []
    kept, coming, leaving = [], [], []
    for line in lines:
        path = _path(line)
        match line:
            case _Put():
                puts.append(path)
            case _Take():
                takes.append(path)
            case _Folder(home="kept", before=Dress() as before, after=Dress() as after):
                kept.append(Kept(path, before, after))
            case _Folder(home="in", before=None, after=Dress() as dress):
                coming.append(Moved(path, dress))
            case _Folder(home="out", before=Dress() as dress, after=None):
                leaving.append(Moved(path, dress))
            case _:
                raise DamageError(f"the journal says nothing of {line.path!r} that can be meant")
    inside = unquote_to_bytes(header.inside)
    if inside and not is_path(inside):
        raise DamageError(f"the journal names {header.inside!r}, which is no path in the target")
    return Journal(
        target=unquote_to_bytes(header.target),
        inside=inside,
        puts=tuple(puts),
        takes=tuple(takes),
        kept=tuple(kept),
        coming=tuple(coming),
        leaving=tuple(leaving),
    )


def _path(line: _Line) -> bytes:
    """Return a path that cannot lead out of the target; only a kept folder may be the target."""
    path = unquote_to_bytes(line.path)
    is_target = not path and isinstance(line, _Folder) and line.home == "kept"
    if not (is_target or is_path(path)):
        raise DamageError(f"the journal names {line.path!r}, which is no path in the target")
    return path


def _quote(path: bytes) -> str:
    return quote_from_bytes(path, safe=_SAFE)
