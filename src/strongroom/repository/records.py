"""The bodies of objects as typed records: the arrays of ``docs/format.md`` 4, 5 and 10."""

from __future__ import annotations

import enum
from typing import Final, TypeVar

import msgspec

from strongroom.errors import DamageError
from strongroom.repository.canonical import FormatError, decode

SUITE: Final = 1
Body = TypeVar("Body")
Parameter = int | bytes | tuple[tuple[bytes, bytes], ...]  # numbers; or ARN, sealed key, context


class Record(msgspec.Struct, array_like=True, frozen=True, forbid_unknown_fields=True):
    """An array with a fixed number of fields."""


class Mode(enum.IntEnum):
    """Whether the store can decide between two writers (``docs/format.md`` 4)."""

    FULL = 0
    WEAKER = 1


class SlotKind(enum.IntEnum):
    """How a slot is opened."""

    PASSPHRASE = 1
    KEY_FILE = 2
    RECOVERY = 3
    KMS = 4


class SlotRole(enum.IntEnum):
    """What a slot lets its holder do: everything, or read."""

    FULL = 1
    READER = 2


class Purpose(enum.IntEnum):
    """Why a session was opened."""

    BACKUP = 1
    UNFORGET = 2
    HOLD = 3
    UNITS = 4
    COLLECT = 5


class OrderKind(enum.IntEnum):
    """What an order says; a repository with another kind belongs to a newer version."""

    FORGET = 1
    RELEASE = 2
    TAG = 3
    REVOKE = 4
    EPOCH = 5
    SLOT_ADDED = 6
    SLOT_REMOVED = 7
    ORIGINS = 8
    QUARANTINE = 9
    VOID = 10
    ALLOW_EMPTY = 11


class AbortReason(enum.IntEnum):
    """Why a session ended without a commit."""

    FAILED = 1
    FENCED = 2
    REVOKED = 3


class Chunking(Record, frozen=True):
    """Chunker parameters for files, bytes."""

    whole_below: int
    average: int
    minimum: int
    maximum: int
    normalisation: int


class ConfigCore(Record, frozen=True):
    """What never changes in a repository."""

    suite: int
    created_ns: int
    mode: int
    admin_key: bytes
    reader_key: bytes
    chunking: Chunking
    frame_size: int
    pack_size: int


class SlotDigest(Record, frozen=True):
    """A slot that ``config`` or an order names, so that damage is found without its secret."""

    slot_id: bytes
    sha256: bytes


class Config(Record, frozen=True):
    """Body of ``config``."""

    core: bytes
    slots: tuple[SlotDigest, ...]


class Slot(Record, frozen=True):
    """Body of a slot."""

    kind: int
    role: int
    parameters: tuple[Parameter, ...]
    salt: bytes
    commitment: bytes
    public_key: bytes
    wrapped_secret: bytes
    bundle: bytes


class EpochSecret(Record, frozen=True):
    """The reader secret of one epoch."""

    epoch: int
    secret: bytes

    def __repr__(self) -> str:
        """Show no secret."""
        return f"<EpochSecret {self.epoch}>"


class Bundle(Record, frozen=True):
    """What a slot gives to its holder."""

    repository_id: bytes
    admin_key: bytes
    config_digest: bytes
    epochs: tuple[EpochSecret, ...]
    domain_root: bytes
    admin_seed: bytes | None

    def __repr__(self) -> str:
        """Show no secret."""
        return f"<Bundle of {self.repository_id.hex()}>"


class Writer(Record, frozen=True):
    """Body of ``writers/<id>``."""

    name: bytes
    public_key: bytes
    domain_id: bytes
    created_ns: int


class WalPosition(Record, frozen=True):
    """From where on a session needs the WAL of a cluster."""

    system_id: int
    timeline: int
    lsn: int


class SessionBody(Record, frozen=True):
    """Body of ``sessions/<writer>/<sid>``."""

    purpose: int
    started_ns: int
    domain_id: bytes
    positions: tuple[WalPosition, ...] | None


class Heartbeat(Record, frozen=True):
    """Body of ``sessions/<writer>/<sid>.<n>``."""

    time_ns: int
    positions: tuple[WalPosition, ...] | None


class Head(Record, frozen=True):
    """An object that a writer saw and that no other it saw names."""

    key: str
    sha256: bytes


class Commit(Record, frozen=True):
    """Body of a COMMIT."""

    decision: int
    purpose: int
    committed_ns: int
    domain_id: bytes
    epoch: int
    heads: tuple[Head, ...]
    packs: bytes
    targets: tuple[str, ...]
    sealed_session_key: bytes
    salt: bytes
    commitment: bytes
    sealed: bytes


class Abort(Record, frozen=True):
    """Body of an ABORT."""

    decision: int
    reason: int
    time_ns: int


COMMIT: Final = 1
ABORT: Final = 2


class OrderBody(Record, frozen=True):
    """Body of ``orders/<id>``; ``payload`` is the canonical form of what its kind says."""

    kind: int
    time_ns: int
    heads: tuple[Head, ...]
    payload: bytes
    sealed: bytes


class SlotRemoval(Record, frozen=True):
    """Payload of a slot removed: the slot, and the number of this removal, from 1."""

    slot_id: bytes
    number: int


class Targets(Record, frozen=True):
    """Payload of forget, release and allow-empty: keys of the COMMITs that it is about."""

    commits: tuple[str, ...]


class CopyOf(Record, frozen=True):
    """Where a copied snapshot was first made: the repository, and the key of its COMMIT there."""

    repository_id: bytes
    key: str


class Origin(Record, frozen=True):
    """What else is known of a COMMIT: when a store first showed it, and whose copy it is."""

    key: str
    first_seen_ns: int
    copy_of: CopyOf | None


class PackIds(Record, frozen=True):
    """Payload of a quarantine: ids of packs, one after the other."""

    packs: bytes


class Voided(Record, frozen=True):
    """An object that counts as absent while its bytes have this digest; empty: it is gone."""

    key: str
    sha256: bytes


class TagPayload(Record, frozen=True):
    """Payload of a tag: keys of the commits it is about, and what opens the sealed part."""

    targets: tuple[str, ...]
    domain_id: bytes
    epoch: int
    sealed_session_key: bytes
    salt: bytes
    commitment: bytes


class TakenAway(Record, frozen=True):
    """A tag, and the additions of it that do not count any more: ids of sessions and orders."""

    tag: bytes
    additions: tuple[bytes, ...]


class TagChange(Record, frozen=True):
    """Sealed part of a tag: tags that its targets get, and additions that are taken away."""

    added: tuple[bytes, ...]
    taken: tuple[TakenAway, ...]


class Saving(Record, frozen=True):
    """The sealed record of a hold and of an un-forget: who said it, and why."""

    host: bytes
    user: bytes
    program: bytes
    note: bytes


class AgentFile(Record, frozen=True):
    """Body of an agent file: what a host that backs up and reads nothing holds."""

    config_digest: bytes
    admin_key: bytes
    name: bytes
    writer_seed: bytes
    domain_id: bytes
    domain_secret: bytes
    created_ns: int

    def __repr__(self) -> str:
        """Show no secret."""
        return f"<AgentFile {self.name!r}>"


class Removals(Record, frozen=True):
    """Body of tombs and kills: what a collector run may remove, or removes.

    ``heads``: of a kills, the heads of what stays; those that only a removed commit named would
    otherwise be named by nobody. Empty in tombs.
    """

    packs: bytes
    commits: tuple[str, ...]
    index: bytes
    wal: tuple[str, ...]
    manifests: tuple[str, ...]
    heads: tuple[Head, ...]


class Waits(Record, frozen=True):
    """Body of waits: keys of the sessions that a run waits for."""

    sessions: tuple[str, ...]


class Done(Record, frozen=True):
    """Body of done: the run has ended."""

    time_ns: int


class LedgerBody(Record, frozen=True):
    """Body of ``ledger/<id>``: packs that were read whole, and 0 for each that was good."""

    writer_id: bytes
    time_ns: int
    packs: bytes
    results: bytes


class PackColumns(Record, frozen=True):
    """What is in one pack, as three columns (``docs/format.md`` 6)."""

    frames: bytes
    ids: bytes
    lengths: bytes


class IndexedPack(Record, frozen=True):
    """One pack in an index segment."""

    pack_id: bytes
    size: int
    frames: bytes
    ids: bytes
    lengths: bytes


class IndexBody(Record, frozen=True):
    """Body of an index segment."""

    packs: tuple[IndexedPack, ...]
    supersedes: bytes
    signature: bytes


def read_body(key: str, data: bytes | memoryview, kind: type[Body]) -> Body:
    """Decode the body of the object at ``key``; ``DamageError`` names it."""
    try:
        return decode(data, kind)
    except FormatError as error:
        raise DamageError(f"{key} is damaged: {error}") from error


def split(joined: bytes, size: int, key: str) -> list[bytes]:
    """Cut concatenated ids of ``size`` bytes apart; ``DamageError`` if they do not fit."""
    if len(joined) % size:
        msg = f"{key} is damaged: {len(joined)} bytes are not a list of ids"
        raise DamageError(msg)
    return [joined[i : i + size] for i in range(0, len(joined), size)]
