"""A second reader of repositories, written from ``docs/format.md`` without the program's code.

It stops with an AssertionError at the first byte that is not as the document says. Section numbers
are those of the document.
"""

from __future__ import annotations

import hashlib
import hmac
import struct
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import zstandard
from blake3 import blake3
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hpke
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from tests.support.msgpack_reader import read

KINDS = {
    "config": 1, "slots": 2, "writers": 3, "sessions": 4, "heartbeat": 5, "commits": 6,
    "orders": 7, "tombs": 8, "waits": 9, "kills": 10, "done": 11, "agent": 14,
}  # fmt: skip
SUITE = hpke.Suite(hpke.KEM.X25519, hpke.KDF.HKDF_SHA256, hpke.AEAD.AES_256_GCM)


def label(text: str, *parts: bytes) -> bytes:
    """Section 1."""
    return f"strongroom/0/{text}".encode() + b"".join(struct.pack(">I", len(p)) + p for p in parts)


def expand(key: bytes, info: bytes, length: int = 32) -> bytes:
    """HKDF-Expand with SHA-256 (RFC 5869)."""
    okm = block = b""
    while len(okm) < length:
        block = hmac.digest(key, block + info + bytes([len(okm) // 32 + 1]), "sha256")
        okm += block
    return okm[:length]


def derive(key: bytes, text: str, *parts: bytes, length: int = 32) -> bytes:
    """Section 1."""
    return expand(key, label(text, *parts), length)


def padded(length: int) -> int:
    """Section 1: PADME."""
    exponent = length.bit_length() - 1
    if exponent < 1:
        return length
    step = 1 << max(exponent - exponent.bit_length(), 0)
    return -(-length // step) * step


def opened(key: bytes, nonce: bytes, sealed: bytes, associated: bytes = b"") -> bytes:
    """AES-256-GCM."""
    return AESGCM(key).decrypt(nonce, sealed, associated)


def unpadded(plain: bytes) -> bytes:
    """A record behind its length and before zeros."""
    (length,) = struct.unpack_from(">I", plain)
    assert not any(plain[4 + length :]), "padding"
    return plain[4 : 4 + length]


def sha256(data: bytes) -> bytes:
    """SHA-256."""
    return hashlib.sha256(data).digest()


@dataclass
class Frame:
    """One frame of a pack: its kind and chunks by id."""

    kind: int
    chunks: dict[bytes, bytes]


class Decoder:
    """Reads the objects of one repository with the key of a key-file slot."""

    def __init__(self, objects: Mapping[str, bytes], key: bytes) -> None:
        self.objects = objects
        config = objects["config"]
        self.version = config[4:6]  # that of every object
        self.repository = config[8:24]
        (length,) = struct.unpack_from(">I", config, 24)
        core_bytes, self.slots = read(config[28 : 28 + length])
        self.core = read(core_bytes)
        self.admin_key = self.core[3]
        self.digest = sha256(label("config", self.repository, core_bytes))
        assert self.envelope("config", self.admin_key) == [core_bytes, self.slots]
        for slot_id, digest in self.slots:
            assert sha256(objects[f"slots/{slot_id.hex()}"]) == digest
        bundles = [self._bundle(slot_id, key) for slot_id, _ in self.slots]
        (self.bundle,) = [bundle for bundle in bundles if bundle is not None]
        assert self.bundle[:3] == [self.repository, self.admin_key, self.digest]
        self.writers = {
            key: self.envelope(key, self.admin_key) for key in objects if key.startswith("writers/")
        }

    def envelope(self, key: str, *signers: bytes) -> Any:  # noqa: ANN401 - whatever it holds
        """Section 3: the body of an object that one of ``signers`` signed."""
        data = self.objects[key]
        parts = key.split("/")
        name = parts[2] if parts[0] == "gc" else parts[0]
        kind = KINDS["heartbeat" if name == "sessions" and "." in key else name]
        assert data[:8] == b"SRMO" + self.version + bytes([kind, 0])
        assert data[8:24] == self.repository
        (length,) = struct.unpack_from(">I", data, 24)
        assert len(data) == padded(28 + length + 64)
        assert not any(data[28 + length : -64])
        message = label("object", key.encode()) + data[:-64]
        assert any(_verifies(signer, data[-64:], message) for signer in signers), key
        return read(data[28 : 28 + length])

    def _bundle(self, slot_id: bytes, kek: bytes) -> Any:  # noqa: ANN401 - a record or None
        """Section 4: what a slot gives to the holder of a 32-byte key; None if it is not its."""
        key = f"slots/{slot_id.hex()}"
        kind, role, parameters, salt, commitment, public, wrapped, bundle = self.envelope(
            key, self.admin_key
        )
        if kind == 1:
            return None
        assert parameters == []
        info = label("slot", self.repository, slot_id, bytes([kind]), bytes([role]), b"\x90")
        okm = expand(hmac.digest(salt, kek, "sha256"), info, 64)
        if okm[32:] != commitment:
            return None
        owner = label("slot owner", self.repository, slot_id, self.admin_key, self.digest)
        private = X25519PrivateKey.from_private_bytes(opened(okm[:32], bytes(12), wrapped, owner))
        assert private.public_key().public_bytes_raw() == public
        return read(SUITE.decrypt(bundle, private, info=label("bundle", self.repository, slot_id)))

    def domain_secret(self, domain: bytes) -> bytes:
        """Section 2: D."""
        return derive(self.bundle[4], "domain", self.repository, domain)

    def session_secret(self, domain: bytes, epoch: int, sealed: bytes) -> bytes:
        """Section 2: P, from the sealed session key."""
        secrets = dict(self.bundle[3])
        private = X25519PrivateKey.from_private_bytes(secrets[epoch])
        info = label("session", self.repository, domain, struct.pack(">I", epoch))
        seed = SUITE.decrypt(sealed, private, info=info)
        return hmac.digest(self.domain_secret(domain), seed, "sha256")

    def counting_slots(self) -> dict[bytes, bytes]:
        """Sections 4 and 10: the digest of each slot that counts, by its id."""
        found = dict(self.slots)
        removed: dict[int, bytes] = {}
        for key in self.objects:
            if not key.startswith("orders/"):
                continue
            kind, _time, _heads, payload, sealed = self.envelope(key, self.admin_key)
            assert sealed == b""
            slot_id, what = read(payload)
            if kind == 6:
                found[slot_id] = what
                continue
            assert kind == 7
            name = label("slot removal", self.repository, struct.pack(">I", what))
            assert key == f"orders/{sha256(name)[:16].hex()}"
            removed[what] = slot_id
        assert sorted(removed) == list(range(1, len(removed) + 1)), "a removal is missing"
        return {slot: digest for slot, digest in found.items() if slot not in removed.values()}

    def pack(self, key: str) -> list[Frame]:
        """Section 6: every frame of a pack, each chunk compared with its id."""
        data = self.objects[key]
        name = sha256(data).hex()
        assert key == f"packs/{name[:2]}/{name}"
        assert len(data) == padded(len(data))
        assert data[:8] == b"SRMP" + self.version + b"\1\0"
        assert data[8:24] == self.repository
        domain, (epoch,) = data[24:40], struct.unpack_from(">I", data, 40)
        secret = self.session_secret(domain, epoch, data[44:124])
        okm = derive(secret, "pack", data[:44], data[124:156], length=64)
        assert okm[32:] == data[156:188]
        trailer = opened(okm[:32], _nonce(3, len(data) - 24), data[-24:])
        place, length = struct.unpack(">II", trailer)
        assert place + length == len(data) - 24
        footer = unpadded(opened(okm[:32], _nonce(2, place), data[place:-24]))
        frames, ids, lengths = read(footer)
        found, chunk, end = [], 0, 188
        for offset, sealed, count, kind in struct.iter_unpack(">IIIB", frames):
            assert offset == end
            end = offset + sealed
            plain = opened(okm[:32], _nonce(1, offset), data[offset:end], bytes([kind]))
            found.append(Frame(kind, {}))
            rest = _payload(plain)
            use = "chunk ids data" if kind == 1 else "chunk ids tree"
            id_key = derive(self.domain_secret(domain), use)
            for number in range(chunk, chunk + count):
                (size,) = struct.unpack_from(">I", lengths, 4 * number)
                chunk_id = ids[32 * number : 32 * number + 32]
                assert blake3(rest[:size], key=id_key).digest() == chunk_id
                found[-1].chunks[chunk_id], rest = rest[:size], rest[size:]
            assert not rest
            chunk += count
        assert end == place
        assert (len(ids), len(lengths)) == (32 * chunk, 4 * chunk)
        return found

    def segment(self, key: str) -> Any:  # noqa: ANN401 - the body
        """Section 7: [packs, supersedes, signature]."""
        data = self.objects[key]
        assert key == f"index/{sha256(data).hex()}"
        assert len(data) == padded(len(data))
        assert data[:8] == b"SRMI" + self.version + b"\1\0"
        assert data[8:24] == self.repository
        index_key = derive(self.domain_secret(data[24:40]), "index")
        okm = derive(index_key, "segment", data[:40], data[40:72], length=64)
        assert okm[32:] == data[72:104]
        return read(unpadded(opened(okm[:32], bytes(12), data[104:])))

    def snapshot(self, key: str) -> tuple[Any, Any]:
        """Section 5: the body of a COMMIT and the record it seals."""
        writer = self.writers[f"writers/{key.split('/')[1]}"]
        body = self.envelope(key, writer[1])
        assert body[0] == 1
        sealed_key, salt, commitment, sealed = body[8:12]
        secret = self.session_secret(body[3], body[4], sealed_key)
        okm = derive(secret, "commit", self.repository, key.encode(), salt, length=64)
        assert okm[32:] == commitment
        plain = opened(okm[:32], bytes(12), sealed)
        assert len(plain) == padded(len(plain))
        return body, read(unpadded(plain))


def _verifies(signer: bytes, signature: bytes, message: bytes) -> bool:
    try:
        Ed25519PublicKey.from_public_bytes(signer).verify(signature, message)
    except InvalidSignature:
        return False
    return True


def _nonce(what: int, offset: int) -> bytes:
    return bytes([what, 0, 0, 0]) + struct.pack(">Q", offset)


def _payload(plain: bytes) -> bytes:
    codec, length = struct.unpack_from(">BI", plain)
    payload = plain[5:]
    if codec == 1:
        assert zstandard.frame_content_size(payload) == length
        payload = zstandard.ZstdDecompressor().decompress(payload)
    assert len(payload) == length
    return payload


def entries(chunks: Mapping[bytes, bytes], root: bytes, levels: int) -> list[Any]:
    """Section 8: all entries of a tree in their order."""
    level, elements = read(chunks[root])
    assert level == levels - 1
    if level == 0:
        return list(elements)
    found = []
    for path, chunk_id, count in elements:
        below = entries(chunks, chunk_id, level)
        assert (below[0][0], len(below)) == (path, count)
        found += below
    return found


def extents(chunks: Mapping[bytes, bytes], content: bytes, depth: int) -> list[tuple[bytes, int]]:
    """Section 8: what a file contains, as chunk ids and lengths."""
    found = [
        (content[i : i + 32], int.from_bytes(content[i + 32 : i + 40]))
        for i in range(0, len(content), 40)
    ]
    if depth == 0:
        return found
    return [one for chunk_id, _ in found for one in extents(chunks, chunks[chunk_id], depth - 1)]


def is_cut(level: int, path: bytes) -> bool:
    """Section 8: whether a list of a tree may be cut after this path."""
    if level == 0:
        return zlib.crc32(path) % 512 == 0
    return int.from_bytes(sha256(bytes([level]) + path)[:2]) % 512 == 0
