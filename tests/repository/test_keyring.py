"""Who can do what with which key (``docs/format.md`` 2 and 14)."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest

from strongroom.crypto.primitives import Cipher, OpenError, extract, label, unseal_with
from strongroom.errors import DamageError
from strongroom.repository import layout
from strongroom.repository.keyring import DomainKeys, Keyring, SessionKeys, SessionSecret, domain_id
from strongroom.repository.opening import initialise
from strongroom.repository.pack import HEADER_SIZE, TRAILER_SIZE, open_pack, read_whole_pack
from strongroom.repository.records import Bundle, EpochSecret, SlotRole, read_body
from strongroom.repository.segment import open_segment
from strongroom.storage.memory import MemoryStore
from tests.support.kit import SECRET, Kit
from tests.support.noise import noise
from tests.support.randomness import SeededRandomness

pytestmark = pytest.mark.spec("B1")


def full_keyring(seed: int) -> Keyring:
    """Return the full key of a repository of its own."""
    return initialise(MemoryStore(), SECRET, SeededRandomness(seed), 0).keyring


def keyring_with(keyring: Keyring, *epochs: EpochSecret) -> Keyring:
    """Return a keyring that holds other epochs."""
    bundle = read_body("a bundle", keyring.bundle_bytes(SlotRole.FULL), Bundle)
    return Keyring(
        Bundle(
            bundle.repository_id,
            bundle.admin_key,
            bundle.config_digest,
            epochs,
            bundle.domain_root,
            bundle.admin_seed,
        )
    )


def the_pack(kit: Kit) -> bytes:
    """Return the only pack of a repository."""
    (info,) = kit.store.list(layout.PACKS)
    return kit.store.get(info.key)


def test_every_use_has_a_key_of_its_own(keyring: Keyring) -> None:
    """Domain, index, chunk ids of data and of trees, and other domains share no key."""
    main, other = keyring.main_domain, keyring.domain(domain_id(keyring.repository_id, b"db"))
    keys = [
        main.secret,
        main.index_key,
        main.data_hasher(b""),
        main.tree_hasher(b""),
        other.secret,
        other.index_key,
        other.data_hasher(b""),
        other.tree_hasher(b""),
        keyring.admin_signer().public_key,
        keyring.main_writer().public_key,
    ]
    assert len(set(keys)) == len(keys)
    assert keyring.domain(main.domain_id) is main


def test_two_repositories_share_nothing() -> None:
    """The same data has other ids, and another writer, in another repository."""
    one, other = full_keyring(1), full_keyring(2)
    assert one.main_domain.data_hasher(b"a") != other.main_domain.data_hasher(b"a")
    assert one.main_writer().id != other.main_writer().id
    assert one.main_domain.domain_id != other.main_domain.domain_id


def test_keys_of_objects_depend_on_all_that_they_are_bound_to() -> None:
    """Session, salt, header, repository and place each change the key and the commitment."""
    session, other = SessionSecret(bytes(16), noise(32)), SessionSecret(bytes(16), noise(32, "b"))
    keys = [
        session.pack_key(bytes(44), bytes(32)),
        session.pack_key(bytes(43) + b"\1", bytes(32)),
        session.pack_key(bytes(44), bytes(31) + b"\1"),
        other.pack_key(bytes(44), bytes(32)),
        session.commit_key("commits/a/b", bytes(32)),
        session.commit_key("commits/a/c", bytes(32)),
        session.commit_key("commits/a/b", bytes(31) + b"\1"),
        SessionSecret(b"\1" + bytes(15), noise(32)).commit_key("commits/a/b", bytes(32)),
    ]
    flat = list(itertools.chain.from_iterable(keys))
    assert len(set(flat)) == len(flat)


def test_the_reader_secret_opens_a_session_and_nothing_else_does(keyring: Keyring) -> None:
    """The session key opens with the epoch and domain it was sealed for, and no other."""
    keys = keyring.begin_session(SeededRandomness())
    domain = keyring.main_domain.domain_id
    opened = keyring.session_secret(domain, 1, keys.sealed, "a pack")
    assert opened.pack_key(b"", b"") == keys.secret.pack_key(b"", b"")
    with pytest.raises(DamageError, match="a pack"):
        keyring.session_secret(bytes(16), 1, keys.sealed, "a pack")
    with pytest.raises(DamageError, match="epoch 2"):
        keyring.session_secret(domain, 2, keys.sealed, "a pack")
    with pytest.raises(DamageError):
        full_keyring(3).session_secret(domain, 1, keys.sealed, "a pack")
    with pytest.raises(DamageError):
        keyring.session_secret(domain, 1, bytes(80), "a pack")


def test_a_session_opened_before_opens_in_its_domain_only(keyring: Keyring) -> None:
    """What is remembered of an opened session does not serve another domain or epoch."""
    keys = keyring.begin_session(SeededRandomness())
    keyring.session_secret(keyring.main_domain.domain_id, 1, keys.sealed, "a pack")
    with pytest.raises(DamageError):
        keyring.session_secret(bytes(16), 1, keys.sealed, "a pack")
    with pytest.raises(DamageError):
        keyring.session_secret(keyring.main_domain.domain_id, 9, keys.sealed, "a pack")


def test_the_latest_epoch_seals_and_every_epoch_opens(keyring: Keyring) -> None:
    """After a rotation new sessions go to the new reader key, and old ones still open."""
    old = keyring.begin_session(SeededRandomness())
    bundle = read_body("a bundle", keyring.bundle_bytes(SlotRole.FULL), Bundle)
    rotated = keyring_with(keyring, *bundle.epochs, EpochSecret(2, noise(32, "epoch 2")))
    new = rotated.begin_session(SeededRandomness())
    domain = keyring.main_domain.domain_id
    assert (old.epoch, new.epoch) == (1, 2)
    for keys in (old, new):
        rotated.session_secret(domain, keys.epoch, keys.sealed, "a pack")
    with pytest.raises(DamageError, match="epoch 2"):
        keyring.session_secret(domain, 2, new.sealed, "a pack")


def test_what_an_agent_knows_opens_no_pack(kit: Kit) -> None:
    """Domain secret, index and reader public key: enough to deduplicate, not to read a byte.

    An agent cannot open the session key, and what it can derive does not fit the commitment.
    """
    kit.backup({b"a": b"some text", b"b": noise(5000)})
    repository = kit.open()
    full = repository.keyring.own_domain
    agent = DomainKeys(full.repository_id, full.domain_id, full.secret)
    (info,) = kit.store.list(layout.INDEX)
    name = layout.segment_id(info.key) or b""
    body = open_segment(
        info.key, name, kit.store.get(info.key), agent, repository.config.core.admin_key
    )
    data = the_pack(kit)
    assert agent.data_hasher(b"some text") in body.packs[0].ids
    sealed_key, salt, commitment = data[44:124], data[124:156], data[156:188]
    epoch = label("session", full.repository_id, full.domain_id, b"\0\0\0\1")
    public = repository.config.core.reader_key
    known = [full.secret, full.index_key, public, sealed_key[:32], sealed_key[32:64], bytes(32)]
    for secret in known:
        with pytest.raises(OpenError):
            unseal_with(secret, sealed_key, epoch)
    for one, other in itertools.product([*known, b"", salt], repeat=2):
        for material in (one, extract(one, other)):
            key, expected = SessionSecret(full.repository_id, material).pack_key(data[:44], salt)
            assert expected != commitment
            with pytest.raises(OpenError):
                Cipher(key).unseal(b"\3\0\0\0" + (len(data) - 24).to_bytes(8), data[-TRAILER_SIZE:])


def test_a_stranger_with_the_public_key_makes_no_pack_that_opens(kit: Kit) -> None:
    """Without the domain secret a session key sealed to the reader gives other keys than ours."""
    kit.backup({b"a": b"text"})
    repository = kit.open()
    domain = repository.keyring.own_domain
    stranger = DomainKeys(domain.repository_id, domain.domain_id, bytes(32))
    keys = SessionKeys(stranger, repository.config.core.reader_key, 1, SeededRandomness())
    header = the_pack(kit)[:44] + keys.sealed + bytes(32)
    _key, commitment = keys.secret.pack_key(header[:44], bytes(32))
    with pytest.raises(DamageError, match="does not verify"):
        open_pack("a pack", header + commitment, repository.keyring)


def test_each_changed_byte_of_a_pack_header_is_damage(sealed_pack: tuple[bytes, Keyring]) -> None:
    """Magic, version, suite, flags, ids, epoch, session key, salt, commitment: all are bound."""
    data, keyring = sealed_pack
    for place, bit in itertools.product(range(HEADER_SIZE), (1, 128)):
        changed = data[:place] + bytes([data[place] ^ bit]) + data[place + 1 :]
        with pytest.raises(DamageError, match="a pack"):
            open_pack("a pack", changed[:HEADER_SIZE], keyring)


def test_each_changed_byte_of_a_pack_end_is_damage(sealed_pack: tuple[bytes, Keyring]) -> None:
    """A pack whose footer or trailer changed, or that lost or won a byte, does not open."""
    data, keyring = sealed_pack
    read_whole_pack("a pack", data, keyring)
    for place in range(len(data) - 150, len(data)):
        changed = data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :]
        with pytest.raises(DamageError):
            read_whole_pack("a pack", changed, keyring)
    for changed in (data[:-1], data + b"\0", data[:-TRAILER_SIZE], data[:200]):
        with pytest.raises(DamageError):
            read_whole_pack("a pack", changed, keyring)


@pytest.fixture(scope="module")
def sealed_pack(tmp_path_factory: pytest.TempPathFactory) -> tuple[bytes, Keyring]:
    """A pack and the key that opens it."""
    path: Path = tmp_path_factory.mktemp("state")
    kit = Kit(MemoryStore(), path)
    keyring = kit.init().created.keyring
    kit.backup({b"a": b"text"})
    return the_pack(kit), keyring
