"""Revoking a writer: what it committed up to now counts, and nothing that it commits later.

The order names what counts, commit by commit, with its digest. Everything else of the writer is
forgotten by that order from the moment it comes; ``undelete`` takes a single one back in.
"""

from __future__ import annotations

from typing import NamedTuple

from strongroom.errors import RefusedError
from strongroom.repository.commits import Decision
from strongroom.repository.keyrecords import Revocation
from strongroom.repository.layout import commit_ids
from strongroom.repository.ordering import put_order
from strongroom.repository.records import Head, OrderKind
from strongroom.repository.repository import History, Repository
from strongroom.repository.standing import revoked_by


class Revoked(NamedTuple):
    """A writer that commits no more.

    ``accepted``: how many of its commits count. ``late``: keys of those that came while it was
    revoked, and do not. ``before``: an earlier order had revoked it.
    """

    writer_id: bytes
    accepted: int
    late: tuple[str, ...]
    before: bool


def revoke(repository: Repository, writer_id: bytes) -> Revoked:
    """Revoke a writer; ``KeyRefusedError`` unless the key is full."""
    repository.keyring.admin_signer()
    if writer_id == repository.keyring.writer().id:
        raise RefusedError(
            "the full-key hosts share this writer, which cannot be revoked",
            hint="Remove their keys with 'strongroom key remove'; after a theft of one, back up "
            "into a new repository.",
        )
    history = repository.checked_history()
    if writer_id in revoked_by(history.orders):
        accepted = _accepted(history, writer_id)
        return Revoked(writer_id, len(accepted), (), before=True)
    heads = tuple(
        Head(one.key, one.sha256)
        for one in sorted(_commits_of(history, writer_id), key=lambda one: one.key)
    )
    put_order(repository, history, OrderKind.REVOKE, Revocation(writer_id, heads))
    now = repository.checked_history()
    late = {one.key for one in _commits_of(now, writer_id)} - _accepted(now, writer_id)
    return Revoked(writer_id, len(heads), tuple(sorted(late)), before=False)


def _commits_of(history: History, writer_id: bytes) -> list[Decision]:
    return [
        one
        for one in history.decisions
        if one.commit is not None and (commit_ids(one.key) or (b"",))[0] == writer_id
    ]


def _accepted(history: History, writer_id: bytes) -> set[str]:
    """Return the keys of the commits that some revocation of the writer accepts."""
    there = {(one.key, one.sha256) for one in history.decisions}
    return {
        head.key
        for order in history.orders
        if isinstance(order.payload, Revocation) and order.payload.writer_id == writer_id
        for head in order.payload.accepted
        if (head.key, head.sha256) in there
    }
