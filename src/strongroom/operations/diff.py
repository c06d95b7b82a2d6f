"""Compare two snapshots; what they share is known by its ids, and not read."""

from __future__ import annotations

import hashlib
from collections.abc import Callable

from strongroom.errors import DamageError, NotFoundError
from strongroom.model.entry import HOLE, Entry
from strongroom.model.snapshot import ListedSnapshot, Order
from strongroom.operations.changes import Change, DiffResult, change_of
from strongroom.operations.comparing import TreeSide, above, overlap, pairs, path_of
from strongroom.operations.listing import dump_entry
from strongroom.operations.restore import cursor_of, tree_of
from strongroom.repository.content import flatten
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
    same_content: Callable[[Entry, Entry], bool] = _SameBytes(reader, old, new)
    if old.domain == new.domain:  # else their ids have nothing to do with each other
        same_content = _SameChunks(reader, same_content)
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


class _SameChunks:
    """Whether two files contain the same, by the ids of their chunks.

    Only where a hole was filled with zeros, or made of them, the bytes have to be asked.
    """

    def __init__(self, reader: Reader, same_bytes: Callable[[Entry, Entry], bool]) -> None:
        self._fetch = reader.fetch
        self._same_bytes = same_bytes

    def __call__(self, before: Entry, after: Entry) -> bool:
        if (before.content, before.depth) == (after.content, after.depth):
            return True
        return self._holes_of(before) != self._holes_of(after) and self._same_bytes(before, after)

    def _holes_of(self, entry: Entry) -> list[tuple[int, int]]:
        found, offset = [], 0
        for piece in flatten("a file", entry.content, entry.depth, self._fetch):
            if piece.chunk_id == HOLE:
                found.append((offset, piece.length))
            offset += piece.length
        return found


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
