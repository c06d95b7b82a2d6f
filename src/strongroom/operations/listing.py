"""List snapshots, list what is in one, and print one file of it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import NamedTuple

from strongroom.clock import rfc3339
from strongroom.errors import DamageError, MissingObjectError, NotFoundError, UsageError
from strongroom.model.entry import HOLE, Entry, EntryKind
from strongroom.model.events import Notice
from strongroom.model.snapshot import PRE_RESTORE, ListedSnapshot
from strongroom.operations.restore import tree_of
from strongroom.repository import layout
from strongroom.repository.content import flatten
from strongroom.repository.reader import Reader
from strongroom.repository.repository import History, Listing, Repository
from strongroom.repository.wholeness import Lack, Stock

_SHORTEST_PREFIX = 2
_ZEROS = bytes(1 << 20)
_WINDOW = 64
_LOOKS = 2
_NUMBER = re.compile(r"[0-9]{1,9}")


def named_snapshots(repository: Repository, names: Sequence[str]) -> list[ListedSnapshot]:
    """Return the snapshot that each name names; ``NotFoundError``, and ``refuse_unreadable``."""
    listing = repository.list_snapshots()
    refuse_unreadable(listing, names)
    return [_named(listing, name) for name in names]


def _named(listing: Listing, name: str) -> ListedSnapshot:
    try:
        return find_snapshot(listing.found, name)
    except NotFoundError:
        gone = [one for one in listing.forgotten if one.id.startswith(name)]
        if len(name) < _SHORTEST_PREFIX or len(gone) != 1:
            raise
        short = gone[0].short_id
        raise NotFoundError(
            f"snapshot {short} is forgotten",
            hint=f"Bring it back with 'strongroom undelete {short}', as long as it is there.",
        ) from None


Among = Callable[[Sequence[ListedSnapshot]], list[ListedSnapshot]]


class Meant(NamedTuple):
    """A snapshot, and what reads it: its index is that by which it was looked at."""

    listed: ListedSnapshot
    reader: Reader


def snapshot_to_restore(
    repository: Repository, name: str, *, all_of_it: bool = False, among: Among = list
) -> Meant:
    """Return the snapshot that a name names, for whoever will need all of it.

    Of one that is named by itself it is told what is not there: what is there may be wanted all
    the same. Its trees are read for that if ``all_of_it`` will be, and else only where listings
    hint at a gap: a part may be small. For ``latest``, where it is not whole,
    ``MissingObjectError`` says which one is; errors also as of ``named_snapshots``. ``among``
    chooses, of all snapshots, those that can be meant.
    """
    listing = repository.list_snapshots()
    refuse_unreadable(listing, [name])
    listing = replace(listing, found=among(listing.found))
    listed = _named(listing, name)
    stock, lack = _look(repository, listing.history, listed, every=all_of_it)
    if lack is None:
        return Meant(listed, stock.reader())
    text = f"snapshot {listed.short_id} is not whole in {repository.store.url}: {said_of(lack)}"
    if not name.startswith("latest"):
        repository.around.sink(Notice(f"warning: {text}"))
        return Meant(listed, repository.reader())  # which says of what is missing where it was
    whole = _newest_whole(stock, listing.found, listed)
    raise MissingObjectError(
        text,
        hint=f"{whole} What is there of {listed.short_id} is had by its id. 'strongroom store "
        "replica' says what a replica lacks, 'strongroom verify' what is damaged.",
    )


def refuse_not_whole(repository: Repository, history: History, listed: ListedSnapshot) -> None:
    """``MissingObjectError`` for a snapshot that is of no use unless all of it is there."""
    _, lack = _look(repository, history, listed, every=True)
    if lack is not None:
        raise MissingObjectError(
            f"snapshot {listed.short_id} is not whole in {repository.store.url}: {said_of(lack)}",
            hint="Name an older one. 'strongroom store replica --all' says what a replica lacks.",
        )


def _look(
    repository: Repository, history: History, listed: ListedSnapshot, *, every: bool
) -> tuple[Stock, Lack | None]:
    """Return what a store holds, and what a snapshot lacks there.

    None if it lacks nothing, or nothing but ``every`` tree would tell. What lacks something is
    looked at again: a collector may have put its packs together.
    """
    looks = _LOOKS
    while True:
        stock = Stock(repository, history)
        if not (every or stock.shows_gaps(listed)):
            return stock, None
        lack = stock.lack(listed)
        if not lack.is_absent:
            return stock, None
        looks -= 1
        if not looks:
            return stock, lack


def _newest_whole(stock: Stock, found: Sequence[ListedSnapshot], of: ListedSnapshot) -> str:
    """Say which snapshot of the same sources, older than ``of``, is the newest that is whole."""
    mine = _series(of)
    older = found[: found.index(of)]
    for listed in reversed(older):
        if not mine.isdisjoint(_series(listed)) and stock.lack(listed).is_whole:
            when = rfc3339(listed.snapshot.started_ns)
            return (
                f"The newest of its sources that is whole is {listed.short_id}, of {when}: "
                f"'strongroom restore {listed.short_id} …'."
            )
    return "No older snapshot of its sources is whole there."


def _series(listed: ListedSnapshot) -> set[tuple[bytes, bytes]]:
    snapshot = listed.snapshot
    if snapshot.type == PRE_RESTORE:
        return set()
    return {(snapshot.host, source.name) for source in snapshot.sources}


def said_of(lack: Lack) -> str:
    """Say in a few words what is not there."""
    said = []
    if lack.packs:
        count = len(lack.packs)
        packs = "pack that it needs is" if count == 1 else "packs that it needs are"
        size = f" ({lack.bytes:,} bytes)" if lack.bytes else ""
        said.append(f"{count:,} {packs} missing{size}, the first is {layout.pack(min(lack.packs))}")
    if lack.unindexed:
        said.append("parts of the index are missing")
    return "; ".join([*said, *lack.damage[:1]])


def refuse_unreadable(listing: Listing, names: Sequence[str]) -> None:
    """``DamageError`` for ``latest`` where a commit cannot be read that may be the latest one.

    What stands below an agent's name stops nobody: whoever stole its key could put it there.
    """
    if listing.doubtful and any(name.startswith("latest") for name in names):
        raise DamageError(
            f"{listing.doubtful} commit(s) cannot be read, so which snapshot is the latest is "
            "not known",
            hint="Name a snapshot by its id: 'strongroom snapshots' lists those that can be read, "
            "'strongroom verify' says what is damaged.",
        )


def find_snapshot(snapshots: Sequence[ListedSnapshot], text: str) -> ListedSnapshot:
    """Return the snapshot that ``text`` names: ``latest``, ``latest~N``, a name, how an id begins.

    What was saved before a restore is found by its id only: it is what the restore replaced.
    ``latest@ENV`` and ``latest~N@ENV`` are among those of an environment. ``snapshots`` is sorted,
    oldest first. ``NotFoundError``.
    """
    latest, at, environment = text.partition("@")
    if latest == "latest" or latest.startswith("latest~"):
        back = latest[len("latest~") :] or "0"
        if not _NUMBER.fullmatch(back):
            raise UsageError(f"'{text}' is not latest~N with a number N")
        if at:
            of = environment.encode("utf-8", "surrogateescape")
            snapshots = [one for one in snapshots if one.snapshot.environment == of]
        snapshots = [one for one in snapshots if one.snapshot.type != PRE_RESTORE]
        if int(back) >= len(snapshots):
            where = f"environment '{environment}' has" if at else "the repository holds"
            raise NotFoundError(
                f"no snapshot '{text}': {where} {len(snapshots)}",
                hint="See them with 'strongroom snapshots'.",
            )
        return snapshots[-1 - int(back)]
    name = text.encode("utf-8", "surrogateescape")
    found = [s for s in snapshots if name and s.snapshot.name == name]
    found = found or [
        s for s in snapshots if len(text) >= _SHORTEST_PREFIX and s.id.startswith(text)
    ]
    if len(found) == 1:
        return found[0]
    if found:
        ids = ", ".join(snapshot.short_id for snapshot in found[:5])
        raise NotFoundError(
            f"'{text}' matches {len(found)} snapshots: {ids}", hint="Give more digits of its id."
        )
    raise NotFoundError(
        f"no snapshot '{text}'", hint="See which there are with 'strongroom snapshots'."
    )


def entries_below(
    repository: Repository, listed: ListedSnapshot, top: bytes
) -> Iterator[Sequence[Entry]]:
    """Yield the entries at and below a path; ``NotFoundError`` if there is none."""
    reader = repository.reader()
    found = False
    for source in listed.snapshot.sources:
        for batch in tree_of(reader, listed, source).entries(top):
            found = found or bool(batch)
            if batch:
                yield batch
    if top and not found:
        raise _no_path(listed, top)


def dump(
    repository: Repository,
    listed: ListedSnapshot,
    path: bytes,
    write: Callable[[bytes | memoryview], object],
) -> int:
    """Write the bytes of one file, in order; their number. ``NotFoundError``, ``DamageError``."""
    reader = repository.reader()
    for source in listed.snapshot.sources:
        for batch in tree_of(reader, listed, source).entries(path):
            for entry in batch:
                if entry.path == path:
                    return dump_entry(reader.fetch, listed, entry, write)
    raise _no_path(listed, path)


def dump_entry(
    fetch: Callable[[list[bytes]], list[bytes]],
    listed: ListedSnapshot,
    entry: Entry,
    write: Callable[[bytes | memoryview], object],
) -> int:
    """Write the bytes of one file, in order; their number. ``DamageError``."""
    shown = entry.path.decode("utf-8", "backslashreplace")
    if entry.kind not in {EntryKind.FILE, EntryKind.STREAM}:
        raise UsageError(
            f"{shown} in snapshot {listed.short_id} is no file",
            hint="Use 'strongroom restore' for directories, links and special files.",
        )
    extents = list(flatten(shown, entry.content, entry.depth, fetch))
    written = 0
    for start in range(0, len(extents), _WINDOW):
        part = extents[start : start + _WINDOW]
        chunks = iter(fetch([e.chunk_id for e in part if e.chunk_id != HOLE]))
        for extent in part:
            written += extent.length
            if extent.chunk_id == HOLE:
                _write_zeros(extent.length, write)
                continue
            chunk = next(chunks)
            if len(chunk) != extent.length:
                raise DamageError(f"{shown} is damaged: one of its chunks has another size")
            write(chunk)
    if written != entry.size:
        raise DamageError(f"{shown} is damaged: its chunks do not add up to its size")
    return written


def _write_zeros(length: int, write: Callable[[bytes | memoryview], object]) -> None:
    while length:
        piece = memoryview(_ZEROS)[: min(length, len(_ZEROS))]
        write(piece)
        length -= len(piece)


def _no_path(listed: ListedSnapshot, path: bytes) -> NotFoundError:
    shown = path.decode("utf-8", "backslashreplace")
    return NotFoundError(
        f"no path {shown} in snapshot {listed.short_id}",
        hint=f"See what it holds with 'strongroom ls {listed.short_id}'.",
    )
