"""Sessions that a collector waits for, and the holds that come between its steps."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from strongroom.clock import ManualClock
from strongroom.errors import BusyError, DamageError
from strongroom.model.events import Notice
from strongroom.model.store import ObjectInfo, Store
from strongroom.repository import layout
from strongroom.storage.wrappers.forwarding import ForwardingStore
from tests.faults.workloads import undecided
from tests.repository.test_collect_races import A, B, Told, keys, other_host, with_garbage
from tests.support.agents import agent_host
from tests.support.forging import begun
from tests.support.invariants import check_invariants, check_nothing_left
from tests.support.kit import DAY_NS, Kit
from tests.support.noise import noise
from tests.support.recording import RecordingStore

pytestmark = pytest.mark.spec("B2")

C = {b"c": noise(3000, "c")}


def told_by(kit: Kit) -> list[str]:
    """Return what a host told its user."""
    return [event.text for event in kit.events if isinstance(event, Notice)]


def test_a_session_that_comes_late_goes_again(host: Kit) -> None:
    """The object of a session whose COMMIT was removed arrives once more: nobody waits for it or
    puts anything at its commit key, and the next run removes it.
    """
    gone = host.backup(A).snapshot.id
    (session,) = keys(host, layout.SESSIONS)
    late = host.store.get(session)
    kept = host.backup(B).snapshot.id
    (commit,) = host.keys_of([gone])
    host.forget(gone)
    host.prune()
    host.store.put(session, late)
    host.forget(host.backup(C).snapshot.id)
    last = host.backup(B).snapshot.id
    host.clock.sleep(2 * DAY_NS / 1e9)
    host.prune()
    assert commit not in keys(host, layout.COMMITS)
    assert session not in keys(host, layout.SESSIONS)
    assert not [text for text in told_by(host) if "gave up" in text]
    check_nothing_left(host)
    check_invariants(host, {kept: B, last: B})


def test_a_session_that_vanished_without_a_decision_is_given_up(host: Kit) -> None:
    """Its object is gone and nothing is at its commit key: an ABORT ends it, so that it can not
    commit any more, and the collector does not wait for ever.
    """
    kept = with_garbage(host)
    session = begun(other_host(host, "writer"))
    with pytest.raises(BusyError):
        host.prune()
    for key in keys(host, layout.SESSIONS):
        host.store.delete(key)
    assert host.prune().finished == 1
    assert session.key in keys(host, layout.COMMITS)
    check_nothing_left(host)
    check_invariants(host, {kept: B})


def test_while_runs_cannot_be_read_nothing_is_held(host: Kit) -> None:
    """Nobody knows what a collector took away or is about to: exit 4, and no session stays open."""
    kept = host.backup(A).snapshot.id
    host.store.put(layout.run_object(1, "kills"), b"rotten")
    with pytest.raises(DamageError, match="nobody knows what a collector took away"):
        host.hold(kept)
    assert undecided(host.store) == set()


def test_silence_is_more_than_a_day(host: Kit) -> None:
    """After exactly so long a session is still waited for; a second later it is given up."""
    kept = with_garbage(host)
    begun(other_host(host, "writer"))
    host.clock.sleep(DAY_NS / 1e9)
    with pytest.raises(BusyError):
        host.prune(silent_ns=DAY_NS)
    host.clock.sleep(1)
    assert host.prune(silent_ns=DAY_NS).packs == 1
    check_invariants(host, {kept: B})


class Meanwhile(ManualClock):
    """A clock that does something while one sleeps."""

    def __init__(self, act: Callable[[], object]) -> None:
        super().__init__()
        self._act = act

    def sleep(self, seconds: float) -> None:
        """See ``Clock``."""
        super().sleep(seconds)
        self._act()


def test_who_comes_to_its_decision_is_not_waited_for_any_longer(host: Kit) -> None:
    """The collector looks every five seconds, however long it may wait."""
    kept = with_garbage(host)
    session = begun(other_host(host, "writer"))
    kit = other_host(host, "this")
    kit.clock = Meanwhile(session.abort)
    assert kit.prune(wait_seconds=600).packs == 1
    assert kit.clock.elapsed() == 5
    check_nothing_left(host)
    check_invariants(host, {kept: B})


class Ageless(ForwardingStore):
    """A store with a time that does not say when an object was put."""

    def list(self, prefix: str) -> Iterator[ObjectInfo]:
        """See ``Store``."""
        return iter([ObjectInfo(one.key, one.size, None) for one in super().list(prefix)])


class Timeless(ForwardingStore):
    """A store that says when an object was put and not what time it is."""

    def time_ns(self) -> int | None:
        """See ``Store``."""
        return None


@pytest.mark.parametrize("kind", [Ageless, Timeless])
def test_a_session_of_unknown_age_is_not_given_up(
    host: Kit, kind: Callable[[Store], Store]
) -> None:
    """Where a store does not say since when a session is silent, it is waited for, for ever."""
    host.forget(host.backup(A).snapshot.id, allow_empty=True)
    session = begun(host)
    host.clock.sleep(400 * 86_400)
    blind = other_host(host, "blind")
    blind.store = kind(host.store)
    with pytest.raises(BusyError):
        blind.prune()
    assert session.key not in keys(host, layout.COMMITS)


@pytest.mark.parametrize("save", [Kit.hold, Kit.undelete])
def test_what_a_hold_names_is_durable_before_it(
    host: Kit, save: Callable[[Kit, str], object]
) -> None:
    """The COMMIT of a hold or an un-forget names commits and orders: a power cut that takes one of
    these never leaves the former.
    """
    gone = host.backup(A).snapshot.id
    host.backup(B)
    host.forget(gone)
    told = Told(host)
    kit = other_host(host, "this")
    kit.store = told
    save(kit, gone)
    (verb, key), (last, _) = told.changes[-2:][::-1]
    assert (verb, last) == ("put", "sync")
    assert key.startswith(layout.COMMITS)
    assert told.changes[-2] == ("sync", str(kit.open().relied_prefixes()))


@pytest.mark.parametrize("save", [Kit.hold, Kit.undelete])
def test_a_hold_looks_in_the_order_of_the_document(
    host: Kit, save: Callable[[Kit, str], object]
) -> None:
    """Format 16: session, gc, then orders and targets, sync and COMMIT; so what a collector removes
    after the look at gc is seen to be gone.
    """
    gone = host.backup(A).snapshot.id
    host.backup(B)
    host.forget(gone)
    recording = RecordingStore(host.store)
    kit = other_host(host, "this")
    kit.store = recording
    save(kit, gone)
    done = [(verb, key.split("/")[0]) for verb, key in recording.requests if verb != "get"]
    done = done[done.index(("put", "sessions")) :]
    last = [one for one in done if one[0] == "list"][-4:]
    assert last == [("list", name) for name in ("gc", "orders", "commits", "gc")]
    assert done[-2:] == [("sync", "packs"), ("put", "commits")]


@pytest.mark.parametrize(("count", "more"), [(5, ""), (6, " and 1 more"), (7, " and 2 more")])
def test_of_many_sessions_a_few_are_named(host: Kit, count: int, more: str) -> None:
    """Five are named, and how many more there are."""
    with_garbage(host)
    sessions = [begun(other_host(host, f"writer {number}")) for number in range(count)]
    with pytest.raises(BusyError) as told:
        host.prune()
    named = [one for one in sessions if one.id.hex()[:8] in told.value.message]
    assert len(named) == 5
    assert told.value.message.endswith(f"Z){more}")


def test_what_is_no_session_is_nobody(host: Kit) -> None:
    """An object below sessions/ whose name is that of none stops nobody, and stays."""
    kept = with_garbage(host)
    host.store.put("sessions/notes.txt", b"somebody put this here")
    assert host.prune().packs == 1
    assert keys(host, layout.SESSIONS) == ["sessions/notes.txt"]
    assert host.restore(kept)[1] == B


def test_a_writer_that_cannot_be_read_is_called_by_its_id(host: Kit, tmp_path: Path) -> None:
    """Whoever is waited for is named as far as that is possible."""
    with_garbage(host)
    agent = agent_host(host, tmp_path)
    agent.clock = host.clock
    writer = begun(agent).key.removeprefix(layout.COMMITS).partition("/")[0]
    (key,) = [one for one in keys(host, layout.WRITERS) if one.endswith(writer)]
    host.store.delete(key)
    with pytest.raises(BusyError, match=f"of {writer[:8]} "):
        other_host(host, "stranger").prune()
