"""Index segments with any body, sealed as a holder of the domain secret can."""

from __future__ import annotations

import struct

from strongroom.crypto.primitives import Cipher, derive
from strongroom.repository import layout
from strongroom.repository.canonical import encode, pad
from strongroom.repository.keyring import DomainKeys
from strongroom.repository.records import IndexBody, IndexedPack
from strongroom.repository.segment import open_segment
from tests.support.kit import Kit
from tests.support.noise import noise
from tests.support.runs import segment_ids


def sealed_segment(body: IndexBody, domain: DomainKeys, salt: bytes = noise(32, "salt")) -> bytes:
    """Return the bytes of a segment of ``domain``."""
    fixed = b"SRMI\0\1\1\0" + domain.repository_id + domain.domain_id
    okm = derive(domain.index_key, "segment", fixed, salt, length=64)
    sealed = Cipher(okm[:32]).seal(bytes(12), pad(encode(body), around=104 + 16))
    return struct.pack(">40s32s32s", fixed, salt, okm[32:]) + sealed


def listed_pack(kit: Kit) -> IndexedPack:
    """Return what the first index segment lists of its first pack."""
    repository = kit.open()
    name = segment_ids(kit)[0]
    key = layout.index_segment(name)
    domain, admin_key = repository.keyring.own_domain, repository.config.core.admin_key
    return open_segment(key, name, kit.store.get(key), domain, admin_key).packs[0]
