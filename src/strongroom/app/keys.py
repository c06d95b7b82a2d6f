"""The keys of the repository that the settings name, and its agents."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from strongroom.app.machine import Run
from strongroom.app.opening import opened_repository
from strongroom.app.secretfiles import SecretFile
from strongroom.app.secrets import NewSecret, kms_opener, secret_to_add
from strongroom.config.places import SecretKind
from strongroom.crypto.keytext import key_to_text
from strongroom.operations import keys as operation
from strongroom.operations.keys import AgentInfo, KeyInfo, KeyList, dependence
from strongroom.repository.agent import AgentNames
from strongroom.repository.layout import HASH_SIZE
from strongroom.repository.records import SlotKind, SlotRole
from strongroom.repository.rotation import Rotated
from strongroom.repository.slots import Secret

__all__ = [
    "AgentInfo",
    "KeyInfo",
    "KeyList",
    "SecretKind",
    "add_key",
    "dependence",
    "list_keys",
    "remove_key",
]


@dataclass(frozen=True, slots=True)
class NewKey:
    """What the command line says of a new key; ``kind`` is None for a passphrase to ask for.

    ``kms``: the ARN or alias of a key of KMS.
    """

    kind: SecretKind | None = None
    path: str = ""
    kms: str = ""
    recovery: bool = False
    reader: bool = False


@dataclass(frozen=True, slots=True)
class AddReport:
    """A new key. ``recovery_key`` is kept nowhere: whoever gets it shows it once."""

    id: str
    kind: str
    role: str
    recovery_key: str
    key_file: str
    key_file_made: bool

    def __repr__(self) -> str:
        """Show no secret."""
        return f"<AddReport {self.id}>"


@dataclass(frozen=True, slots=True)
class RemoveReport:
    """A key that opens nothing more; ``kept`` says why its object is still there, if it is."""

    id: str
    before: bool
    kept: str


@dataclass(frozen=True, slots=True)
class RevokeReport:
    """A revoked agent: how many of its snapshots count, and the ids of those that came too late."""

    id: str
    accepted: int
    late: tuple[str, ...]
    before: bool


@dataclass(frozen=True, slots=True)
class AgentReport:
    """A new agent, and the file that holds its key."""

    id: str
    name: str
    domain: str
    path: str
    url: str


def list_keys(run: Run) -> KeyList:
    """Return the keys and the agents."""
    with opened_repository(run) as opened:
        return operation.list_keys(opened.repository)


def add_key(run: Run, wanted: NewKey) -> AddReport:
    """Add a key; nothing is asked and nothing made before it is known that this is possible."""
    role = SlotRole.READER if wanted.reader else SlotRole.FULL
    with opened_repository(run) as opened:
        opened.repository.keyring.admin_signer()
        recovery = run.machine.randomness.take(HASH_SIZE) if wanted.recovery else b""
        new = _new_secret(run, wanted, recovery)
        key_id = operation.add_key(opened.repository, new.secret, role)
        return AddReport(
            id=key_id,
            kind=new.secret.kind.name.lower(),
            role=role.name.lower(),
            recovery_key=key_to_text(recovery) if recovery else "",
            key_file=new.key_file,
            key_file_made=new.made,
        )


def _new_secret(run: Run, wanted: NewKey, recovery: bytes) -> NewSecret:
    if recovery:
        return NewSecret(Secret(SlotKind.RECOVERY, recovery))
    if wanted.kms:
        return NewSecret(kms_opener(run, wanted.kms))
    return secret_to_add(run, wanted.kind, wanted.path)


def remove_key(run: Run, text: str) -> RemoveReport:
    """Remove the key whose id begins with ``text``."""
    with opened_repository(run) as opened:
        removed = operation.remove_key(opened.repository, text)
        return RemoveReport(removed.slot_id.hex(), removed.before, removed.kept)


def rotate_keys(run: Run) -> Rotated:
    """Begin an epoch of the reader key."""
    with opened_repository(run) as opened:
        return operation.rotate_keys(opened.repository)


def replace_kms_key(run: Run, text: str, kms: str) -> tuple[str, RemoveReport]:
    """Have the key of KMS called ``kms`` open what the key whose id begins with ``text`` opens."""
    with opened_repository(run) as opened:
        new, removed = operation.replace_key(opened.repository, text, kms_opener(run, kms))
        return new, RemoveReport(removed.slot_id.hex(), removed.before, removed.kept)


def revoke_agent(run: Run, text: str) -> RevokeReport:
    """Revoke an agent: what it commits from now on does not count."""
    with opened_repository(run) as opened:
        done = operation.revoke_agent(opened.repository, text)
        late = tuple(key.rpartition("/")[2] for key in done.late)
        return RevokeReport(done.writer_id.hex(), done.accepted, late, done.before)


def export_agent(run: Run, name: str, domain: str | None, to: str) -> AgentReport:
    """Make an agent, and write its file, which must not exist."""
    path = run.settings.folder / to

    def keep(text: str) -> Callable[[], None]:
        file = SecretFile(path, "agent file")
        try:
            file.write(text)
        except BaseException:
            file.remove()
            raise
        return file.remove

    with opened_repository(run) as opened:
        made = operation.export_agent(opened.repository, AgentNames(name, domain), keep)
        return AgentReport(
            id=made.writer_id.hex(),
            name=made.name,
            domain=made.domain_id.hex(),
            path=str(path),
            url=opened.repository.store.url,
        )
