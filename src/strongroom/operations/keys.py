"""Keys of a repository: which there are, one more, one less; and agents."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from strongroom.errors import DamageError, NotFoundError
from strongroom.repository import layout
from strongroom.repository.agent import (
    AgentNames,
    MadeAgent,
    announce_agent,
    check_agent_names,
    make_agent,
)
from strongroom.repository.keyring import MAIN
from strongroom.repository.opening import read_slot
from strongroom.repository.records import SlotKind, SlotRole
from strongroom.repository.repository import Repository
from strongroom.repository.slotchange import RemovedSlot, SlotChange
from strongroom.repository.slots import Secret

_SHORTEST = 2


class KeyInfo(NamedTuple):
    """One key; ``kind`` and ``role`` are None and ``damage`` says why if it cannot be read."""

    id: str
    kind: SlotKind | None
    role: SlotRole | None
    made_ns: int
    opened: bool
    damage: str


class AgentInfo(NamedTuple):
    """One agent; ``damage`` says why if its entry cannot be read."""

    id: str
    name: str
    domain: str
    made_ns: int
    damage: str


class KeyList(NamedTuple):
    """Everything that opens a repository or backs up to it.

    ``unfinished``: ids of removed keys whose objects are still there. ``unreadable``: orders that
    cannot be read, and might say more.
    """

    keys: Sequence[KeyInfo]
    agents: Sequence[AgentInfo]
    unfinished: Sequence[str]
    unreadable: Sequence[str]


def list_keys(repository: Repository) -> KeyList:
    """Return the keys, the oldest first; ``KeyRefusedError`` for an agent."""
    repository.keyring.require_reader()
    unreadable: dict[str, DamageError] = {}
    slots = repository.read_slots(unreadable.__setitem__)
    config = repository.config._replace(slots=slots.digests)
    keys = []
    for slot_id, made_ns in slots.made_ns.items():
        opened = slot_id == repository.keyring.opened_by
        try:
            slot = read_slot(repository.store, config, slot_id)
            kind, role, damage = SlotKind(slot.kind), SlotRole(slot.role), ""
        except (DamageError, ValueError) as error:
            kind, role, damage = None, None, str(error)
        keys.append(KeyInfo(slot_id.hex(), kind, role, made_ns, opened, damage))
    there = {layout.object_id(info.key) for info in repository.store.list(layout.SLOTS)}
    return KeyList(
        keys,
        _agents(repository),
        sorted(slot_id.hex() for slot_id in slots.removed if slot_id in there),
        [error.message for error in unreadable.values()],
    )


def _agents(repository: Repository) -> list[AgentInfo]:
    agents = []
    for writer_id, writer in repository.writers.read_all().items():
        if isinstance(writer, DamageError):
            agents.append(AgentInfo(writer_id.hex(), "", "", 0, writer.message))
        elif writer.name != MAIN:
            name = writer.name.decode("utf-8", "replace")
            domain = writer.domain_id.hex()
            agents.append(AgentInfo(writer_id.hex(), name, domain, writer.created_ns, ""))
    return sorted(agents, key=lambda agent: (agent.made_ns, agent.id))


def add_key(repository: Repository, secret: Secret, role: SlotRole) -> str:
    """Add a key; return its id."""
    return SlotChange(repository).add(secret, role).hex()


def remove_key(repository: Repository, text: str) -> RemovedSlot:
    """Remove the key whose id begins with ``text``; ``NotFoundError``, ``RefusedError``."""
    change = SlotChange(repository)
    slots = repository.read_slots(lambda _key, _error: None)
    known = {slot_id.hex(): slot_id for slot_id in [*slots.digests, *slots.removed]}
    found = [key for key in known if len(text) >= _SHORTEST and key.startswith(text.lower())]
    if len(found) > 1:
        raise NotFoundError(
            f"'{text}' matches {len(found)} keys: {', '.join(key[:8] for key in found)}",
            hint="Give more of its digits.",
        )
    if not found:
        raise NotFoundError(
            f"no key '{text}'", hint="See which there are with 'strongroom key list'."
        )
    return change.remove(known[found[0]])


def export_agent(
    repository: Repository, names: AgentNames, keep: Callable[[str], Callable[[], None]]
) -> MadeAgent:
    """Make an agent: ``keep`` stores the text of its file, and returns what takes it away again.

    The file comes first, so that there is no agent whose key nobody holds.
    """
    keyring, around = repository.keyring, repository.around
    keyring.admin_signer()
    repository.checked_history()
    check_agent_names(repository.writers, repository.id, names)
    now_ns = around.clock.now_ns()
    made = make_agent(keyring, repository.config, names, around.randomness, now_ns)
    undo = keep(made.text)
    try:
        announce_agent(repository.store, keyring, made, now_ns)
    except BaseException:
        undo()
        raise
    return made
