"""Every store and every wrapper keeps the promises of ``Store``."""

from __future__ import annotations

import errno
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import pytest

from strongroom.clock import ManualClock
from strongroom.model.store import Store
from strongroom.storage.local import LocalStore
from strongroom.storage.memory import MemoryStore
from strongroom.storage.wrappers.latency import LatencyStore
from strongroom.storage.wrappers.metered import MeteredStore
from strongroom.storage.wrappers.retrying import RetryingStore
from strongroom.storage.wrappers.throttled import ThrottledStore
from strongroom.system.posix import PosixFs
from strongroom.system.randomness import SystemRandomness
from tests.storage.conformance import StoreConformance
from tests.support.faulty_fs import faulty_fs
from tests.support.faulty_store import FaultyStore, Kind, Script, Storm
from tests.support.randomness import SeededRandomness

NO_UNNAMED = {"create_unnamed": errno.EOPNOTSUPP}
NO_PROC = {"link_fd": errno.ENOENT}
STORMY = [Kind.ERROR_BEFORE, Kind.ERROR_AFTER, Kind.BROKEN_LIST]
NO_LINKS = {"link_fd": errno.EPERM, "link": errno.EPERM}


def local(path: Path, **lacks: int) -> LocalStore:
    """Return a store in a new folder, on a file system that lacks some calls."""
    fs, _ = faulty_fs(PosixFs(), lacks=lacks)
    store = LocalStore(fs if lacks else PosixFs(), str(path / "store"), SystemRandomness())
    store.create_root()
    return store


def retrying(within: Store) -> Store:
    """Return a store that waits in no time."""
    return RetryingStore(within, ManualClock(), SeededRandomness())


STORES: dict[str, Callable[[Path], Store]] = {
    "memory": lambda _: MemoryStore(),
    "memory-clock": lambda _: MemoryStore(clock=ManualClock()),
    "local": local,
    "local-named": lambda path: local(path, **NO_UNNAMED),
    "local-no-proc": lambda path: local(path, **NO_PROC),
    "local-renamed": lambda path: local(path, **NO_LINKS),
    "local-named-renamed": lambda path: local(path, **NO_UNNAMED, **NO_LINKS),
    "retrying": lambda _: retrying(MemoryStore()),
    "retrying-storm": lambda _: retrying(FaultyStore(MemoryStore(), Storm(1, 0.2, STORMY))),
    "metered": lambda _: MeteredStore(MemoryStore()),
    "throttled": lambda _: ThrottledStore(MemoryStore(), ManualClock(), upload=1e6, download=1e6),
    "latency": lambda _: LatencyStore(MemoryStore(), ManualClock(), seconds=0.1, bandwidth=1e6),
    "faulty": lambda _: FaultyStore(MemoryStore(), Script()),
    "all": lambda path: MeteredStore(
        retrying(ThrottledStore(LatencyStore(local(path), ManualClock(), seconds=1), ManualClock()))
    ),
}


class TestStores(StoreConformance):
    """The suite, once for each store."""

    @pytest.fixture(params=STORES)
    def store(self, request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
        """Return a fresh store."""
        with ExitStack() as stack:
            store = STORES[request.param](tmp_path)
            if isinstance(store, LocalStore):
                stack.enter_context(closing(store))
            yield store
