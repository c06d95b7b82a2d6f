"""Index segments: which chunk lies where (``docs/format.md`` 7)."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import Final

from strongroom.crypto.primitives import (
    KEY_SIZE,
    TAG_SIZE,
    Cipher,
    OpenError,
    check_signature,
    derive,
    label,
    same,
    sha256,
)
from strongroom.errors import DamageError
from strongroom.repository.canonical import FormatError, encode, pad, unpad
from strongroom.repository.envelope import Signer, check_version
from strongroom.repository.keyring import DomainKeys
from strongroom.repository.layout import HASH_SIZE
from strongroom.repository.records import SUITE, IndexBody, IndexedPack, read_body

MAGIC: Final = b"SRMI"
MAX_SEGMENT: Final = 256 << 20
_FIXED: Final = struct.Struct(">4sHBB16s16s")
DOMAIN_WITHIN: Final = _FIXED.size
_HEADER: Final = struct.Struct(f">{_FIXED.size}s32s32s")
_NONCE: Final = bytes(12)


def _segment_key(domain: DomainKeys, fixed: bytes, salt: bytes) -> tuple[bytes, bytes]:
    okm = derive(domain.index_key, "segment", fixed, salt, length=2 * KEY_SIZE)
    return okm[:KEY_SIZE], okm[KEY_SIZE:]


def seal_segment(
    packs: Sequence[IndexedPack],
    domain: DomainKeys,
    salt: bytes,
    supersedes: bytes = b"",
    signer: Signer | None = None,
) -> bytes:
    """Return the bytes of a segment that lists ``packs``.

    ``supersedes``: ids of the segments that it replaces, one after the other; then ``signer`` is
    admin's.
    """
    fixed = _FIXED.pack(MAGIC, domain.version, SUITE, 0, domain.repository_id, domain.domain_id)
    key, commitment = _segment_key(domain, fixed, salt)
    header = _HEADER.pack(fixed, salt, commitment)
    signature = b""
    if signer is not None:
        signature = signer(_superseding(domain, packs, supersedes))
    body = encode(IndexBody(tuple(packs), supersedes, signature))
    return header + Cipher(key).seal(_NONCE, pad(body, around=_HEADER.size + TAG_SIZE))


def segment_domain(where: str, data: bytes, repository_id: bytes) -> bytes:
    """Check the clear part of a segment and return its domain id; ``DamageError``."""
    if not _HEADER.size + TAG_SIZE < len(data) <= MAX_SEGMENT:
        msg = f"{where} is damaged: {len(data)} bytes are no length of an index segment"
        raise DamageError(msg)
    magic, version, suite, flags, owner, domain = _FIXED.unpack_from(data)
    if magic != MAGIC:
        msg = f"{where} is damaged: it does not begin as an index segment does"
        raise DamageError(msg)
    check_version(version, where)
    if suite != SUITE or flags or owner != repository_id:
        msg = f"{where} is damaged or belongs to another repository"
        raise DamageError(msg)
    return bytes(domain)


def stated_domain(data: bytes) -> bytes:
    """Return the domain id in the first ``DOMAIN_WITHIN`` bytes of a segment, nothing checked."""
    return bytes(_FIXED.unpack_from(data)[-1])


def open_segment(
    where: str, name: bytes, data: bytes, domain: DomainKeys, admin_key: bytes
) -> IndexBody:
    """Read a segment of ``domain`` whose key names it ``name``; ``DamageError``."""
    if sha256(data) != name:
        msg = f"{where} is damaged: its bytes are not those its name says"
        raise DamageError(msg)
    fixed, salt, commitment = _HEADER.unpack_from(data)
    key, expected = _segment_key(domain, fixed, salt)
    if not same(expected, commitment):
        msg = f"{where} is damaged: its header does not verify"
        raise DamageError(msg)
    try:
        plain = unpad(Cipher(key).unseal(_NONCE, memoryview(data)[_HEADER.size :]))
    except (OpenError, FormatError) as error:
        msg = f"{where} is damaged: it does not open"
        raise DamageError(msg) from error
    body = read_body(where, plain, IndexBody)
    _check_superseding(where, body, domain, admin_key)
    if any(len(pack.pack_id) != HASH_SIZE for pack in body.packs):
        msg = f"{where} is damaged: it lists something that is no pack"
        raise DamageError(msg)
    return body


def _superseding(domain: DomainKeys, packs: Sequence[IndexedPack], supersedes: bytes) -> bytes:
    what = encode([tuple(packs), supersedes])
    return label("supersedes", domain.repository_id, domain.domain_id, what)


def _check_superseding(where: str, body: IndexBody, domain: DomainKeys, admin_key: bytes) -> None:
    if not body.supersedes and not body.signature:
        return
    if len(body.supersedes) % HASH_SIZE:
        msg = f"{where} is damaged: what it replaces is no list of ids"
        raise DamageError(msg)
    signed = _superseding(domain, body.packs, body.supersedes)
    try:
        check_signature(admin_key, body.signature, signed)
    except OpenError as error:
        msg = f"{where} is damaged: it replaces other segments without the signature of admin"
        raise DamageError(msg) from error
