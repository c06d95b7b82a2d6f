"""Segments are there before PostgreSQL asks for them: whole ones only, none that is not sound."""

from __future__ import annotations

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from strongroom.operations.wal.fetch import Fetched, Fetcher, Wanted
from strongroom.operations.wal.fetchahead import AHEAD, FetchAhead
from strongroom.postgres.wal.names import WalKind, WalName
from strongroom.repository.wal import archive_of
from strongroom.repository.walgaps import WalGaps
from strongroom.storage.memory import MemoryStore
from strongroom.system.posix import PosixFs
from tests.support.kit import Kit
from tests.support.wal import CLUSTER, SYSTEM, numbered, segment

pytestmark = pytest.mark.spec("C7")


@pytest.fixture
def threads() -> Iterator[ThreadPoolExecutor]:
    """Lend threads."""
    with ThreadPoolExecutor(4) as executor:
        yield executor


@pytest.fixture
def kit(tmp_path: Path) -> Kit:
    """A host with a repository in memory and segments in it: 1 to 22, without 5."""
    kit = Kit(MemoryStore(), tmp_path / "kit")
    kit.init()
    archive = archive_of(kit.open())
    for number in range(1, 23):
        if number != 5:
            archive.put(CLUSTER, numbered(number), segment(numbered(number)))
    return kit


def _fetched(kit: Kit, name: WalName, folder: Path) -> Fetched:
    wanted = Wanted(name.text, os.fsencode(folder / name.text), SYSTEM)
    repository = kit.open()
    gaps = WalGaps(repository)
    return Fetcher(archive_of(repository), gaps, PosixFs(), lambda _: None).fetch(wanted)


def _ahead(kit: Kit, folder: Path) -> FetchAhead:
    return FetchAhead(archive_of(kit.open()), PosixFs(), os.fsencode(folder), None)


def test_what_follows_is_there(kit: Kit, tmp_path: Path, threads: ThreadPoolExecutor) -> None:
    """Sixteen at most, byte for byte, without what the archive lacks; and once."""
    folder = tmp_path / "ahead"
    fetched = _fetched(kit, numbered(2), tmp_path)
    assert _ahead(kit, folder).follow(fetched, threads, 0.01) == AHEAD - 1
    wanted = [numbered(number) for number in range(3, 3 + AHEAD) if number != 5]
    assert {path.name for path in folder.iterdir()} == {name.text for name in wanted}
    for name in wanted:
        assert (folder / name.text).read_bytes() == segment(name)
    assert _ahead(kit, folder).follow(fetched, threads, 0.01) == 0
    assert folder.stat().st_mode & 0o777 == 0o700


def test_a_slow_store_is_asked_for_less(
    kit: Kit, tmp_path: Path, threads: ThreadPoolExecutor
) -> None:
    """As much as twenty seconds are thought to be enough for; of a very slow one nothing."""
    fetched = _fetched(kit, numbered(6), tmp_path)
    assert _ahead(kit, tmp_path / "slow").follow(fetched, threads, 5.0) == 4
    assert _ahead(kit, tmp_path / "slower").follow(fetched, threads, 21.0) == 0


def test_what_is_damaged_is_left_to_who_asks(
    kit: Kit, tmp_path: Path, threads: ThreadPoolExecutor
) -> None:
    """It is not there ahead, and the others are."""
    (key,) = [one.key for one in archive_of(kit.open()).find(SYSTEM, numbered(3))]
    data = bytearray(kit.store.get(key))
    data[len(data) // 2] ^= 1
    kit.store.delete(key)
    kit.store.put(key, bytes(data))
    folder = tmp_path / "ahead"
    fetched = _fetched(kit, numbered(2), tmp_path)
    assert _ahead(kit, folder).follow(fetched, threads, 0.01) == AHEAD - 2
    assert not (folder / numbered(3).text).exists()
    assert (folder / numbered(4).text).exists()


def test_nothing_is_ahead_of_what_is_no_segment(
    kit: Kit, tmp_path: Path, threads: ThreadPoolExecutor
) -> None:
    """Of a history, of what is absent, and of a part of a segment."""
    folder = tmp_path / "ahead"
    ahead = _ahead(kit, folder)
    history = Fetched(WalName(WalKind.HISTORY, 2), delivered=True, system_id=SYSTEM, size=40)
    assert ahead.follow(history, threads, 0.01) == 0
    assert ahead.follow(_fetched(kit, numbered(23), tmp_path), threads, 0.01) == 0
    part = Fetched(numbered(2), delivered=True, partial=True, system_id=SYSTEM, size=1 << 20)
    assert ahead.follow(part, threads, 0.01) == 0
    assert not folder.exists()
