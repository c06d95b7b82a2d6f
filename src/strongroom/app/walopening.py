"""Opening a repository for its WAL alone: without its index, which takes longer than the work."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from strongroom.app.asof import is_past, past_config
from strongroom.app.caches import cache_for
from strongroom.app.folders import state_of
from strongroom.app.machine import Machine, Run
from strongroom.app.stores import opened_store
from strongroom.app.unlocking import keys_of, known_config
from strongroom.model.store import Store
from strongroom.repository.commits import WriterDirectory
from strongroom.repository.keyring import Keys


@dataclass(frozen=True, slots=True)
class WalRepository:
    """An open repository, as far as WAL needs one."""

    store: Store
    keyring: Keys
    writers: WriterDirectory
    around: Machine


@contextmanager
def opened_wal(run: Run) -> Iterator[WalRepository]:
    """Open the WAL of the repository that the settings name, for as long as the block lasts."""
    with opened_store(run) as opened:
        store = opened.store
        config = past_config(run, store) if is_past(run) else known_config(store, state_of(run))
        opened.adapt(config.core.mode)
        cache = cache_for(run, opened, config.repository_id)
        keys = keys_of(run, opened.store, config, cache, None)
        yield WalRepository(opened.store, keys, WriterDirectory(opened.store, keys), run.machine)
