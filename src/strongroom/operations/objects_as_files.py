"""Objects as files: what their keys are called in a folder, and back.

A key may be ``a//b``, ``..`` or end in a slash, and there may be objects ``a`` and ``a/b``. So of a
key, cut at its slashes, each piece becomes a name in which

- ``%`` is ``%25``, a zero byte ``%00``, a piece that is ``.`` or ``..`` is ``%2E`` or ``%2E%2E``;
- an empty piece is ``%``;
- a piece that is longer than 200 bytes then is cut, and all parts but the last, which are folders,
  end in ``%+``;
- a folder ends in ``%d`` if an object has the name that it would have.

Everything else stays as it is, so most keys are paths already, and every name says which key it is
of.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from typing import Final
from urllib.parse import unquote_to_bytes

import msgspec

from strongroom.model.entry import Entry, EntryKind
from strongroom.repository.spool import Spool, Spooled

_LONGEST: Final = 200
_EMPTY: Final = b"%"
_GOES_ON: Final = b"%+"
_FOLDER: Final = b"%d"
_FOLDER_MODE: Final = 0o700
_ESCAPED: Final = re.compile(rb"%[0-9A-F]{0,1}$")


class Names:
    """Gives keys their names, in the order of the keys: it knows which were objects before."""

    def __init__(self) -> None:
        self._inside: list[bytes] = []

    def name(self, key: bytes) -> bytes:
        """Return the path of a key in a folder."""
        inside = self._inside
        while inside and not key.startswith(inside[-1]):
            inside.pop()
        taken = {len(one) for one in inside}
        inside.append(key)
        pieces = key.split(b"/")
        at, names = 0, []
        for piece in pieces[:-1]:
            at += len(piece)
            names.append(_name(piece) + (_FOLDER if at in taken else b""))
            at += 1
        return b"/".join([*names, _name(pieces[-1])])


def key_of(path: bytes) -> bytes:
    """Return the key that a path in a folder is of."""
    pieces, begun = [], b""
    for name in path.split(b"/"):
        part = name.removesuffix(_FOLDER) if name.endswith(_FOLDER) else name
        if part.endswith(_GOES_ON):
            begun += part.removesuffix(_GOES_ON)
            continue
        whole = begun + part
        pieces.append(b"" if whole == _EMPTY else unquote_to_bytes(whole))
        begun = b""
    return b"/".join(pieces)


def as_files(batches: Iterable[Sequence[Entry]], top: bytes, below: bytes) -> Iterator[Entry]:
    """Yield the entries of a source of objects as files and folders, in the order of paths.

    ``top`` is what was asked for, and ``below`` the path that it gets, without a slash at its end;
    what is not below it is not among the batches. Files keep the attributes of their objects.
    """
    names, spool = Names(), Spool()
    cut = len(top.removesuffix(b"/")) + 1 if top else 0
    for number, entry in enumerate(chain.from_iterable(batches)):
        path = below
        if entry.path != top or top.endswith(b"/"):
            name = names.name(entry.path[cut:])
            path = below + b"/" + name if below else name
        file = msgspec.structs.replace(entry, path=path)
        spool.add(Spooled(file, number))
    pieces = below.split(b"/")
    made = [b"/".join(pieces[:count]) for count in range(1, len(pieces) + 1)] if below else []
    for one in spool.sorted():
        yield from _folders(one.entry, made)
        yield one.entry


def _folders(entry: Entry, made: list[bytes]) -> Iterator[Entry]:
    """Yield the folders above an entry that were not made yet; ``made``: those that it is in."""
    while made and not entry.path.startswith(made[-1] + b"/"):
        made.pop()
    at = len(made[-1]) + 1 if made else 0
    while (end := entry.path.find(b"/", at)) >= 0:
        path = entry.path[:end]
        made.append(path)
        at = end + 1
        yield msgspec.structs.replace(
            entry,
            path=path,
            kind=int(EntryKind.DIRECTORY),
            mode=_FOLDER_MODE,
            size=0,
            content=b"",
            depth=0,
            xattrs=(),
            flags=0,
        )


def _name(piece: bytes) -> bytes:
    if not piece:
        return _EMPTY
    safe = piece.replace(b"%", b"%25").replace(b"\0", b"%00")
    parts = []
    while len(safe) > _LONGEST:
        end = _LONGEST
        if (match := _ESCAPED.search(safe, end - 2, end)) is not None:
            end = match.start()
        parts.append(safe[:end] + _GOES_ON)
        safe = safe[end:]
    return b"/".join([*parts, _not_dots(safe)])


def _not_dots(safe: bytes) -> bytes:
    """Write out what would lead elsewhere."""
    return safe.replace(b".", b"%2E") if safe in {b".", b".."} else safe
