"""The repository with a slot of KMS, epochs and a revoked agent is read for ever."""

from __future__ import annotations

from pathlib import Path

import pytest

from strongroom.errors import KeyRefusedError
from strongroom.operations.keys import list_keys, rotate_keys
from strongroom.repository.slots import Opener
from strongroom.storage.memory import MemoryStore
from tests.museum.make_rotated import BY_KMS, EARLY, FILES, FOLDER, LATE, LATER, READER, REMOVED
from tests.recover.harness import Recovery
from tests.support.kit import SECRET, Kit

pytestmark = pytest.mark.spec("B3")


@pytest.fixture(name="store")
def _store() -> MemoryStore:
    store = MemoryStore()
    for path in sorted(FOLDER.rglob("*")):
        if path.is_file():
            store.put(path.relative_to(FOLDER).as_posix(), path.read_bytes())
    return store


@pytest.mark.parametrize(
    "secret", [SECRET, BY_KMS, READER, LATER], ids=["init", "kms", "reader", "later"]
)
def test_every_key_reads_every_epoch(store: MemoryStore, secret: Opener, tmp_path: Path) -> None:
    """What the agent committed too late is forgotten, and still there; verify finds nothing."""
    kit = Kit(store, tmp_path)
    kit.secrets = [secret]
    listing = kit.listing()
    found = [kit.restore(one.id)[1] for one in listing.found]
    assert sorted(found, key=str) == sorted([EARLY, *FILES], key=str)
    assert [kit.restore(one.id)[1] for one in listing.forgotten] == [LATE]
    assert kit.verify().findings == []
    assert list_keys(kit.open()).epoch == 3


def test_the_removed_key_opens_nothing(store: MemoryStore, tmp_path: Path) -> None:
    """Its slot does not count, and the others go on: the next epoch is the fourth."""
    kit = Kit(store, tmp_path)
    kit.secrets = [REMOVED]
    with pytest.raises(KeyRefusedError):
        kit.open()
    kit.secrets = [BY_KMS]
    assert rotate_keys(kit.open()) == (4, 5)


def test_the_second_reader_reads_it(store: MemoryStore, tmp_path: Path) -> None:
    """With a key of before the epochs."""
    recovery = Recovery(tmp_path, READER).copy(store)
    shown = recovery.good("list", "--json", "--all").records
    assert [record["forgotten"] for record in shown].count(True) == 1
    assert len(shown) == 5
    recovery.good("verify")
