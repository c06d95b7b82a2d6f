"""Suite 1: fixed values, and what does not open says so in one way."""

from __future__ import annotations

import hashlib
import hmac
import struct

import pytest
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id
from hypothesis import given, settings
from hypothesis import strategies as st

from strongroom.crypto import primitives
from strongroom.crypto.primitives import Cipher, OpenError
from tests.support.noise import noise

pytestmark = pytest.mark.spec("B1")

SECRET = bytes(range(32))


def hkdf_expand(secret: bytes, info: bytes, length: int) -> bytes:
    """HKDF-Expand of RFC 5869, written from the RFC."""
    block, okm = b"", b""
    for number in range(1, -(-length // 32) + 1):
        block = hmac.digest(secret, block + info + bytes([number]), "sha256")
        okm += block
    return okm[:length]


def test_a_label_is_unambiguous() -> None:
    """Each part is preceded by its length, so no two lists of parts give one label."""
    assert primitives.label("pack", b"ab", b"") == b"strongroom/0/pack\0\0\0\2ab\0\0\0\0"
    assert primitives.label("pack", b"a", b"b") != primitives.label("pack", b"ab", b"")
    assert primitives.label("pack") == b"strongroom/0/pack"


@given(st.binary(min_size=32, max_size=32), st.lists(st.binary(max_size=50), max_size=4))
def test_derive_is_hkdf_expand_of_the_label(secret: bytes, parts: list[bytes]) -> None:
    """The derivation of the format equals one written from RFC 5869 alone."""
    info = b"strongroom/0/some use" + b"".join(struct.pack(">I", len(p)) + p for p in parts)
    for length in (32, 64):
        expected = hkdf_expand(secret, info, length)
        assert primitives.derive(secret, "some use", *parts, length=length) == expected


def test_derived_keys_never_change() -> None:
    """Fixed values of derive, extract, the full HKDF and chunk ids."""
    assert primitives.derive(SECRET, "index").hex() == (
        "a9726e68c23bff8551d07b5d5551acf8c148dde12cc04315d3ad7e7fb222af29"
    )
    assert primitives.derive(SECRET, "pack", b"header", b"salt", length=64).hex() == (
        "3c5302fe2b75bfbfb9b1f708d6a8155ad34299cedeeacfae0a575ef395b87f0d"
        "d7437816548923be4c4ec85a6c0af51a092a57d94cc2d21d6de612fa69241d76"
    )
    assert primitives.extract(b"domain secret", b"seed").hex() == (
        "ddedf63b1b6dea0b3aa5e9d94d2810172ada1cac4d94b4a5e39bd1be050a9849"
    )
    assert primitives.extract_and_derive(SECRET, b"salt", b"info", 64)[:32].hex() == (
        "64cc2a23b7a1da4310420350405fdf5d632cb9bda3700d753e96cbcfeb81d449"
    )
    assert primitives.chunk_hasher(SECRET)(b"some bytes").hex() == (
        "ce2b4e2f08372c89c1bf8e6e5382e2ab15789c92c335aec7e5f31e866a586523"
    )
    assert primitives.sign(SECRET, b"message").hex() == (
        "7bc0ea578290c8dcf6fc8a6e134a7f3e794ddd7e8922108bccd6202f95de532b"
        "92c2298dc8e161ac2b5e3653f92c5b0e12adf26b3d46e7bd2057715f25d3e205"
    )


def test_hkdf_is_that_of_the_rfc() -> None:
    """Test case 1 of RFC 5869."""
    okm = primitives.extract_and_derive(
        bytes([11] * 22), bytes(range(13)), bytes(range(0xF0, 0xFA)), 42
    )
    assert okm.hex() == (
        "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865"
    )


def test_argon2id_is_that_of_the_rfc() -> None:
    """The test vector of RFC 9106 (5.3), and a fixed value with our parameters."""
    tag = Argon2id(
        salt=bytes([2] * 16),
        length=32,
        iterations=3,
        lanes=4,
        memory_cost=32,
        ad=bytes([4] * 12),
        secret=bytes([3] * 8),
    ).derive(bytes([1] * 32))
    assert tag.hex() == "0d640df58d78766c08c037a34a8b53c9d01ef0452d75b65eb52520e96b01e659"
    assert primitives.stretch(b"password", b"somesalt" * 4, 64 * 1024, 3, 4).hex() == (
        "f13236b43df54b139157ceb75984e72267e4291e4f522882325c27dfff3d1ed2"
    )


def test_a_chunk_id_depends_on_the_key_and_on_every_byte() -> None:
    """The same bytes have other ids under other keys, and one bit changes an id."""
    one, other = primitives.chunk_hasher(SECRET), primitives.chunk_hasher(bytes(32))
    assert one(b"bytes") != other(b"bytes")
    assert one(b"bytes") != one(b"bytez")
    assert one(b"bytes") == one(memoryview(b"bytes")) == one(bytearray(b"bytes"))


@settings(max_examples=50)
@given(st.binary(max_size=200), st.integers(min_value=0), st.integers(0, 7))
def test_a_sealed_message_opens_only_unchanged(plain: bytes, place: int, bit: int) -> None:
    """One changed bit in ciphertext, tag, nonce or associated data opens nothing."""
    cipher = Cipher(SECRET)
    nonce, data = bytes(12), b"kind"
    sealed = bytearray(cipher.seal(nonce, plain, data))
    assert cipher.unseal(nonce, bytes(sealed), data) == plain
    sealed[place % len(sealed)] ^= 1 << bit
    with pytest.raises(OpenError):
        cipher.unseal(nonce, bytes(sealed), data)
    sealed[place % len(sealed)] ^= 1 << bit
    with pytest.raises(OpenError):
        cipher.unseal(bytes(11) + b"\1", bytes(sealed), data)
    with pytest.raises(OpenError):
        cipher.unseal(nonce, bytes(sealed), b"kine")


@given(st.binary(max_size=120))
def test_hostile_bytes_open_nothing(hostile: bytes) -> None:
    """Whatever is given, it does not open, and nothing but an OpenError says so."""
    with pytest.raises(OpenError):
        primitives.unseal_with(SECRET, hostile, b"info")
    with pytest.raises(OpenError):
        Cipher(SECRET).unseal(bytes(12), hostile)
    with pytest.raises(OpenError):
        primitives.check_signature(hostile[:32], hostile[32:96], hostile)


@pytest.mark.parametrize("point", [bytes(32), b"\1" + bytes(31), b"\xff" * 32])
def test_points_of_low_order_open_nothing(point: bytes) -> None:
    """An encapsulated key that would make the shared secret known is refused."""
    with pytest.raises(OpenError):
        primitives.unseal_with(SECRET, point + bytes(48), b"info")


def test_what_is_sealed_to_a_public_key_opens_with_its_secret_and_info_only() -> None:
    """Another secret or another context opens nothing; every sealing is another one."""
    public = primitives.agreement_public_key(SECRET)
    sealed = primitives.seal_to(public, b"seed", b"info")
    assert len(sealed) == 4 + primitives.HPKE_OVERHEAD
    assert primitives.unseal_with(SECRET, sealed, b"info") == b"seed"
    assert primitives.seal_to(public, b"seed", b"info") != sealed
    with pytest.raises(OpenError):
        primitives.unseal_with(SECRET, sealed, b"inf0")
    with pytest.raises(OpenError):
        primitives.unseal_with(noise(32), sealed, b"info")


def test_a_sealing_made_before_still_opens() -> None:
    """HPKE as of RFC 9180: what another run sealed opens to the same bytes."""
    sealed = bytes.fromhex(
        "3886ee49c785484cfe9daf8319854fe045cd0e66e23c797346d903c238b8397386a6e1ec23929486"
        "825186b343eaaa51fd7a1de51f2b1f13aaa1481c5dae616f087538972a425f9a57311443ca7dde2f"
    )
    assert primitives.unseal_with(SECRET, sealed, b"strongroom/0/test") == bytes(range(32))


@given(st.binary(max_size=100), st.binary(max_size=100))
def test_a_signature_is_of_one_message(message: bytes, other: bytes) -> None:
    """The signature of one message verifies for that message and no other."""
    public, signature = primitives.signing_public_key(SECRET), primitives.sign(SECRET, message)
    primitives.check_signature(public, signature, message)
    if other != message:
        with pytest.raises(OpenError):
            primitives.check_signature(public, signature, other)
    assert primitives.sha256(message) == hashlib.sha256(message).digest()
