"""Every repository that is kept with the tests is read, whatever version wrote it."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from strongroom.repository.slots import Secret
from strongroom.storage.memory import MemoryStore
from tests.golden.make import FIRST, SECOND
from tests.museum.make_keys import AGENT_FILE, AGENT_FILES, FULL, MAIN_FILES, READER, REMOVED
from tests.museum.make_keys import FOLDER as KEYS
from tests.recover.harness import KEY_REFUSED, Recovery, objects_below, run
from tests.support.kit import SECRET, Kit

pytestmark = pytest.mark.spec("B10")

TESTS = Path(__file__).parents[1]
STORED = sorted(path.parent for path in TESTS.glob("*/**/config") if path.is_file())


@pytest.mark.parametrize("folder", STORED, ids=lambda folder: str(folder.relative_to(TESTS)))
def test_every_stored_repository_restores_as_the_program_restores_it(
    folder: Path, recovery: Recovery, tmp_path: Path
) -> None:
    """All snapshots, byte for byte; and verify finds nothing."""
    objects = objects_below(folder)
    recovery.put(objects)
    store = MemoryStore()
    for key, value in objects.items():
        if key != AGENT_FILE:
            store.put(key, value)
    kit = Kit(store, tmp_path / "state")
    listed = recovery.good("list", "--json").records
    assert [one["id"] for one in listed] == [snapshot.id for snapshot in kit.snapshots()]
    for snapshot in listed:
        result, files = recovery.restored(snapshot["id"], snapshot["id"])
        assert result.code == 0
        assert files == kit.restore(snapshot["id"])[1]
    assert recovery.good("verify").out.startswith("no damage found")


def test_stored_repositories_are_found() -> None:
    """So that the test above cannot be about none."""
    assert {KEYS, TESTS / "golden/repository"} <= set(STORED)


def test_the_golden_repository_holds_what_was_put_into_it(recovery: Recovery) -> None:
    """A branch above leaves, extents in a chunk of their own, holes, and a name of any bytes."""
    shutil.copytree(TESTS / "golden/repository", recovery.repository)
    first, second = (one["id"] for one in recovery.good("list", "--json").records)
    assert recovery.restored(first, "first")[1] == FIRST
    assert recovery.restored(second, "second")[1] == SECOND


@pytest.mark.parametrize("secret", [SECRET, READER, FULL], ids=["init", "reader", "full"])
def test_every_key_of_the_museum_opens_it(secret: Secret, tmp_path: Path) -> None:
    """Keys of init and those that came by order, full or not; and snapshots of all writers."""
    recovery = Recovery(tmp_path, secret)
    shutil.copytree(KEYS, recovery.repository)
    found = recovery.good("list", "--json").records
    expected = [MAIN_FILES, AGENT_FILES, MAIN_FILES | AGENT_FILES]
    for one, files in zip(found, expected, strict=True):
        assert recovery.restored(one["id"], one["id"])[1] == files
    assert [one["agent"] for one in found] == [None, "web1", None]


def test_a_removed_key_opens_nothing(tmp_path: Path) -> None:
    """Its slot does not count, even where it is still there."""
    recovery = Recovery(tmp_path, REMOVED)
    shutil.copytree(KEYS, recovery.repository)
    assert recovery.run("list").code == KEY_REFUSED


def test_an_agent_file_is_refused_with_a_sentence() -> None:
    """It is the wrong kind of key, which is not the fault of whoever gives it."""
    result = run("list", KEYS, "--key-file", KEYS / AGENT_FILE)
    assert result.code == KEY_REFUSED
    assert "is an agent file: with it a host backs up, and can read nothing" in result.err
