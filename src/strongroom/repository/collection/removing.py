"""Deleting objects, several at a time."""

from __future__ import annotations

from collections.abc import Sequence

from strongroom.model.events import Advanced
from strongroom.repository import layout
from strongroom.repository.ledger import read_ledgers, superfluous
from strongroom.repository.repository import Repository

_BATCH = 256


def remove(repository: Repository, keys: Sequence[str]) -> None:
    """Delete objects; those that are not there are no matter. ``StoreError``."""
    executor = repository.around.workers.transfer
    for start in range(0, len(keys), _BATCH):
        batch = keys[start : start + _BATCH]
        for done in [executor.submit(repository.store.delete, key) for key in batch]:
            done.result()
        repository.around.sink(Advanced(len(batch), 0))


def drop_old_ledgers(repository: Repository) -> None:
    """Delete the ledgers that say nothing new of packs that are there; no run is needed for it."""
    names = (layout.pack_id(info.key) for info in repository.store.list(layout.PACKS))
    packs = {name for name in names if name is not None}
    remove(repository, superfluous(read_ledgers(repository), packs))
