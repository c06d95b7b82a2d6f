"""Where a store does not decide between two puts: nothing that was called done is lost."""

from __future__ import annotations

from pathlib import Path

import pytest

from strongroom.errors import BusyError, FencedError, NotFoundError, RefusedError
from strongroom.repository import layout
from strongroom.repository.records import Mode
from strongroom.storage.memory import MemoryStore
from tests.support.crash import SimulatedCrash
from tests.support.faulty_store import WRITES, Fault, FaultyStore, Kind, Script
from tests.support.forging import begun, commit, save, source_record
from tests.support.hooks import HookedStore
from tests.support.invariants import check_invariants, check_nothing_left
from tests.support.kit import Kit
from tests.support.last_wins import LastWins
from tests.support.noise import noise

pytestmark = pytest.mark.spec("B1", "D3")

A = {b"a": noise(1000, "a")}
B = {b"b": noise(1000, "b")}
HOUR = 3600.0


@pytest.fixture(name="host")
def _host(tmp_path: Path) -> Kit:
    kit = Kit(MemoryStore(), tmp_path / "host")
    kit.store = LastWins(MemoryStore(clock=kit.clock))
    kit.init(mode=Mode.WEAKER)
    return kit


@pytest.fixture(name="other")
def _other(host: Kit, tmp_path: Path) -> Kit:
    other = Kit(host.store, tmp_path / "other")
    other.clock = host.clock
    return other


def with_garbage(host: Kit) -> str:
    """Make a snapshot that is wanted and one that is not; the wanted one."""
    gone = host.backup(A).snapshot.id
    kept = host.backup(B).snapshot.id
    host.forget(gone)
    return kept


def open_sessions(host: Kit) -> list[str]:
    """Return the ids of sessions that have come to no decision."""
    decided = {layout.commit_ids(info.key) for info in host.store.list(layout.COMMITS)}
    found = [layout.session_ids(info.key) for info in host.store.list(layout.SESSIONS)]
    return sorted({one[1].hex() for one in found if one is not None and one[:2] not in decided})


def test_all_that_a_repository_is_for(host: Kit, other: Kit) -> None:
    """Backups of two hosts, holds, forgetting and its undoing, collections; nothing is left."""
    kept = with_garbage(host)
    second = other.backup(A | B).snapshot.id
    other.hold(second)
    host.forget(second)
    host.undelete(second)
    host.prune()
    check_invariants(host, {kept: B, second: A | B})
    check_nothing_left(host)
    assert open_sessions(host) == []


def test_a_silent_session_is_waited_for_until_a_person_says_it_is_dead(host: Kit) -> None:
    """However long: a prune gives up waiting, not the session. Who was called dead learns it."""
    kept = with_garbage(host)
    session = begun(host)
    save(session, [noise(1000, "late")])
    (name,) = open_sessions(host)
    for _ in range(2):
        host.clock.sleep(100 * HOUR)
        with pytest.raises(BusyError, match=name[:8]) as busy:
            host.prune(silent_ns=1)
        assert f"prune --dead {name[:8]}" in busy.value.hint
    host.prune(dead=[name[:8]])
    with pytest.raises(FencedError):
        commit(session)
    check_invariants(host, {kept: B})
    check_nothing_left(host)


def test_who_gave_a_sign_of_life_cannot_be_called_dead(host: Kit, other: Kit) -> None:
    """Two hours must have gone by; and a name must be that of one open session."""
    kept = with_garbage(host)
    session = begun(host)
    (name,) = open_sessions(host)
    host.clock.sleep(1.9 * HOUR)
    with pytest.raises(RefusedError, match="may be alive"):
        other.prune(dead=[name])
    session._show()
    host.clock.sleep(0.5 * HOUR)
    with pytest.raises(RefusedError, match="may be alive"):
        other.prune(dead=[name])
    for text in ("", "nobody"):
        with pytest.raises(NotFoundError, match=name[:8]):
            other.prune(dead=[text])
    session.abort()
    check_invariants(host, {kept: B})


@pytest.mark.parametrize("moment", ["before", "between"])
def test_a_writer_that_slept_says_no_success(host: Kit, other: Kit, moment: str) -> None:
    """Called dead while it slept, it wakes and commits: before the ABORT, or after the collector
    looked and before its ABORT came. Its packs are gone or not; it never says that it is done.
    """
    kept = with_garbage(host)
    session = begun(host)
    chunk = noise(1000, "late")
    save(session, [chunk])
    host.clock.sleep(3 * HOUR)
    (name,) = open_sessions(host)
    if moment == "before":
        other.prune(dead=[name])
        with pytest.raises(FencedError):
            commit(session)
    else:
        assert isinstance(host.store, LastWins)

        def wakes() -> None:
            with pytest.raises(FencedError, match="no sign of life"):
                commit(session)

        host.store.between(layout.COMMITS, wakes)
        other.prune(dead=[name])
    check_invariants(host, {kept: B})
    check_nothing_left(host)


def test_a_writer_that_sleeps_within_its_put_says_no_success(host: Kit, other: Kit) -> None:
    """It looked, and its COMMIT comes three hours later, over the ABORT: by the times that the
    store noted it knows that it was away for too long. What it is left with was never called done.
    """
    kept = with_garbage(host)
    session = begun(host)
    assert isinstance(host.store, LastWins)

    def sleeps() -> None:
        host.clock.sleep(3 * HOUR)
        (name,) = open_sessions(other)
        other.prune(dead=[name])

    host.store.between(layout.COMMITS, sleeps)
    with pytest.raises(FencedError, match="no sign of life"):
        commit(session, source_record(session.writer.new_tree().finish()))
    listed = {one.id for one in host.snapshots()}
    check_invariants(host, {kept: B}, in_doubt=listed - {kept})


def test_one_collector_at_a_time(host: Kit, other: Kit) -> None:
    """Whenever another one begins, it ends at once and says why; the first goes on."""
    kept = with_garbage(host)
    sound = host.store
    hooked = HookedStore(sound)
    refused = 0

    def begins() -> None:
        nonlocal refused
        with pytest.raises(BusyError, match="another collector"):
            other.prune()
        refused += 1

    for verb, prefix in [("put", "gc/"), ("list", layout.PACKS), ("delete", layout.PACKS)]:
        hooked.before(verb, prefix, begins)
    host.store = hooked
    host.prune()
    host.store = sound
    assert refused == 3
    check_invariants(host, {kept: B})
    check_nothing_left(host)


@pytest.mark.parametrize("prefix", ["gc/", layout.PACKS])
def test_a_collector_that_was_killed(host: Kit, other: Kit, prefix: str) -> None:
    """It is in the way until a person says that it is dead; the next one finishes what it began."""
    kept = with_garbage(host)
    sound = host.store
    host.store = FaultyStore(sound, Script(Fault(Kind.CRASH_BEFORE, verbs=WRITES, prefix=prefix)))
    with pytest.raises(SimulatedCrash):
        host.prune()
    host.store = sound
    (name,) = open_sessions(host)
    host.clock.sleep(3 * HOUR)
    with pytest.raises(BusyError, match=name[:8]) as busy:
        other.prune()
    assert f"prune --dead {name[:8]}" in busy.value.hint
    other.prune(dead=[name[:8]])
    check_invariants(host, {kept: B})
    check_nothing_left(host)


def test_a_session_that_vanished(host: Kit) -> None:
    """Its objects are gone, and no decision came: it can be called dead all the same."""
    kept = with_garbage(host)
    session = begun(host)
    (name,) = open_sessions(host)
    with pytest.raises(BusyError, match=name[:8]):
        host.prune()
    for info in list(host.store.list(layout.SESSIONS)):
        host.store.delete(info.key)
    with pytest.raises(BusyError, match=name[:8]):
        host.prune()
    host.prune(dead=[name[:8]])
    with pytest.raises(FencedError):
        commit(session)
    check_invariants(host, {kept: B})


@pytest.mark.parametrize("nth", [1, 2, 3])
def test_a_collector_that_slept_deletes_nothing(host: Kit, other: Kit, nth: int) -> None:
    """Called dead while it slept at any of its listings, it ends when it wakes, whatever others
    stored meanwhile that it knows nothing of.
    """
    kept = with_garbage(host)
    sound = host.store
    hooked = HookedStore(sound)
    made = []

    def sleeps() -> None:
        host.clock.sleep(3 * HOUR)
        (name,) = open_sessions(other)
        other.prune(dead=[name])
        made.append(other.backup(A).snapshot.id)

    hooked.after_nth(nth, "list", layout.PACKS, sleeps)
    host.store = hooked
    with pytest.raises(FencedError, match="dead"):
        host.prune()
    host.store = sound
    assert not any("--dead" in str(event) for event in host.events)
    assert open_sessions(host) == []
    check_invariants(host, {kept: B, made[0]: A})
    check_nothing_left(host)
