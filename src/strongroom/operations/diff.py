"""Compare two snapshots; what they share is known by its ids, and not read."""

from __future__ import annotations

import hashlib
from collections.abc import Callable

from strongroom.errors import DamageError, NotFoundError
from strongroom.model.entry import Entry
from strongroom.model.snapshot import ListedSnapshot, Order
from strongroom.operations.changes import Change, DiffResult, change_of
from strongroom.operations.comparing import TreeSide, above, overlap, pairs, path_of
from strongroom.operations.listing import dump_entry
from strongroom.operations.restore import cursor_of, tree_of
from strongroom.repository.findings import Finding, Severity
from strongroom.repository.reader import Reader
from strongroom.repository.repository import Repository
from strongroom.repository.tree import key_of

Take = Callable[[Change], None]


def diff(
    repository: Repository, old: ListedSnapshot, new: ListedSnapshot, top: bytes, take: Take
) -> DiffResult:
    """Give every difference at and below ``top`` to ``take``, in the order of paths.

    ``NotFoundError`` if neither snapshot has ``top``.
    """
    reader = repository.reader()
    if top and not any(_has(reader, listed, top) for listed in (old, new)):
        shown = top.decode("utf-8", "backslashreplace")
        raise NotFoundError(
            f"no path {shown} in snapshot {old.short_id}, and none in {new.short_id}",
            hint=f"See what they hold with 'strongroom ls {new.short_id}'.",
        )
    result = DiffResult()
    same_content: Callable[[Entry, Entry], bool] = _same_chunks
    if old.domain != new.domain:  # their ids have nothing to do with each other
        same_content = _SameBytes(reader, old, new)
    sharing = not any(overlap(listed.snapshot.sources) for listed in (old, new))
    for order in Order:
        sides = [_side(reader, listed, order, top, result) for listed in (old, new)]
        for pair in pairs(*sides, sharing=sharing):
            try:
                change = change_of(*pair, same_content)
            except DamageError as error:
                result.damaged.append(damage(new, path_of(pair), error))
                continue
            if change is not None:
                result.add(change)
                take(change)
    return result


def _same_chunks(before: Entry, after: Entry) -> bool:
    return (before.content, before.depth) == (after.content, after.depth)


class _SameBytes:
    """Whether two files contain the same, by reading both."""

    def __init__(self, reader: Reader, old: ListedSnapshot, new: ListedSnapshot) -> None:
        self._fetch = reader.fetch
        self._old = old
        self._new = new

    def __call__(self, before: Entry, after: Entry) -> bool:
        digests = []
        for listed, entry in ((self._old, before), (self._new, after)):
            digest = hashlib.blake2b()
            dump_entry(self._fetch, listed, entry, digest.update)
            digests.append(digest.digest())
        return digests[0] == digests[1]


def _has(reader: Reader, listed: ListedSnapshot, top: bytes) -> bool:
    return any(
        batch
        for source in listed.snapshot.sources
        for batch in tree_of(reader, listed, source).entries(top)
    )


def _side(
    reader: Reader, listed: ListedSnapshot, order: Order, top: bytes, result: DiffResult
) -> TreeSide:
    sources = listed.snapshot.sources
    return TreeSide(
        [cursor_of(reader, listed, source, top) for source in sources if source.order == order],
        key_of(order),
        lambda first, error: result.damaged.append(damage(listed, first, error)),
        tops=[top] if top else [],
        held=above(sources) if len(sources) > 1 else [],
    )


def damage(listed: ListedSnapshot, first: bytes, error: DamageError) -> Finding:
    """Say that a part of a snapshot cannot be compared."""
    text = f"a part of its tree cannot be compared: {error.message}"
    where = f"snapshot {listed.short_id}"
    return Finding(Severity.DAMAGE, where, text, listed.short_id, first)
