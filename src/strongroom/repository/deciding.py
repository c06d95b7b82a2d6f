"""The one put that decides a session (``docs/format.md`` 13)."""

from __future__ import annotations

from strongroom.errors import (
    FencedError,
    ObjectExistsError,
    ObjectMissingError,
    StoreUnavailableError,
)
from strongroom.model.store import Store
from strongroom.repository.commits import CommitLog


def put_decision(store: Store, log: CommitLog, key: str, data: bytes) -> None:
    """Put the COMMIT of a session; where the outcome is in doubt, what is there decides.

    ``FencedError`` if somebody else ended the session, ``DamageError`` for rubbish in its place.
    """
    try:
        store.put(key, data)
    except (ObjectExistsError, StoreUnavailableError) as error:
        try:
            found = store.get(key)
        except ObjectMissingError:
            raise error from None
        if found != data:
            log.read(key, cached=False)
            raise FencedError(
                "this session was given up by a collector before it ended",
                hint="Nothing is lost: run the same command again.",
            ) from None
