"""Make a repository, and make this host remember it."""

from __future__ import annotations

from typing import NamedTuple

from strongroom.model.randomness import Randomness
from strongroom.model.store import Store
from strongroom.repository.localfiles import LocalFiles
from strongroom.repository.opening import Created, initialise
from strongroom.repository.records import Mode
from strongroom.repository.remembered import Memory, Remembered
from strongroom.repository.slots import Opener


class Initialised(NamedTuple):
    """A new repository; ``replaced`` is the id (hex) that this host remembered at its URL."""

    created: Created
    replaced: str | None


def init(
    store: Store,
    secret: Opener,
    randomness: Randomness,
    now_ns: int,
    state: LocalFiles,
    mode: Mode = Mode.FULL,
) -> Initialised:
    """Create a repository; what this host remembered of another one at the URL is replaced."""
    created = initialise(store, secret, randomness, now_ns, mode=mode)
    memory = Memory(state)
    before = memory.load_leniently(store.url)
    config = created.config
    memory.save(
        Remembered(
            url=store.url,
            repository_id=config.repository_id.hex(),
            admin_key=config.core.admin_key.hex(),
            config_digest=config.digest.hex(),
            heads={},
        )
    )
    return Initialised(created, before.repository_id if before else None)
