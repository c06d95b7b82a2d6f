"""Making a repository, and opening one: config, slots, and what this host remembers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from strongroom.crypto.keytext import key_to_text
from strongroom.crypto.primitives import (
    KEY_SIZE,
    agreement_public_key,
    derive,
    sha256,
    signing_public_key,
)
from strongroom.errors import (
    DamageError,
    NoRepositoryError,
    ObjectExistsError,
    ObjectMissingError,
    RefusedError,
    StoreError,
    StoreUnavailableError,
)
from strongroom.model.randomness import Randomness
from strongroom.model.store import Store, StoreReading
from strongroom.repository import layout
from strongroom.repository.canonical import encode
from strongroom.repository.envelope import VERSION, Kind, unwrap, wrap
from strongroom.repository.epochs import FIRST as FIRST_EPOCH
from strongroom.repository.epochs import is_left
from strongroom.repository.keyrecords import Epoch
from strongroom.repository.keyring import MAIN, Keyring, config_digest, domain_id
from strongroom.repository.putting import put_own
from strongroom.repository.records import (
    SUITE,
    Bundle,
    Chunking,
    Config,
    ConfigCore,
    EpochSecret,
    Mode,
    Slot,
    SlotDigest,
    SlotKind,
    SlotRole,
    Writer,
    read_body,
)
from strongroom.repository.slots import Opener, Owner, Secret, make_slot, open_slot

DEFAULT_CHUNKING = Chunking(1 << 20, 1 << 20, 1 << 18, 4 << 20, 1)
FRAME_SIZE = 1 << 20
PACK_SIZE = 32 << 20
_KIB, _MIB = 1 << 10, 1 << 20


class ReaderKey(NamedTuple):
    """The epoch that is now, and its public key; ``left``: it was sealed to no slot that counts."""

    epoch: int
    public: bytes
    left: bool = False


class OpenedConfig(NamedTuple):
    """A config whose signature verifies.

    ``slots``, ``epochs`` (the oldest first) and ``revoked`` (ids of writers) are those of init
    until orders were read (``slotset.with_orders``).
    """

    repository_id: bytes
    core: ConfigCore
    digest: bytes
    slots: dict[bytes, bytes]
    version: int = VERSION
    epochs: tuple[Epoch, ...] = ()
    revoked: frozenset[bytes] = frozenset()

    @property
    def reader_key(self) -> ReaderKey:
        """What one who opens nothing seals sessions to."""
        if not self.epochs:
            return ReaderKey(FIRST_EPOCH, self.core.reader_key)
        last = self.epochs[-1]
        return ReaderKey(last.number, last.reader_key, left=is_left(last, self.slots))

    @property
    def is_weaker(self) -> bool:
        """Whether the store does not decide between two puts of one key."""
        return self.core.mode == Mode.WEAKER

    @property
    def owner(self) -> Owner:
        """What its slots are bound to."""
        return Owner(self.repository_id, self.core.admin_key, self.digest)


class Created(NamedTuple):
    """A new repository; ``recovery_key`` is shown once and kept nowhere."""

    config: OpenedConfig
    keyring: Keyring
    recovery_key: str

    def __repr__(self) -> str:
        """Show no secret."""
        return f"<Created {self.config.repository_id.hex()}>"


def initialise(
    store: Store,
    secret: Opener,
    randomness: Randomness,
    now_ns: int,
    *,
    pack_size: int = PACK_SIZE,
    mode: Mode = Mode.FULL,
) -> Created:
    """Make a repository that ``secret`` and a new recovery key open.

    ``mode``: whether the store decides between two puts. ``RefusedError`` if there is one already.

    The put of ``config`` comes last and decides; before it nothing counts.
    """
    refuse_existing(store)
    repository_id = randomness.take(layout.ID_SIZE)
    admin_seed, domain_root = randomness.take(KEY_SIZE), randomness.take(KEY_SIZE)
    reader_secret, recovery = randomness.take(KEY_SIZE), randomness.take(KEY_SIZE)
    admin_key = signing_public_key(derive(admin_seed, "admin", repository_id))
    core = ConfigCore(
        suite=SUITE,
        created_ns=now_ns,
        mode=mode,
        admin_key=admin_key,
        reader_key=agreement_public_key(reader_secret),
        chunking=DEFAULT_CHUNKING,
        frame_size=FRAME_SIZE,
        pack_size=pack_size,
    )
    core_bytes = encode(core)
    digest = config_digest(repository_id, core_bytes)
    owner = Owner(repository_id, admin_key, digest)
    keyring = Keyring(
        Bundle(
            repository_id=repository_id,
            admin_key=admin_key,
            config_digest=digest,
            epochs=(EpochSecret(FIRST_EPOCH, reader_secret),),
            domain_root=domain_root,
            admin_seed=admin_seed,
        )
    )
    secrets = (secret, Secret(SlotKind.RECOVERY, recovery))
    digests = _put_slots(store, keyring, owner, secrets, randomness)
    _put_main_writer(store, keyring, now_ns)
    store.sync([layout.SLOTS, layout.WRITERS])
    body = encode(Config(core_bytes, digests))
    config = wrap(Kind.CONFIG, repository_id, layout.CONFIG, body, keyring.admin_signer().sign)
    try:
        store.put(layout.CONFIG, config)
    except (ObjectExistsError, StoreUnavailableError) as error:
        _settle(store, config, error)
    opened = OpenedConfig(repository_id, core, digest, {d.slot_id: d.sha256 for d in digests})
    return Created(opened, keyring, key_to_text(recovery))


def _settle(store: StoreReading, config: bytes, error: StoreError) -> None:
    """Raise ``error`` unless our config is there: where the outcome is in doubt, that decides."""
    try:
        found = store.get(layout.CONFIG)
    except ObjectMissingError:
        raise error from None
    if found != config:
        refuse_existing(store)
        raise error


def refuse_existing(store: StoreReading) -> None:
    """``RefusedError`` if there is a config already."""
    try:
        data = store.get(layout.CONFIG)
    except ObjectMissingError:
        return
    owner = unwrap(data, Kind.CONFIG, layout.CONFIG).repository_id.hex()[:8]
    raise RefusedError(
        f"repository {owner} already exists at {store.url}",
        hint="Use it as it is, or choose another place; init never replaces a repository.",
    )


def _put_slots(
    store: Store, keyring: Keyring, owner: Owner, secrets: Sequence[Opener], randomness: Randomness
) -> tuple[SlotDigest, ...]:
    signer = keyring.admin_signer()
    digests = []
    for secret in secrets:
        slot_id = randomness.take(layout.ID_SIZE)
        bundle = keyring.bundle_bytes(SlotRole.FULL)
        body = make_slot(slot_id, secret, owner, SlotRole.FULL, bundle, randomness)
        if secret.kind is SlotKind.KMS:  # who may wrap a key need not be allowed to unwrap it
            open_slot(slot_id, read_body("the new key slot", body, Slot), secret, owner)
        key = layout.slot(slot_id)
        data = wrap(Kind.SLOT, owner.repository_id, key, body, signer.sign)
        put_own(store, key, data)
        digests.append(SlotDigest(slot_id, sha256(data)))
    return tuple(digests)


def _put_main_writer(store: Store, keyring: Keyring, now_ns: int) -> None:
    writer = keyring.main_writer()
    body = Writer(MAIN, writer.public_key, domain_id(keyring.repository_id, MAIN), now_ns)
    key = layout.writer(writer.id)
    signer = keyring.admin_signer()
    put_own(store, key, wrap(Kind.WRITER, keyring.repository_id, key, encode(body), signer.sign))


def read_config(store: StoreReading) -> OpenedConfig:
    """Read and verify ``config``; ``NoRepositoryError`` if there is none, ``DamageError``."""
    try:
        data = store.get(layout.CONFIG)
    except ObjectMissingError as error:
        raise NoRepositoryError(
            f"no repository at {store.url}: config not found",
            hint="Run 'strongroom init' to create one, or check the path.",
        ) from error
    envelope = unwrap(data, Kind.CONFIG, layout.CONFIG)
    config = read_body(layout.CONFIG, envelope.body, Config)
    core = read_body(layout.CONFIG, config.core, ConfigCore)
    if core.suite != SUITE or core.mode not in set(Mode):
        raise NoRepositoryError(
            f"the repository at {store.url} uses suite {core.suite} in mode {core.mode}, "
            "which this strongroom does not support",
            hint="Use a strongroom release that supports it.",
        )
    envelope.check(core.admin_key)
    _check_core(core)
    sizes = {(len(slot.slot_id), len(slot.sha256)) for slot in config.slots}
    if sizes - {(layout.ID_SIZE, layout.HASH_SIZE)}:
        msg = "config is damaged: it names something that is no slot"
        raise DamageError(msg)
    digest = config_digest(envelope.repository_id, config.core)
    slots = {slot.slot_id: slot.sha256 for slot in config.slots}
    return OpenedConfig(envelope.repository_id, core, digest, slots, envelope.version)


def _check_core(core: ConfigCore) -> None:
    sizes = core.chunking
    fits = (
        1 <= core.frame_size <= 16 * _MIB
        and 4 * _MIB <= core.pack_size <= 64 * _MIB
        and 0 <= sizes.whole_below <= 16 * _MIB
        and 64 <= sizes.minimum <= _MIB  # noqa: PLR2004 - all are those of the document
        and 256 <= sizes.average <= 4 * _MIB  # noqa: PLR2004
        and _KIB <= sizes.maximum <= 16 * _MIB
        and sizes.minimum <= sizes.average <= sizes.maximum
        and sizes.normalisation in range(4)
        and len(core.reader_key) == KEY_SIZE
    )
    if not fits:
        msg = "config is damaged: a size is out of bounds"
        raise DamageError(msg)


def read_slot(store: StoreReading, config: OpenedConfig, slot_id: bytes) -> Slot:
    """Return a slot that counts; ``DamageError`` if it is missing or changed."""
    key = layout.slot(slot_id)
    try:
        data = store.get(key)
    except ObjectMissingError as error:
        msg = f"{key} is missing, and it was not removed by order"
        raise DamageError(msg) from error
    if sha256(data) != config.slots[slot_id]:
        msg = f"key slot {slot_id.hex()[:8]} is damaged ({len(data)} bytes): its digest differs"
        raise DamageError(msg)
    envelope = unwrap(data, Kind.SLOT, key, config.repository_id)
    envelope.check(config.core.admin_key)
    return read_body(key, envelope.body, Slot)
