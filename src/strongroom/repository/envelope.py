"""The envelope: every object but packs, index segments and WAL (``docs/format.md`` 3)."""

from __future__ import annotations

import enum
import struct
from collections.abc import Callable
from typing import Final, NamedTuple

from strongroom.crypto.primitives import SIGNATURE_SIZE, OpenError, check_signature, label
from strongroom.errors import DamageError, NoRepositoryError
from strongroom.repository.canonical import padme

MAGIC: Final = b"SRMO"
VERSION: Final = 1
"""The format version of a new repository; an older one keeps its own."""
READABLE: Final = frozenset({0, 1})
MAX_BODY: Final = 64 << 20
MAX_SMALL_BODY: Final = 64 << 10
_HEADER: Final = struct.Struct(">4sHBB16sI")


class ForeignObjectError(DamageError):
    """An object of another repository."""


class Kind(enum.IntEnum):
    """What an envelope holds."""

    CONFIG = 1
    SLOT = 2
    WRITER = 3
    SESSION = 4
    HEARTBEAT = 5
    COMMIT = 6
    ORDER = 7
    TOMBS = 8
    WAITS = 9
    KILLS = 10
    DONE = 11
    LEDGER = 12
    UNIT = 13
    AGENT = 14
    WAL_SOURCE = 15
    WAL_GAP = 16


MAX_OBJECT: Final = padme(_HEADER.size + MAX_BODY + SIGNATURE_SIZE)
_SMALL: Final = frozenset({Kind.CONFIG, Kind.SLOT, Kind.AGENT})

Signer = Callable[[bytes], bytes]


class Envelope(NamedTuple):
    """An envelope as read; the signature is not checked yet."""

    version: int
    key: str
    repository_id: bytes
    body: bytes
    signed: bytes
    signature: bytes

    def check(self, public_key: bytes) -> None:
        """``DamageError`` unless ``public_key`` signed this object for its key."""
        try:
            check_signature(public_key, self.signature, _message(self.key, self.signed))
        except OpenError as error:
            msg = f"{self.key} is damaged: its signature does not verify"
            raise DamageError(msg) from error


def _message(key: str, signed: bytes) -> bytes:
    return label("object", key.encode()) + signed


def wrap(
    kind: Kind,
    repository_id: bytes,
    key: str,
    body: bytes,
    signer: Signer,
    *,
    version: int = VERSION,
) -> bytes:
    """Return the bytes of an object to be put at ``key``; ``version`` is that of its repository."""
    used = _HEADER.size + len(body) + SIGNATURE_SIZE
    header = _HEADER.pack(MAGIC, version, kind, 0, repository_id, len(body))
    signed = header + body + bytes(padme(used) - used)
    return signed + signer(_message(key, signed))


def check_version(version: int, where: str) -> None:
    """``DamageError`` unless an object has a format version that a repository can have here.

    That it is the one of its repository is said by what seals or signs it.
    """
    if version not in READABLE:
        msg = f"{where} is damaged: it has format version {version}, which its repository has not"
        raise DamageError(msg)


def unwrap(data: bytes, kind: Kind, key: str, repository_id: bytes | None = None) -> Envelope:
    """Read an envelope found at ``key``.

    ``DamageError`` if its bytes are not one of this kind and repository, ``NoRepositoryError`` if
    it is a config of another format version. The signature stays to be checked.
    """
    if len(data) < _HEADER.size + SIGNATURE_SIZE:
        msg = f"{key} is damaged: {len(data)} bytes are too short for an object"
        raise DamageError(msg)
    magic, version, found, flags, owner, length = _HEADER.unpack_from(data)
    if magic != MAGIC:
        msg = f"{key} is damaged: it does not begin as an object does"
        raise DamageError(msg)
    if version not in READABLE and kind is Kind.CONFIG:
        raise NoRepositoryError(
            f"{key} has format version {version}; this strongroom reads versions 0 to {VERSION}",
            hint="Use a strongroom release that supports this format version.",
        )
    check_version(version, key)
    if flags or found != kind:
        msg = f"{key} is damaged: it is of kind {found} with flags {flags}, kind {kind} expected"
        raise DamageError(msg)
    used = _HEADER.size + length + SIGNATURE_SIZE
    limit = MAX_SMALL_BODY if kind in _SMALL else MAX_BODY
    if length > limit or padme(used) != len(data):
        msg = f"{key} is damaged: its length does not fit"
        raise DamageError(msg)
    if repository_id is not None and owner != repository_id:
        msg = f"{key} belongs to another repository"
        raise ForeignObjectError(msg)
    signed = data[:-SIGNATURE_SIZE]
    body = data[_HEADER.size : _HEADER.size + length]
    if signed[_HEADER.size + length :].strip(b"\0"):
        msg = f"{key} is damaged: its padding is not empty"
        raise DamageError(msg)
    return Envelope(version, key, owner, body, signed, data[-SIGNATURE_SIZE:])
