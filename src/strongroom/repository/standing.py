"""What orders, holds and un-forgets make of snapshots: wanted, forgotten, held. Pure.

``docs/format.md`` 10. In whatever order all of it is read, the answer is the same.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

from strongroom.repository import layout
from strongroom.repository.commits import Decision
from strongroom.repository.keyrecords import Revocation
from strongroom.repository.orders import Order
from strongroom.repository.records import (
    CopyOf,
    Head,
    OrderKind,
    Origin,
    PackIds,
    Purpose,
    Targets,
    Voided,
)


class Hold(NamedTuple):
    """A hold that counts: the key of its COMMIT, and the keys of the snapshots it holds."""

    key: str
    targets: tuple[str, ...]


@dataclass(frozen=True)
class Standing:
    """What was decided about the snapshots of a repository.

    ``decisions`` and ``orders`` are those that count: none that a collector took away.
    """

    decisions: Sequence[Decision]
    orders: Sequence[Order]

    @cached_property
    def forgets(self) -> dict[str, list[Order]]:
        """By key of a snapshot, the forgets that nobody cancelled for it; holds do not matter."""
        cancelled = {
            (order, snapshot)
            for decision in self._saving(Purpose.UNFORGET)
            for order in _below(decision, layout.ORDERS)
            for snapshot in _below(decision, layout.COMMITS)
        }
        found: dict[str, list[Order]] = {}
        for order, targets in self._targets(OrderKind.FORGET):
            for key in targets:
                if (order.key, key) not in cancelled:
                    found.setdefault(key, []).append(order)
        for key, orders in self._refused.items():
            left = [order for order in orders if (order.key, key) not in cancelled]
            if left:
                found.setdefault(key, []).extend(left)
        return found

    @cached_property
    def _refused(self) -> dict[str, list[Order]]:
        """By key, the commits of revoked writers that no revocation accepts, with its orders."""
        orders: dict[bytes, list[Order]] = {}
        accepted: set[Head] = set()
        for order in self.orders:
            if isinstance(order.payload, Revocation):
                orders.setdefault(order.payload.writer_id, []).append(order)
                accepted.update(order.payload.accepted)
        found: dict[str, list[Order]] = {}
        for one in self.decisions if orders else ():
            ids = layout.commit_ids(one.key)
            of_writer = orders.get(ids[0]) if ids is not None and one.commit is not None else None
            if of_writer and Head(one.key, one.sha256) not in accepted:
                found[one.key] = of_writer
        return found

    @cached_property
    def revoked(self) -> frozenset[bytes]:
        """Ids of the writers whose commits count no more, but for those that were accepted."""
        return revoked_by(self.orders)

    @cached_property
    def holds(self) -> list[Hold]:
        """The holds that no release ended."""
        released = {key for _, targets in self._targets(OrderKind.RELEASE) for key in targets}
        return [
            Hold(decision.key, _below(decision, layout.COMMITS))
            for decision in self._saving(Purpose.HOLD)
            if decision.key not in released
        ]

    @cached_property
    def releases(self) -> dict[str, list[Order]]:
        """By key of a snapshot, the orders that released a hold of it."""
        about = {one.key: _below(one, layout.COMMITS) for one in self._saving(Purpose.HOLD)}
        found: dict[str, list[Order]] = {}
        for order, targets in self._targets(OrderKind.RELEASE):
            for key in (snapshot for hold in targets for snapshot in about.get(hold, ())):
                found.setdefault(key, []).append(order)
        return found

    @cached_property
    def held(self) -> frozenset[str]:
        """The snapshots that a hold keeps."""
        return frozenset(key for hold in self.holds for key in hold.targets)

    def is_forgotten(self, key: str) -> bool:
        """Whether a snapshot is not wanted any more."""
        return key in self.forgets and key not in self.held

    @cached_property
    def may_be_empty(self) -> frozenset[str]:
        """The snapshots that are not kept for being the last good one of their source.

        What came of a revoked writer is among them: it must not take the place of a good one.
        """
        allowed = self._targets(OrderKind.ALLOW_EMPTY)
        named = frozenset(key for _, targets in allowed for key in targets)
        return named | (self._refused.keys() & self.forgets.keys())

    @cached_property
    def first_seen(self) -> dict[str, int]:
        """By key of a COMMIT, the earliest time at which a store showed it, as far as signed."""
        found: dict[str, int] = {}
        for origin in self._origins():
            earlier = found.get(origin.key, origin.first_seen_ns)
            found[origin.key] = min(earlier, origin.first_seen_ns)
        return found

    @cached_property
    def copies(self) -> dict[str, CopyOf]:
        """By key of a COMMIT, where it was first made, for those that are copies."""
        return {one.key: one.copy_of for one in self._origins() if one.copy_of is not None}

    @cached_property
    def copied(self) -> dict[str, int]:
        """By key of a copy, when its original was first seen."""
        return {key: self.first_seen[key] for key in self.copies}

    def identity(self, repository_id: bytes, key: str) -> CopyOf:
        """Return where a snapshot was first made; for one that is no copy, that is here."""
        return self.copies.get(key) or CopyOf(repository_id, key)

    @cached_property
    def quarantined(self) -> frozenset[bytes]:
        """The packs that nobody relies on."""
        size = layout.HASH_SIZE
        payloads = [o.payload.packs for o in self.orders if isinstance(o.payload, PackIds)]
        return frozenset(p[i : i + size] for p in payloads for i in range(0, len(p), size))

    @cached_property
    def voids(self) -> frozenset[Voided]:
        """The objects that count as absent."""
        return voids_of(self.orders)

    def _origins(self) -> Iterator[Origin]:
        for order in self.orders:
            if order.body.kind == OrderKind.ORIGINS and isinstance(order.payload, tuple):
                for one in order.payload:
                    if isinstance(one, Origin):
                        yield one

    def _targets(self, kind: OrderKind) -> Iterator[tuple[Order, tuple[str, ...]]]:
        for order in self.orders:
            if order.body.kind == kind and isinstance(order.payload, Targets):
                yield order, order.payload.commits

    def _saving(self, purpose: Purpose) -> Iterator[Decision]:
        for decision in self.decisions:
            if decision.commit is not None and decision.commit.purpose == purpose:
                yield decision


def revoked_by(orders: Iterable[Order]) -> frozenset[bytes]:
    """Return the ids of the writers that may commit no more."""
    payloads = [order.payload for order in orders]
    return frozenset(one.writer_id for one in payloads if isinstance(one, Revocation))


def voids_of(orders: Iterable[Order]) -> frozenset[Voided]:
    """Return the objects that orders declare absent."""
    return frozenset(
        one
        for order in orders
        if order.body.kind == OrderKind.VOID and isinstance(order.payload, tuple)
        for one in order.payload
        if isinstance(one, Voided)
    )


def _below(decision: Decision, prefix: str) -> tuple[str, ...]:
    targets = decision.commit.targets if decision.commit is not None else ()
    return tuple(key for key in targets if key.startswith(prefix))
