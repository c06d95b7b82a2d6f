"""Keys of a repository: which there are, one more, one less; and agents."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
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
from strongroom.repository.epochs import FIRST as FIRST_EPOCH
from strongroom.repository.keyring import MAIN
from strongroom.repository.kmsslot import KeyArn, KmsSecret, kms_parameters
from strongroom.repository.opening import read_slot
from strongroom.repository.records import SlotKind, SlotRole
from strongroom.repository.repository import Repository
from strongroom.repository.revoking import Revoked, revoke
from strongroom.repository.rotation import Rotated, rotate
from strongroom.repository.slotchange import RemovedSlot, SlotChange
from strongroom.repository.slots import Opener
from strongroom.repository.slotset import epochs_of, slots_of
from strongroom.repository.standing import revoked_by

_SHORTEST = 2


class KeyInfo(NamedTuple):
    """One key; ``kind`` and ``role`` are None and ``damage`` says why if it cannot be read.

    ``kms``: which key of AWS opens it, if it is of that kind.
    """

    id: str
    kind: SlotKind | None
    role: SlotRole | None
    made_ns: int
    opened: bool
    damage: str
    kms: KeyArn | None = None


class AgentInfo(NamedTuple):
    """One agent; ``damage`` says why if its entry cannot be read."""

    id: str
    name: str
    domain: str
    made_ns: int
    damage: str
    revoked: bool = False


class KeyList(NamedTuple):
    """Everything that opens a repository or backs up to it.

    ``unfinished``: ids of removed keys whose objects are still there. ``unreadable``: orders that
    cannot be read, and might say more. ``epoch``: the one of the reader key that is now.
    """

    keys: Sequence[KeyInfo]
    agents: Sequence[AgentInfo]
    unfinished: Sequence[str]
    unreadable: Sequence[str]
    epoch: int


def list_keys(repository: Repository) -> KeyList:
    """Return the keys, the oldest first; ``KeyRefusedError`` for an agent."""
    repository.keyring.require_reader()
    unreadable: dict[str, DamageError] = {}
    orders = list(repository.orders.read_all(unreadable.__setitem__))
    slots = slots_of(repository.config, orders)
    config = repository.config._replace(slots=slots.digests)
    keys = []
    for slot_id, made_ns in slots.made_ns.items():
        opened = slot_id == repository.keyring.opened_by
        try:
            slot = read_slot(repository.store, config, slot_id)
            kind, role, damage = SlotKind(slot.kind), SlotRole(slot.role), ""
            kms = kms_parameters(repository.id, slot_id, slot)
        except (DamageError, ValueError) as error:
            kind, role, damage, kms = None, None, str(error), None
        arn = kms.key if kms is not None and kind is SlotKind.KMS else None
        keys.append(KeyInfo(slot_id.hex(), kind, role, made_ns, opened, damage, arn))
    there = {layout.object_id(info.key) for info in repository.store.list(layout.SLOTS)}
    return KeyList(
        keys,
        _agents(repository, revoked_by(orders)),
        sorted(slot_id.hex() for slot_id in slots.removed if slot_id in there),
        [error.message for error in unreadable.values()],
        max((epoch.number for epoch in epochs_of(orders)), default=FIRST_EPOCH),
    )


def dependence(keys: Sequence[KeyInfo]) -> str:
    """Return what alone decides whether the repository opens; empty if no one thing does.

    Where only KMS opens it with a full key, that is a key, else an account, else a region: whoever
    disables it holds the repository to ransom.
    """
    full = [key for key in keys if key.role is SlotRole.FULL]
    arns = [key.kms for key in full if key.kms is not None]
    if not arns or len(arns) < len(full):
        return ""
    for what, values in (
        ("KMS key", {one.arn for one in arns}),
        ("AWS account", {one.account for one in arns}),
        ("region", {one.region for one in arns}),
    ):
        if len(values) == 1:
            return f"the {what} {values.pop()}"
    return ""


def _agents(repository: Repository, revoked: Collection[bytes]) -> list[AgentInfo]:
    agents = []
    for writer_id, writer in repository.writers.read_all().items():
        if isinstance(writer, DamageError):
            agents.append(AgentInfo(writer_id.hex(), "", "", 0, writer.message))
        elif writer.name != MAIN:
            name = writer.name.decode("utf-8", "replace")
            domain = writer.domain_id.hex()
            gone = writer_id in revoked
            agents.append(AgentInfo(writer_id.hex(), name, domain, writer.created_ns, "", gone))
    return sorted(agents, key=lambda agent: (agent.made_ns, agent.id))


def add_key(repository: Repository, secret: Opener, role: SlotRole) -> str:
    """Add a key; return its id."""
    return SlotChange(repository).add(secret, role).hex()


def remove_key(repository: Repository, text: str) -> RemovedSlot:
    """Remove the key whose id begins with ``text``; ``NotFoundError``, ``RefusedError``."""
    change = SlotChange(repository)
    return change.remove(_slot_named(repository, text))


def replace_key(repository: Repository, text: str, secret: KmsSecret) -> tuple[str, RemovedSlot]:
    """Have another key of KMS open what the key whose id begins with ``text`` opens."""
    change = SlotChange(repository)
    new, removed = change.replace(_slot_named(repository, text), secret)
    return new.hex(), removed


def rotate_keys(repository: Repository) -> Rotated:
    """Begin an epoch: what is stored from now on only the keys that are there now can read."""
    return rotate(repository)


def revoke_agent(repository: Repository, text: str) -> Revoked:
    """Revoke the agent with this name, or whose id begins with ``text``."""
    repository.keyring.admin_signer()
    agents = _agents(repository, ())
    found = [one for one in agents if one.name == text] or [
        one for one in agents if len(text) >= _SHORTEST and one.id.startswith(text.lower())
    ]
    if len(found) != 1:
        names = ", ".join(one.name or one.id[:8] for one in found or agents) or "none"
        what = f"'{text}' names {len(found)} agents" if found else f"no agent '{text}'"
        raise NotFoundError(f"{what} (there are: {names})", hint="See 'strongroom key list'.")
    return revoke(repository, bytes.fromhex(found[0].id))


def _slot_named(repository: Repository, text: str) -> bytes:
    """Return the id of the slot that begins with ``text``; ``NotFoundError``."""
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
    return known[found[0]]


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
