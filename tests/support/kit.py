"""A repository to test with: the real engine over any store, opened as a command opens it.

``Kit`` is one host: its state folder, its clock and its key. Two kits with one store are two hosts.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from strongroom.clock import ManualClock
from strongroom.model.events import Event
from strongroom.model.fs import Fs
from strongroom.model.randomness import Randomness
from strongroom.model.snapshot import ListedSnapshot
from strongroom.model.source import Source
from strongroom.model.store import Store
from strongroom.operations.backup import BackupResult, Circumstances, PlannedSource, back_up
from strongroom.operations.init import Initialised, init
from strongroom.operations.restore import RestoreResult, restore
from strongroom.operations.verify import verify
from strongroom.repository import layout
from strongroom.repository.agent import AgentKey, open_agent
from strongroom.repository.cache import NoCache
from strongroom.repository.collection.collect import Collected, CollectLimits, Collector
from strongroom.repository.findings import CheckResult
from strongroom.repository.keyring import Keys
from strongroom.repository.localfiles import FileCache, LocalFiles
from strongroom.repository.opening import OpenedConfig, read_config
from strongroom.repository.ordering import put_order
from strongroom.repository.orders import Order
from strongroom.repository.packer import Workers
from strongroom.repository.payloads import Payload
from strongroom.repository.presence import Presence, Unknown
from strongroom.repository.records import Mode, OrderKind, Saving, SlotKind, Targets
from strongroom.repository.repository import Listing, Repository, Surroundings
from strongroom.repository.saving import Saved, hold, unforget
from strongroom.repository.slots import Opener, Secret
from strongroom.repository.slotset import with_orders
from strongroom.repository.unlocking import unlock
from strongroom.storage.memory import MemoryStore
from strongroom.system.posix import PosixFs
from strongroom.system.randomness import SystemRandomness
from tests.support.fakes import MemorySource, MemoryTarget

HOUR_NS: Final = 3_600_000_000_000
DAY_NS: Final = 24 * HOUR_NS
SAYING: Final = Saving(b"host", b"user", b"strongroom test", b"because")
SECRET = Secret(SlotKind.KEY_FILE, b"a key of thirty-two bytes, fixed")


class SameThread(ThreadPoolExecutor):
    """An executor that works at once in the calling thread, so that every run is the same run."""

    def submit(self, fn, /, *args, **kwargs):  # type: ignore[no-untyped-def] # noqa: ANN001, ANN002, ANN003, ANN201
        future: Future[object] = Future()
        try:
            future.set_result(fn(*args, **kwargs))
        except Exception as error:  # noqa: BLE001 - a future keeps whatever its work raised
            future.set_exception(error)
        return future


class Kit:
    """One host with a state folder, working on ``store``."""

    def __init__(self, store: Store, state: Path, fs: Fs | None = None) -> None:
        """Take ``fs`` as the file system of the state and cache; the real one if not given."""
        self.store = store
        self.state_path = state
        self.clock = ManualClock()
        self.randomness: Randomness = SystemRandomness()
        self.state = LocalFiles(fs or PosixFs(), str(state).encode(), self.randomness)
        self.cache = self.state.below("cache")
        self.events: list[Event] = []
        self.secrets: Sequence[Opener] = [SECRET]
        self.presence: Presence = Unknown()
        self.agent: AgentKey | None = None  # opens the repository instead of the secrets
        pool = SameThread(1)
        self.workers = Workers(pool, pool, 1)

    def init(self, secret: Opener = SECRET, mode: Mode = Mode.FULL) -> Initialised:
        """Make the repository."""
        return init(self.store, secret, self.randomness, self.clock.now_ns(), self.state, mode)

    def open(self) -> Repository:
        """Open the repository as a new process would."""
        config = read_config(self.store)
        keyring = self._keys(config)
        around = Surroundings(
            self.clock,
            self.randomness,
            self.workers,
            FileCache(self.cache.below(config.repository_id.hex())),
            self.state,
            self.events.append,
            self.presence,
        )
        return Repository(self.store, config, keyring, around)

    def _keys(self, config: OpenedConfig) -> Keys:
        slots = with_orders(self.store, config, NoCache(), lambda _key, _error: None)
        if self.agent is not None:
            return open_agent(self.store, slots, self.agent)
        return unlock(self.store, slots, self.secrets, self.events.append)  # type: ignore[arg-type]

    def backup(self, files: Mapping[bytes, bytes], name: str = "test") -> BackupResult:
        """Back up files given by path."""
        return self.backup_source(MemorySource(files, name))

    def backup_source(self, *sources: Source) -> BackupResult:
        """Back up any source, or several into one snapshot."""
        self.clock.sleep(1)
        planned = [PlannedSource(source, [b"/"]) for source in sources]
        circumstances = Circumstances("host", "user", "strongroom test")
        return back_up(self.open(), planned, circumstances, self.state)

    def snapshots(self) -> list[ListedSnapshot]:
        """List the snapshots."""
        return self.open().snapshots()

    def restore(self, snapshot_id: str) -> tuple[RestoreResult, dict[bytes, bytes]]:
        """Restore a snapshot into memory; it may be forgotten."""
        ((_id, result, files),) = self.restore_all([snapshot_id])
        return result, files

    def restore_all(
        self, ids: Iterable[str]
    ) -> Iterator[tuple[str, RestoreResult, dict[bytes, bytes]]]:
        """Restore snapshots into memory, opening once; each with its id. ``LookupError``."""
        repository = self.open()
        listing = repository.list_snapshots()
        known = {one.id: one for one in [*listing.found, *listing.forgotten]}
        for one in ids:
            target = MemoryTarget()
            if one not in known:
                raise LookupError(f"there is no snapshot {one}")
            yield one, restore(repository, known[one], target), target.files

    def order(self, kind: OrderKind, payload: Payload) -> Order:
        """Put an order."""
        repository = self.open()
        return put_order(repository, repository.list_snapshots().history, kind, payload)

    def forget(self, *ids: str, allow_empty: bool = False) -> Order:
        """Forget snapshots, even the last good one of a source if ``allow_empty``."""
        targets = Targets(tuple(sorted(self.keys_of(ids))))
        if allow_empty:
            self.order(OrderKind.ALLOW_EMPTY, targets)
        return self.order(OrderKind.FORGET, targets)

    def hold(self, *ids: str) -> Saved:
        """Keep snapshots."""
        return hold(self.open(), self.keys_of(ids), SAYING)

    def release(self, saved: Saved) -> Order:
        """End a hold."""
        return self.order(OrderKind.RELEASE, Targets((saved.key,)))

    def undelete(self, *ids: str) -> Saved:
        """Cancel what forgot these snapshots."""
        return unforget(self.open(), self.keys_of(ids), SAYING)

    def prune(
        self,
        *,
        grace_ns: int = 0,
        silent_ns: int = DAY_NS,
        wait_seconds: float = 0,
        max_unused: float = 0.05,
        wal_keep_ns: int | None = None,
        dead: Sequence[str] = (),
    ) -> Collected:
        """Collect, by default without grace and without waiting for sessions at work."""
        limits = CollectLimits(
            grace_ns=grace_ns,
            silent_ns=silent_ns,
            wait_seconds=wait_seconds,
            max_unused=max_unused,
            wal_keep_ns=wal_keep_ns,
            dead=dead,
        )
        return Collector(self.open(), limits).run()

    def listing(self) -> Listing:
        """List the snapshots, those that are forgotten beside the others."""
        return self.open().list_snapshots()

    def keys_of(self, ids: Sequence[str]) -> list[str]:
        """Return the keys of the COMMITs of snapshots of a full key; they need not be there."""
        writer = self.open().keyring.writer().id
        known = {}
        for info in self.store.list(layout.COMMITS):
            found = layout.commit_ids(info.key)
            if found is not None:
                known[found[1].hex()] = info.key
        return [known.get(one, layout.commit(writer, bytes.fromhex(one))) for one in ids]

    def verify(self, *, read_data: bool = True) -> CheckResult:
        """Verify everything."""
        return verify(self.open(), None, None, read_data=read_data)


def timed_kit(state: Path) -> Kit:
    """Return a host with a repository in memory, in which storage goes by the clock of the host."""
    kit = Kit(MemoryStore(), state)
    kit.store = MemoryStore(clock=kit.clock)
    kit.init()
    return kit


@contextmanager
def threads(count: int) -> Iterator[Workers]:
    """Real worker threads, for tests that are about them."""
    with ThreadPoolExecutor(count) as compute, ThreadPoolExecutor(count) as transfer:
        yield Workers(compute, transfer, count)
