"""Deleting objects, several at a time."""

from __future__ import annotations

from collections.abc import Sequence

from strongroom.model.events import Advanced
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
