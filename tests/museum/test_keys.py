"""The repository with keys that came and went is read for ever."""

from __future__ import annotations

from pathlib import Path

import pytest

from strongroom.errors import KeyRefusedError
from strongroom.operations.keys import list_keys
from strongroom.repository.records import SlotRole
from strongroom.repository.slots import Secret
from strongroom.storage.memory import MemoryStore
from tests.museum.make_keys import (
    AGENT_FILE,
    AGENT_FILES,
    FOLDER,
    FULL,
    MAIN_FILES,
    READER,
    REMOVED,
)
from tests.support.agents import key_of
from tests.support.kit import SECRET, Kit

pytestmark = pytest.mark.spec("B3")


@pytest.fixture(name="store")
def _store() -> MemoryStore:
    store = MemoryStore()
    for path in sorted(FOLDER.rglob("*")):
        if path.is_file() and path.name != AGENT_FILE:
            store.put(path.relative_to(FOLDER).as_posix(), path.read_bytes())
    return store


@pytest.mark.parametrize("secret", [SECRET, READER, FULL], ids=["init", "reader", "full"])
def test_every_key_that_counts_restores_everything(
    store: MemoryStore, secret: Secret, tmp_path: Path
) -> None:
    """Bit for bit, what a full-key host and an agent saved; verify finds nothing."""
    kit = Kit(store, tmp_path)
    kit.secrets = [secret]
    main, agent, both = kit.snapshots()
    assert [main.agent, agent.agent, both.agent] == [b"", b"web1", b""]
    assert kit.restore(main.id)[1] == MAIN_FILES
    assert kit.restore(agent.id)[1] == AGENT_FILES
    assert kit.restore(both.id)[1] == MAIN_FILES | AGENT_FILES
    assert kit.verify().findings == []
    roles = [key.role for key in list_keys(kit.open()).keys]
    assert roles == [SlotRole.FULL, SlotRole.FULL, SlotRole.READER, SlotRole.FULL]


def test_the_removed_key_opens_nothing(store: MemoryStore, tmp_path: Path) -> None:
    """Its slot does not count."""
    kit = Kit(store, tmp_path)
    kit.secrets = [REMOVED]
    with pytest.raises(KeyRefusedError):
        kit.open()


def test_the_agent_goes_on(store: MemoryStore, tmp_path: Path) -> None:
    """Its file of then backs up, and stores nothing again."""
    agent = Kit(store, tmp_path)
    agent.secrets = []
    agent.agent = key_of((FOLDER / AGENT_FILE).read_text())
    assert agent.backup(AGENT_FILES).written.chunks == 0
