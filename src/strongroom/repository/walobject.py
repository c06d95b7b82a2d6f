"""One WAL file as a sealed object (``docs/format.md`` 17).

Whoever holds the domain's secret can tell from the header whether two files are the same; only a
reader opens the frames.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Final, NamedTuple, NoReturn

from strongroom.compression.codec import CodecError, Compressor, Decompressor
from strongroom.crypto.primitives import (
    SIGNATURE_SIZE,
    TAG_SIZE,
    Cipher,
    OpenError,
    check_signature,
    label,
    same,
    sha256,
)
from strongroom.errors import DamageError
from strongroom.repository import layout
from strongroom.repository.canonical import padme
from strongroom.repository.commits import WriterDirectory
from strongroom.repository.envelope import ForeignObjectError, check_version
from strongroom.repository.keyring import (
    SEALED_SESSION_KEY_SIZE,
    DomainKeys,
    Keys,
    SessionKeys,
    WriterKeys,
)
from strongroom.repository.records import SUITE

MAGIC: Final = b"SRMW"
FRAME_SIZE: Final = 1 << 20
MAX_FILE: Final = 1 << 30
MAX_TEXT: Final = 1 << 20
_FIXED: Final = struct.Struct(">4sHBB16s16sI")
_HEADER: Final = struct.Struct(f">{_FIXED.size}s{SEALED_SESSION_KEY_SIZE}s32s32sQ32sQ")
HEADER_SIZE: Final = _HEADER.size
_TAIL: Final = layout.ID_SIZE + SIGNATURE_SIZE
_PREFIX: Final = struct.Struct(">BI")
_NONCE: Final = struct.Struct(">B3xQ")
_FRAME, _LIST = 1, 2
_KIND: Final = b"\x03"
_LENGTH: Final = 4
MAX_OBJECT: Final = padme(MAX_FILE + MAX_FILE // FRAME_SIZE * 64 + 4096)


class WalFile(NamedTuple):
    """A file to be stored: where, its bytes, and its position."""

    key: str
    content: bytes | memoryview
    lsn: int


class WalHeader(NamedTuple):
    """What the beginning of an object says; ``digest`` is keyed by its domain and cluster."""

    length: int
    digest: bytes
    lsn: int
    domain_id: bytes


class _Parts(NamedTuple):
    fixed: bytes
    sealed_key: bytes
    salt: bytes
    commitment: bytes
    length: int
    digest: bytes
    lsn: int


def frames_of(length: int) -> int:
    """Return how many frames a file of so many bytes has."""
    return -(-length // FRAME_SIZE)


def seal_wal(
    file: WalFile, digest: bytes, keys: SessionKeys, writer: WriterKeys, salt: bytes
) -> bytearray:
    """Return the object, proven to open to the same bytes.

    ``digest``: the keyed hash of the content, computed by itself. ``DamageError`` if this machine
    does not read back what it wrote.
    """
    domain = keys.domain
    fixed = _FIXED.pack(
        MAGIC, domain.version, SUITE, 0, domain.repository_id, domain.domain_id, keys.epoch
    )
    key, commitment = keys.secret.wal_key(fixed, file.key, salt)
    frames = _compressed(file.content)
    listed = b"".join((len(frame) + TAG_SIZE).to_bytes(_LENGTH) for frame in frames)
    begin = HEADER_SIZE + len(listed) + TAG_SIZE
    used = begin + sum(len(frame) + TAG_SIZE for frame in frames) + _TAIL
    data = bytearray(padme(used))
    _HEADER.pack_into(
        data, 0, fixed, keys.sealed, salt, commitment, len(file.content), digest, file.lsn
    )
    cipher, view, place = Cipher(key), memoryview(data), begin
    cipher.seal_into(_NONCE.pack(_LIST, HEADER_SIZE), listed, b"", view[HEADER_SIZE:begin])
    for frame in frames:
        end = place + len(frame) + TAG_SIZE
        cipher.seal_into(_NONCE.pack(_FRAME, place), frame, _KIND, view[place:end])
        place = end
    end = len(data) - SIGNATURE_SIZE
    data[end - layout.ID_SIZE : end] = writer.id
    data[end:] = writer.sign(_message(file.key, view[:end]))
    _prove(file, view, key)
    return data


def _prove(file: WalFile, view: memoryview, cipher_key: bytes) -> None:
    """``DamageError`` unless a new object opens to the bytes of the file."""
    content, place = memoryview(file.content), 0
    for plain in _frames(file.key, view, _Parts(*_HEADER.unpack_from(view)), cipher_key):
        if plain != content[place : place + len(plain)]:
            _broken_machine()
        place += len(plain)
    if place != len(content):
        _broken_machine()


def _compressed(content: bytes | memoryview) -> list[bytes]:
    compressor, view = Compressor(), memoryview(content)
    frames = []
    for place in range(0, len(view), FRAME_SIZE):
        plain = view[place : place + FRAME_SIZE]
        codec, payload = compressor.compress(plain)
        frames.append(b"".join((_PREFIX.pack(codec, len(plain)), payload)))
    return frames


def read_header(key: str, begin: bytes | memoryview, size: int, repository_id: bytes) -> WalHeader:
    """Return what the object at ``key``, of ``size`` bytes, says of itself; ``DamageError``.

    ``begin``: at least its first ``HEADER_SIZE`` bytes. That it is signed is for ``check_wal``.
    """
    ids = layout.wal_ids(key)
    if ids is None:
        msg = f"{key} is no name of a WAL file"
        raise DamageError(msg)
    if not HEADER_SIZE + TAG_SIZE + _TAIL <= size <= MAX_OBJECT or len(begin) < HEADER_SIZE:
        msg = f"{key} is damaged: {size} bytes are no length of a WAL object"
        raise DamageError(msg)
    parts = _Parts(*_HEADER.unpack_from(begin))
    magic, version, suite, flags, owner, domain, _epoch = _FIXED.unpack(parts.fixed)
    if magic != MAGIC:
        msg = f"{key} is damaged: it does not begin as a WAL object does"
        raise DamageError(msg)
    check_version(version, key)
    if owner != repository_id:
        msg = f"{key} belongs to another repository"
        raise ForeignObjectError(msg)
    is_text = ids[2].endswith((".history", ".backup"))
    if suite != SUITE or flags or domain != ids[0]:
        msg = f"{key} is damaged: its header does not fit its name"
        raise DamageError(msg)
    if parts.length > (MAX_TEXT if is_text else MAX_FILE):
        msg = f"{key} is damaged: it claims a file of {parts.length} bytes"
        raise DamageError(msg)
    return WalHeader(parts.length, parts.digest, parts.lsn, domain)


def check_wal(key: str, data: bytes, repository_id: bytes, writers: WriterDirectory) -> WalHeader:
    """Return what a whole object says, if a writer of its domain signed it; ``DamageError``."""
    header = read_header(key, data, len(data), repository_id)
    writer = writers.writer(data[-_TAIL:-SIGNATURE_SIZE])
    if writer.domain_id != header.domain_id:
        msg = f"{key} is damaged: its writer has another domain"
        raise DamageError(msg)
    view = memoryview(data)
    end = len(view) - SIGNATURE_SIZE
    try:
        check_signature(writer.public_key, bytes(view[end:]), _message(key, view[:end]))
    except OpenError as error:
        msg = f"{key} is damaged: its signature does not verify"
        raise DamageError(msg) from error
    return header


def open_wal(key: str, data: bytes, keys: Keys, writers: WriterDirectory) -> bytearray:
    """Return the file in an object, compared with its hash; ``DamageError``."""
    keys.require_reader()
    header = check_wal(key, data, keys.repository_id, writers)
    parts = _Parts(*_HEADER.unpack_from(data))
    epoch = _FIXED.unpack(parts.fixed)[6]
    secret = keys.session_secret(header.domain_id, epoch, parts.sealed_key, key)
    cipher_key, commitment = secret.wal_key(parts.fixed, key, parts.salt)
    if not same(commitment, parts.commitment):
        msg = f"{key} is damaged: its header does not verify"
        raise DamageError(msg)
    content, place = bytearray(parts.length), 0
    for plain in _frames(key, memoryview(data), parts, cipher_key):
        content[place : place + len(plain)] = plain
        place += len(plain)
    if wal_digest(keys.domain(header.domain_id), key, content) != parts.digest:
        msg = f"{key} is damaged: its bytes are not those its header says"
        raise DamageError(msg)
    return content


def wal_digest(domain: DomainKeys, key: str, content: bytes | bytearray | memoryview) -> bytes:
    """Return the keyed hash that the header of the object at ``key`` has of its file."""
    ids = layout.wal_ids(key)
    if ids is None:
        raise ValueError(key)
    return domain.wal_hasher(ids[1])(content)


def _frames(key: str, view: memoryview, parts: _Parts, cipher_key: bytes) -> Iterator[memoryview]:
    """Yield the bytes of the file, frame by frame; at last look at the end; ``DamageError``."""
    count = frames_of(parts.length)
    place = HEADER_SIZE + _LENGTH * count + TAG_SIZE
    end = len(view) - _TAIL
    cipher, decompressor = Cipher(cipher_key), Decompressor()
    try:
        listed = cipher.unseal(_NONCE.pack(_LIST, HEADER_SIZE), view[HEADER_SIZE:place])
        for number in range(count):
            length = int.from_bytes(listed[_LENGTH * number : _LENGTH * (number + 1)])
            wanted = min(FRAME_SIZE, parts.length - FRAME_SIZE * number)
            sealed = view[place : min(place + length, end)]
            plain = memoryview(cipher.unseal(_NONCE.pack(_FRAME, place), sealed, _KIND))
            codec, stated = _PREFIX.unpack_from(plain)
            if stated != wanted:
                msg = f"{key} is damaged: a frame has another length than its file says"
                raise DamageError(msg)
            yield memoryview(decompressor.decompress(codec, plain[_PREFIX.size :], wanted))
            place += length
    except (OpenError, CodecError, struct.error) as error:
        msg = f"{key} is damaged: a part of it does not open"
        raise DamageError(msg) from error
    if padme(place + _TAIL) != len(view) or bytes(view[place:end]).strip(b"\0"):
        msg = f"{key} is damaged: its padding does not fit"
        raise DamageError(msg)


def _message(key: str, signed: memoryview) -> bytes:
    return label("wal", key.encode()) + sha256(signed)


def _broken_machine() -> NoReturn:
    raise DamageError(
        "a new WAL object did not read back as it was written; nothing was stored",
        hint="Check the memory of this machine.",
    )
