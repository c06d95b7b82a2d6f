"""Opening a repository: store, config, what this host remembers, key, threads."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

from strongroom.app.folders import StateFiles, cache_of, state_of
from strongroom.app.machine import Run, worker_threads
from strongroom.app.secrets import given_agent, given_secrets, no_secret, passphrase_secrets
from strongroom.app.stores import OpenStore, opened_store
from strongroom.errors import KeyRefusedError, RefusedError
from strongroom.model.store import Store
from strongroom.repository.agent import open_agent
from strongroom.repository.cache import ObjectCache
from strongroom.repository.keyring import Keyring, Keys
from strongroom.repository.opening import OpenedConfig, read_config, unlock
from strongroom.repository.presence import FilePresence
from strongroom.repository.remembered import Memory
from strongroom.repository.repository import Repository, Surroundings
from strongroom.repository.slots import Secret
from strongroom.repository.slotset import with_orders

_TRIES: Final = 3


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
        config = known_config(store.store, state)
        cache = cache_of(run, config.repository_id)
        keyring = _keys(run, store.store, config, cache, secrets)
        with worker_threads() as workers:
            around = Surroundings(
                clock=run.machine.clock,
                randomness=run.machine.randomness,
                workers=workers,
                cache=cache,
                state=state,
                sink=run.sink,
                presence=FilePresence(run.machine.fs, _sessions_folder(run, config)),
            )
            yield Opened(Repository(store.store, config, keyring, around), store)


def _sessions_folder(run: Run, config: OpenedConfig) -> bytes:
    name = f"repositories/{config.repository_id.hex()}/sessions"
    return os.fsencode(run.settings.state_dir / name)


def known_config(store: Store, state: StateFiles) -> OpenedConfig:
    """Read ``config``, before any key is asked for.

    ``RefusedError`` if this host knows another repository there.
    """
    config = read_config(store)
    known = Memory(state).load(store.url)
    if known is None:
        return config
    here = (config.repository_id.hex(), config.core.admin_key.hex(), config.digest.hex())
    if (known.repository_id, known.admin_key, known.config_digest) != here:
        raise RefusedError(
            f"{store.url} holds repository {here[0][:8]}, and this host knows "
            f"repository {known.repository_id[:8]} there",
            hint="This may be another repository or an attack. If you replaced it on purpose, "
            "only 'strongroom init' makes this host forget the old one.",
        )
    return config


def _keys(
    run: Run,
    store: Store,
    config: OpenedConfig,
    cache: ObjectCache,
    secrets: Sequence[Secret] | None,
) -> Keys:
    agent = given_agent(run) if secrets is None else None
    if agent is not None:
        return open_agent(store, config, agent)
    slots = with_orders(store, config, cache, lambda _key, error: run.warn(error.message))
    if secrets is not None:
        return unlock(store, slots, secrets, run.warn)
    return _unlocked(run, store, slots)


def _unlocked(run: Run, store: Store, config: OpenedConfig) -> Keyring:
    secrets = given_secrets(run)
    if secrets is not None:
        return unlock(store, config, secrets, run.warn)
    if run.person is None:
        raise no_secret(run)
    question = f"passphrase for {store.url}"
    for _ in range(_TRIES - 1):
        try:
            return unlock(store, config, _asked(run, question), run.warn)
        except KeyRefusedError:
            run.tell("that passphrase opens no key slot, try again")
    return unlock(store, config, _asked(run, question), run.warn)


def _asked(run: Run, question: str) -> list[Secret]:
    if run.person is None:
        raise no_secret(run)
    return passphrase_secrets(run.person.passphrase(question, twice=False))
