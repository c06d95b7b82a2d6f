"""Reading a tar archive of any dialect as a stream; nothing in it is believed.

Known are V7, ustar, pax, GNU's own dialect, and star's prefix; sparse files in GNU's four formats.
Whatever is not exactly as it must be is a ``DamageError`` that names the member and the place.
Names are given as they stand, but for ``./`` before them: whether one may be used is decided where
it is restored.
"""

from __future__ import annotations

from collections.abc import Container, Iterator
from typing import Final

import msgspec

from strongroom.archive.fields import (
    MOST_DEVICE,
    MOST_ID,
    MOST_SIZE,
    FieldError,
    Plain,
    Records,
    attributes,
    decimal,
    read_plain,
    read_records,
    time_ns,
    within,
)
from strongroom.archive.headers import BLOCK
from strongroom.archive.member import Member
from strongroom.archive.sparsereading import sparse_map
from strongroom.archive.tarinput import Readable, TarInput
from strongroom.model.entry import SPARSE, Entry, EntryKind

MOST_EXTENDED: Final = 8 << 20  # three names and the attributes of an entry, 1 MiB each, fit twice
_ZERO_BLOCK: Final = bytes(BLOCK)
_FILES: Final = frozenset({b"0", b"\0", b"7", b"S"})
_HARD_LINK: Final = b"1"
_WITH_NAMES: Final = b"D"  # a directory in GNU's incremental archives; its bytes list what it held
_LABEL: Final = b"V"
_KINDS: Final = {
    _HARD_LINK: EntryKind.FILE,
    b"2": EntryKind.SYMLINK,
    b"3": EntryKind.CHARACTER_DEVICE,
    b"4": EntryKind.BLOCK_DEVICE,
    b"5": EntryKind.DIRECTORY,
    b"6": EntryKind.FIFO,
    _WITH_NAMES: EntryKind.DIRECTORY,
}
_EXTENDED: Final = frozenset({b"x", b"g", b"L", b"K"})
_NOT_FOR_ALL: Final = (b"path", b"linkpath", b"size", b"GNU.sparse.")


class _Extended:
    """What the extended headers before a member say of it; ``at``: where the first one begins."""

    __slots__ = ("at", "kinds", "link", "name", "records")

    def __init__(self) -> None:
        self.records = Records({}, [])
        self.name = b""
        self.link = b""
        self.kinds = b""
        self.at = -1


class _Reader:
    def __init__(self, stream: Readable, linked: Container[bytes]) -> None:
        self._input = TarInput(stream)
        self._linked = linked
        self._for_all: dict[bytes, bytes] = {}
        self._for_all_size = 0
        self._specials: dict[bytes, Entry] = {}

    def members(self) -> Iterator[Member]:
        source = self._input
        extended = _Extended()
        while True:
            at = source.offset
            block = source.block()
            if block is None:
                raise source.damaged("it is cut off: the two empty blocks at its end are missing")
            if block == _ZERO_BLOCK:
                self._end(extended)
                return
            try:
                plain = read_plain(block)
                if extended.at < 0:
                    extended.at = at
                if plain.type in _EXTENDED:
                    self._extend(plain, extended)
                    continue
                member = self._member(plain, extended, block)
            except FieldError as error:
                raise source.damaged(str(error), at) from error
            if member is not None:
                yield member
                member.leave()
            extended = _Extended()

    def _end(self, extended: _Extended) -> None:
        """After the first empty block: another one, and nothing but zeros to the end."""
        source = self._input
        if extended.at >= 0:
            raise source.damaged("an extended header is followed by no member", extended.at)
        if source.block() != _ZERO_BLOCK:
            raise source.damaged("one of the two empty blocks at its end is missing")
        at = source.offset
        for piece in source.rest():
            if bytes(piece).strip(b"\0"):
                raise source.damaged("something stands behind its end", at)

    # -- headers that say something of the next one

    def _extend(self, plain: Plain, extended: _Extended) -> None:
        source, kind = self._input, plain.type
        if plain.size > MOST_EXTENDED:
            raise FieldError(f"an extended header of {plain.size} bytes is larger than any can be")
        if kind in extended.kinds:
            raise FieldError("a member has two extended headers of one kind")
        extended.kinds += kind
        body = source.take(plain.size)
        source.skip(-plain.size % BLOCK)
        if kind == b"L":
            extended.name = body.partition(b"\0")[0]
        elif kind == b"K":
            extended.link = body.partition(b"\0")[0]
        elif kind == b"x":
            extended.records = read_records(body)
        else:
            self._extend_all(read_records(body).values, len(body))

    def _extend_all(self, values: dict[bytes, bytes], size: int) -> None:
        for key in values:
            if key.startswith(_NOT_FOR_ALL):
                shown = key.decode("utf-8", "backslashreplace")
                raise FieldError(f"a header for all members sets their {shown}")
        self._for_all.update(values)
        self._for_all_size += size
        if self._for_all_size > MOST_EXTENDED:
            raise FieldError("the headers for all members are larger than any can be")

    # -- members

    def _member(self, plain: Plain, extended: _Extended, block: bytes) -> Member | None:
        """Read one member; None for a label, which is nothing that can be extracted."""
        source, at, kind = self._input, extended.at, plain.type
        values = extended.records.values
        if self._for_all:
            values = self._for_all | values
        source.name = (
            values.get(b"GNU.sparse.name") or values.get(b"path") or extended.name or plain.name
        )
        stored = within(decimal(values, b"size", plain.size), MOST_SIZE, "size")
        if kind in _FILES and not source.name.endswith(b"/"):
            return self._file(plain, extended, values, block, stored)
        entry_kind = EntryKind.DIRECTORY if kind in _FILES else _KINDS.get(kind)
        if kind in {_LABEL, _WITH_NAMES}:
            source.skip(stored)
        elif entry_kind is None:
            raise FieldError(f"a member of type {kind!r} is not known")
        elif stored and kind != _HARD_LINK:  # some state the size of what they link to
            raise FieldError(f"a member of type {kind!r} cannot have {stored} bytes")
        if entry_kind is None:
            source.skip(-stored % BLOCK)
            return None
        entry = self._entry(plain, extended, values, entry_kind)
        if kind == _HARD_LINK:
            entry = self._as_what_it_leads_to(entry)
        elif entry_kind != EntryKind.DIRECTORY:
            self._specials[entry.path] = entry
        return Member(entry, at, source)

    def _as_what_it_leads_to(self, entry: Entry) -> Entry:
        """Return a further name of a symbolic link, a FIFO or a device as one."""
        first = self._specials.get(entry.link)
        if first is None:
            return entry
        return msgspec.structs.replace(entry, kind=first.kind, target=first.target, rdev=first.rdev)

    def _file(
        self,
        plain: Plain,
        extended: _Extended,
        values: dict[bytes, bytes],
        block: bytes,
        stored: int,
    ) -> Member:
        source, at = self._input, extended.at
        entry = self._entry(plain, extended, values, EntryKind.FILE, stored)
        records = Records(values, extended.records.sparse_pairs)
        sparse = sparse_map(plain, records, block, source, stored)
        if sparse is None:
            return Member(entry, at, source, stored)
        parts, size, stored = sparse
        entry = msgspec.structs.replace(entry, size=size, flags=SPARSE)
        return Member(entry, at, source, stored, parts)

    def _entry(
        self,
        plain: Plain,
        extended: _Extended,
        values: dict[bytes, bytes],
        kind: EntryKind,
        size: int = 0,
    ) -> Entry:
        name = self._input.name
        path = _relative(name)
        if not name or (not path and kind != EntryKind.DIRECTORY):
            raise FieldError("it has no name")
        path = path.rstrip(b"/") or path[:1]
        leads_to = values.get(b"linkpath") or extended.link or plain.link
        link = _relative(leads_to) if plain.type == _HARD_LINK else b""
        if plain.type == _HARD_LINK and not link:
            raise FieldError("it is a hard link that leads nowhere")
        if path in self._linked and not link:
            link = path
        major, minor = plain.rdev
        return Entry(
            path,
            int(kind),
            plain.mode,
            within(decimal(values, b"uid", plain.uid), MOST_ID, "owner"),
            within(decimal(values, b"gid", plain.gid), MOST_ID, "group"),
            values.get(b"uname") or plain.user,
            values.get(b"gname") or plain.group,
            time_ns(values, plain.mtime),
            size,
            target=leads_to if kind == EntryKind.SYMLINK else b"",
            link=link,
            rdev=(
                within(major, MOST_DEVICE, "device number"),
                within(minor, MOST_DEVICE, "device number"),
            ),
            xattrs=attributes(values),
        )


def read_tar(stream: Readable, *, linked: Container[bytes] = ()) -> Iterator[Member]:
    """Yield each member; ``DamageError`` for what cannot be trusted.

    ``linked``: paths that are known, from reading before, to be what hard links lead to. Their
    entries get a ``link`` of their own path, as a source gives it to the first of a group. A member
    that is the top folder itself (``./``) has an empty path.
    """
    return _Reader(stream, linked).members()


def _relative(name: bytes) -> bytes:
    """Take away ``./`` from the beginning, however often it stands there."""
    while name.startswith(b"./"):
        name = name[2:]
    return b"" if name == b"." else name
