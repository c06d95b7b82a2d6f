"""What orders make of keys: which slots count, which epoch it is, and who was revoked."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import NamedTuple

from strongroom.errors import DamageError
from strongroom.model.store import StoreReading
from strongroom.repository.cache import ObjectCache
from strongroom.repository.epochs import ReaderKeys, is_left
from strongroom.repository.keyrecords import Epoch
from strongroom.repository.opening import OpenedConfig
from strongroom.repository.orders import Order, OrderLog
from strongroom.repository.records import SlotDigest, SlotRemoval
from strongroom.repository.standing import revoked_by


class SlotSet(NamedTuple):
    """The slots that count, in the order they were made.

    ``digests`` by id, ``made_ns`` by id; ``removed``: ids of those that do not count any more;
    ``removals``: how many orders took one away; ``gap``: whether one of these is missing.
    ``lasting``: those that counted when the last epoch began, and so are sealed to by whoever is
    just beginning the next one.
    """

    digests: dict[bytes, bytes]
    made_ns: dict[bytes, int]
    removed: frozenset[bytes]
    removals: int
    gap: bool
    lasting: frozenset[bytes]


def slots_of(config: OpenedConfig, orders: Sequence[Order]) -> SlotSet:
    """Return the slots of a repository with these orders; ``config`` is that of init."""
    digests = dict(config.slots)
    made = dict.fromkeys(digests, config.core.created_ns)
    added = [order for order in orders if isinstance(order.payload, SlotDigest)]
    for order in sorted(added, key=lambda one: (one.body.time_ns, one.key)):
        if isinstance(order.payload, SlotDigest):
            digests.setdefault(order.payload.slot_id, order.payload.sha256)
            made.setdefault(order.payload.slot_id, order.body.time_ns)
    epochs = epochs_of(orders)
    since = {one.slot_id for one in epochs[-1].sealed} if epochs else _of_init(digests, added)
    removals = [one.payload for one in orders if isinstance(one.payload, SlotRemoval)]
    removed = frozenset(removal.slot_id for removal in removals)
    last = max((removal.number for removal in removals), default=0)
    return SlotSet(
        digests={slot: digest for slot, digest in digests.items() if slot not in removed},
        made_ns={slot: time for slot, time in made.items() if slot not in removed},
        removed=removed,
        removals=last,
        gap=last != len(removals),
        lasting=frozenset(since & digests.keys()) - removed,
    )


def _of_init(digests: Collection[bytes], added: Sequence[Order]) -> set[bytes]:
    by_order = (one.payload.slot_id for one in added if isinstance(one.payload, SlotDigest))
    return set(digests).difference(by_order)


def is_behind(reader_keys: ReaderKeys, orders: Sequence[Order], slots: SlotSet) -> bool:
    """Whether an epoch began, of which a slot that counts knows, and the holder does not."""
    known = {one.epoch for one in reader_keys.secrets}
    new = [epoch for epoch in epochs_of(orders) if epoch.number not in known]
    return not all(is_left(epoch, slots.digests) for epoch in new)


def with_orders(
    store: StoreReading,
    config: OpenedConfig,
    cache: ObjectCache,
    on_damage: Callable[[str, DamageError], None],
) -> OpenedConfig:
    """Return ``config`` with the keys that count now; orders that cannot be read are told of.

    ``NoRepositoryError`` for an order of a kind that this version does not know.
    """
    log = OrderLog(store, config.repository_id, config.core.admin_key, cache)
    orders = list(log.read_all(on_damage))
    return config._replace(
        slots=slots_of(config, orders).digests,
        epochs=epochs_of(orders),
        revoked=revoked_by(orders),
    )


def epochs_of(orders: Sequence[Order]) -> tuple[Epoch, ...]:
    """Return the epochs that orders began, the oldest first."""
    found = [order.payload for order in orders if isinstance(order.payload, Epoch)]
    return tuple(sorted(found, key=lambda epoch: epoch.number))
