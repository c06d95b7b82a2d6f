"""What orders make of keys: which slots count, which epoch it is, and who was revoked."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from strongroom.errors import DamageError
from strongroom.model.store import StoreReading
from strongroom.repository.cache import ObjectCache
from strongroom.repository.keyrecords import Epoch
from strongroom.repository.opening import OpenedConfig
from strongroom.repository.orders import Order, OrderLog
from strongroom.repository.records import SlotDigest, SlotRemoval
from strongroom.repository.standing import revoked_by


class SlotSet(NamedTuple):
    """The slots that count, in the order they were made.

    ``digests`` by id, ``made_ns`` by id; ``removed``: ids of those that do not count any more;
    ``removals``: how many orders took one away; ``gap``: whether one of these is missing.
    """

    digests: dict[bytes, bytes]
    made_ns: dict[bytes, int]
    removed: frozenset[bytes]
    removals: int
    gap: bool


def slots_of(config: OpenedConfig, orders: Sequence[Order]) -> SlotSet:
    """Return the slots of a repository with these orders; ``config`` is that of init."""
    digests = dict(config.slots)
    made = dict.fromkeys(digests, config.core.created_ns)
    added = [order for order in orders if isinstance(order.payload, SlotDigest)]
    for order in sorted(added, key=lambda one: (one.body.time_ns, one.key)):
        if isinstance(order.payload, SlotDigest):
            digests.setdefault(order.payload.slot_id, order.payload.sha256)
            made.setdefault(order.payload.slot_id, order.body.time_ns)
    removals = [one.payload for one in orders if isinstance(one.payload, SlotRemoval)]
    removed = frozenset(removal.slot_id for removal in removals)
    last = max((removal.number for removal in removals), default=0)
    return SlotSet(
        digests={slot: digest for slot, digest in digests.items() if slot not in removed},
        made_ns={slot: time for slot, time in made.items() if slot not in removed},
        removed=removed,
        removals=last,
        gap=last != len(removals),
    )


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
