"""A repository that is open: composition of its parts, without algorithms of its own."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property
from typing import Final

import msgspec

from strongroom.clock import Clock
from strongroom.errors import (
    DamageError,
    KeyRefusedError,
    ObjectMissingError,
    RefusedError,
    StoreError,
)
from strongroom.model.events import Notice, Sink
from strongroom.model.randomness import Randomness
from strongroom.model.snapshot import ListedSnapshot
from strongroom.model.store import Store
from strongroom.repository import layout
from strongroom.repository.cache import NoCache, ObjectCache
from strongroom.repository.commits import (
    CommitLog,
    Decision,
    WriterDirectory,
    oldest_first,
    open_snapshot,
)
from strongroom.repository.heads import Claim, Seen, claimed_heads, heads_of, lost_heads
from strongroom.repository.keyring import Keys
from strongroom.repository.loading import (
    EVERYTHING,
    Choice,
    IndexMemory,
    LoadedIndex,
    load_index,
)
from strongroom.repository.localfiles import LocalFiles
from strongroom.repository.opening import OpenedConfig
from strongroom.repository.orders import Order, OrderLog
from strongroom.repository.packer import Workers
from strongroom.repository.presence import Presence, Unknown
from strongroom.repository.reader import Reader
from strongroom.repository.records import Voided
from strongroom.repository.remembered import Memory, NoMemory, Remembered, Remembers
from strongroom.repository.runs import RunReader, Runs
from strongroom.repository.slotset import SlotSet, slots_of
from strongroom.repository.standing import Standing, voids_of
from strongroom.repository.tags import Additions, additions, with_tags
from strongroom.repository.voids import is_void

_NAMED: Final = (layout.COMMITS, layout.ORDERS)  # what the heads of a commit name


@dataclass(frozen=True)
class History:
    """The decisions and orders that a listing shows, beside what was seen before.

    ``damaged``: those that cannot be read, by key. ``lost``: keys that were seen, gone without a
    collector's word; ``claimed``: those that only agents say they saw. ``runs``: what collectors
    did; what they killed is in none of the others.
    """

    decisions: list[Decision]
    orders: list[Order]
    damaged: Mapping[str, DamageError]
    lost: list[str]
    claimed: list[Claim]
    runs: Runs
    known: Remembered | None

    @cached_property
    def standing(self) -> Standing:
        """What all of it makes of the snapshots."""
        return Standing(self.decisions, self.orders)

    @property
    def seen(self) -> list[Seen]:
        """All that heads can name."""
        return [*self.orders, *self.decisions]


@dataclass(frozen=True, slots=True)
class Listing:
    """The snapshots with their tags as they are now, oldest first.

    ``forgotten``: those that are not wanted any more, and still there.
    ``unreadable``: how many commits could not be read; ``doubtful``: how many of these no agent can
    have put, so that one of them may be the latest. ``additions``: what their tags come from.
    """

    found: list[ListedSnapshot]
    forgotten: list[ListedSnapshot]
    unreadable: int
    doubtful: int
    history: History
    additions: Additions


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What a repository is given: this host's doors and folders, and who is at work on it.

    ``remembers``: whether what is seen is compared with what was seen before, and remembered; not
    so for a repository as it was at another time.
    """

    clock: Clock
    randomness: Randomness
    workers: Workers
    cache: ObjectCache
    state: LocalFiles
    sink: Sink
    presence: Presence = field(default_factory=Unknown)
    remembers: bool = True


class Repository:
    """An open repository."""

    def __init__(
        self, store: Store, config: OpenedConfig, keyring: Keys, around: Surroundings
    ) -> None:
        self.store = store
        self.config = config
        self.keyring = keyring
        self.around = around
        self.memory: Remembers = Memory(around.state) if around.remembers else NoMemory()
        self.writers = WriterDirectory(store, keyring)
        admin_key = config.core.admin_key
        self.orders = OrderLog(store, config.repository_id, admin_key, around.cache)
        self.log = CommitLog(store, config.repository_id, admin_key, around.cache, self.writers)

    @property
    def id(self) -> bytes:
        """The repository's id, 16 bytes."""
        return self.config.repository_id

    def read_history(self, *, cached: bool = True) -> History:
        """Read all orders and decisions.

        ``RefusedError`` if this host knows another repository here, ``NoRepositoryError`` for an
        order that this version does not know.
        """
        known = self.memory.load(self.store.url)  # first: another process may commit and remember
        if known is not None:
            self._check_identity(known)
        damaged: dict[str, DamageError] = {}
        orders = list(self.orders.read_all(damaged.__setitem__, cached=cached))
        decisions = list(self.log.read_all(damaged.__setitem__, cached=cached))
        heads = {k: bytes.fromhex(d) for k, d in known.heads.items()} if known else {}
        voids = voids_of(orders)
        everything: list[Seen] = [*orders, *decisions]
        read = damaged.keys() | {one.key for one in everything}
        void = {one.key for one in voids if one.key in read and is_void(self.store, one)}
        damaged = {key: error for key, error in damaged.items() if key not in void}
        orders = [one for one in orders if one.key not in void]
        runs = self.read_runs(voids, cached=cached)
        absent = runs.absent()
        killed = absent.killed_commits
        decisions = [one for one in decisions if one.key not in killed | void]
        excused = killed | absent.doubtful.commits | damaged.keys() | {one.key for one in voids}
        seen: list[Seen] = [*orders, *decisions]
        present = {one.key for one in seen}

        def lacks(key: str) -> bool:
            return key not in excused and (key in present or self._is_gone(key))

        exact = not self.config.is_weaker
        lost = list(filter(lacks, lost_heads(seen, heads, runs.heads, exact=exact)))
        claims = claimed_heads(seen, exact=exact)
        claimed = [c for c in claims if c.key not in lost and lacks(c.key)]
        if lost or claimed:  # a collector may have taken them since its runs were listed
            since = self.read_runs(voids, cached=cached).absent().killed_commits
            lost = [key for key in lost if key not in since]
            claimed = [claim for claim in claimed if claim.key not in since]
        return History(decisions, orders, damaged, lost, claimed, runs, known)

    def read_runs(self, voids: Collection[Voided], *, cached: bool = True) -> Runs:
        """Read what collectors did; objects that are ``voids`` count as absent."""
        cache = self.around.cache if cached else NoCache()
        return RunReader(self.store, self.id, self.config.core.admin_key, cache).read(voids)

    def run_reader(self) -> RunReader:
        """Read single objects of runs."""
        return RunReader(self.store, self.id, self.config.core.admin_key, self.around.cache)

    def read_slots(
        self, on_damage: Callable[[str, DamageError], None], *, cached: bool = True
    ) -> SlotSet:
        """Read which slots count now."""
        return slots_of(self.config, list(self.orders.read_all(on_damage, cached=cached)))

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
        if history.claimed:
            self.around.sink(Notice(f"warning: {_claim_text(history.claimed[0])}"))
        if not history.lost:
            return history
        text = (
            f"{len(history.lost)} commit(s) or order(s) that were in {self.store.url} are gone, "
            f"the first is {history.lost[0]}"
        )
        if history.known is not None and set(history.lost) - set(history.known.missing):
            raise RefusedError(
                text,
                hint="Somebody removed or rolled back the repository. Run 'strongroom verify', "
                "and restore the missing objects from a copy. Of a replica that another store "
                "fills they may not have arrived: 'strongroom store replica' says so.",
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
        self.keyring.require_reader()
        history = self.checked_history()
        self._remember_what_stays(history)
        return self.listing(history)

    def listing(self, history: History) -> Listing:
        """Return what a history says of the snapshots; what is damaged is told of."""
        found = []
        unreadable = [key for key in history.damaged if key.startswith(layout.COMMITS)]
        for decision in history.decisions:
            try:
                snapshot = open_snapshot(decision, self.keyring)
            except DamageError as error:
                self.around.sink(Notice(f"warning: {error}"))
                unreadable.append(decision.key)
                continue
            if snapshot is not None and decision.by_agent:
                name = self.writers.writer(bytes.fromhex(snapshot.writer)).name
                snapshot = msgspec.structs.replace(snapshot, agent=name)
            if snapshot is not None:
                found.append(snapshot)
        counting = additions(found, history.orders, self.keyring, self._tell_of_damage)
        tagged = [with_tags(listed, counting) for listed in found]
        doubtful = sum(not self.writers.is_of_agent(key) for key in unreadable)
        ordered = oldest_first(tagged, history.seen, history.standing.copied)
        forgotten = history.standing.is_forgotten
        return Listing(
            [one for one in ordered if not forgotten(one.key)],
            [one for one in ordered if forgotten(one.key)],
            len(unreadable),
            doubtful,
            history,
            counting,
        )

    def _tell_of_damage(self, _key: str, error: DamageError) -> None:
        self.around.sink(Notice(f"warning: {error}; tags that it changed are as they were before"))

    def recent_snapshots(self, history: History, most: int) -> list[ListedSnapshot]:
        """Open the last snapshots of a history by their own times, oldest first.

        What cannot be opened is left out: who needs it is told by ``snapshots``. An agent opens
        none.
        """
        if self.keyring.only_domain is not None:
            return []
        commits = [one for one in history.decisions if one.commit is not None]
        commits.sort(key=lambda one: one.commit.committed_ns if one.commit is not None else 0)
        found = []
        for decision in commits[-most:]:
            with suppress(DamageError, KeyRefusedError):
                found.append(open_snapshot(decision, self.keyring))
        return [one for one in found if one is not None]

    def load_index(self, choice: Choice = EVERYTHING) -> LoadedIndex:
        """Read every index segment, for reading."""
        memory = self.index_memory
        return load_index(self.store, self.keyring, self.around.cache, choice, memory)

    @property
    def index_memory(self) -> IndexMemory:
        """How an index is kept on this host."""
        return IndexMemory(self.around.state.mapped)

    def reader(self) -> Reader:
        """Begin to read chunks."""
        self.keyring.require_reader()
        return Reader(self.store, self.keyring, self.load_index, self.around.workers)

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

    def _remember_what_stays(self, history: History) -> None:
        """Remember, once the names of new heads are durable.

        A commit that another process has just put may be gone after a power cut, and this host
        would take it for lost for ever. Where the store cannot say, nothing new is remembered.
        """
        known = history.known.heads if history.known is not None else {}
        if any(known.get(head.key) != head.sha256.hex() for head in heads_of(history.seen)):
            try:
                self.store.sync(_NAMED)
            except StoreError:
                return
        self.remember(history)

    def remember(self, history: History, *own: Seen) -> None:
        """Remember the repository for this URL, with its heads as they are after ``own``.

        A head that is damaged, or that another process of this host saw meanwhile, stays.
        """
        seen = [*history.seen, *own]
        heads = {head.key: head.sha256.hex() for head in heads_of(seen)}
        missing = history.lost
        now = self.memory.load(self.store.url)
        if now is not None and now.repository_id == self.id.hex():
            missing = [key for key in now.missing if key in history.lost]
            killed = history.runs.absent().killed_commits
            void = {one.key for one in history.standing.voids}
            read = killed | void | {one.key for one in seen}
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
        return [layout.PACKS, layout.INDEX, *_NAMED]


def _claim_text(claim: Claim) -> str:
    return (
        f"{claim.key} is not there, and an agent's commit ({claim.said_by}) says that it was: it "
        "was removed, or the agent's key is in wrong hands. Run 'strongroom verify'"
    )
