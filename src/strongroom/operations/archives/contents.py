"""What is in an archive: opened, uncompressed, and each thing with the hash of its bytes."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Final, NamedTuple

import msgspec

from strongroom.archive.codecs import Codec, Write
from strongroom.archive.decoding import decompressing
from strongroom.archive.files import Files
from strongroom.archive.hashing import FileHash, HashingReader
from strongroom.archive.member import Member
from strongroom.archive.naming import SEALED
from strongroom.archive.tarinput import Readable
from strongroom.archive.tarreading import read_tar
from strongroom.errors import DamageError, KeyRefusedError
from strongroom.model.entry import Entry, EntryKind, without_object_attributes
from strongroom.model.events import Advanced, Sink

Seal = Callable[[Write], AbstractContextManager[Write]]
Unseal = Callable[[Readable], AbstractContextManager[Readable]]
Piece = Callable[[int, memoryview], object]

_ONE_NAME: Final = frozenset({EntryKind.FILE, EntryKind.DIRECTORY})
_EMPTY: Final = hashlib.sha256(b"").digest()


class Opened(NamedTuple):
    """An archive that is being read: the bytes of its file, and the tar."""

    packed: HashingReader
    tar: Readable


class Thing(NamedTuple):
    """One member that was read; ``sha256`` is empty for what has no bytes of its own."""

    entry: Entry
    sha256: bytes


def codec_of(name: str) -> Codec:
    """Return how an archive is compressed, by its name; ``DamageError`` for no such name."""
    plain = name.removesuffix(SEALED)
    for codec in Codec:
        if plain.endswith(codec.suffix):
            return codec
    raise DamageError(
        f"how {name} is compressed is not known",
        hint=f"Archives end in {', '.join(codec.suffix for codec in Codec)}.",
    )


@contextmanager
def opened(files: Files, name: str, unseal: Unseal | None) -> Iterator[Opened]:
    """Open an archive for reading, from the disk; ``FilesError``, ``KeyRefusedError``."""
    codec = codec_of(name)
    sealed = name.endswith(SEALED)
    if sealed and unseal is None:
        raise KeyRefusedError(
            f"{name} is encrypted, and no key was given",
            hint="Give the key file that it was made with, or an age identity: --key-file FILE.",
        )
    with files.reading(name) as file:
        file.from_disk()
        packed = HashingReader(file)
        opening = unseal(packed) if sealed and unseal is not None else nullcontext(packed)
        with opening as plain:
            yield Opened(packed, decompressing(codec, plain))


def hash_of(files: Files, name: str) -> str:
    """Return the SHA-256 of a file as it is on the disk, in hexadecimal."""
    with files.reading(name) as file:
        file.from_disk()
        packed = HashingReader(file)
        packed.drain()
        return packed.digest().hex()


def things(tar: Readable, sink: Sink, *, take: Piece | None = None) -> Iterator[Thing]:
    """Yield each member, read to its end; ``take`` gets the pieces of all. ``DamageError``.

    A tar does not say what a further name is a name of; it is what the first name is.
    """
    others: dict[bytes, Entry] = {}  # that are no files, and no folders, which have one name
    for member in read_tar(tar):
        entry = without_object_attributes(member.entry)
        sha256 = hashed(member, take)
        if entry.link and entry.link in others:
            first = others[entry.link]
            entry = msgspec.structs.replace(first, path=entry.path, link=entry.link)
        elif entry.kind not in _ONE_NAME:
            others[entry.path] = entry
        yield Thing(entry, sha256)
        sink(Advanced(1, entry.size, entry.path))


def hashed(member: Member, take: Piece | None = None) -> bytes:
    """Read all of a member; the SHA-256 of its file, holes as zeros. ``take`` gets the pieces."""
    entry = member.entry
    if entry.kind != EntryKind.FILE or (entry.link and entry.link != entry.path):
        return b""
    if not entry.size:
        return _EMPTY
    found = FileHash()
    for offset, piece in member.pieces():
        found.add(offset, piece)
        if take is not None:
            take(offset, piece)
    return found.digest(entry.size)
