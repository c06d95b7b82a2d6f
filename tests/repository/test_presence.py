"""Who is at work on this host: held, let go of, killed, and where nothing can be known."""

from __future__ import annotations

import errno
import os
import signal
import sys
from pathlib import Path

import pytest

from strongroom.errors import BusyError, FencedError, NotFoundError, StoreUnavailableError
from strongroom.model.events import Notice
from strongroom.model.store import Store
from strongroom.repository import layout
from strongroom.repository.presence import FilePresence, Held, Unknown
from strongroom.repository.saving import hold
from strongroom.storage.memory import MemoryStore
from strongroom.system.posix import PosixFs
from tests.faults.workloads import undecided
from tests.support.faulty_fs import FsFault, faulty_fs
from tests.support.faulty_store import Fault, FaultyStore, Kind, Script
from tests.support.forging import begun
from tests.support.hooks import HookedStore
from tests.support.invariants import check_invariants
from tests.support.kit import SAYING, Kit
from tests.support.noise import noise

pytestmark = pytest.mark.spec("B4")

SESSION = bytes(range(16))


def presence(folder: Path) -> FilePresence:
    """Return the presence in a folder that need not be there."""
    return FilePresence(PosixFs(), os.fsencode(folder / "state" / "sessions"))


def test_who_holds_is_at_work(tmp_path: Path) -> None:
    """Held it is not dead; let go of, nothing is left, and nobody says that it is dead."""
    here, other = presence(tmp_path), presence(tmp_path)
    assert not other.is_dead(SESSION)
    held = here.hold(SESSION)
    assert not other.is_dead(SESSION)
    held.let_go()
    held.let_go()
    assert not other.is_dead(SESSION)
    assert list(tmp_path.rglob("sessions/*")) == []


def test_who_was_killed_is_dead(tmp_path: Path) -> None:
    """A process that held a session is killed: it is dead then, until the session is forgotten."""
    reads, writes = os.pipe()
    child = os.fork()
    if not child:  # pragma: no cover - in the child
        presence(tmp_path).hold(SESSION)
        os.write(writes, b"!")
        signal.pause()
    os.read(reads, 1)
    os.close(reads)
    os.close(writes)
    here = presence(tmp_path)
    assert not here.is_dead(SESSION)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    assert here.is_dead(SESSION)
    assert here.is_dead(SESSION)
    here.forget(SESSION)
    here.forget(SESSION)
    assert not here.is_dead(SESSION)


@pytest.mark.parametrize("call", ["mkdir", "create", "try_lock"])
def test_where_nothing_can_be_held_nobody_is_dead(tmp_path: Path, call: str) -> None:
    """A folder that cannot be used, or a file system without locks: a session goes on, and a
    collector knows nothing of it, also afterwards.
    """
    fault = FsFault("error", calls=frozenset({call}), number=errno.ENOLCK, times=99)
    fs, _ = faulty_fs(PosixFs(), fault)
    held = FilePresence(fs, os.fsencode(tmp_path / "a" / "b")).hold(SESSION)
    assert not FilePresence(PosixFs(), os.fsencode(tmp_path / "a" / "b")).is_dead(SESSION)
    held.let_go()
    assert not FilePresence(PosixFs(), os.fsencode(tmp_path / "a" / "b")).is_dead(SESSION)


def test_nobody_is_known() -> None:
    """Without a folder nobody is ever dead."""
    unknown = Unknown()
    unknown.hold(SESSION).let_go()
    assert not unknown.is_dead(SESSION)
    unknown.forget(SESSION)


class Ended:
    """Notes who is held; ``dead`` are those whose process is said to have ended."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.held: set[bytes] = set()
        self.dead: set[bytes] = set()
        self.forgotten: set[bytes] = set()

    def hold(self, session: bytes) -> Held:
        assert session.hex() not in undecided(self._store)  # held before anybody hears of it
        self.held.add(session)
        return _HeldHere(self, session)

    def is_dead(self, session: bytes) -> bool:
        return session in self.dead

    def forget(self, session: bytes) -> None:
        self.forgotten.add(session)


class _HeldHere:
    def __init__(self, ended: Ended, session: bytes) -> None:
        self._ended = ended
        self._session = session

    def let_go(self) -> None:
        self._ended.held.discard(self._session)


A, B = ({name: noise(1000, name.decode())} for name in (b"a", b"b"))


@pytest.fixture(name="host")
def _host(tmp_path: Path) -> Kit:
    kit = Kit(MemoryStore(), tmp_path / "state")
    kit.presence = Ended(kit.store)
    kit.init()
    return kit


def ended(host: Kit) -> Ended:
    """Return the presence of a host."""
    assert isinstance(host.presence, Ended)
    return host.presence


def test_who_decides_lets_go(host: Kit) -> None:
    """A backup and a hold let go when they are committed; one that is at work is held, from before
    it is listed.
    """
    snapshot = host.backup(A).snapshot
    host.hold(snapshot.id)
    assert ended(host).held == set()
    session = begun(host)
    assert ended(host).held == {session.id}
    session.abort()
    assert ended(host).held == set()


def test_a_hold_that_is_refused_lets_go(host: Kit) -> None:
    """A hold of a snapshot that is gone, and one that a collector has given up meanwhile: both
    have their decision, so nobody is held.
    """
    gone, snapshot = host.backup(A).snapshot, host.backup(B).snapshot
    host.forget(gone.id)
    with pytest.raises(NotFoundError):
        host.hold("00" * 16)
    assert ended(host).held == set()
    repository = host.open()
    store = HookedStore(host.store)
    repository.store = store

    def give_up() -> None:
        (session,) = undecided(host.store)
        ended(host).dead = {bytes.fromhex(session)}
        host.prune()

    store.before("put", layout.COMMITS, give_up)
    with pytest.raises(FencedError):
        hold(repository, [snapshot.key], SAYING)
    assert undecided(host.store) == set()
    assert ended(host).held == set()


def test_the_dead_are_given_up_and_others_are_waited_for(host: Kit, tmp_path: Path) -> None:
    """A collector gives up a session of a dead process at once, says so, and forgets it; one that
    nobody knows to be dead is waited for. Whoever was given up by mistake is fenced.
    """
    gone, kept = (host.backup(files).snapshot.id for files in (A, B))
    host.forget(gone)
    other = Kit(host.store, tmp_path / "other")
    dead, alive = begun(other), begun(other)
    ended(host).dead = {dead.id}
    with pytest.raises(BusyError, match=alive.id.hex()[:8]) as told:
        host.prune()
    assert dead.id.hex()[:8] not in told.value.message
    assert ended(host).forgotten == {dead.id}
    said = [event.text for event in host.events if isinstance(event, Notice)]
    assert f"gave up session {dead.id.hex()[:8]}, whose process has ended" in said
    assert undecided(host.store) == {alive.id.hex()}
    with pytest.raises(FencedError):
        dead.commit(host.snapshots()[0].snapshot)
    alive.abort()
    host.prune()
    check_invariants(host, {kept: B})


def test_who_could_not_decide_is_held_on(host: Kit) -> None:
    """A hold whose store takes nothing any more stays held, and undecided: when its process ends
    it is dead.
    """
    snapshot = host.backup(A).snapshot
    repository = host.open()
    nothing_more = Fault(Kind.ERROR_BEFORE, nth=2, times=sys.maxsize, verbs=frozenset({"put"}))
    repository.store = FaultyStore(host.store, Script(nothing_more))
    with pytest.raises(StoreUnavailableError):
        hold(repository, [snapshot.key], SAYING)
    assert {one.hex() for one in ended(host).held} == undecided(host.store)
    assert len(ended(host).held) == 1
