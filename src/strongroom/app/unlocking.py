"""The keys of a repository: what this host remembers of it, and what opens it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from strongroom.app.folders import StateFiles
from strongroom.app.machine import Run
from strongroom.app.secrets import (
    given_agent,
    given_secrets,
    kms_opener,
    no_secret,
    passphrase_secrets,
    stated_kms_key,
)
from strongroom.errors import (
    KeyRefusedError,
    NoRepositoryError,
    ObjectMissingError,
    RefusedError,
    StrongroomError,
)
from strongroom.model.store import Store
from strongroom.repository.agent import open_agent
from strongroom.repository.cache import ObjectCache
from strongroom.repository.keyring import Keyring, Keys
from strongroom.repository.opening import OpenedConfig, read_config
from strongroom.repository.remembered import Memory
from strongroom.repository.slots import Opener
from strongroom.repository.slotset import with_orders
from strongroom.repository.unlocking import has_kms_slot, unlock

_TRIES: Final = 3


def known_config(store: Store, state: StateFiles) -> OpenedConfig:
    """Read ``config``, before any key is asked for.

    ``RefusedError`` if this host knows another repository there, ``NoRepositoryError`` for none.
    """
    known = Memory(state).load(store.url)
    try:
        config = read_config(store)
    except NoRepositoryError as error:
        if known is None or not isinstance(error.__cause__, ObjectMissingError):
            raise
        raise NoRepositoryError(
            f"{error.message}; this host knows repository {known.repository_id[:8]} there",
            hint="It was deleted, or its store is not there now. Make no new one in its place "
            "before that is clear. In a bucket that keeps versions it reads as it was: "
            "--as-of TIME.",
        ) from error
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
    secrets: Sequence[Opener] | None,
) -> Keys:
    """Open the keys that the settings give, or ``secrets``; ``KeyRefusedError``."""
    agent = given_agent(run) if secrets is None else None
    slots = with_orders(store, config, cache, lambda _key, error: run.warn(error.message))
    if agent is not None:
        return open_agent(store, slots, agent)
    if secrets is not None:
        return unlock(store, slots, secrets, run.warn)
    return _unlocked(run, store, slots)


def _unlocked(run: Run, store: Store, config: OpenedConfig) -> Keyring:
    """Try what was given first, then KMS, then a person.

    KMS is asked if the configuration names a key of it, or if nothing was given, a slot is of that
    kind, and there are credentials.
    """
    secrets = given_secrets(run)
    stated = stated_kms_key(run) is not None
    if secrets is not None and not stated:
        return unlock(store, config, secrets, run.warn)
    if secrets is not None:
        try:
            return unlock(store, config, secrets, run.warn)
        except KeyRefusedError as error:
            run.warn(f"{error.message}; KMS is asked")
    if stated or _kms_can_be_asked(run, store, config):
        try:
            return unlock(store, config, [kms_opener(run)], run.warn)
        except StrongroomError as error:
            if run.person is None or secrets is not None:
                raise
            run.warn(error.message)
    return _unlocked_by_person(run, store, config)


def _kms_can_be_asked(run: Run, store: Store, config: OpenedConfig) -> bool:
    if not has_kms_slot(store, config):
        return False
    account = run.settings.require_place().account
    why = f"there are no credentials for it ({account})"
    try:
        if run.aws.kms(account).has_credentials():
            return True
    except StrongroomError as error:  # a passphrase does without
        why = f"it cannot be asked: {error.message}"
    run.warn(f"a key of AWS KMS opens {store.url}, and {why}")
    return False


def _unlocked_by_person(run: Run, store: Store, config: OpenedConfig) -> Keyring:
    if run.person is None:
        raise no_secret(run)
    question = f"passphrase for {store.url}"
    for _ in range(_TRIES - 1):
        try:
            return unlock(store, config, _asked(run, question), run.warn)
        except KeyRefusedError:
            run.tell("that passphrase opens no key slot, try again")
    return unlock(store, config, _asked(run, question), run.warn)


def _asked(run: Run, question: str) -> Sequence[Opener]:
    if run.person is None:
        raise no_secret(run)
    return passphrase_secrets(run.person.passphrase(question, twice=False))
