"""Slots that AWS KMS opens: what stands in them, and what opens them (``docs/format.md`` 4)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final, NamedTuple

from strongroom.crypto.primitives import KEY_SIZE
from strongroom.errors import KeyRefusedError
from strongroom.model.keyservice import KeyService
from strongroom.repository.records import Parameter, Slot, SlotKind

_ARN: Final = re.compile(
    r"arn:[a-z0-9-]{1,32}:kms:(?P<region>[a-z0-9-]{1,64}):(?P<account>[0-9]{12}):"
    r"key/(?P<id>[A-Za-z0-9-]{1,128})"
)
_MOST_WRAPPED: Final = 6144  # the most that KMS takes for a ciphertext


class KeyArn(NamedTuple):
    """The full name of a key of AWS KMS, and its parts."""

    arn: str
    region: str
    account: str
    key_id: str


class KmsParameters(NamedTuple):
    """What a slot of this kind says: which key, and what it wrapped."""

    key: KeyArn
    wrapped: bytes


@dataclass(frozen=True, slots=True)
class KmsSecret:
    """What opens the slots of this kind; ``key`` is the name of what is to wrap a new one."""

    service: KeyService
    key: str = ""
    kind: SlotKind = SlotKind.KMS

    def make(self, repository_id: bytes, slot_id: bytes) -> tuple[tuple[Parameter, ...], bytes]:
        """Return the parameters of a new slot, and the key that they wrap."""
        context = context_of(repository_id, slot_id)
        made = self.service.make(self.key, context)
        bound = tuple(sorted((name.encode(), value.encode()) for name, value in context.items()))
        return (made.name.encode(), made.wrapped, bound), _checked(made.plain, made.name)

    def unwrap(self, repository_id: bytes, slot_id: bytes, slot: Slot) -> bytes:
        """Return the key that a slot wraps; ``KeyRefusedError``, ``StoreError``."""
        found = kms_parameters(repository_id, slot_id, slot)
        if found is None:
            msg = f"key slot {slot_id.hex()[:8]} does not say which KMS key opens it"
            raise KeyRefusedError(msg)
        context = context_of(repository_id, slot_id)
        arn = found.key.arn
        return _checked(self.service.unwrap(arn, found.wrapped, context), arn)


def parse_arn(text: str) -> KeyArn | None:
    """Take the ARN of a key apart; None if it is none."""
    match = _ARN.fullmatch(text)
    return KeyArn(text, match["region"], match["account"], match["id"]) if match else None


def context_of(repository_id: bytes, slot_id: bytes) -> dict[str, str]:
    """Return what a wrapped key is bound to; CloudTrail shows it, so it holds no secret."""
    return {
        "app": "strongroom",
        "purpose": "key slot",
        "repository": repository_id.hex(),
        "slot": slot_id.hex(),
    }


def kms_parameters(repository_id: bytes, slot_id: bytes, slot: Slot) -> KmsParameters | None:
    """Return what a slot of this kind says; None if no such slot says it."""
    match slot.parameters:
        case (bytes(arn), bytes(wrapped), tuple(context)):
            key = parse_arn(arn.decode("ascii", "replace"))
        case _:
            return None
    expected = context_of(repository_id, slot_id)
    bound = tuple((name.encode(), value.encode()) for name, value in sorted(expected.items()))
    if key is None or context != bound or not 0 < len(wrapped) <= _MOST_WRAPPED:
        return None
    return KmsParameters(key, wrapped)


def _checked(key: bytes, name: str) -> bytes:
    if len(key) != KEY_SIZE:
        msg = f"{name} wraps {len(key)} bytes, and not a key of {KEY_SIZE}"
        raise KeyRefusedError(msg)
    return key
