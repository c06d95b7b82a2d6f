"""The keys of a repository: what this host remembers of it, and what opens it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from strongroom.app.folders import StateFiles
from strongroom.app.machine import Run
from strongroom.app.secrets import given_agent, given_secrets, no_secret, passphrase_secrets
from strongroom.errors import KeyRefusedError, RefusedError
from strongroom.model.store import Store
from strongroom.repository.agent import open_agent
from strongroom.repository.cache import ObjectCache
from strongroom.repository.keyring import Keyring, Keys
from strongroom.repository.opening import OpenedConfig, read_config, unlock
from strongroom.repository.remembered import Memory
from strongroom.repository.slots import Secret
from strongroom.repository.slotset import with_orders

_TRIES: Final = 3


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


def keys_of(
    run: Run,
    store: Store,
    config: OpenedConfig,
    cache: ObjectCache,
    secrets: Sequence[Secret] | None,
) -> Keys:
    """Open the keys that the settings give, or ``secrets``; ``KeyRefusedError``."""
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
