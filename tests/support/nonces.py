"""Every (key, nonce) that a repository was sealed with, taken from what lies in the store.

Nothing of the program is observed: keys are derived again as the document says, and each sealed
part is told by its key and nonce.
"""

from __future__ import annotations

import struct
from collections import defaultdict
from collections.abc import Iterator
from typing import NamedTuple

from strongroom.model.store import StoreReading
from tests.support.decoder import Decoder, derive, opened, unpadded
from tests.support.msgpack_reader import read


class Sealed(NamedTuple):
    """One sealed part of one object."""

    key: bytes
    nonce: bytes
    ciphertext: bytes


def sealed_parts(store: StoreReading, secret: bytes) -> list[Sealed]:
    """Return every part of packs, index segments and commits that was sealed under a key."""
    objects = {info.key: store.get(info.key) for info in store.list("")}
    decoder = Decoder(objects, secret)
    found: list[Sealed] = []
    for key, data in objects.items():
        if key.startswith("packs/"):
            found += _pack(decoder, data)
        elif key.startswith("index/"):
            index_key = derive(decoder.domain_secret(data[24:40]), "index")
            okm = derive(index_key, "segment", data[:40], data[40:72], length=64)
            found.append(Sealed(okm[:32], bytes(12), data[104:]))
        elif key.startswith("commits/"):
            found += _commit(decoder, key)
    return found


def _pack(decoder: Decoder, data: bytes) -> Iterator[Sealed]:
    (epoch,) = struct.unpack_from(">I", data, 40)
    secret = decoder.session_secret(data[24:40], epoch, data[44:124])
    key = derive(secret, "pack", data[:44], data[124:156], length=64)[:32]
    end = len(data) - 24
    trailer = _nonce(3, end)
    place, length = struct.unpack(">II", opened(key, trailer, data[end:]))
    yield Sealed(key, trailer, data[end:])
    footer = data[place : place + length]
    yield Sealed(key, _nonce(2, place), footer)
    frames, _ids, _lengths = read(unpadded(opened(key, _nonce(2, place), footer)))
    for offset, sealed, _count, _kind in struct.iter_unpack(">IIIB", frames):
        yield Sealed(key, _nonce(1, offset), data[offset : offset + sealed])


def _commit(decoder: Decoder, key: str) -> Iterator[Sealed]:
    writer = decoder.writers[f"writers/{key.split('/')[1]}"]
    body = decoder.envelope(key, writer[1], decoder.admin_key)
    if body[0] == 1:
        secret = decoder.session_secret(body[3], body[4], body[8])
        okm = derive(secret, "commit", decoder.repository, key.encode(), body[9], length=64)
        yield Sealed(okm[:32], bytes(12), body[11])


def _nonce(what: int, offset: int) -> bytes:
    return bytes([what, 0, 0, 0]) + struct.pack(">Q", offset)


def repeated(parts: list[Sealed]) -> list[tuple[bytes, bytes]]:
    """Return each (key, nonce) that seals two different things."""
    by_nonce: dict[tuple[bytes, bytes], set[bytes]] = defaultdict(set)
    for part in parts:
        by_nonce[part.key, part.nonce].add(part.ciphertext)
    return [pair for pair, ciphertexts in by_nonce.items() if len(ciphertexts) > 1]
