"""How ``tests/museum/rotated`` was made: ``python -m tests.museum.make_rotated FOLDER``.

A repository of format 1 with a slot of KMS, two epochs that orders began, a key that was removed
before the second, and an agent that was revoked and committed once more. What is stored stays as it
is; this shows what is in it.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from typing import Final

from strongroom.operations.keys import add_key, remove_key, revoke_agent, rotate_keys
from strongroom.repository.kmsslot import KmsSecret
from strongroom.repository.records import SlotKind, SlotRole
from strongroom.repository.slots import Secret
from strongroom.storage.memory import MemoryStore
from tests.support.agents import agent_host
from tests.support.kit import Kit
from tests.support.local_kms import LocalKms
from tests.support.noise import noise

FOLDER: Final = Path(__file__).parent / "rotated"
BY_KMS: Final = KmsSecret(LocalKms(), "museum")
READER: Final = Secret(SlotKind.KEY_FILE, noise(32, "museum reader"))
REMOVED: Final = Secret(SlotKind.KEY_FILE, noise(32, "museum removed"))
LATER: Final = Secret(SlotKind.KEY_FILE, noise(32, "museum later"))
FILES: Final = [{b"epoch": f"{number}\n".encode() * 100} for number in (1, 2, 3)]
EARLY: Final = {b"agent": b"early\n" * 100}
LATE: Final = {b"agent": b"late\n" * 100}


def make(folder: Path) -> None:
    """Write a repository into ``folder``."""
    with tempfile.TemporaryDirectory() as state:
        kit = Kit(MemoryStore(), Path(state) / "full")
        kit.init()
        add_key(kit.open(), BY_KMS, SlotRole.FULL)
        kit.clock.sleep(60)
        add_key(kit.open(), READER, SlotRole.READER)
        kit.clock.sleep(60)
        removed = add_key(kit.open(), REMOVED, SlotRole.FULL)
        agent = agent_host(kit, Path(state))
        agent.backup(EARLY)
        opened = agent.open()
        agent.open = lambda: opened  # type: ignore[method-assign]
        kit.backup(FILES[0])
        rotate_keys(kit.open())
        kit.backup(FILES[1])
        remove_key(kit.open(), removed)
        rotate_keys(kit.open())
        add_key(kit.open(), LATER, SlotRole.FULL)
        kit.backup(FILES[2])
        revoke_agent(kit.open(), "web1")
        agent.backup(LATE)
    for info in kit.store.list(""):
        path = folder / info.key
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(kit.store.get(info.key))


if __name__ == "__main__":
    make(Path(sys.argv[1]))
