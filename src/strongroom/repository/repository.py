"""A repository that is open: composition of its parts, without algorithms of its own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from strongroom.clock import Clock
from strongroom.errors import DamageError, ObjectMissingError, RefusedError
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
    oldest_first,
    open_snapshot,
    refuse_orders,
)
from strongroom.repository.keyring import Keyring
from strongroom.repository.loading import IndexMemory, LoadedIndex, load_index
from strongroom.repository.localfiles import LocalFiles
from strongroom.repository.opening import OpenedConfig
from strongroom.repository.packer import Workers
from strongroom.repository.reader import Reader
from strongroom.repository.remembered import Memory, Remembered
from strongroom.repository.runs import read_absent


@dataclass(frozen=True, slots=True)
class History:
    """The decisions that a listing shows, beside what was seen before.

    ``damaged``: those that cannot be read, by key. ``lost``: keys that a commit or this host has
    seen, gone without a collector's word. ``killed``: gone by one.
    """

    decisions: list[Decision]
    damaged: Mapping[str, DamageError]
    lost: list[str]
    killed: frozenset[str]
    known: Remembered | None


@dataclass(frozen=True, slots=True)
class Listing:
    """The snapshots, oldest first, and how many commits could not be read."""

    found: list[ListedSnapshot]
    unreadable: int


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

    def read_history(self, *, cached: bool = True) -> History:
        """Read all decisions. ``RefusedError`` if this host knows another repository here."""
        known = self.memory.load(self.store.url)  # first: another process may commit and remember
        if known is not None:
            self._check_identity(known)
        damaged: dict[str, DamageError] = {}
        decisions = list(self.log.read_all(damaged.__setitem__, cached=cached))
        heads = {k: bytes.fromhex(d) for k, d in known.heads.items()} if known else {}
        absent = read_absent(self.store, self.id, self.config.core.admin_key)
        excused = absent.killed_commits | damaged.keys()
        present = {decision.key for decision in decisions}
        lost = [
            key
            for key in lost_heads(decisions, heads)
            if key not in excused and (key in present or self._is_gone(key))
        ]
        return History(decisions, damaged, lost, absent.killed_commits, known)

    def _is_gone(self, key: str) -> bool:
        """Whether a key is there now: a listing need not show what was put while it went on."""
        try:
            self.store.size(key)
        except ObjectMissingError:
            return True
        return False

    def checked_history(self) -> History:
        """As ``read_history``; what is damaged is told of.

        ``RefusedError`` if a commit is gone since this host first came here; one that was gone
        before is told of, so that the rest can be restored.
        """
        history = self.read_history()
        for error in history.damaged.values():
            self.around.sink(Notice(f"warning: {error}"))
        if not history.lost:
            return history
        text = (
            f"{len(history.lost)} commit(s) that were in {self.store.url} are gone, "
            f"the first is {history.lost[0]}"
        )
        if history.known is not None and set(history.lost) - set(history.known.missing):
            raise RefusedError(
                text,
                hint="Somebody removed or rolled back the repository. Run 'strongroom verify', "
                "and restore the missing objects from a copy.",
            )
        self.around.sink(Notice(f"warning: {text}. Run 'strongroom verify'"))
        return history

    def snapshots(self) -> list[ListedSnapshot]:
        """Return every snapshot, oldest first; damaged ones are told of and left out.

        ``RefusedError`` if this host remembers another repository here, or a commit that is gone.
        """
        return self.list_snapshots().found

    def list_snapshots(self) -> Listing:
        """As ``snapshots``, with how many could not be read."""
        refuse_orders(self.store)
        history = self.checked_history()
        self.remember(history)
        found, unreadable = [], len(history.damaged)
        for decision in history.decisions:
            try:
                snapshot = open_snapshot(decision, self.keyring)
            except DamageError as error:
                self.around.sink(Notice(f"warning: {error}"))
                unreadable += 1
                continue
            if snapshot is not None:
                found.append(snapshot)
        return Listing(oldest_first(found, history.decisions), unreadable)

    def load_index(self) -> LoadedIndex:
        """Read every index segment, for reading."""
        return load_index(self.store, self.keyring, self.around.cache, memory=self.index_memory)

    @property
    def index_memory(self) -> IndexMemory:
        """How an index is kept on this host."""
        return IndexMemory(self.around.state.mapped)

    def reader(self) -> Reader:
        """Begin to read chunks."""
        return Reader(self.store, self.keyring, self.load_index, self.around.workers.transfer)

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

    def remember(self, history: History, *own: Decision) -> None:
        """Remember the repository for this URL, with its heads as they are after ``own``.

        A head that is damaged, or that another process of this host saw meanwhile, stays.
        """
        decisions = [*history.decisions, *own]
        heads = {head.key: head.sha256.hex() for head in heads_of(decisions)}
        missing = history.lost
        now = self.memory.load(self.store.url)
        if now is not None and now.repository_id == self.id.hex():
            missing = now.missing
            read = history.killed | {decision.key for decision in decisions}
            heads |= {key: digest for key, digest in now.heads.items() if key not in read}
        self.memory.save(
            Remembered(
                url=self.store.url,
                repository_id=self.id.hex(),
                admin_key=self.config.core.admin_key.hex(),
                config_digest=self.config.digest.hex(),
                heads=heads,
                missing=missing,
            )
        )

    def relied_prefixes(self) -> list[str]:
        """What must be durable before a commit: everything a listing shows of these."""
        return [layout.PACKS, layout.INDEX]
