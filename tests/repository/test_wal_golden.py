"""Write-ahead log that was stored once is read for ever."""

from __future__ import annotations

from pathlib import Path

import pytest

from strongroom.repository.wal import archive_of
from strongroom.repository.walsources import WalSources
from strongroom.storage.memory import MemoryStore
from tests.golden.wal import FILES, FOLDER, make
from tests.support.kit import Kit
from tests.support.wal import CLUSTER, SYSTEM

pytestmark = [pytest.mark.spec("B1"), pytest.mark.spec("C6")]


def _stored() -> dict[str, bytes]:
    found = {
        path.relative_to(FOLDER).as_posix(): path.read_bytes()
        for path in sorted(FOLDER.rglob("*"))
        if path.is_file()
    }
    assert found
    return found


def test_it_is_read(tmp_path: Path) -> None:
    """Every file comes back, and the source is the cluster that it was."""
    store = MemoryStore()
    for key, value in _stored().items():
        store.put(key, value)
    repository = Kit(store, tmp_path).open()
    archive = archive_of(repository)
    found = {one.name: bytes(archive.get(one)) for one in archive.files(SYSTEM)}
    assert found == FILES
    assert [one.cluster for one in WalSources(repository).of("db")] == [CLUSTER]


def test_it_is_made_so_today(tmp_path: Path) -> None:
    """The same seed gives the same keys and headers; what is sealed to a public key is another."""
    today = make(tmp_path)
    assert [info.key for info in today.list("")] == list(_stored())
    for key, value in _stored().items():
        if key.startswith("wal/") and "sources" not in key:
            made = today.get(key)
            assert made[:44] == value[:44]
            assert made[188:236] == value[188:236]  # length, hash, position
