"""How ``tests/museum/keys`` was made: ``python -m tests.museum.make_keys FOLDER`` makes another.

A repository of format 0 with keys that came and went, an agent, and a snapshot of each kind of
writer. What is stored stays as it is; this shows what is in it.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from strongroom.operations.keys import add_key, remove_key
from strongroom.repository.records import SlotKind, SlotRole
from strongroom.repository.slots import Secret
from strongroom.storage.memory import MemoryStore
from tests.support.agents import exported, key_of
from tests.support.kit import Kit
from tests.support.noise import noise

FOLDER = Path(__file__).parent / "keys"
AGENT_FILE = "web1.agent"
MAIN_FILES = {b"etc/text": b"line\n" * 200, b"main": noise(2000, "main")}
AGENT_FILES = {b"etc/text": b"line\n" * 200, b"agent": noise(2000, "agent")}
READER = Secret(SlotKind.KEY_FILE, noise(32, "museum reader"))
FULL = Secret(SlotKind.KEY_FILE, noise(32, "museum full"))
REMOVED = Secret(SlotKind.KEY_FILE, noise(32, "museum removed"))


def make(folder: Path) -> None:
    """Write a repository, and an agent file beside it, into ``folder``."""
    with tempfile.TemporaryDirectory() as state:
        kit = Kit(MemoryStore(), Path(state) / "full")
        kit.init()
        kit.backup(MAIN_FILES)
        for secret, role in (
            (READER, SlotRole.READER),
            (FULL, SlotRole.FULL),
            (REMOVED, SlotRole.FULL),
        ):
            kit.clock.sleep(60)
            key_id = add_key(kit.open(), secret, role)
            if secret is REMOVED:
                remove_key(kit.open(), key_id)
        text = exported(kit, "web1")
        agent = Kit(kit.store, Path(state) / "agent")
        agent.secrets, agent.agent = [], key_of(text)
        agent.backup(AGENT_FILES)
        kit.backup(MAIN_FILES | AGENT_FILES)
    for info in kit.store.list(""):
        path = folder / info.key
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(kit.store.get(info.key))
    (folder / AGENT_FILE).write_text(text)


if __name__ == "__main__":
    make(Path(sys.argv[1]))
