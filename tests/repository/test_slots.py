"""Slots: who opens them, what they give, and what an attacker who rewrites the store can do."""

from __future__ import annotations

from collections.abc import Callable

import msgspec
import pytest

from strongroom.crypto.keytext import text_to_key
from strongroom.crypto.primitives import derive, seal_to, sha256, signing_public_key
from strongroom.errors import DamageError, KeyRefusedError
from strongroom.repository import layout
from strongroom.repository.canonical import encode
from strongroom.repository.envelope import Kind, unwrap, wrap
from strongroom.repository.keyring import Keyring, WriterKeys, config_digest
from strongroom.repository.opening import OpenedConfig, initialise, read_config, read_slot
from strongroom.repository.records import (
    Bundle,
    Config,
    ConfigCore,
    EpochSecret,
    Slot,
    SlotDigest,
    SlotKind,
    SlotRole,
    read_body,
)
from strongroom.repository.repository import Repository
from strongroom.repository.slots import (
    DEFAULT_PARAMETERS,
    Owner,
    Secret,
    UnreadableSlotError,
    make_slot,
    open_slot,
)
from strongroom.repository.unlocking import unlock
from strongroom.storage.memory import MemoryStore
from tests.support.kit import SECRET, Kit
from tests.support.limits import limited
from tests.support.noise import noise
from tests.support.randomness import SeededRandomness

pytestmark = pytest.mark.spec("B1")

WRONG = Secret(SlotKind.KEY_FILE, noise(32, "wrong"))
PASSPHRASE = Secret(SlotKind.PASSPHRASE, b"correct horse battery staple")
SLOT_ID = noise(16, "slot")


def made(
    secret: Secret, config: OpenedConfig, keyring: Keyring, role: SlotRole = SlotRole.FULL
) -> Slot:
    """Return a new slot of a repository."""
    bundle = keyring.bundle_bytes(role)
    body = make_slot(SLOT_ID, secret, config.owner, role, bundle, SeededRandomness())
    return read_body("a slot", body, Slot)


@pytest.fixture
def config(kit: Kit) -> OpenedConfig:
    """The configuration of a repository."""
    return read_config(kit.store)


@pytest.fixture
def full(kit: Kit, config: OpenedConfig) -> Keyring:
    """The full key of the repository."""
    return unlock(kit.store, config, [SECRET], ignore)


def ignore(_text: str) -> None:
    """Tell nobody."""


def refuse(text: str) -> None:
    """Fail the test that warns."""
    pytest.fail(text)


@pytest.mark.spec("B3")
def test_a_repository_opens_with_its_key_file_and_its_recovery_key() -> None:
    """Init makes two slots; either secret opens everything, without a warning."""
    store = MemoryStore()
    created = initialise(store, SECRET, SeededRandomness(), 0)
    recovery = Secret(SlotKind.RECOVERY, text_to_key(created.recovery_key))
    config = read_config(store)
    assert config == created.config
    for secrets in ([SECRET], [recovery], [WRONG, SECRET], [PASSPHRASE, recovery]):
        keyring = unlock(store, config, secrets, refuse)
        assert keyring.is_full
        assert keyring.main_writer().id == created.keyring.main_writer().id


def test_a_passphrase_opens_its_slot_only_as_it_was_typed() -> None:
    """The right passphrase opens; one letter less, none, or the key as a key file do not."""
    store = MemoryStore()
    initialise(store, PASSPHRASE, SeededRandomness(), 0)
    config = read_config(store)
    assert unlock(store, config, [PASSPHRASE], refuse).is_full
    for wrong in (PASSPHRASE.value[:-1], b""):
        with pytest.raises(KeyRefusedError):
            unlock(store, config, [Secret(SlotKind.PASSPHRASE, wrong)], refuse)
    with pytest.raises(KeyRefusedError, match="tried 0"):
        unlock(store, config, [Secret(SlotKind.KEY_FILE, noise(32))], refuse)


def test_a_wrong_key_is_refused_with_exit_12(kit: Kit, config: OpenedConfig) -> None:
    """No slot opens with another key, and the message says how many were tried."""
    with pytest.raises(KeyRefusedError, match=r"2 key slots .*tried 1") as refused:
        unlock(kit.store, config, [WRONG], refuse)
    assert refused.value.code == 12
    assert "passphrase" in refused.value.hint


def test_secrets_are_not_shown(full: Keyring) -> None:
    """No representation of a key holds a byte of it."""
    domain = full.main_domain
    shown = [SECRET, full, domain, full.main_writer(), full.begin_session(SeededRandomness())]
    assert repr(SECRET) == "<Secret key_file>"
    for secret in (SECRET.value, domain.secret, domain.index_key):
        for one in shown:
            assert secret.hex() not in repr(one)
            assert repr(secret)[2:-1] not in repr(one)


PARAMETERS = {
    "memory": (64 * 1024 - 1, 3, 4),
    "more memory": (2 * 1024 * 1024 + 1, 3, 4),
    "terabytes": (1 << 40, 3, 4),
    "passes": (64 * 1024, 2, 4),
    "more passes": (64 * 1024, 21, 4),
    "years": (64 * 1024, 1 << 31, 4),
    "no lanes": (64 * 1024, 3, 0),
    "more lanes": (64 * 1024, 3, 17),
    "negative": (-1, -1, -1),
    "two": (64 * 1024, 3),
    "four": (64 * 1024, 3, 4, 1),
    "none": (),
}


@pytest.mark.parametrize("parameters", PARAMETERS.values(), ids=PARAMETERS)
def test_hostile_parameters_are_refused_before_any_work(
    parameters: tuple[int, ...], config: OpenedConfig, full: Keyring
) -> None:
    """A slot that asks for gigabytes or hours is refused at once, for the right passphrase too."""
    slot = made(SECRET, config, full)
    hostile = msgspec.structs.replace(slot, kind=SlotKind.PASSPHRASE, parameters=parameters)
    with limited(megabytes=32, seconds=0.1), pytest.raises(UnreadableSlotError, match="key slot"):
        open_slot(SLOT_ID, hostile, PASSPHRASE, config.owner)


@pytest.mark.parametrize(
    "change",
    [
        {"kind": 0}, {"kind": 4}, {"kind": 300}, {"kind": -1}, {"role": 0}, {"role": 3},
        {"role": 300}, {"role": -1}, {"salt": b""}, {"salt": bytes(7)}, {"salt": bytes(33)},
        {"parameters": (1,)},
    ],
    ids=str,
)  # fmt: skip
@pytest.mark.parametrize("secret", [SECRET, PASSPHRASE], ids=repr)
def test_fields_that_no_slot_has_are_refused_before_any_work(
    change: dict[str, object], secret: Secret, config: OpenedConfig, full: Keyring
) -> None:
    """A kind, role or salt that does not exist is refused at once, and by our own error."""
    kind = {"kind": secret.kind, "parameters": () if secret is SECRET else DEFAULT_PARAMETERS}
    slot = msgspec.structs.replace(made(SECRET, config, full), **(kind | change))
    with limited(megabytes=32, seconds=0.1), pytest.raises(UnreadableSlotError):
        open_slot(SLOT_ID, slot, secret, config.owner)


@pytest.mark.parametrize(
    "field", ["role", "salt", "commitment", "public_key", "wrapped_secret", "bundle"]
)
def test_a_slot_with_any_changed_part_does_not_open(
    field: str, config: OpenedConfig, full: Keyring
) -> None:
    """Each part of a slot is bound to the key, or to the other parts."""
    slot = made(SECRET, config, full)
    old = getattr(slot, field)
    new = 3 - old if isinstance(old, int) else bytes([old[0] ^ 1]) + old[1:]
    changed = msgspec.structs.replace(slot, **{field: new})
    if field == "public_key":  # it serves those who seal later; its owner has the private one
        open_slot(SLOT_ID, changed, SECRET, config.owner)
        return
    with pytest.raises((KeyRefusedError, DamageError)):
        open_slot(SLOT_ID, changed, SECRET, config.owner)


def test_a_slot_opens_at_its_own_id_only(config: OpenedConfig, full: Keyring) -> None:
    """The slot of one id, repository, admin or configuration is none of another."""
    slot = made(SECRET, config, full)
    assert open_slot(SLOT_ID, slot, SECRET, config.owner).repository_id == config.repository_id
    with pytest.raises(KeyRefusedError):
        open_slot(bytes(16), slot, SECRET, config.owner)
    repository_id, admin_key, digest = config.owner
    others = [
        Owner(bytes(16), admin_key, digest),
        Owner(repository_id, bytes(32), digest),
        Owner(repository_id, admin_key, bytes(32)),
    ]
    for other in others:
        with pytest.raises((KeyRefusedError, DamageError)):
            open_slot(SLOT_ID, slot, SECRET, other)


CHANGES: list[dict[str, object]] = [
    {"epochs": ()},
    {"epochs": (EpochSecret(1, b"short"),)},
    {"domain_root": b""},
    {"domain_root": bytes(33)},
    {"admin_key": bytes(32)},
    {"config_digest": bytes(32)},
    {"repository_id": bytes(16)},
]
SEEDS: list[dict[str, object]] = [{"admin_seed": seed} for seed in (None, bytes(31), bytes(32))]


@pytest.mark.parametrize(
    ("role", "change"),
    [
        *((role, change) for role in SlotRole for change in CHANGES),
        *((SlotRole.FULL, change) for change in SEEDS),
        *((SlotRole.READER, change) for change in [{}, *SEEDS[1:]]),
    ],
)
def test_a_bundle_holds_the_keys_of_its_role(
    role: SlotRole, change: dict[str, object], config: OpenedConfig, full: Keyring
) -> None:
    """Keys of another length, a seed of another admin or of a role without one, are damage."""
    seeded = bool(change) and "admin_seed" not in change
    bundle = full.bundle_bytes(role if seeded else SlotRole.FULL)
    changed = encode(msgspec.structs.replace(read_body("a bundle", bundle, Bundle), **change))
    body = make_slot(SLOT_ID, SECRET, config.owner, role, changed, SeededRandomness())
    slot = read_body("a slot", body, Slot)
    with pytest.raises(DamageError):
        open_slot(SLOT_ID, slot, SECRET, config.owner)


def hostile_config(genuine: MemoryStore, bundle_of: Callable[[Owner], Bundle]) -> MemoryStore:
    """Return a store with the genuine slots, resealed, under the admin key of an attacker.

    He knows everything in the store and no secret: he keeps what the passphrase opens, the salt,
    the wrapped key and the public key of each slot, and seals a bundle of his own to that key.
    """
    attacker = WriterKeys(derive(noise(32, "attacker"), "admin", b""))
    envelope = unwrap(genuine.get("config"), Kind.CONFIG, "config")
    old = read_body("config", envelope.body, Config)
    core = read_body("config", old.core, ConfigCore)
    forged_core = encode(msgspec.structs.replace(core, admin_key=attacker.public_key))
    repository_id = envelope.repository_id
    owner = Owner(repository_id, attacker.public_key, config_digest(repository_id, forged_core))
    store, digests = MemoryStore(genuine.url), []
    for known in old.slots:
        key = layout.slot(known.slot_id)
        slot = read_body(key, unwrap(genuine.get(key), Kind.SLOT, key).body, Slot)
        info = b"strongroom/0/bundle\0\0\0\x10" + repository_id + b"\0\0\0\x10" + known.slot_id
        sealed = seal_to(slot.public_key, encode(bundle_of(owner)), info)
        body = encode(msgspec.structs.replace(slot, bundle=sealed))
        data = wrap(Kind.SLOT, repository_id, key, body, attacker.sign)
        store.put(key, data)
        digests.append(SlotDigest(known.slot_id, sha256(data)))
    body = encode(Config(forged_core, tuple(digests)))
    store.put("config", wrap(Kind.CONFIG, repository_id, "config", body, attacker.sign))
    return store


def test_an_attacker_cannot_reuse_a_slot_that_a_passphrase_opens() -> None:
    """With config and slots under another admin key, our secret opens nothing of his."""
    genuine = MemoryStore()
    initialise(genuine, SECRET, SeededRandomness(), 0)

    def bundle_of(owner: Owner) -> Bundle:
        seed = noise(32, "attacker")
        assert signing_public_key(derive(seed, "admin", b"")) == owner.admin_key
        return Bundle(*owner, (EpochSecret(1, bytes(32)),), bytes(32), seed)

    store = hostile_config(genuine, bundle_of)
    config = read_config(store)
    warnings: list[str] = []
    with pytest.raises(KeyRefusedError, match="1 could not be used"):
        unlock(store, config, [SECRET], warnings.append)
    assert len(warnings) == 1
    assert "another configuration" in warnings[0]


def test_a_slot_whose_digest_differs_is_told_of_and_not_used(
    kit: Kit, config: OpenedConfig
) -> None:
    """A changed or lost slot is a warning; the other one still opens."""
    keys = [info.key for info in kit.store.list("slots/")]
    data = {key: kit.store.get(key) for key in keys}
    for key in keys:
        kit.store.delete(key)
    warnings: list[str] = []
    for key in keys:
        kit.store.put(key, data[key][:-1] + bytes([data[key][-1] ^ 1]))
    with pytest.raises(KeyRefusedError):
        unlock(kit.store, config, [SECRET], warnings.append)
    assert all("digest differs" in warning for warning in warnings)
    assert len(warnings) == 2
    for key in keys:
        kit.store.delete(key)
    with pytest.raises(DamageError, match="missing"):
        read_slot(kit.store, config, next(iter(config.slots)))


@pytest.mark.spec("B3")
def test_a_reader_slot_reads_everything_and_signs_nothing(
    kit: Kit, config: OpenedConfig, full: Keyring
) -> None:
    """Its keyring has the same domains and epochs as a full one, and no key of any writer."""
    slot = made(SECRET, config, full, SlotRole.READER)
    reader = Keyring(open_slot(SLOT_ID, slot, SECRET, config.owner))
    assert not reader.is_full
    assert reader.main_domain.secret == full.main_domain.secret
    snapshot = kit.backup({b"a": b"text"}).snapshot
    repository = Repository(kit.store, config, reader, kit.open().around)
    assert [one.id for one in repository.snapshots()] == [snapshot.id]
    for forbidden in (reader.admin_signer, reader.main_writer):
        with pytest.raises(KeyRefusedError, match="cannot write"):
            forbidden()
    with pytest.raises(KeyRefusedError):
        reader.bundle_bytes(SlotRole.FULL)
    assert reader.bundle_bytes(SlotRole.READER) == full.bundle_bytes(SlotRole.READER)
