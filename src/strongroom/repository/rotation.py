"""Beginning an epoch: a new reader key, which only the slots that count then can open.

Its order decides, and its key follows from its number, so of two hosts that begin one at once the
second learns of the first. Afterwards the slots are looked at again, for one that another host
added or removed meanwhile: then another epoch begins. ``SlotChange.add`` looks the other way round.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from strongroom.crypto.primitives import KEY_SIZE
from strongroom.errors import DamageError, FencedError, ObjectExistsError
from strongroom.repository.epochs import seal_epoch
from strongroom.repository.heads import heads_of
from strongroom.repository.opening import read_slot
from strongroom.repository.orders import OrderWriter
from strongroom.repository.payloads import epoch_key
from strongroom.repository.records import EpochSecret, OrderKind
from strongroom.repository.repository import History, Repository
from strongroom.repository.slotset import SlotSet, epochs_of, is_behind, slots_of

_TRIES: Final = 20


class Rotated(NamedTuple):
    """A new epoch: its number, and how many keys read it."""

    epoch: int
    keys: int


def rotate(repository: Repository) -> Rotated:
    """Begin an epoch; ``KeyRefusedError`` unless the key is full.

    ``DamageError`` if a slot or an order cannot be read: its holder would be shut out.
    ``FencedError`` if other hosts change keys all the time.
    """
    writer = OrderWriter(repository.store, repository.keyring, repository.around.clock)
    taken = 0
    for _ in range(_TRIES):
        history, slots = _read(repository)
        known = repository.keyring.reader_keys.secrets
        begun = (epoch.number for epoch in epochs_of(history.orders))  # that nobody reads, too
        number = max(known[-1].epoch, taken, *begun) + 1
        publics = _public_keys(repository, slots)
        new = EpochSecret(number, repository.around.randomness.take(KEY_SIZE))
        payload = seal_epoch(repository.id, (*known, new), publics)
        repository.store.sync(repository.relied_prefixes())
        key = epoch_key(repository.id, number)
        try:
            order = writer.put(key, OrderKind.EPOCH, payload, heads_of(history.seen))
        except ObjectExistsError:
            _refuse_if_behind(repository)
            taken = number  # what is there cannot be read, and was declared void
            continue
        repository.keyring.reader_keys.learn(new)
        repository.remember(history, order)
        if _read(repository)[1].digests.keys() == publics.keys():
            return Rotated(number, len(publics))
    raise FencedError(
        "other hosts change keys at the same time, and this one was never the last",
        hint="Every key that was there reads everything; run the command again.",
    )


def _read(repository: Repository) -> tuple[History, SlotSet]:
    history = repository.checked_history()
    for key, error in history.damaged.items():
        if key.startswith("orders/"):
            raise error
    _refuse_if_behind(repository, history)
    return history, slots_of(repository.config, history.orders)


def _refuse_if_behind(repository: Repository, history: History | None = None) -> None:
    """``FencedError`` if another host began an epoch since this one opened the repository."""
    orders = (history or repository.checked_history()).orders
    slots = slots_of(repository.config, orders)
    if is_behind(repository.keyring.reader_keys, orders, slots):
        raise FencedError(
            "another host rotated the keys at the same moment",
            hint="Nothing is lost; run the command again if you want another epoch.",
        )


def _public_keys(repository: Repository, slots: SlotSet) -> dict[bytes, bytes]:
    config = repository.config._replace(slots=slots.digests)
    found = {}
    for slot_id in slots.digests:
        try:
            found[slot_id] = read_slot(repository.store, config, slot_id).public_key
        except DamageError as error:
            error.hint = (
                f"Restore {slot_id.hex()[:8]} from a copy of the repository, or remove that key: "
                "strongroom key remove. Else its holder would be shut out."
            )
            raise
    return found
