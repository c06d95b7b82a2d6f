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
from strongroom.repository.lease import Lease


def put_decision(
    store: Store, log: CommitLog, key: str, data: bytes, lease: Lease | None = None
) -> None:
    """Put the COMMIT of a session; where the outcome is in doubt, what is there decides.

    ``lease``: of a session whose store does not decide between two. ``FencedError`` if somebody
    else ended the session, or could have, ``DamageError`` for rubbish in its place.
    """
    if lease is not None:
        lease.require()
    _put(store, log, key, data)
    if lease is not None:
        lease.require(key)
        _expect(store, log, key, data)


def _put(store: Store, log: CommitLog, key: str, data: bytes) -> None:
    try:
        store.put(key, data)
    except (ObjectExistsError, StoreUnavailableError) as error:
        try:
            found = store.get(key)
        except ObjectMissingError:
            raise error from None
        _compare(log, key, found, data)


def _expect(store: Store, log: CommitLog, key: str, data: bytes) -> None:
    """Look once more: the last of two puts stays, where the store does not decide."""
    try:
        found = store.get(key)
    except ObjectMissingError:
        found = b""
    _compare(log, key, found, data)


def _compare(log: CommitLog, key: str, found: bytes, data: bytes) -> None:
    if found != data:
        log.read(key, cached=False)
        raise FencedError(
            "this session was given up by a collector before it ended",
            hint="Nothing is lost: run the same command again.",
        ) from None
