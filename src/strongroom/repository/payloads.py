"""What an order says, by its kind: decoded and checked (``docs/format.md`` 10)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final, TypeVar

from strongroom.crypto.primitives import KEY_SIZE, label, sha256
from strongroom.errors import DamageError
from strongroom.repository import layout
from strongroom.repository.keyrecords import Epoch, Revocation
from strongroom.repository.keyring import SEALED_SESSION_KEY_SIZE
from strongroom.repository.records import (
    OrderKind,
    Origin,
    PackIds,
    SlotDigest,
    SlotRemoval,
    TagPayload,
    Targets,
    Voided,
    read_body,
)

OfKeys = SlotDigest | SlotRemoval | Revocation | Epoch
OfSnapshots = Targets | TagPayload | tuple[Origin, ...] | PackIds | tuple[Voided, ...]
Payload = OfKeys | OfSnapshots
_VOIDABLE: Final = (layout.COMMITS, layout.ORDERS, layout.INDEX)
_MAX_KEY: Final = 512
Name = TypeVar("Name", str, bytes)


def removal_key(repository_id: bytes, number: int) -> str:
    """Key of the order that removes a slot as the ``number``-th, from 1.

    Two hosts that remove a slot at once put the same key, so one of them learns of the other.
    """
    if not 0 < number < 1 << 32:
        msg = f"{number} is no number of a removal"
        raise DamageError(msg)
    name = label("slot removal", repository_id, number.to_bytes(4))
    return layout.order(sha256(name)[: layout.ID_SIZE])


def epoch_key(repository_id: bytes, number: int) -> str:
    """Key of the order that begins an epoch: of two hosts that begin one at once, one learns it."""
    if not 1 < number < 1 << 32:
        msg = f"{number} is no number of an epoch that an order begins"
        raise DamageError(msg)
    return layout.order(sha256(label("epoch", repository_id, number.to_bytes(4)))[: layout.ID_SIZE])


def read_payload(key: str, kind: OrderKind, data: bytes, repository_id: bytes) -> Payload:
    """Return what the order at ``key`` says; ``DamageError`` if its kind says no such thing."""
    payload = _READERS[kind](key, data)
    sound = _is_of_keys(payload) if isinstance(payload, OfKeys) else _is_sound(payload)
    if isinstance(payload, SlotRemoval):
        sound = key == removal_key(repository_id, payload.number)
    if isinstance(payload, Epoch) and sound:
        sound = key == epoch_key(repository_id, payload.number)
    if not sound:
        msg = f"{key} is damaged: it is no order of its kind"
        raise DamageError(msg)
    return payload


def _targets(key: str, data: bytes) -> Targets:
    return read_body(key, data, Targets)


_READERS: Final[Mapping[OrderKind, Callable[[str, bytes], Payload]]] = {
    OrderKind.FORGET: _targets,
    OrderKind.RELEASE: _targets,
    OrderKind.ALLOW_EMPTY: _targets,
    OrderKind.TAG: lambda key, data: read_body(key, data, TagPayload),
    OrderKind.REVOKE: lambda key, data: read_body(key, data, Revocation),
    OrderKind.EPOCH: lambda key, data: read_body(key, data, Epoch),
    OrderKind.SLOT_ADDED: lambda key, data: read_body(key, data, SlotDigest),
    OrderKind.SLOT_REMOVED: lambda key, data: read_body(key, data, SlotRemoval),
    OrderKind.ORIGINS: lambda key, data: read_body(key, data, tuple[Origin, ...]),
    OrderKind.QUARANTINE: lambda key, data: read_body(key, data, PackIds),
    OrderKind.VOID: lambda key, data: read_body(key, data, tuple[Voided, ...]),
}


def _is_of_keys(payload: OfKeys) -> bool:
    match payload:
        case SlotDigest():
            sizes = (len(payload.slot_id), len(payload.sha256))
            return sizes == (layout.ID_SIZE, layout.HASH_SIZE)
        case SlotRemoval():
            return len(payload.slot_id) == layout.ID_SIZE
        case Revocation():
            return _is_revocation(payload)
        case Epoch():
            return _is_epoch(payload)


def _is_sound(payload: OfSnapshots) -> bool:
    match payload:
        case Targets():
            return _are_targets(payload.commits)
        case TagPayload():
            return _is_tag(payload)
        case PackIds():
            size = layout.HASH_SIZE
            ids = [payload.packs[i : i + size] for i in range(0, len(payload.packs), size)]
            return len(payload.packs) % size == 0 and is_sorted(ids)
        case _:
            keys = [one.key for one in payload]
            return is_sorted(keys) and all(map(_is_known_of, payload))


def _is_known_of(one: Origin | Voided) -> bool:
    if isinstance(one, Voided):
        digest_fits = len(one.sha256) in {0, layout.HASH_SIZE}
        return digest_fits and is_voidable(one.key)
    copy_of = one.copy_of
    return layout.commit_ids(one.key) is not None and (
        copy_of is None
        or (
            len(copy_of.repository_id) == layout.ID_SIZE
            and layout.commit_ids(copy_of.key) is not None
        )
    )


def is_voidable(key: str) -> bool:
    """Whether an order can declare that the object at ``key`` counts as absent."""
    of_run = layout.run_part(key)
    below = key.startswith(_VOIDABLE) if of_run is None else of_run[1] in {"kills", "done"}
    return below and len(key) <= _MAX_KEY


def _are_targets(keys: Sequence[str]) -> bool:
    return is_sorted(keys) and all(layout.commit_ids(key) is not None for key in keys)


def _is_revocation(payload: Revocation) -> bool:
    """Whether it names a writer, and commits of that writer alone, perhaps none."""
    keys = [head.key for head in payload.accepted]
    ids = [layout.commit_ids(key) for key in keys]
    return (
        len(payload.writer_id) == layout.ID_SIZE
        and keys == sorted(set(keys))
        and all(one is not None and one[0] == payload.writer_id for one in ids)
        and all(len(head.sha256) == layout.HASH_SIZE for head in payload.accepted)
    )


def _is_epoch(payload: Epoch) -> bool:
    slots = [one.slot_id for one in payload.sealed]
    return (
        1 < payload.number < 1 << 32
        and len(payload.reader_key) == KEY_SIZE
        and is_sorted(slots)
        and all(len(slot_id) == layout.ID_SIZE for slot_id in slots)
    )


def is_sorted(names: Sequence[Name]) -> bool:
    """Whether there is at least one name, and they are in ascending order, each once."""
    return bool(names) and list(names) == sorted(set(names))


def _is_tag(tag: TagPayload) -> bool:
    sizes = (len(tag.domain_id), len(tag.sealed_session_key), len(tag.salt), len(tag.commitment))
    return sizes == (
        layout.ID_SIZE,
        SEALED_SESSION_KEY_SIZE,
        layout.HASH_SIZE,
        layout.HASH_SIZE,
    ) and _are_targets(tag.targets)
