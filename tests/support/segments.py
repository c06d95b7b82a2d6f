"""Index segments with any body, sealed as a holder of the domain secret can."""

from __future__ import annotations

import struct

from strongroom.crypto.primitives import Cipher, derive
from strongroom.repository.canonical import encode, pad
from strongroom.repository.keyring import DomainKeys
from strongroom.repository.records import IndexBody
from tests.support.noise import noise


def sealed_segment(body: IndexBody, domain: DomainKeys, salt: bytes = noise(32, "salt")) -> bytes:
    """Return the bytes of a segment of ``domain``."""
    fixed = b"SRMI\0\0\1\0" + domain.repository_id + domain.domain_id
    okm = derive(domain.index_key, "segment", fixed, salt, length=64)
    sealed = Cipher(okm[:32]).seal(bytes(12), pad(encode(body), around=104 + 16))
    return struct.pack(">40s32s32s", fixed, salt, okm[32:]) + sealed
