"""A repository that is open: composition of its parts, without algorithms of its own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from strongroom.clock import Clock
from strongroom.errors import DamageError, RefusedError
from strongroom.model.events import Notice, Sink
from strongroom.model.randomness import Randomness
from strongroom.model.snapshot import ListedSnapshot
from strongroom.model.store import Store
from strongroom.repository import layout
from strongroom.repository.cache import ObjectCache
from strongroom.repository.commits import (
    CommitLog,
    Decision,
    WriterDirectory,
    heads_of,
    lost_heads,
    open_snapshot,
    refuse_orders,
)
from strongroom.repository.keyring import Keyring
from strongroom.repository.loading import LoadedIndex, load_index
from strongroom.repository.localfiles import LocalFiles
from strongroom.repository.opening import OpenedConfig
from strongroom.repository.packer import Workers
from strongroom.repository.reader import Reader
from strongroom.repository.remembered import Memory, Remembered
from strongroom.repository.runs import read_absent


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What a repository is given: this host's doors and folders."""

    clock: Clock
    randomness: Randomness
    workers: Workers
    cache: ObjectCache
    state: LocalFiles
    sink: Sink


class Repository:
    """An open repository."""

    def __init__(
        self, store: Store, config: OpenedConfig, keyring: Keyring, around: Surroundings
    ) -> None:
        self.store = store
        self.config = config
        self.keyring = keyring
        self.around = around
        self.memory = Memory(around.state)
        self.writers = WriterDirectory(store, keyring)
        self.log = CommitLog(
            store, config.repository_id, config.core.admin_key, around.cache, self.writers
        )

    @property
    def id(self) -> bytes:
        """The repository's id, 16 bytes."""
        return self.config.repository_id

    def read_decisions(self) -> tuple[list[Decision], dict[str, DamageError]]:
        """Return all decisions that can be read, and the damage of those that cannot, by key."""
        damaged: dict[str, DamageError] = {}

        def note(key: str, error: DamageError) -> None:
            damaged[key] = error
            self.around.sink(Notice(f"warning: {error}"))

        return list(self.log.read_all(note)), damaged

    def snapshots(self) -> list[ListedSnapshot]:
        """Return every snapshot, oldest first; damaged ones are told of and left out.

        ``RefusedError`` if this host remembers another repository here, or a commit that is gone.
        """
        refuse_orders(self.store)
        decisions, damaged = self.read_decisions()
        self.check_remembered(decisions, damaged)
        self.remember(decisions, damaged)
        found = []
        for decision in decisions:
            try:
                snapshot = open_snapshot(decision, self.keyring)
            except DamageError as error:
                self.around.sink(Notice(f"warning: {error}"))
                continue
            if snapshot is not None:
                found.append(snapshot)
        return sorted(found, key=lambda s: (s.snapshot.started_ns, s.id))

    def load_index(self) -> LoadedIndex:
        """Read every index segment, for reading."""
        return load_index(self.store, self.keyring, self.around.cache)

    def reader(self) -> Reader:
        """Begin to read chunks."""
        return Reader(self.store, self.keyring, self.load_index, self.around.workers.transfer)

    def check_remembered(
        self, decisions: list[Decision], damaged: Mapping[str, DamageError]
    ) -> None:
        """``RefusedError`` if this host remembers another repository here, or a lost commit."""
        remembered = self.memory.load(self.store.url)
        if remembered is None:
            return
        self._check_identity(remembered)
        lost = self.lost_commits(decisions, damaged)
        if lost:
            raise RefusedError(
                f"{len(lost)} commit(s) that were in {self.store.url} are gone, "
                f"the first is {lost[0]}",
                hint="Somebody removed or rolled back the repository. Run 'strongroom verify', "
                "and restore the missing objects from a copy.",
            )

    def lost_commits(
        self, decisions: list[Decision], damaged: Mapping[str, DamageError]
    ) -> list[str]:
        """Keys that a commit or this host has seen, gone without a collector's word."""
        remembered = self.memory.load(self.store.url)
        heads = {k: bytes.fromhex(d) for k, d in remembered.heads.items()} if remembered else {}
        absent = read_absent(self.store, self.id, self.config.core.admin_key)
        lost = lost_heads(decisions, heads)
        return [key for key in lost if key not in absent.commits and key not in damaged]

    def _check_identity(self, remembered: Remembered) -> None:
        known = (remembered.repository_id, remembered.admin_key, remembered.config_digest)
        here = (self.id.hex(), self.config.core.admin_key.hex(), self.config.digest.hex())
        if known != here:
            raise RefusedError(
                f"{self.store.url} holds repository {here[0][:8]}, and this host knows "
                f"repository {known[0][:8]} there",
                hint="This may be another repository or an attack. If you replaced it on purpose, "
                "only 'strongroom init' makes this host forget the old one.",
            )

    def remember(self, decisions: list[Decision], damaged: Mapping[str, DamageError]) -> None:
        """Remember the repository and its heads for this URL; a damaged head stays remembered."""
        heads = {head.key: head.sha256.hex() for head in heads_of(decisions)}
        before = self.memory.load(self.store.url) if damaged else None
        if before is not None:
            heads.update({k: d for k, d in before.heads.items() if k in damaged})
        self.memory.save(
            Remembered(
                url=self.store.url,
                repository_id=self.id.hex(),
                admin_key=self.config.core.admin_key.hex(),
                config_digest=self.config.digest.hex(),
                heads=heads,
            )
        )

    def relied_prefixes(self) -> list[str]:
        """What must be durable before a commit: everything a listing shows of these."""
        return [layout.PACKS, layout.INDEX]
