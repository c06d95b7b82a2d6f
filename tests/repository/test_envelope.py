"""The envelope: an object is what was signed for this key, kind and repository, or it is damage."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from strongroom.errors import DamageError, NoRepositoryError, StrongroomError
from strongroom.repository.canonical import padme
from strongroom.repository.envelope import (
    MAX_BODY,
    MAX_SMALL_BODY,
    Envelope,
    ForeignObjectError,
    Kind,
    unwrap,
    wrap,
)
from strongroom.repository.keyring import WriterKeys
from tests.support.limits import limited
from tests.support.noise import noise

pytestmark = pytest.mark.spec("B1")

SIGNER = WriterKeys(noise(32, "signer"))
OTHER = WriterKeys(noise(32, "other"))
REPOSITORY = noise(16, "repository")
KEY = "writers/00112233445566778899aabbccddeeff"
WRAPPED = wrap(Kind.WRITER, REPOSITORY, KEY, b"\x94body", SIGNER.sign)


def checked(data: bytes, kind: Kind = Kind.WRITER, key: str = KEY) -> Envelope:
    """Read an object and check its signature."""
    envelope = unwrap(data, kind, key, REPOSITORY)
    envelope.check(SIGNER.public_key)
    return envelope


def changed(place: int, new: bytes, data: bytes = WRAPPED) -> bytes:
    """Return an object with some bytes replaced."""
    return data[:place] + new + data[place + len(new) :]


def test_the_parts_lie_where_the_format_says() -> None:
    """Magic, version, kind, flags, repository, length, body, zeros, signature."""
    assert WRAPPED[:8] == b"SRMO\0\1\3\0"
    assert WRAPPED[8:24] == REPOSITORY
    assert WRAPPED[24:33] == b"\0\0\0\5\x94body"
    assert WRAPPED[33:-64] == bytes(len(WRAPPED) - 97)
    assert len(WRAPPED) == padme(28 + 5 + 64)


@given(st.sampled_from(Kind), st.binary(max_size=3000))
def test_what_is_wrapped_comes_back(kind: Kind, body: bytes) -> None:
    """Any body of any kind is read back and verifies, and its length is one of PADME's."""
    data = wrap(kind, REPOSITORY, "some/key", body, SIGNER.sign)
    assert checked(data, kind, "some/key").body == body
    assert padme(len(data)) == len(data)


@given(st.integers(0, len(WRAPPED) - 1), st.integers(0, 7))
def test_each_changed_bit_is_damage(place: int, bit: int) -> None:
    """One changed bit anywhere, padding and signature included, is found."""
    with pytest.raises(DamageError):
        checked(changed(place, bytes([WRAPPED[place] ^ 1 << bit])))


@given(st.integers(0, len(WRAPPED) - 1))
def test_each_lost_byte_is_damage(length: int) -> None:
    """An object that ends early, or goes on, is found."""
    with pytest.raises(DamageError):
        checked(WRAPPED[:length])
    with pytest.raises(DamageError):
        checked(WRAPPED + bytes(length + 1))


def test_an_object_counts_at_its_own_key_only() -> None:
    """Moved to another key, taken for another kind, or signed by another it does not verify."""
    with pytest.raises(DamageError):
        checked(WRAPPED, key=KEY[:-1] + "e")
    with pytest.raises(DamageError):
        checked(WRAPPED, Kind.SLOT)
    with pytest.raises(DamageError):
        unwrap(WRAPPED, Kind.WRITER, KEY, REPOSITORY).check(OTHER.public_key)


def test_an_object_of_another_repository_is_told_apart() -> None:
    """A sound object of another repository is damage of a kind of its own."""
    with pytest.raises(ForeignObjectError):
        unwrap(WRAPPED, Kind.WRITER, KEY, bytes(16))


def test_another_version_of_config_is_refused_and_of_the_rest_is_damage() -> None:
    """Config alone decides the version; what does not share it was changed."""
    config = wrap(Kind.CONFIG, REPOSITORY, "config", b"\x92", SIGNER.sign)
    with pytest.raises(NoRepositoryError, match="format version 2") as refused:
        unwrap(changed(5, b"\2", config), Kind.CONFIG, "config")
    assert refused.value.code == 10
    with pytest.raises(DamageError):
        unwrap(changed(5, b"\2"), Kind.WRITER, KEY)


def test_an_object_of_the_older_version_is_read_as_it_was_signed() -> None:
    """Versions 0 and 1 are the same bytes but for the number, and the number is signed."""
    old = wrap(Kind.WRITER, REPOSITORY, KEY, b"\x94body", SIGNER.sign, version=0)
    assert old[:8] == b"SRMO\0\0\3\0"
    envelope = unwrap(old, Kind.WRITER, KEY, REPOSITORY)
    envelope.check(SIGNER.public_key)
    assert (envelope.version, envelope.body) == (0, b"\x94body")
    with pytest.raises(DamageError):
        unwrap(changed(5, b"\1", old), Kind.WRITER, KEY).check(SIGNER.public_key)


@pytest.mark.parametrize(
    ("place", "new"),
    [(0, b"SRMP"), (6, b"\0"), (6, b"\x0e"), (6, b"\xff"), (7, b"\1"), (7, b"\x80")],
)
def test_another_magic_kind_or_flag_is_damage(place: int, new: bytes) -> None:
    """What a reader does not know it does not read, whoever signed it."""
    signed = changed(place, new)[:-64]
    message = b"strongroom/0/object" + struct.pack(">I", len(KEY)) + KEY.encode() + signed
    with pytest.raises(DamageError):
        checked(signed + SIGNER.sign(message))


def test_padding_is_zeros_even_if_signed() -> None:
    """A writer cannot hide anything in the padding."""
    signed = changed(35, b"x")[:-64]
    message = b"strongroom/0/object" + struct.pack(">I", len(KEY)) + KEY.encode() + signed
    with pytest.raises(DamageError, match="padding"):
        checked(signed + SIGNER.sign(message))


@pytest.mark.parametrize("length", [0xFFFFFFFF, MAX_BODY + 1, MAX_BODY, 1 << 20])
def test_a_claimed_length_costs_nothing(length: int) -> None:
    """A short object that claims a long body is damage, without memory for the body."""
    with limited(megabytes=8, seconds=1), pytest.raises(DamageError, match="length"):
        unwrap(changed(24, struct.pack(">I", length)), Kind.WRITER, KEY)


@pytest.mark.parametrize("kind", [Kind.CONFIG, Kind.SLOT])
def test_config_and_slots_are_small(kind: Kind) -> None:
    """Their bodies have at most 64 KiB; what is larger is damage."""
    most = wrap(kind, REPOSITORY, "key", bytes(MAX_SMALL_BODY), SIGNER.sign)
    assert len(unwrap(most, kind, "key").body) == MAX_SMALL_BODY
    with pytest.raises(DamageError, match="length"):
        unwrap(wrap(kind, REPOSITORY, "key", bytes(MAX_SMALL_BODY + 1), SIGNER.sign), kind, "key")


@given(st.sampled_from(Kind), st.binary(max_size=300), st.booleans())
def test_hostile_bytes_are_damage(kind: Kind, tail: bytes, begins_well: bool) -> None:  # noqa: FBT001
    """Whatever lies at a key is an envelope, or one of our errors says what is wrong with it."""
    data = b"SRMO\0\1" + bytes([kind]) + b"\0" + tail if begins_well else tail
    try:
        envelope = unwrap(data, kind, KEY)
    except StrongroomError as error:
        assert error.code in {4, 10}
        return
    with pytest.raises(DamageError):
        envelope.check(SIGNER.public_key)
