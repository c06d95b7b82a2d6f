"""Orders: what the holder of a full key decided about the repository (``docs/format.md`` 10)."""

from __future__ import annotations

from typing import NamedTuple

from strongroom.clock import Clock
from strongroom.crypto.primitives import sha256
from strongroom.errors import DamageError, NoRepositoryError
from strongroom.model.store import Store, StoreReading
from strongroom.repository import layout
from strongroom.repository.cache import ObjectCache
from strongroom.repository.canonical import encode
from strongroom.repository.envelope import Kind, unwrap, wrap
from strongroom.repository.heads import check_heads
from strongroom.repository.keyring import Keys
from strongroom.repository.payloads import Payload, read_payload, removal_key
from strongroom.repository.putting import put_own
from strongroom.repository.records import (
    Head,
    OrderBody,
    OrderKind,
    SlotDigest,
    SlotRemoval,
    TagPayload,
    read_body,
)
from strongroom.repository.signedlog import SignedLog


class Order(NamedTuple):
    """An object under ``orders/``, verified; ``payload`` is what its kind says."""

    key: str
    sha256: bytes
    body: OrderBody
    payload: Payload

    @property
    def heads(self) -> tuple[Head, ...]:
        """What its writer had seen."""
        return self.body.heads

    @property
    def by_agent(self) -> bool:
        """See ``heads.Seen``: an order is always admin's."""
        return False


class OrderLog(SignedLog[Order]):
    """Reads orders, through a cache: they never change.

    ``NoRepositoryError`` for an order of a kind that this version does not know.
    """

    def __init__(
        self, store: StoreReading, repository_id: bytes, admin_key: bytes, cache: ObjectCache
    ) -> None:
        super().__init__(store, layout.ORDERS, cache, self._order)
        self._repository_id = repository_id
        self._admin_key = admin_key

    def _order(self, key: str, data: bytes) -> Order:
        if not layout.can_be_head(key):
            msg = f"{key} is no key of an order"
            raise DamageError(msg)
        envelope = unwrap(data, Kind.ORDER, key, self._repository_id)
        envelope.check(self._admin_key)
        body = read_body(key, envelope.body, OrderBody)
        check_heads(key, body.heads)
        return Order(key, sha256(data), body, self._payload(key, body))

    def _payload(self, key: str, body: OrderBody) -> Payload:
        kind = body.kind
        if kind not in set(OrderKind):
            raise NoRepositoryError(
                f"this repository holds an order ({key}) of kind {kind}, "
                "which this strongroom does not know",
                hint="Use the strongroom release that wrote it, or a later one.",
            )
        if body.sealed and kind != OrderKind.TAG:
            msg = f"{key} is damaged: an order of its kind seals nothing"
            raise DamageError(msg)
        return read_payload(key, OrderKind(kind), body.payload, self._repository_id)


class OrderWriter:
    """Puts orders, signed by admin."""

    def __init__(self, store: Store, keyring: Keys, clock: Clock) -> None:
        """``KeyRefusedError`` unless the key is full."""
        self._store = store
        self._repository_id = keyring.repository_id
        self._version = keyring.version
        self._admin = keyring.admin_signer()
        self._clock = clock

    def add_slot(self, order_id: bytes, added: SlotDigest, heads: tuple[Head, ...]) -> Order:
        """Say that a slot belongs to the repository."""
        return self.put(layout.order(order_id), OrderKind.SLOT_ADDED, added, heads)

    def remove_slot(self, slot_id: bytes, number: int, heads: tuple[Head, ...]) -> Order:
        """Say that a slot is none any more. ``ObjectExistsError``: somebody was faster."""
        key = removal_key(self._repository_id, number)
        return self.put(key, OrderKind.SLOT_REMOVED, SlotRemoval(slot_id, number), heads)

    def tag(self, key: str, tag: TagPayload, sealed: bytes, heads: tuple[Head, ...]) -> Order:
        """Change the tags of snapshots, all at once."""
        return self.put(key, OrderKind.TAG, tag, heads, sealed)

    def put(
        self,
        key: str,
        kind: OrderKind,
        payload: Payload,
        heads: tuple[Head, ...],
        sealed: bytes = b"",
    ) -> Order:
        """Put an order of any kind at ``key``."""
        body = OrderBody(kind, self._clock.now_ns(), heads, encode(payload), sealed)
        data = wrap(
            Kind.ORDER,
            self._repository_id,
            key,
            encode(body),
            self._admin.sign,
            version=self._version,
        )
        put_own(self._store, key, data)
        return Order(key, sha256(data), body, payload)
