"""One run of a writer: the order of its requests, its signs of life, and every way it can end."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from strongroom.errors import FencedError, StoreFullError, StoreUnavailableError, StrongroomError
from strongroom.model.events import Notice
from strongroom.model.source import Item, Report
from strongroom.model.store import Store
from strongroom.repository import layout
from strongroom.repository.canonical import encode
from strongroom.repository.envelope import Kind as Envelope
from strongroom.repository.envelope import unwrap, wrap
from strongroom.repository.opening import initialise
from strongroom.repository.records import (
    ABORT,
    Abort,
    AbortReason,
    Commit,
    Heartbeat,
    SessionBody,
    read_body,
)
from strongroom.repository.session import HEARTBEAT_SECONDS, BackupSession
from strongroom.repository.writer import CHECKPOINT_SECONDS
from strongroom.storage.memory import MemoryStore
from strongroom.storage.wrappers.forwarding import Verb
from tests.support.crash import SimulatedCrash
from tests.support.fakes import MemorySource
from tests.support.faulty_store import Fault, FaultyStore, Kind, Script
from tests.support.forging import begun, commit, source_record
from tests.support.invariants import check_invariants
from tests.support.kit import SECRET, Kit
from tests.support.noise import noise
from tests.support.recording import RecordingStore
from tests.support.sources import StirringSource

pytestmark = pytest.mark.spec("B1")

FILES = {b"a": noise(1000, "a"), b"b/c": noise(2000, "b")}
PUT: frozenset[Verb] = frozenset({"put"})
MANY = {b"%02d" % n: noise(1 << 20, f"many {n}")[:-1] for n in range(12)}


def keys(kit: Kit, prefix: str) -> list[str]:
    """Return the keys below a prefix."""
    return [info.key for info in kit.store.list(prefix)]


def decisions(kit: Kit) -> list[int]:
    """Return COMMIT or ABORT for each decision there is."""
    return [
        unwrap(kit.store.get(key), Envelope.COMMIT, key).body[1]
        for key in keys(kit, layout.COMMITS)
    ]


def with_small_packs(store: Store, state: Path) -> Kit:
    """Return a host whose repository has packs of 4 MiB, so that a run writes several."""
    kit = Kit(store, state)
    initialise(store, SECRET, kit.randomness, kit.clock.now_ns(), pack_size=4 << 20)
    return kit


def test_requests_go_in_the_order_of_the_document(kit: Kit) -> None:
    """Format 13: session, gc, packs, index, then packs, index, sync and COMMIT; each once."""
    kit.backup(FILES)
    recording = RecordingStore(kit.store)
    kit.store = recording
    repository = kit.open()
    recording.requests.clear()
    session = BackupSession(repository)
    session.begin()
    reading = [request for request in recording.requests if request[0] != "get"]
    assert reading == [
        ("list", "orders/"),
        ("list", "commits/"),
        ("list", "gc/"),
        ("put", layout.session(repository.keyring.writer().id, session.id)),
        ("list", "gc/"),
        ("list", "packs/"),
        ("list", "index/"),
    ]
    session.abort()
    recording.requests.clear()
    kit.backup({b"new": noise(1000, "new")})
    verbs = [(verb, key.split("/")[0]) for verb, key in recording.requests if verb != "get"]
    assert verbs[-5:] == [
        ("list", "index"),
        ("put", "packs"),
        ("put", "index"),
        ("sync", "packs"),
        ("put", "commits"),
    ]
    assert [key for verb, key in recording.requests if verb == "sync"] == [
        "packs/ index/ commits/ orders/"
    ]
    assert not [key for verb, key in recording.requests if verb == "delete"]


def test_nothing_is_listed_before_it_is_stored(tmp_path: Path) -> None:
    """Every index segment names only packs whose put returned before its own began."""
    recording = RecordingStore(MemoryStore())
    kit = with_small_packs(recording, tmp_path)
    kit.backup(MANY)
    order = [key for verb, key in recording.requests if verb == "put"]
    segments = [key for key in order if key.startswith("index/")]
    packs = [key for key in order if key.startswith("packs/")]
    assert max(map(order.index, packs)) < order.index(segments[-1])
    assert order[-1].startswith("commits/")


def test_a_session_says_what_it_is(kit: Kit) -> None:
    """The session object has purpose, start and domain, signed by the writer in its key."""
    kit.backup(FILES)
    (key,) = keys(kit, layout.SESSIONS)
    ids = layout.session_ids(key)
    assert ids is not None
    repository = kit.open()
    envelope = unwrap(kit.store.get(key), Envelope.SESSION, key, repository.id)
    envelope.check(repository.keyring.writer().public_key)
    body = read_body(key, envelope.body, SessionBody)
    domain = repository.keyring.own_domain.domain_id
    assert (body.purpose, body.domain_id, body.positions) == (1, domain, None)
    assert keys(kit, layout.COMMITS) == [layout.commit(ids[0], ids[1])]


def test_a_sign_of_life_each_hour(kit: Kit) -> None:
    """A backup of three and a half hours puts three heartbeats, numbered from 1."""
    start = kit.clock.now_ns()
    files = {b"%d" % number: b"x" for number in range(7)}
    kit.backup_source(StirringSource(files, lambda _: kit.clock.sleep(1800)))
    beats = [key for key in keys(kit, layout.SESSIONS) if "." in key]
    assert [key.rpartition(".")[2] for key in beats] == ["1", "2", "3"]
    writer = kit.open().keyring.writer()
    for number, key in enumerate(beats, 1):
        envelope = unwrap(kit.store.get(key), Envelope.HEARTBEAT, key)
        envelope.check(writer.public_key)
        time_ns = read_body(key, envelope.body, Heartbeat).time_ns
        assert time_ns - start >= number * HEARTBEAT_SECONDS * 1e9


class _WaitingSource(MemorySource):
    """Has nothing for hours, and says so by empty batches."""

    def __init__(self, kit: Kit) -> None:
        super().__init__({b"a": b"x"})
        self._kit = kit

    def walk(self, report: Report) -> Iterator[Sequence[Item]]:
        for _ in range(5):
            self._kit.clock.sleep(1800)
            yield []
        yield from super().walk(report)


def test_a_source_that_waits_shows_signs_of_life(kit: Kit) -> None:
    """Two and a half hours before the first item: two heartbeats."""
    kit.backup_source(_WaitingSource(kit))
    beats = [key for key in keys(kit, layout.SESSIONS) if "." in key]
    assert [key.rpartition(".")[2] for key in beats] == ["1", "2"]


def test_a_short_backup_puts_no_sign_of_life(kit: Kit) -> None:
    """Just under an hour there is none."""
    kit.backup_source(
        StirringSource({b"a": b"x"}, lambda _: kit.clock.sleep(HEARTBEAT_SECONDS - 2))
    )
    assert [key for key in keys(kit, layout.SESSIONS) if "." in key] == []


def checkpointed(kit: Kit, seconds: float) -> int:
    """Return how many index segments a backup of several packs puts if each file takes a time."""
    kit.backup_source(StirringSource(MANY, lambda _: kit.clock.sleep(seconds)))
    return len(keys(kit, layout.INDEX))


def test_the_index_is_kept_up_to_date(tmp_path: Path) -> None:
    """Packs are listed every five minutes, so that an interrupted run is not in vain."""
    for seconds, least, most in ((0, 1, 1), (CHECKPOINT_SECONDS, 2, 5)):
        kit = with_small_packs(MemoryStore(), tmp_path / f"{seconds}")
        assert least <= checkpointed(kit, seconds) <= most
        assert len(keys(kit, layout.PACKS)) >= 3


def test_a_clean_failure_puts_its_own_abort(kit: Kit) -> None:
    """A source that fails ends the session with an ABORT, and nothing is listed."""

    def fail(_path: bytes) -> None:
        raise InterruptedError

    with pytest.raises(InterruptedError):
        kit.backup_source(StirringSource(FILES, fail))
    (key,) = keys(kit, layout.COMMITS)
    envelope = unwrap(kit.store.get(key), Envelope.COMMIT, key)
    assert read_body(key, envelope.body, Abort).reason == AbortReason.FAILED
    assert kit.snapshots() == []
    check_invariants(kit, {})


@pytest.mark.parametrize("error", [StoreFullError, StoreUnavailableError])
@pytest.mark.parametrize("prefix", ["packs/", "index/"])
def test_an_abort_is_put_whatever_failed(
    kit: Kit, prefix: str, error: type[StrongroomError]
) -> None:
    """Even where packs or index cannot be written, the session does not stay open."""
    sound = kit.store
    kit.store = FaultyStore(
        sound, Script(Fault(Kind.ERROR_BEFORE, PUT, prefix=prefix, times=99, error=error))
    )
    with pytest.raises(error):
        kit.backup(MANY)
    kit.store = sound
    assert decisions(kit) == [ABORT]


def test_nothing_is_put_by_a_session_that_did_not_begin(kit: Kit) -> None:
    """A failure before the session object leaves no trace."""
    before = keys(kit, "")
    sound = kit.store
    kit.store = FaultyStore(
        sound, Script(Fault(Kind.ERROR_BEFORE, frozenset({"list"}), prefix="commits/"))
    )
    with pytest.raises(StoreUnavailableError):
        kit.backup(FILES)
    kit.store = sound
    assert keys(kit, "") == before


def interrupted(kit: Kit, after: int) -> None:
    """Fail a backup of many files after some of them."""
    counter = itertools.count()

    def stir(_path: bytes) -> None:
        if next(counter) >= after:
            raise InterruptedError

    with pytest.raises(InterruptedError):
        kit.backup_source(StirringSource(MANY, stir))


def test_what_an_interrupted_run_stored_is_used_by_the_next(tmp_path: Path) -> None:
    """Packs that were stored before the failure are listed, and not stored again."""
    kit = with_small_packs(MemoryStore(), tmp_path)
    interrupted(kit, 11)
    stored = len(keys(kit, layout.PACKS))
    assert stored >= 1
    assert len(keys(kit, layout.INDEX)) == 1
    result = kit.backup(MANY)
    assert result.written.chunks <= len(MANY) + 1 - 3 * stored
    check_invariants(kit, {result.snapshot.id: MANY})


def fence(kit: Kit) -> Callable[[bytes], None]:
    """Return what ends the running session from outside, as a collector would."""

    def stir(_path: bytes) -> None:
        repository = kit.open()
        for key in keys(kit, layout.SESSIONS):
            ids = layout.session_ids(key)
            assert ids is not None
            decision = layout.commit(ids[0], ids[1])
            body = encode(Abort(ABORT, AbortReason.FENCED, 0))
            sign = repository.keyring.admin_signer().sign
            kit.store.put(decision, wrap(Envelope.COMMIT, repository.id, decision, body, sign))

    return stir


def test_a_fenced_session_commits_nothing(kit: Kit) -> None:
    """An ABORT at its key ends a backup with exit 11; nothing is listed; the next one works."""
    with pytest.raises(FencedError) as fenced:
        kit.backup_source(StirringSource({b"a": FILES[b"a"]}, fence(kit)))
    assert fenced.value.code == 11
    assert decisions(kit) == [ABORT]
    assert kit.snapshots() == []
    check_invariants(kit, {})


def test_a_lost_answer_to_the_commit_is_success(kit: Kit) -> None:
    """If the COMMIT arrived and its answer did not, the key is read back and the backup is good."""
    sound = kit.store
    kit.store = FaultyStore(sound, Script(Fault(Kind.ERROR_AFTER, PUT, prefix="commits/")))
    result = kit.backup(FILES)
    kit.store = sound
    assert decisions(kit) == [1]
    check_invariants(kit, {result.snapshot.id: FILES})


def test_a_commit_that_arrives_twice_is_success(kit: Kit) -> None:
    """If the request is repeated on its way, the second answer says exists, and means ourselves."""
    sound = kit.store
    kit.store = FaultyStore(sound, Script(Fault(Kind.TWICE, PUT, prefix="commits/")))
    result = kit.backup(FILES)
    kit.store = sound
    check_invariants(kit, {result.snapshot.id: FILES})


def test_a_commit_that_never_arrived_is_a_failure(kit: Kit) -> None:
    """If the COMMIT did not arrive, the backup failed, and an ABORT takes its place."""
    sound = kit.store
    kit.store = FaultyStore(sound, Script(Fault(Kind.ERROR_BEFORE, PUT, prefix="commits/")))
    with pytest.raises(StoreUnavailableError):
        kit.backup(FILES)
    kit.store = sound
    assert decisions(kit) == [ABORT]
    check_invariants(kit, {})


def test_a_killed_process_leaves_no_decision(kit: Kit) -> None:
    """After a kill the session stays without a decision, and harms nobody."""
    sound = kit.store
    kit.store = FaultyStore(sound, Script(Fault(Kind.CRASH_BEFORE, PUT, prefix="index/")))
    with pytest.raises(SimulatedCrash):
        kit.backup(FILES)
    kit.store = sound
    assert (decisions(kit), len(keys(kit, layout.SESSIONS))) == ([], 1)
    check_invariants(kit, {})


def test_a_commit_names_its_packs_in_their_order(tmp_path: Path) -> None:
    """The clear part of a COMMIT lists each pack of the session once, as they were stored."""
    recording = RecordingStore(MemoryStore())
    kit = with_small_packs(recording, tmp_path)
    kit.backup(MANY)
    (key,) = keys(kit, layout.COMMITS)
    commit = read_body(key, unwrap(recording.get(key), Envelope.COMMIT, key).body, Commit)
    put = [key[9:] for verb, key in recording.requests if (verb, key[:6]) == ("put", "packs/")]
    assert [commit.packs[i : i + 32].hex() for i in range(0, len(commit.packs), 32)] == put
    assert len(put) >= 3
    assert (commit.purpose, commit.epoch, commit.targets) == (1, 1, ())


def test_a_session_that_has_not_begun_has_no_writer(kit: Kit) -> None:
    """Nothing can be saved before the session object is there."""
    session = BackupSession(kit.open())
    with pytest.raises(RuntimeError, match="not begun"):
        _ = session.writer
    session.abort()
    assert keys(kit, layout.COMMITS) == []


def test_the_damage_a_backup_finds_is_told(kit: Kit) -> None:
    """A damaged commit does not stop a backup; it is a warning, and stays remembered."""
    first = kit.backup(FILES)
    data = kit.store.get(first.snapshot.key)
    kit.store.delete(first.snapshot.key)
    kit.store.put(first.snapshot.key, data[:-1] + bytes([data[-1] ^ 1]))
    second = kit.backup(FILES)
    assert [one.id for one in kit.snapshots()] == [second.snapshot.id]
    told = [event.text for event in kit.events if isinstance(event, Notice)]
    assert any(first.snapshot.key in text for text in told)


def test_who_committed_remembers_it(kit: Kit) -> None:
    """A host misses its own last commit when it vanishes, though nobody has named it yet."""
    session = begun(kit)
    made = commit(session, source_record(session.writer.new_tree().finish()))
    kit.store.delete(made.key)
    assert kit.open().read_history().lost == [made.key]
