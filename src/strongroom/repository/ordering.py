"""Putting an order about what a listing showed."""

from __future__ import annotations

from strongroom.repository import layout
from strongroom.repository.heads import heads_of
from strongroom.repository.orders import Order, OrderWriter
from strongroom.repository.payloads import Payload
from strongroom.repository.records import OrderKind
from strongroom.repository.repository import History, Repository


def put_order(repository: Repository, history: History, kind: OrderKind, payload: Payload) -> Order:
    """Put an order that seals nothing; ``KeyRefusedError`` unless the key is full."""
    writer = OrderWriter(repository.store, repository.keyring, repository.around.clock)
    repository.store.sync(repository.relied_prefixes())
    key = layout.order(repository.around.randomness.take(layout.ID_SIZE))
    order = writer.put(key, kind, payload, heads_of(history.seen))
    repository.remember(history, order)
    return order
