"""Adding and removing key slots, so that whoever stops at any request leaves the old or the new.

The order decides. A slot is stored before the order that names it, and deleted after the order that
takes it away: what a crash leaves is a slot that nobody uses.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Final, NamedTuple

from strongroom.crypto.primitives import sha256
from strongroom.errors import (
    DamageError,
    FencedError,
    KeyRefusedError,
    NotFoundError,
    ObjectExistsError,
    ObjectMissingError,
    RefusedError,
    StoreError,
)
from strongroom.repository import layout
from strongroom.repository.envelope import Kind, wrap
from strongroom.repository.heads import heads_of
from strongroom.repository.keyrecords import Epoch
from strongroom.repository.kmsslot import KmsSecret, kms_parameters
from strongroom.repository.opening import OpenedConfig, read_slot
from strongroom.repository.orders import OrderWriter
from strongroom.repository.payloads import epoch_key
from strongroom.repository.putting import put_own
from strongroom.repository.records import Slot, SlotDigest, SlotKind, SlotRole, read_body
from strongroom.repository.repository import History, Repository
from strongroom.repository.slots import (
    MAX_TRIED,
    Opener,
    UnreadableSlotError,
    make_slot,
    open_slot,
)
from strongroom.repository.slotset import SlotSet, epochs_of, is_behind, slots_of

_TRIES: Final = 20


class RemovedSlot(NamedTuple):
    """A slot that does not count any more.

    ``before``: an earlier removal decided it. ``kept``: why its object could not be deleted, or "".
    """

    slot_id: bytes
    before: bool
    kept: str


class KnownKeyError(RefusedError):
    """The secret opens the repository already, with the slot ``slot_id``."""

    def __init__(self, slot_id: bytes) -> None:
        super().__init__(
            f"this secret opens the repository already, as key {slot_id.hex()[:8]}",
            hint="Give another one, or remove that key first.",
        )
        self.slot_id = slot_id


class SlotChange:
    """Changes the slots of one repository; needs a full key."""

    def __init__(self, repository: Repository) -> None:
        """``KeyRefusedError`` unless the key is full."""
        self._repository = repository
        self._admin = repository.keyring.admin_signer()
        self._orders = OrderWriter(repository.store, repository.keyring, repository.around.clock)

    def add(self, secret: Opener, role: SlotRole) -> bytes:
        """Add a slot that ``secret`` opens; return its id.

        ``RefusedError`` if the secret opens a slot already, or there are as many as anybody tries;
        ``FencedError`` if another host began an epoch meanwhile, of which the slot knows nothing.
        """
        repository = self._repository
        history, slots = self._read()
        config = repository.config._replace(slots=slots.digests)
        self._refuse_if_unread(history, slots, "Nothing was added; run the command again.")
        self._refuse_known(config, secret)
        if len(slots.digests) >= MAX_TRIED:
            raise RefusedError(
                f"the repository has {MAX_TRIED} keys, and no more are tried when it is opened",
                hint="Remove one with 'strongroom key remove'.",
            )
        slot_id = repository.around.randomness.take(layout.ID_SIZE)
        digest = self._store_slot(config, slot_id, secret, role)
        order_id = repository.around.randomness.take(layout.ID_SIZE)
        repository.store.sync(repository.relied_prefixes())
        named = SlotDigest(slot_id, digest)
        order = self._orders.add_slot(order_id, named, heads_of(history.seen))
        repository.remember(history, order)
        self._refuse_if_missed(slot_id, history)
        return slot_id

    def replace(self, slot_id: bytes, secret: KmsSecret) -> tuple[bytes, RemovedSlot]:
        """Put a slot that another key of KMS opens in the place of one; return its id.

        The new one is opened before the old one goes, which may be the one that this command was
        opened with. A run that stopped in between is gone on with.
        """
        _, slots = self._read()
        self._refuse_unknown(slot_id, slots)
        config = self._repository.config._replace(slots=slots.digests)
        old = read_slot(self._repository.store, config, slot_id)
        if old.kind != SlotKind.KMS:
            raise RefusedError(
                f"key {slot_id.hex()[:8]} is not opened by KMS",
                hint="Add the new key with 'strongroom key add', and remove the old one.",
            )
        try:
            new_id = self.add(secret, SlotRole(old.role))
        except KnownKeyError as error:
            if error.slot_id == slot_id:
                raise
            new_id = error.slot_id
            if read_slot(self._repository.store, config, new_id).role != old.role:
                raise
        return new_id, self.remove(slot_id, replaced=True)

    def remove(self, slot_id: bytes, *, replaced: bool = False) -> RemovedSlot:
        """Take a slot away.

        ``NotFoundError`` if there is none, ``RefusedError`` for the one that opened the repository
        (unless it was ``replaced``, by one that was just opened), for the last full one, and for
        the last of these that a rotation just under way would be sealed to. ``FencedError`` if
        others keep being faster, or another host began an epoch meanwhile.
        """
        removed = self._removed(slot_id, partial(self._check_removal, slot_id, replaced=replaced))
        history, slots = self._read()
        self._refuse_if_unread(
            history,
            slots,
            f"Key {slot_id.hex()[:8]} was removed, and may still read what is stored from now on: "
            "run 'strongroom key rotate'.",
        )
        return removed

    def _removed(self, slot_id: bytes, check: Callable[[History, SlotSet], None]) -> RemovedSlot:
        for _ in range(_TRIES):
            history, slots = self._read()
            if slot_id in slots.removed:
                return self._finished(slot_id)
            check(history, slots)
            self._repository.store.sync(self._repository.relied_prefixes())
            try:
                order = self._orders.remove_slot(
                    slot_id, slots.removals + 1, heads_of(history.seen)
                )
            except ObjectExistsError:
                continue  # another removal came first: look again at what is left
            self._repository.remember(history, order)
            return self._deleted(slot_id, before=False)
        raise FencedError(
            "other hosts remove keys at the same time, and this one was never the first",
            hint="Nothing was removed; run the command again.",
        )

    def _finished(self, slot_id: bytes) -> RemovedSlot:
        try:
            self._repository.store.size(layout.slot(slot_id))
        except ObjectMissingError:
            raise NotFoundError(
                f"key {slot_id.hex()[:8]} was removed before",
                hint="See which there are with 'strongroom key list'.",
            ) from None
        return self._deleted(slot_id, before=True)

    def _deleted(self, slot_id: bytes, *, before: bool) -> RemovedSlot:
        """Delete the object of a slot that an order took away."""
        try:
            self._repository.store.delete(layout.slot(slot_id))
        except StoreError as error:
            return RemovedSlot(slot_id, before, error.message)
        return RemovedSlot(slot_id, before, "")

    def _read(self) -> tuple[History, SlotSet]:
        """Read orders and commits anew; ``DamageError`` if one cannot be read or is missing."""
        history = self._repository.checked_history()
        for key, error in history.damaged.items():
            if key.startswith(layout.ORDERS):
                raise error
        slots = slots_of(self._repository.config, history.orders)
        if slots.gap:
            raise DamageError(
                "an order that removed a key is gone, so nobody can say which keys there are",
                hint="Restore the missing object below orders/ from a copy of the repository.",
            )
        return history, slots

    def _refuse_if_unread(self, history: History, slots: SlotSet, hint: str) -> None:
        """``FencedError`` if another host began an epoch since this one opened the repository."""
        if is_behind(self._repository.keyring.reader_keys, history.orders, slots):
            raise FencedError("another host rotated the keys at the same moment", hint=hint)

    def _refuse_if_missed(self, slot_id: bytes, history: History) -> None:
        """Take a new slot away again if an epoch began that nobody sealed to it.

        Whoever begins one looks at the slots again afterwards, and does the same for those that
        came meanwhile: so one of the two notices.
        """
        known = self._repository.keyring.reader_keys.secrets
        last = max(known[-1].epoch, *(one.number for one in epochs_of(history.orders)), 1)
        key = epoch_key(self._repository.id, last + 1)
        try:
            begun = self._repository.orders.read(key, cached=False).payload
        except ObjectMissingError:
            return
        if isinstance(begun, Epoch) and slot_id in {one.slot_id for one in begun.sealed}:
            return
        self._removed(slot_id, lambda _, slots: self._refuse_unknown(slot_id, slots))
        raise FencedError(
            "another host rotated the keys at the same moment",
            hint="The new key was taken away again; run the command again.",
        )

    def _refuse_known(self, config: OpenedConfig, secret: Opener) -> None:
        if secret.kind is SlotKind.KMS:
            return  # only the answer of KMS says which key it is: see _refuse_twin
        for slot_id in config.slots:
            try:
                slot = read_slot(self._repository.store, config, slot_id)
                if slot.kind != secret.kind:
                    continue
                open_slot(slot_id, slot, secret, config.owner)
            except (DamageError, KeyRefusedError, UnreadableSlotError):
                continue
            raise KnownKeyError(slot_id)

    def _refuse_twin(
        self, config: OpenedConfig, slot_id: bytes, body: bytes, secret: Opener
    ) -> None:
        """``KnownKeyError`` if the KMS key of a new slot opens another one, which is tried."""
        repository_id = self._repository.id
        new = kms_parameters(repository_id, slot_id, read_body("the new key slot", body, Slot))
        for other in config.slots if new is not None else ():
            try:
                slot = read_slot(self._repository.store, config, other)
                found = kms_parameters(repository_id, other, slot)
                if found is None or new is None or found.key != new.key:
                    continue
                open_slot(other, slot, secret, config.owner)
            except (DamageError, KeyRefusedError, UnreadableSlotError):
                continue
            raise KnownKeyError(other)

    def _store_slot(
        self, config: OpenedConfig, slot_id: bytes, secret: Opener, role: SlotRole
    ) -> bytes:
        """Put a slot and open it again as anybody would; return the digest of the object."""
        repository = self._repository
        bundle = repository.keyring.bundle_bytes(role)
        body = make_slot(slot_id, secret, config.owner, role, bundle, repository.around.randomness)
        self._refuse_twin(config, slot_id, body, secret)
        key = layout.slot(slot_id)
        data = wrap(
            Kind.SLOT,
            repository.id,
            key,
            body,
            self._admin.sign,
            version=repository.keyring.version,
        )
        digest = sha256(data)
        put_own(repository.store, key, data)
        stored = config._replace(slots={slot_id: digest})
        open_slot(slot_id, read_slot(repository.store, stored, slot_id), secret, config.owner)
        return digest

    def _refuse_unknown(self, slot_id: bytes, slots: SlotSet) -> None:
        if slot_id not in slots.digests:
            raise NotFoundError(
                f"no key {slot_id.hex()[:8]}",
                hint="See which there are with 'strongroom key list'.",
            )

    def _check_removal(
        self, slot_id: bytes, history: History, slots: SlotSet, *, replaced: bool
    ) -> None:
        self._refuse_unknown(slot_id, slots)
        self._refuse_if_unread(history, slots, "Nothing was removed; run the command again.")
        shown = slot_id.hex()[:8]
        if slot_id == self._repository.keyring.opened_by and not replaced:
            raise RefusedError(
                f"key {shown} is the one that this command was opened with",
                hint="Open the repository with another full key, which shows that one works, "
                "and remove this one then. Add one first with 'strongroom key add'.",
            )
        full = [one for one in slots.digests if one != slot_id and self._is_full(one, slots)]
        if not full:
            raise RefusedError(
                f"key {shown} is the last full key",
                hint="Add another full key first, with 'strongroom key add'.",
            )
        lasts = slot_id in slots.lasting and self._is_full(slot_id, slots)  # a damaged one may go
        if lasts and slots.lasting.isdisjoint(full):
            raise RefusedError(
                f"every full key but {shown} was added since the keys were last rotated, and a "
                "rotation that another host is at would reach none of them",
                hint="Run 'strongroom key rotate', and then this command again.",
            )

    def _is_full(self, slot_id: bytes, slots: SlotSet) -> bool:
        config = self._repository.config._replace(slots=slots.digests)
        try:
            return read_slot(self._repository.store, config, slot_id).role == SlotRole.FULL
        except DamageError:
            return False
