"""Suite 1 of the format: key derivation, sealing, signing, hashing (``docs/format.md`` 1).

Thin functions over ``cryptography`` and ``blake3``. Everything that fails to open raises
``OpenError``; its callers know which object that was and turn it into damage or a refused key.
"""

from __future__ import annotations

import hashlib
import hmac
import struct
from collections.abc import Callable
from typing import Final

from blake3 import blake3
from cryptography.exceptions import InvalidSignature, InvalidTag
from cryptography.hazmat.primitives import hashes, hpke
from cryptography.hazmat.primitives.asymmetric.ed25519 import (
    Ed25519PrivateKey,
    Ed25519PublicKey,
)
from cryptography.hazmat.primitives.asymmetric.x25519 import (
    X25519PrivateKey,
    X25519PublicKey,
)
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id
from cryptography.hazmat.primitives.kdf.hkdf import HKDF, HKDFExpand

KEY_SIZE: Final = 32
TAG_SIZE: Final = 16
SIGNATURE_SIZE: Final = 64
HPKE_OVERHEAD: Final = 48

_SHA256: Final = hashes.SHA256()
_HPKE: Final = hpke.Suite(hpke.KEM.X25519, hpke.KDF.HKDF_SHA256, hpke.AEAD.AES_256_GCM)
_LENGTH: Final = struct.Struct(">I")


class OpenError(Exception):
    """Sealed bytes do not open, or a signature does not verify."""


def label(name: str, *parts: bytes) -> bytes:
    """Return the unambiguous context string of ``docs/format.md`` 1."""
    pieces = [b"strongroom/0/", name.encode()]
    for part in parts:
        pieces += (_LENGTH.pack(len(part)), part)
    return b"".join(pieces)


def derive(secret: bytes, name: str, *parts: bytes, length: int = KEY_SIZE) -> bytes:
    """HKDF-Expand of a uniformly random secret."""
    return HKDFExpand(_SHA256, length, label(name, *parts)).derive(secret)


def extract(salt: bytes, material: bytes) -> bytes:
    """HKDF-Extract: one 32-byte secret out of two."""
    return hmac.digest(salt, material, "sha256")


def extract_and_derive(material: bytes, salt: bytes, info: bytes, length: int) -> bytes:
    """HKDF: ``length`` bytes out of ``material``."""
    return HKDF(_SHA256, length, salt, info).derive(material)


def same(left: bytes, right: bytes) -> bool:
    """Compare in constant time."""
    return hmac.compare_digest(left, right)


def sha256(data: bytes | bytearray | memoryview) -> bytes:
    """SHA-256, 32 bytes."""
    return hashlib.sha256(data).digest()


def chunk_hasher(id_key: bytes) -> Callable[[bytes | bytearray | memoryview], bytes]:
    """Return the function from a chunk to its id: BLAKE3 keyed with ``id_key``."""

    def chunk_id(data: bytes | bytearray | memoryview) -> bytes:
        return blake3(data, key=id_key).digest()

    return chunk_id


class Cipher:
    """AES-256-GCM under one key, for objects that seal many parts; each nonce is used once."""

    __slots__ = ("_aead",)

    def __init__(self, key: bytes) -> None:
        self._aead = AESGCM(key)

    def seal(self, nonce: bytes, plain: bytes, associated: bytes = b"") -> bytes:
        """Return ciphertext and tag."""
        return self._aead.encrypt(nonce, plain, associated)

    def seal_into(
        self, nonce: bytes, plain: bytes | memoryview, associated: bytes, place: memoryview
    ) -> None:
        """As ``seal``, into ``place``, which is ``TAG_SIZE`` bytes longer than ``plain``."""
        self._aead.encrypt_into(nonce, plain, associated, place)

    def unseal_into(
        self, nonce: bytes, sealed: memoryview, associated: bytes, place: memoryview
    ) -> None:
        """As ``unseal``, into ``place``, which is ``TAG_SIZE`` bytes shorter than ``sealed``."""
        try:
            self._aead.decrypt_into(nonce, sealed, associated, place)
        except (InvalidTag, ValueError) as error:
            msg = "sealed bytes do not open"
            raise OpenError(msg) from error

    def unseal(self, nonce: bytes, sealed: bytes | memoryview, associated: bytes = b"") -> bytes:
        """Inverse of ``seal``; ``OpenError``."""
        try:
            return self._aead.decrypt(nonce, sealed, associated)
        except (InvalidTag, ValueError) as error:
            msg = "sealed bytes do not open"
            raise OpenError(msg) from error


def sign(seed: bytes, message: bytes) -> bytes:
    """Ed25519 signature with the private key made from ``seed`` (32 bytes)."""
    return Ed25519PrivateKey.from_private_bytes(seed).sign(message)


def signing_public_key(seed: bytes) -> bytes:
    """Return the Ed25519 public key that belongs to ``seed``."""
    return Ed25519PrivateKey.from_private_bytes(seed).public_key().public_bytes_raw()


def check_signature(public_key: bytes, signature: bytes, message: bytes) -> None:
    """``OpenError`` unless the signature is the holder's."""
    try:
        Ed25519PublicKey.from_public_bytes(public_key).verify(signature, message)
    except (InvalidSignature, ValueError) as error:
        msg = "the signature does not verify"
        raise OpenError(msg) from error


def agreement_public_key(secret: bytes) -> bytes:
    """Return the X25519 public key that belongs to ``secret`` (32 bytes)."""
    return X25519PrivateKey.from_private_bytes(secret).public_key().public_bytes_raw()


def seal_to(public_key: bytes, plain: bytes, info: bytes) -> bytes:
    """HPKE base mode to an X25519 public key: ``HPKE_OVERHEAD`` bytes more than ``plain``."""
    return _HPKE.encrypt(plain, X25519PublicKey.from_public_bytes(public_key), info=info)


def unseal_with(secret: bytes, sealed: bytes, info: bytes) -> bytes:
    """Inverse of ``seal_to``; ``OpenError``."""
    try:
        return _HPKE.decrypt(sealed, X25519PrivateKey.from_private_bytes(secret), info=info)
    except (InvalidTag, ValueError) as error:
        msg = "bytes sealed to a public key do not open"
        raise OpenError(msg) from error


def stretch(passphrase: bytes, salt: bytes, memory_kib: int, passes: int, lanes: int) -> bytes:
    """Argon2id of a passphrase: 32 bytes."""
    return Argon2id(
        salt=salt, length=KEY_SIZE, iterations=passes, lanes=lanes, memory_cost=memory_kib
    ).derive(passphrase)
