"""From the address of a repository to its store, and how much that is asked for."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from strongroom.app.addresses import address_of, place_used
from strongroom.app.asof import past_store
from strongroom.app.machine import Machine, Run
from strongroom.aws.asof import AsOfStore
from strongroom.aws.bucket import Bucket
from strongroom.aws.clients import Clients
from strongroom.config.settings import NO_LIMITS
from strongroom.model.store import Store
from strongroom.repository.records import Mode
from strongroom.storage.local import LocalStore
from strongroom.storage.memory import MemoryStore
from strongroom.storage.s3 import S3Store
from strongroom.storage.url import StoreUrl
from strongroom.storage.wrappers.metered import MeteredStore, Traffic
from strongroom.storage.wrappers.retrying import RetryingStore
from strongroom.storage.wrappers.throttled import ThrottledStore


@dataclass(frozen=True, slots=True)
class OpenStore:
    """A store, and the folder it is in if it is in one.

    ``beside`` counts requests that the store makes for itself. ``bucket``: the same, if it is in
    one that is written to. ``past``: what it is at a moment.
    """

    store: Store
    meter: MeteredStore
    folder: LocalStore | None
    beside: Callable[[], int]
    bucket: S3Store | None = None
    past: AsOfStore | None = None

    def traffic(self) -> Traffic:
        """Return everything that was asked for so far."""
        counts = self.meter.snapshot().values()
        found = Traffic(*map(sum, zip(*counts, strict=True))) if counts else Traffic()
        return found._replace(requests=found.requests + self.beside())

    def adapt(self, mode: int) -> None:
        """Ask nothing of it that it cannot do, as ``config`` says."""
        if mode == Mode.WEAKER and self.bucket is not None:
            self.bucket.go_without_conditions()


def _none() -> int:
    return 0


def is_far(run: Run) -> bool:
    """Return whether the store that the settings name is no folder: each request takes its time."""
    place = run.settings.place
    return place is not None and address_of(place).scheme != "file"


def bucket_store(address: StoreUrl, clients: Clients, machine: Machine) -> S3Store:
    """Return the store in a bucket; nothing is asked of it yet."""
    bucket = Bucket(clients, address.bucket)
    return S3Store(address.bucket, address.prefix, bucket, machine.clock, machine.randomness)


@contextmanager
def opened_store(run: Run) -> Iterator[OpenStore]:
    """Open the store that the settings name; nothing is asked of it yet."""
    place = place_used(run)
    address = address_of(place)
    machine = run.machine
    folder = bucket = past = None
    within: Store
    beside: Callable[[], int] = _none
    if place.as_of:
        within = past = past_store(run)
        beside = past.listings
    elif address.scheme == "file":
        within = folder = LocalStore(machine.fs, address.path, machine.randomness)
    elif address.scheme == "s3":
        within = bucket = bucket_store(address, run.aws.clients(place.account), machine)
    else:
        within = MemoryStore()
    limits = run.settings.limits
    if limits != NO_LIMITS:
        within = ThrottledStore(
            within, machine.clock, upload=limits.upload, download=limits.download
        )
    meter = MeteredStore(within)
    store = RetryingStore(meter, machine.clock, machine.randomness, tell=run.warn)
    try:
        yield OpenStore(store, meter, folder, beside, bucket, past)
    finally:
        if folder is not None:
            folder.close()
