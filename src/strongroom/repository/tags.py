"""Tags of snapshots as they are now: those of the commit, and what orders changed since.

A tag is there for as long as one of its additions is. An order takes away additions, each by the id
of what made it, so in whatever order hosts work and orders are read, nothing that somebody added
without the other's knowledge is lost (``docs/format.md`` 10).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final

import msgspec

from strongroom.crypto.primitives import Cipher, OpenError, same
from strongroom.errors import DamageError
from strongroom.model.snapshot import ListedSnapshot
from strongroom.repository import layout
from strongroom.repository.canonical import FormatError, encode, pad, unpad
from strongroom.repository.keyring import Keys, SessionKeys
from strongroom.repository.orders import Order
from strongroom.repository.records import TagChange, TagPayload, TakenAway, read_body

_NONCE: Final = bytes(12)

Additions = dict[str, dict[bytes, set[bytes]]]
"""By the key of a commit and by tag, the ids of the additions that count."""


def seal_change(
    change: TagChange, keys: SessionKeys, key: str, targets: Sequence[str], salt: bytes
) -> tuple[TagPayload, bytes]:
    """Return payload and sealed part of the order at ``key``."""
    secret, commitment = keys.secret.commit_key(key, salt)
    payload = TagPayload(
        targets=tuple(sorted(targets)),
        domain_id=keys.domain.domain_id,
        epoch=keys.epoch,
        sealed_session_key=keys.sealed,
        salt=salt,
        commitment=commitment,
    )
    return payload, Cipher(secret).seal(_NONCE, pad(encode(change)))


def open_change(order: Order, tag: TagPayload, keyring: Keys) -> TagChange:
    """Return what an order changes; ``DamageError``."""
    session = keyring.session_secret(tag.domain_id, tag.epoch, tag.sealed_session_key, order.key)
    secret, commitment = session.commit_key(order.key, tag.salt)
    if not same(commitment, tag.commitment):
        msg = f"{order.key} is damaged: its sealed part does not verify"
        raise DamageError(msg)
    try:
        plain = unpad(Cipher(secret).unseal(_NONCE, order.body.sealed))
    except (OpenError, FormatError) as error:
        msg = f"{order.key} is damaged: its sealed part does not open"
        raise DamageError(msg) from error
    return read_body(order.key, plain, TagChange)


def additions(
    found: Sequence[ListedSnapshot],
    orders: Sequence[Order],
    keyring: Keys,
    on_damage: Callable[[str, DamageError], None],
) -> Additions:
    """Return what counts; an order that cannot be opened is reported and changes nothing."""
    added: Additions = {
        listed.key: {tag: {bytes.fromhex(listed.id)} for tag in listed.snapshot.tags}
        for listed in found
    }
    taken: list[tuple[str, TakenAway]] = []
    for order in orders:
        if not isinstance(order.payload, TagPayload):
            continue
        try:
            change = open_change(order, order.payload, keyring)
        except DamageError as error:
            on_damage(order.key, error)
            continue
        for target in order.payload.targets:
            tags = added.setdefault(target, {})
            for tag in change.added:
                tags.setdefault(tag, set()).add(layout.object_id(order.key) or b"")
            taken += [(target, one) for one in change.taken]
    for target, one in taken:
        added[target].get(one.tag, set()).difference_update(one.additions)
    return added


def tags_of(listed: ListedSnapshot, counting: Mapping[bytes, set[bytes]]) -> tuple[bytes, ...]:
    """Return the tags of a snapshot: its own in their order, then the others, sorted."""
    own = [tag for tag in dict.fromkeys(listed.snapshot.tags) if counting.get(tag)]
    return (*own, *sorted(tag for tag, ids in counting.items() if ids and tag not in own))


def with_tags(listed: ListedSnapshot, counting: Additions) -> ListedSnapshot:
    """Return a snapshot with its tags as they are now."""
    tags = tags_of(listed, counting.get(listed.key, {}))
    snapshot = msgspec.structs.replace(listed.snapshot, tags=tags)
    return msgspec.structs.replace(listed, snapshot=snapshot)
