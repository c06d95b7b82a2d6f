"""Reading chunks: in few requests, each chunk checked, and from another place if one is bad."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial

import msgspec
import pytest

from strongroom.crypto.primitives import sha256
from strongroom.errors import DamageError, StoreUnavailableError
from strongroom.repository import layout
from strongroom.repository.packer import Workers
from strongroom.repository.reader import RANGE_PLAIN, ReadChunk, Reader
from strongroom.repository.records import IndexBody
from tests.support.faulty_store import Fault, FaultyStore, Kind, Script
from tests.support.forging import begun, commit, save
from tests.support.hooks import HookedStore
from tests.support.kit import Kit
from tests.support.noise import noise
from tests.support.recording import RecordingStore
from tests.support.runs import pack_ids, segment_ids
from tests.support.segments import listed_pack, sealed_segment

pytestmark = pytest.mark.spec("B1")

CHUNKS = [noise(1000 + n, f"chunk {n}") for n in range(50)]


def stored(kit: Kit, chunks: Sequence[bytes] = CHUNKS) -> list[bytes]:
    """Store chunks in a session that commits nothing but them; return their ids."""
    session = begun(kit)
    ids = save(session, chunks)
    commit(session)
    return ids


def stored_twice(kit: Kit) -> list[bytes]:
    """Store chunks in two packs, as two writers do who do not see each other."""
    one, other = begun(kit), begun(kit)
    ids = save(one, CHUNKS)
    assert save(other, CHUNKS) == ids
    commit(one)
    commit(other)
    assert len(pack_ids(kit)) == 2
    return ids


def change(kit: Kit, key: str, spoil: Callable[[bytes], bytes]) -> None:
    """Replace an object."""
    data = spoil(kit.store.get(key))
    kit.store.delete(key)
    kit.store.put(key, data)


def read(reader: Reader, ids: list[bytes]) -> tuple[dict[bytes, bytes], dict[bytes, DamageError]]:
    """Return what is read, and what is lost."""
    found: dict[bytes, bytes] = {}

    def consume(chunks: Sequence[ReadChunk]) -> None:
        for one in chunks:
            assert one.chunk_id not in found
            assert one.data == one.frame[one.at : one.at + len(one.data)]
            found[one.chunk_id] = bytes(one.data)

    lost = reader.stream(ids, consume)
    return found, {one.chunk_id: one.error for one in lost}


def test_chunks_come_back_in_the_order_asked_for(kit: Kit) -> None:
    """Any of them, in any order, some twice; each is what its id says."""
    ids = stored(kit)
    order = [*ids[::-1], ids[3], ids[3]]
    assert kit.open().reader().fetch(order) == [*CHUNKS[::-1], CHUNKS[3], CHUNKS[3]]
    assert kit.open().reader().fetch([]) == []


def test_neighbours_are_read_together(kit: Kit) -> None:
    """Fifty chunks of one pack take one request, its header included."""
    ids = stored(kit)
    recording = RecordingStore(kit.store)
    kit.store = recording
    reader = kit.open().reader()
    recording.requests.clear()
    found, lost = read(reader, ids)
    assert (list(map(found.get, ids)), lost) == (CHUNKS, {})
    assert [verb for verb, _ in recording.requests] == ["get_range"]


def test_what_lies_far_apart_is_read_apart(kit: Kit) -> None:
    """Two chunks at the ends of a pack do not make the whole pack be read."""
    chunks = [noise(1 << 20, f"far {n}") for n in range(12)]
    ids = stored(kit, chunks)
    recording = RecordingStore(kit.store)
    kit.store = recording
    reader = kit.open().reader()
    recording.requests.clear()
    assert reader.fetch([ids[0], ids[-1]]) == [chunks[0], chunks[-1]]
    assert [verb for verb, _ in recording.requests].count("get_range") == 2


def test_a_chunk_in_no_index_is_lost(kit: Kit) -> None:
    """The others are read; a fetch of it is damage."""
    ids = stored(kit)
    found, lost = read(kit.open().reader(), [*ids, bytes(32)])
    assert len(found) == len(ids)
    assert list(lost) == [bytes(32)]
    with pytest.raises(DamageError, match="in no index"):
        kit.open().reader().fetch([bytes(32)])


def flip(place: int) -> Callable[[bytes], bytes]:
    """Return what changes one bit."""
    return lambda data: data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :]


SPOILS = {
    "magic": flip(0),
    "version": flip(5),
    "suite": flip(6),
    "flags": flip(7),
    "repository": flip(10),
    "domain": flip(30),
    "epoch": flip(43),
    "session key": flip(60),
    "salt": flip(130),
    "commitment": flip(160),
    "frame": flip(300),
    "cut off": lambda data: data[:250],
    "empty": lambda _: b"",
    "another object": lambda data: noise(len(data)),
}


@pytest.mark.parametrize("spoil", SPOILS.values(), ids=SPOILS)
def test_a_damaged_pack_loses_its_chunks_and_no_others(
    kit: Kit, spoil: Callable[[bytes], bytes]
) -> None:
    """Damage anywhere in a pack is damage of what lies in it; the rest of a stream goes on."""
    bad = stored(kit)
    (pack_id,) = pack_ids(kit)
    good = stored(kit, [b"good"])
    change(kit, layout.pack(pack_id), spoil)
    found, lost = read(kit.open().reader(), [*bad, *good])
    assert found == {good[0]: b"good"}
    assert lost.keys() == set(bad)
    assert all(layout.pack(pack_id) in error.message for error in lost.values())


@pytest.mark.parametrize("spoil", SPOILS.values(), ids=SPOILS)
def test_a_chunk_is_read_from_another_pack(kit: Kit, spoil: Callable[[bytes], bytes]) -> None:
    """If one of two packs is damaged, everything is read from the other, whichever it is."""
    ids = stored_twice(kit)
    for pack_id in pack_ids(kit):
        key = layout.pack(pack_id)
        sound = kit.store.get(key)
        change(kit, key, spoil)
        assert kit.open().reader().fetch(ids) == CHUNKS
        change(kit, key, lambda _, sound=sound: sound)  # type: ignore[misc]


def test_a_pack_that_moved_is_found_again(kit: Kit) -> None:
    """If a pack is gone since the index was read, the index is read once more."""
    ids = stored(kit)
    (old,), (segment,) = pack_ids(kit), segment_ids(kit)
    reader = kit.open().reader()
    kit.store.delete(layout.index_segment(segment))
    stored(kit)
    kit.store.delete(layout.pack(old))
    assert reader.fetch(ids) == CHUNKS


def test_a_segment_that_came_later_is_found(kit: Kit) -> None:
    """A chunk in no index makes the index be read once more, for a snapshot that just came."""
    reader = kit.open().reader()
    ids = stored(kit)
    assert reader.fetch(ids) == CHUNKS


def test_a_pack_that_vanishes_while_it_is_read_is_lost(kit: Kit) -> None:
    """Without another place a missing pack is damage that names it."""
    ids = stored(kit)
    hooked = HookedStore(kit.store)
    kit.store = hooked
    (pack_id,) = pack_ids(kit)
    hooked.before("get_range", "packs/", lambda: kit.store.delete(layout.pack(pack_id)))
    with pytest.raises(DamageError, match="missing"):
        kit.open().reader().fetch(ids)


def test_a_store_that_does_not_answer_is_no_damage(kit: Kit) -> None:
    """An error of the store ends the reading with that error."""
    ids = stored(kit)
    fault = Fault(Kind.ERROR_BEFORE, frozenset({"get_range"}), prefix="packs/")
    kit.store = FaultyStore(kit.store, Script(fault))
    with pytest.raises(StoreUnavailableError):
        kit.open().reader().fetch(ids)


def test_what_the_consumer_raises_ends_the_stream(kit: Kit) -> None:
    """An exception of who takes the chunks is raised, not swallowed."""
    ids = stored(kit)

    def consume(_chunks: Sequence[ReadChunk]) -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        kit.open().reader().stream(ids, consume)


def test_an_index_that_lies_loses_only_what_it_lies_about(kit: Kit) -> None:
    """Each chunk is compared with its id, wherever the index says that it lies."""
    ids = stored(kit)
    entry = listed_pack(kit)
    swapped = entry.ids[32:64] + entry.ids[:32] + entry.ids[64:]
    (segment,) = segment_ids(kit)
    kit.store.delete(layout.index_segment(segment))
    lie = msgspec.structs.replace(entry, ids=swapped)
    data = sealed_segment(IndexBody((lie,), b"", b""), kit.open().keyring.own_domain)
    kit.store.put(layout.index_segment(sha256(data)), data)
    found, lost = read(kit.open().reader(), ids)
    assert lost.keys() == {ids[0], ids[1]}
    assert len(found) == len(ids) - 2


class Later(ThreadPoolExecutor):
    """Begins nothing until it is told to."""

    def __init__(self) -> None:
        super().__init__(1)
        self.waiting: deque[tuple[Future[object], Callable[[], object]]] = deque()

    def submit(self, fn, /, *args, **kwargs):  # type: ignore[no-untyped-def] # noqa: ANN001, ANN002, ANN003, ANN201
        future: Future[object] = Future()
        self.waiting.append((future, partial(fn, *args, **kwargs)))
        return future

    def work(self) -> None:
        """Do what was asked for first."""
        future, act = self.waiting.popleft()
        future.set_result(act())


def test_what_is_asked_for_ahead_is_bounded_in_bytes(kit: Kit) -> None:
    """Over two streams together; each gets on as room is made, and all chunks come once."""
    ids = [chunk_id for n in range(0, 50, 10) for chunk_id in stored(kit, CHUNKS[n : n + 10])]
    assert len(pack_ids(kit)) == 5
    repository, later = kit.open(), Later()
    workers = Workers(later, later, 1)
    reader = Reader(
        kit.store, repository.keyring, repository.load_index, workers, bytes_ahead=26_000
    )
    found: list[bytes] = []

    def consume(chunks: Sequence[ReadChunk]) -> None:
        found.extend(bytes(one.data) for one in chunks)

    first, second = reader.begin(ids[:30], consume), reader.begin(ids[30:], consume)
    assert len(later.waiting) == 2
    most = 0
    for _ in range(5):
        most = max(most, reader.ahead)
        later.work()
        first.push()
        second.push()
    assert 20_000 < most <= 26_000
    assert (first.finish(), second.finish()) == ([], [])
    assert sorted(found) == sorted(CHUNKS)
    assert reader.ahead == 0


def test_a_stream_that_is_cancelled_asks_for_no_more(kit: Kit) -> None:
    """What was asked for is called back, and its room is free again."""
    ids = [chunk_id for n in range(0, 50, 10) for chunk_id in stored(kit, CHUNKS[n : n + 10])]
    repository, later = kit.open(), Later()
    workers = Workers(later, later, 1)
    reader = Reader(
        kit.store, repository.keyring, repository.load_index, workers, bytes_ahead=26_000
    )
    stream = reader.begin(ids, lambda _chunks: None)
    stream.cancel()
    stream.push()
    assert all(future.cancelled() for future, _ in later.waiting)
    assert (len(later.waiting), reader.ahead) == (2, 0)


def test_what_comes_of_one_range_is_bounded(kit: Kit) -> None:
    """Data that compresses well is asked for in parts, so that several threads share the work."""
    chunks = [bytes([n]) * (1 << 20) for n in range(40)]
    ids = stored(kit, chunks)
    assert len(pack_ids(kit)) == 1
    repository, later = kit.open(), Later()
    workers = Workers(later, later, 1)
    reader = Reader(kit.store, repository.keyring, repository.load_index, workers)
    found: dict[bytes, bytes] = {}

    def consume(chunks: Sequence[ReadChunk]) -> None:
        found.update((one.chunk_id, bytes(one.data)) for one in chunks)

    stream = reader.begin(ids, consume)
    assert len(later.waiting) == 2
    later.work()
    assert RANGE_PLAIN / 2 < sum(map(len, found.values())) <= RANGE_PLAIN
    later.work()
    assert stream.finish() == []
    assert [found[chunk_id] for chunk_id in ids] == chunks


def test_no_more_threads_compute_than_gain_by_it(kit: Kit) -> None:
    """Of four that transfer, two at a time open what they read, and two do."""
    ids = [chunk_id for n in range(0, 50, 5) for chunk_id in stored(kit, CHUNKS[n : n + 5])]
    repository = kit.open()
    both = threading.Barrier(2)
    lock, inside, most = threading.Lock(), 0, 0

    def consume(_chunks: Sequence[ReadChunk]) -> None:
        nonlocal inside, most
        with lock:
            inside += 1
            most = max(most, inside)
        both.wait(60)
        with lock:
            inside -= 1

    with ThreadPoolExecutor(4) as transfer:
        workers = Workers(transfer, transfer, 2)
        reader = Reader(kit.store, repository.keyring, repository.load_index, workers)
        assert reader.stream(ids, consume) == []
    assert most == 2


def test_threads_read_far_from_each_other(kit: Kit) -> None:
    """Of what is asked for ahead, as many stretches come in turn as threads compute; all of it."""
    ids = [chunk_id for n in range(0, 50, 5) for chunk_id in stored(kit, CHUNKS[n : n + 5])]
    repository, later = kit.open(), Later()
    reader = Reader(kit.store, repository.keyring, repository.load_index, Workers(later, later, 2))
    found: list[bytes] = []

    def consume(chunks: Sequence[ReadChunk]) -> None:
        found.extend(one.chunk_id for one in chunks)

    stream = reader.begin(ids, consume)
    while later.waiting:
        later.work()
    assert stream.finish() == []
    packs = [found[at : at + 5] for at in range(0, 50, 5)]
    in_order = [ids[at : at + 5] for at in range(0, 50, 5)]
    assert packs == [in_order[n] for n in (0, 5, 1, 6, 2, 7, 3, 8, 4, 9)]


def test_who_asks_for_a_few_waits_for_no_stream(kit: Kit) -> None:
    """A tree is read while all that may compute are busy with what a stream asked for."""
    ids = [chunk_id for n in range(0, 50, 10) for chunk_id in stored(kit, CHUNKS[n : n + 10])]
    repository = kit.open()
    begun, goes_on = threading.Event(), threading.Event()

    def consume(_chunks: Sequence[ReadChunk]) -> None:
        begun.set()
        assert goes_on.wait(60)

    with ThreadPoolExecutor(2) as transfer:
        workers = Workers(transfer, transfer, 1)
        reader = Reader(kit.store, repository.keyring, repository.load_index, workers)
        stream = reader.begin(ids[:20], consume)
        assert begun.wait(60)
        with ThreadPoolExecutor(1) as other:
            found = other.submit(reader.fetch, ids[30:32])
            try:
                assert found.result(60) == CHUNKS[30:32]
            finally:
                goes_on.set()
        assert stream.finish() == []
