"""Check the WAL in a repository: that its objects are what their names say, and their bytes."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from functools import partial
from typing import Final, NamedTuple

from strongroom.errors import DamageError, ObjectMissingError
from strongroom.model.events import Advanced
from strongroom.repository import layout
from strongroom.repository.repository import Repository
from strongroom.repository.wal import StoredWal, WalArchive, archive_of, stored_wal
from strongroom.repository.walgaps import WalGaps
from strongroom.repository.walsources import WalSources

_AHEAD: Final = 8  # files that are read at once


class WalDamage(NamedTuple):
    """A WAL object that cannot be used; ``missing``: it went away while it was looked at."""

    key: str
    text: str
    missing: bool


class WalCounts(NamedTuple):
    """How many files there are, how many were read, and their bytes in the store."""

    files: int
    read: int
    bytes_read: int


def check_wal_objects(
    repository: Repository,
    damaged: Callable[[WalDamage], None],
    foreign: Callable[[str], None],
    *,
    read_data: bool,
) -> WalCounts:
    """Look at everything below ``wal/``: the headers of files, or with ``read_data`` every byte."""
    archive, sources, gaps = archive_of(repository), WalSources(repository), WalGaps(repository)
    found: list[StoredWal] = []
    for info in repository.store.list(layout.WAL):
        one = stored_wal(info.key, info.size, info.stored_ns)
        if one is not None:
            found.append(one)
            continue
        is_source = layout.wal_source_ids(info.key) is not None
        if not is_source and layout.wal_gap_ids(info.key) is None:
            foreign(info.key)
            continue
        wrong = _looked_at(partial(sources.read if is_source else gaps.read, info.key), info.key)
        if wrong is not None:
            damaged(wrong)
    for one, wrong in read_files(repository, archive, found, read_data=read_data):
        if wrong is not None:
            damaged(wrong)
        elif read_data:
            repository.around.sink(Advanced(1, one.size))
    read = len(found) if read_data else 0
    return WalCounts(len(found), read, sum(one.size for one in found) if read_data else 0)


def read_files(
    repository: Repository,
    archive: WalArchive,
    found: Sequence[StoredWal],
    *,
    read_data: bool,
) -> Iterator[tuple[StoredWal, WalDamage | None]]:
    """Look at files, several at once, and yield each with what is wrong with it."""
    look = archive.get if read_data else archive.header
    executor = repository.around.workers.transfer
    running: deque[tuple[StoredWal, Future[WalDamage | None]]] = deque()
    for one in found:
        running.append((one, executor.submit(_looked_at, partial(look, one), one.key)))
        while len(running) >= _AHEAD:
            first, future = running.popleft()
            yield first, future.result()
    for one, future in running:
        yield one, future.result()


def _looked_at(look: Callable[[], object], key: str) -> WalDamage | None:
    try:
        look()
    except ObjectMissingError:
        return WalDamage(key, f"{key} is missing", missing=True)
    except DamageError as error:
        return WalDamage(key, error.message, missing=False)
    return None
