"""Opening a repository: store, config, what this host remembers, key, threads."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from strongroom.app.asof import is_past, past_config
from strongroom.app.caches import cache_for
from strongroom.app.folders import state_of
from strongroom.app.machine import Run, worker_threads
from strongroom.app.stores import OpenStore, opened_store
from strongroom.app.unlocking import keys_of, known_config
from strongroom.repository.opening import OpenedConfig
from strongroom.repository.presence import FilePresence
from strongroom.repository.repository import Repository, Surroundings
from strongroom.repository.slots import Secret


@dataclass(frozen=True, slots=True)
class Opened:
    """An open repository and its store."""

    repository: Repository
    store: OpenStore


@contextmanager
def opened_repository(run: Run, secrets: Sequence[Secret] | None = None) -> Iterator[Opened]:
    """Open the repository that the settings name, for as long as the block lasts.

    With ``secrets`` it is these that must open it, and none of the settings.
    """
    with opened_store(run) as store:
        state = state_of(run)
        past = is_past(run)
        config = past_config(run, store.store) if past else known_config(store.store, state)
        store.adapt(config.core.mode)
        cache = cache_for(run, store, config.repository_id)
        keyring = keys_of(run, store.store, config, cache, secrets)
        with worker_threads() as workers:
            around = Surroundings(
                clock=run.machine.clock,
                randomness=run.machine.randomness,
                workers=workers,
                cache=cache,
                state=state,
                sink=run.sink,
                presence=FilePresence(run.machine.fs, _sessions_folder(run, config)),
                remembers=not past,
            )
            yield Opened(Repository(store.store, config, keyring, around), store)


def _sessions_folder(run: Run, config: OpenedConfig) -> bytes:
    name = f"repositories/{config.repository_id.hex()}/sessions"
    return os.fsencode(run.settings.state_dir / name)
