"""Collectors beside each other and beside writers: who was first rules, and nobody is passed by."""

from __future__ import annotations

import shutil
from collections.abc import Callable

import pytest

from strongroom.errors import BusyError, DamageError
from strongroom.repository import layout
from strongroom.repository.collection.collect import CollectLimits, Collector
from strongroom.storage.wrappers.forwarding import ForwardingStore
from tests.support.crash import SimulatedCrash
from tests.support.faulty_store import READS, WRITES, Fault, FaultyStore, Kind, Script
from tests.support.forging import begun, commit, save, source_record
from tests.support.hooks import HookedStore
from tests.support.invariants import check_invariants, check_nothing_left
from tests.support.kit import DAY_NS, Kit
from tests.support.noise import noise
from tests.support.runs import pack_ids

pytestmark = pytest.mark.spec("B2")

A = {b"a": noise(1000, "a")}
B = {b"b": noise(1000, "b")}
BOTH = A | B


def other_host(kit: Kit, name: str) -> Kit:
    """Return another host of the same repository, with the same clock."""
    other = Kit(kit.store, kit.state_path.parent / name)
    other.clock = kit.clock
    return other


def with_garbage(host: Kit) -> str:
    """Make a repository with one snapshot that is wanted and one that is not; the wanted one."""
    gone = host.backup(A).snapshot.id
    kept = host.backup(B).snapshot.id
    host.forget(gone)
    return kept


def stop_at(kit: Kit, prefix: str, act: Callable[[], object]) -> None:
    """Do something on a host that dies just before it puts or deletes below ``prefix``."""
    sound = kit.store
    kit.store = FaultyStore(sound, Script(Fault(Kind.CRASH_BEFORE, verbs=WRITES, prefix=prefix)))
    try:
        act()
    except SimulatedCrash:
        return
    finally:
        kit.store = sound
    raise AssertionError(f"nothing was changed below {prefix}")


def keys(kit: Kit, prefix: str) -> list[str]:
    """Return what is listed."""
    return [info.key for info in kit.store.list(prefix)]


class Told(ForwardingStore):
    """Keeps what was changed, in order."""

    def __init__(self, within: Kit) -> None:
        super().__init__(within.store)
        self.changes: list[tuple[str, str]] = []

    def put(self, key: str, value: object) -> None:
        """See ``Store``."""
        super().put(key, value)  # type: ignore[arg-type]
        self.changes.append(("put", key))

    def delete(self, key: str) -> None:
        """See ``Store``."""
        super().delete(key)
        self.changes.append(("delete", key))

    def sync(self, prefixes: object) -> None:
        """See ``Store``."""
        super().sync(prefixes)  # type: ignore[arg-type]
        self.changes.append(("sync", str(prefixes)))


@pytest.mark.parametrize("listing", range(1, 4))
def test_a_run_begins_only_when_the_one_before_is_done(host: Kit, listing: int) -> None:
    """Another collector that puts its tombs while this one lists gc/, whichever time, and dies: its
    run is finished before another one begins.
    """
    kept = with_garbage(host)
    other = other_host(host, "other")
    told = Told(host)
    hooked = HookedStore(told)

    hooked.after_nth(
        listing,
        "list",
        layout.GC,
        lambda: stop_at(other, layout.run_object(1, "waits"), other.prune),
    )
    kit = other_host(host, "this")
    kit.store = hooked
    kit.prune()
    puts = [key for verb, key in told.changes if verb == "put"]
    second = layout.run_object(2, "tombs")
    if second in puts:
        assert layout.run_object(1, "done") in puts[: puts.index(second)]
    check_nothing_left(host)
    check_invariants(host, {kept: B})


def test_sessions_that_cannot_be_read_in_are_not_nobody(host: Kit) -> None:
    """A list of sessions that comes back with a changed bit ends the command with damage; what a
    writer at work relies on stays, and the next run ends the broken one without removing anything.
    """
    gone = host.backup(A).snapshot.id
    host.forget(gone, allow_empty=True)
    writer = begun(other_host(host, "writer"))
    assert save(writer, [A[b"a"]])
    tree = writer.writer.new_tree()
    kit = other_host(host, "collector")
    flipped = Fault(Kind.FLIPPED, verbs=READS, prefix=layout.run_object(1, "waits"))
    kit.store = FaultyStore(host.store, Script(flipped))
    with pytest.raises(DamageError):
        kit.prune()
    assert layout.run_object(1, "kills") not in keys(host, layout.GC)
    with pytest.raises(BusyError):
        host.prune()
    made = commit(writer, source_record(tree.finish()))
    host.prune()
    assert made.id in {one.id for one in host.snapshots()}
    assert host.verify().damage == []


def test_a_segment_that_another_collector_removed_is_no_error(host: Kit) -> None:
    """Of two collectors that both join small segments, the slower one misses those that the faster
    one removed, and begins anew.
    """
    wanted = {}
    for number in range(10):
        files = {b"f": noise(500, str(number))}
        wanted[host.backup(files).snapshot.id] = files
    host.forget(host.backup(A).snapshot.id, allow_empty=True)
    hooked = HookedStore(host.store)
    other = other_host(host, "other")
    kit = other_host(host, "this")

    def remove_them() -> None:
        other.prune()
        shutil.rmtree(kit.state_path / "cache")

    hooked.after("get_range", layout.PACKS, remove_them)
    kit.store = hooked
    kit.prune()
    check_nothing_left(host)
    check_invariants(host, wanted)


def test_what_decides_is_durable_before_anything_is_removed(host: Kit) -> None:
    """Whoever finds a kills makes it durable before deleting, since who put it may be dead."""
    with_garbage(host)
    stop_at(host, layout.run_object(1, "done"), host.prune)
    told = Told(host)
    kit = other_host(host, "this")
    kit.store = told
    packs = set(pack_ids(host))
    kit.prune()
    assert packs
    verbs = [verb for verb, key in told.changes if verb == "delete" or layout.GC in key]
    assert verbs.index("sync") < verbs.index("delete")


def test_to_look_needs_no_run_of_its_own(host: Kit) -> None:
    """While a run of another collector is unfinished, one can see what there is, and nothing is
    changed.
    """
    kept = with_garbage(host)
    stop_at(host, layout.run_object(1, "kills"), host.prune)
    before = keys(host, "")
    limits = CollectLimits(grace_ns=0, silent_ns=DAY_NS, wait_seconds=0, max_unused=0)
    found = Collector(host.open(), limits).look()
    assert {key.rpartition("/")[2] for key in found.roots} == {kept}
    assert len(found.kept_packs()) == 1
    assert keys(host, "") == before
