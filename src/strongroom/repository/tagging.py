"""Changing tags of snapshots: one order, whose put decides for all of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from strongroom.crypto.primitives import sha256
from strongroom.model.snapshot import ListedSnapshot
from strongroom.repository import layout
from strongroom.repository.canonical import encode
from strongroom.repository.heads import heads_of
from strongroom.repository.keyring import fresh_salt
from strongroom.repository.orders import OrderWriter
from strongroom.repository.records import TagChange, TakenAway
from strongroom.repository.repository import Listing, Repository
from strongroom.repository.tags import Additions, seal_change, tags_of


class TagEdit(NamedTuple):
    """What is wanted: tags to add and to remove, or, with ``exactly``, the tags and no others."""

    add: frozenset[bytes] = frozenset()
    remove: frozenset[bytes] = frozenset()
    exactly: frozenset[bytes] | None = None


class Retagged(NamedTuple):
    """A snapshot whose tags change."""

    snapshot: ListedSnapshot
    before: tuple[bytes, ...]
    after: tuple[bytes, ...]


class TagPlan(NamedTuple):
    """Snapshots that change, and the change."""

    changed: Sequence[Retagged]
    change: TagChange


def plan_tags(found: Sequence[ListedSnapshot], additions: Additions, edit: TagEdit) -> TagPlan:
    """Say which of the snapshots change, and how; nothing is written."""
    changed, missing = [], set[bytes]()
    taken: dict[bytes, set[bytes]] = {}
    for listed in found:
        counting = additions.get(listed.key, {})
        before = tags_of(listed, counting)
        gone = edit.remove if edit.exactly is None else set(before) - edit.exactly
        new = (edit.add if edit.exactly is None else edit.exactly) - set(before)
        if not new and gone.isdisjoint(before):
            continue
        missing |= new
        for tag in gone.intersection(before):
            taken.setdefault(tag, set()).update(counting[tag])
        left = (tag for tag in before if tag not in gone)
        changed.append(Retagged(listed, before, (*left, *sorted(new))))
    removals = (TakenAway(tag, tuple(sorted(ids))) for tag, ids in sorted(taken.items()))
    return TagPlan(changed, TagChange(tuple(sorted(missing)), tuple(removals)))


def put_tags(repository: Repository, listing: Listing, plan: TagPlan) -> None:
    """Carry a plan out; ``KeyRefusedError`` unless the key is full."""
    writer = OrderWriter(repository.store, repository.keyring, repository.around.clock)
    if not plan.changed:
        return
    around = repository.around
    keys = repository.keyring.begin_session(around.randomness)
    key = layout.order(around.randomness.take(layout.ID_SIZE))
    salt = fresh_salt(around.randomness, sha256(encode(plan.change)), keys.domain.domain_id)
    targets = [one.snapshot.key for one in plan.changed]
    payload, sealed = seal_change(plan.change, keys, key, targets, salt)
    repository.store.sync(repository.relied_prefixes())
    order = writer.tag(key, payload, sealed, heads_of(listing.history.seen))
    repository.remember(listing.history, order)
