"""Slots: the ways to open the keys of a repository (``docs/format.md`` 4)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

from strongroom.crypto.primitives import (
    KEY_SIZE,
    Cipher,
    OpenError,
    agreement_public_key,
    derive,
    extract_and_derive,
    label,
    same,
    seal_to,
    signing_public_key,
    stretch,
    unseal_with,
)
from strongroom.errors import DamageError, KeyRefusedError
from strongroom.model.randomness import Randomness
from strongroom.repository.canonical import encode
from strongroom.repository.epochs import with_epochs
from strongroom.repository.keyrecords import Epoch
from strongroom.repository.kmsslot import KmsSecret, kms_parameters
from strongroom.repository.records import Bundle, Parameter, Slot, SlotKind, SlotRole, read_body

MEMORY_KIB: Final = (64 * 1024, 2 * 1024 * 1024)
PASSES: Final = (3, 20)
LANES: Final = (1, 16)
DEFAULT_PARAMETERS: Final = (64 * 1024, 3, 4)
SALT_SIZE: Final = 32
MAX_TRIED: Final = 20
_NONCE: Final = bytes(12)


@dataclass(frozen=True, slots=True, repr=False)
class Secret:
    """What a person or a file gives to open a slot: its kind and its bytes, never shown."""

    kind: SlotKind
    value: bytes

    def __repr__(self) -> str:
        """Show no secret."""
        return f"<Secret {self.kind.name.lower()}>"


class Owner(NamedTuple):
    """What a slot is bound to: it opens for this repository, admin and configuration only."""

    repository_id: bytes
    admin_key: bytes
    config_digest: bytes


class UnreadableSlotError(Exception):
    """A slot asks for what no slot may ask for; the message says what."""


Opener = Secret | KmsSecret  # what can open a slot


def _check_before_work(where: str, slot: Slot, owner: Owner, slot_id: bytes) -> None:
    problem = _problem_of_kind(slot, owner, slot_id)
    if problem:
        msg = f"{where} {problem}"
        raise UnreadableSlotError(msg)
    if slot.role not in {SlotRole.FULL, SlotRole.READER} or len(slot.salt) != SALT_SIZE:
        msg = f"{where} has role {slot.role} and a salt of {len(slot.salt)} bytes, unknown here"
        raise UnreadableSlotError(msg)


def _problem_of_kind(slot: Slot, owner: Owner, slot_id: bytes) -> str:
    """Return what no slot of its kind says; empty if there is nothing."""
    if slot.kind == SlotKind.KMS:
        found = kms_parameters(owner.repository_id, slot_id, slot)
        return "" if found else "does not say which KMS key opens it, or was made for another slot"
    if slot.kind != SlotKind.PASSPHRASE:
        known = slot.kind in {SlotKind.KEY_FILE, SlotKind.RECOVERY} and not slot.parameters
        count = len(slot.parameters)
        return "" if known else f"is of kind {slot.kind} with {count} parameters, unknown here"
    numbers = _numbers(slot.parameters)
    if len(numbers) != len(DEFAULT_PARAMETERS):
        return "does not state memory, passes and lanes"
    limits = (("KiB of memory", MEMORY_KIB), ("passes", PASSES), ("lanes", LANES))
    for value, (what, (least, most)) in zip(numbers, limits, strict=True):
        if not least <= value <= most:
            return f"asks for {value} {what}; allowed are {least} to {most}"
    return ""


def _numbers(parameters: Sequence[Parameter]) -> list[int]:
    """Return the parameters that are numbers, if all of them are."""
    numbers = [one for one in parameters if isinstance(one, int)]
    return numbers if len(numbers) == len(parameters) else []


def _wrap_key(
    repository_id: bytes,
    slot_id: bytes,
    slot: tuple[int, int, tuple[Parameter, ...], bytes],
    kek: bytes,
) -> tuple[bytes, bytes]:
    kind, role, parameters, salt = slot
    info = label(
        "slot", repository_id, slot_id, bytes([kind]), bytes([role]), encode(list(parameters))
    )
    okm = extract_and_derive(kek, salt, info, 2 * KEY_SIZE)
    return okm[:KEY_SIZE], okm[KEY_SIZE:]


def _new_key(
    secret: Opener, repository_id: bytes, slot_id: bytes, salt: bytes
) -> tuple[tuple[Parameter, ...], bytes]:
    """Return the parameters of a new slot, and the key that wraps its private key."""
    if isinstance(secret, KmsSecret):
        return secret.make(repository_id, slot_id)
    if secret.kind is SlotKind.PASSPHRASE:
        return DEFAULT_PARAMETERS, stretch(secret.value, salt, *DEFAULT_PARAMETERS)
    return (), secret.value


def _key_encryption_key(secret: Opener, repository_id: bytes, slot_id: bytes, slot: Slot) -> bytes:
    if isinstance(secret, KmsSecret):
        return secret.unwrap(repository_id, slot_id, slot)
    if secret.kind is SlotKind.PASSPHRASE:
        memory, passes, lanes = _numbers(slot.parameters)
        return stretch(secret.value, slot.salt, memory, passes, lanes)
    return secret.value


def _owner_label(owner: Owner, slot_id: bytes) -> bytes:
    return label("slot owner", owner.repository_id, slot_id, owner.admin_key, owner.config_digest)


def _bundle_info(repository_id: bytes, slot_id: bytes) -> bytes:
    return label("bundle", repository_id, slot_id)


def make_slot(
    slot_id: bytes,
    secret: Opener,
    owner: Owner,
    role: SlotRole,
    bundle: bytes,
    randomness: Randomness,
) -> bytes:
    """Return the body of a slot that ``secret`` opens and that gives the ``bundle`` of ``role``."""
    salt = randomness.take(SALT_SIZE)
    parameters, kek = _new_key(secret, owner.repository_id, slot_id, salt)
    key, commitment = _wrap_key(
        owner.repository_id, slot_id, (secret.kind, role, parameters, salt), kek
    )
    private = randomness.take(KEY_SIZE)
    public = agreement_public_key(private)
    return encode(
        Slot(
            kind=secret.kind,
            role=role,
            parameters=parameters,
            salt=salt,
            commitment=commitment,
            public_key=public,
            wrapped_secret=Cipher(key).seal(_NONCE, private, _owner_label(owner, slot_id)),
            bundle=seal_to(public, bundle, _bundle_info(owner.repository_id, slot_id)),
        )
    )


def open_slot(
    slot_id: bytes, slot: Slot, secret: Opener, owner: Owner, epochs: Sequence[Epoch] = ()
) -> Bundle:
    """Return what the slot holds, and the secrets that ``epochs`` sealed to it since.

    ``KeyRefusedError`` if the secret is not this slot's, ``UnreadableSlotError`` before any work is
    done for a slot with unreasonable parameters, ``DamageError`` if the secret fits and the rest
    does not. ``StoreError`` if whoever unwraps its key does not answer.
    """
    where = f"key slot {slot_id.hex()[:8]}"
    _check_before_work(where, slot, owner, slot_id)
    kek = _key_encryption_key(secret, owner.repository_id, slot_id, slot)
    key, commitment = _wrap_key(
        owner.repository_id, slot_id, (slot.kind, slot.role, slot.parameters, slot.salt), kek
    )
    if not same(commitment, slot.commitment):
        msg = f"{where} does not open with this key"
        raise KeyRefusedError(msg)
    try:
        private = Cipher(key).unseal(_NONCE, slot.wrapped_secret, _owner_label(owner, slot_id))
        plain = unseal_with(private, slot.bundle, _bundle_info(owner.repository_id, slot_id))
    except OpenError as error:
        msg = f"{where} was made for another configuration or is damaged"
        raise DamageError(msg) from error
    bundle = read_body(where, plain, Bundle)
    if Owner(bundle.repository_id, bundle.admin_key, bundle.config_digest) != owner:
        msg = f"{where} holds the keys of another repository"
        raise DamageError(msg)
    if not _holds_keys_of(slot.role, bundle):
        msg = f"{where} does not hold the keys that its role needs"
        raise DamageError(msg)
    return with_epochs(bundle, slot_id, private, epochs)


def _holds_keys_of(role: int, bundle: Bundle) -> bool:
    keys = [bundle.domain_root, *(epoch.secret for epoch in bundle.epochs)]
    if not bundle.epochs or any(len(key) != KEY_SIZE for key in keys):
        return False
    if role == SlotRole.READER or bundle.admin_seed is None:
        return role == SlotRole.READER and bundle.admin_seed is None
    signing = derive(bundle.admin_seed, "admin", bundle.repository_id)
    return signing_public_key(signing) == bundle.admin_key
