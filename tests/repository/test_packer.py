"""From chunks to packs: everything that is added is stored once, in packs of bounded size."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable, Sequence
from concurrent.futures import Executor, Future
from typing import ParamSpec, TypeVar

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from strongroom.compression.codec import Compressor, Decompressor
from strongroom.errors import DamageError, StoreFullError
from strongroom.model.fs import Buffer
from strongroom.repository.canonical import padme
from strongroom.repository.columns import ChunkKind, decode_columns
from strongroom.repository.keyring import Keyring
from strongroom.repository.opening import initialise
from strongroom.repository.pack import PlainFrame, SealedPack, compress_frame, read_whole_pack
from strongroom.repository.packer import Packer, PackLimits, StoredPack, Workers
from strongroom.repository.records import PackColumns
from strongroom.storage.memory import MemoryStore
from tests.support.kit import SECRET, SameThread, threads
from tests.support.noise import noise
from tests.support.randomness import SeededRandomness

pytestmark = pytest.mark.spec("B1")

KEYRING: Keyring = initialise(MemoryStore(), SECRET, SeededRandomness(3), 0).keyring
DATA = noise(100_000, "packer")
FRAME, PACK = 1000, 10_000

P = ParamSpec("P")
T = TypeVar("T")
Added = Sequence[tuple[ChunkKind, bytes]]
chunks = st.builds(
    lambda kind, place, size: (kind, DATA[place : place + size]),
    st.sampled_from(ChunkKind),
    st.integers(0, 90_000),
    st.one_of(st.integers(1, 60), st.integers(900, 1100), st.integers(1, 9000)),
)


def packer(
    put: Callable[[SealedPack], None], workers: Workers | None = None, in_flight: int = 1 << 20
) -> Packer:
    """Return a packer with small frames and packs."""
    pool = SameThread(1)
    return Packer(
        KEYRING.begin_session(SeededRandomness()),
        put,
        workers or Workers(pool, pool, 1),
        PackLimits(FRAME, PACK, in_flight),
        SeededRandomness(),
        Compressor(),
    )


def chunk_id(kind: ChunkKind, chunk: Buffer) -> bytes:
    """Return the id of a chunk."""
    domain = KEYRING.main_domain
    hasher = domain.data_hasher if kind is ChunkKind.DATA else domain.tree_hasher
    return hasher(chunk)


def packed(
    added: Added, workers: Workers | None = None
) -> tuple[list[SealedPack], list[StoredPack]]:
    """Pack chunks; return what was put, and what the packer says of it."""
    put: list[SealedPack] = []
    one = packer(put.append, workers)
    stored: list[StoredPack] = []
    for kind, chunk in added:
        one.add(kind, chunk_id(kind, chunk), chunk)
        stored += one.take_stored()
    one.flush()
    return put, stored + one.take_stored()


def opened(pack: SealedPack) -> list[tuple[ChunkKind, list[bytes]]]:
    """Return the kind and the chunks of each frame of a pack, as a reader has them."""
    opener, frames = read_whole_pack("a pack", bytes(pack.data), KEYRING)
    assert frames == decode_columns("x", pack.columns)
    view = memoryview(pack.data)
    decompressor = Decompressor()
    return [
        (
            frame.kind,
            [
                bytes(chunk)
                for chunk in opener.frame(
                    frame, view[frame.offset : frame.offset + frame.sealed_length], decompressor
                )
            ],
        )
        for frame in frames
    ]


@settings(max_examples=60)
@given(st.lists(chunks, max_size=60))
def test_all_that_is_added_is_stored_in_its_order(added: Added) -> None:
    """Chunks of each kind lie in packs in the order in which they came, each once."""
    put, stored = packed(added)
    assert [pack.entry.pack_id for pack in stored] == [pack.pack_id for pack in put]
    found: dict[ChunkKind, list[bytes]] = {kind: [] for kind in ChunkKind}
    for pack in put:
        for kind, held in opened(pack):
            found[kind] += held
    for kind in ChunkKind:
        assert found[kind] == [chunk for one, chunk in added if one is kind]
    assert sum(pack.plain_bytes for pack in stored) == sum(len(chunk) for _, chunk in added)


@settings(max_examples=60)
@given(st.lists(chunks, max_size=60))
def test_frames_and_packs_keep_to_their_sizes(added: Added) -> None:
    """A frame holds its size, or one larger chunk; a pack, padded, its size, or one frame.

    A frame of data may hold four times what one of trees does.
    """
    put, stored = packed(added)
    for pack, entry in zip(put, stored, strict=True):
        frames = opened(pack)
        assert padme(len(pack.data)) == len(pack.data) == entry.entry.size
        assert len(pack.data) <= PACK or len(frames) == 1
        for kind, held in frames:
            size = FRAME if kind is ChunkKind.TREE else 4 * FRAME
            assert sum(map(len, held)) <= size or len(held) == 1
        columns = PackColumns(entry.entry.frames, entry.entry.ids, entry.entry.lengths)
        assert columns == pack.columns


def test_data_and_trees_share_a_pack_where_they_fit() -> None:
    """A small backup is one pack; larger ones keep trees apart from data."""
    small = [(ChunkKind.DATA, DATA[:500]), (ChunkKind.TREE, DATA[500:900])]
    put, _ = packed(small)
    assert [[kind for kind, _ in opened(pack)] for pack in put] == [list(ChunkKind)]
    large = [
        (kind, DATA[place : place + 900]) for place in range(0, 90_000, 900) for kind in ChunkKind
    ]
    put, _ = packed(large)
    assert all(len({kind for kind, _ in opened(pack)}) == 1 for pack in put[:-1])


def test_many_threads_store_the_same() -> None:
    """With real threads, and little room in flight, nothing is lost or doubled."""
    added = [(ChunkKind.DATA, DATA[n * 7 : n * 7 + 300 + n]) for n in range(700)]
    expected, _ = packed(added)
    with threads(4) as workers:
        put: list[SealedPack] = []
        one = packer(put.append, workers, in_flight=5000)
        for kind, chunk in added:
            one.add(kind, chunk_id(kind, chunk), chunk)
        one.flush()
        stored = one.take_stored()
    assert {pack.entry.pack_id for pack in stored} == {pack.pack_id for pack in put}
    assert sorted(c for p in put for _, held in opened(p) for c in held) == sorted(
        c for p in expected for _, held in opened(p) for c in held
    )


def test_a_chunk_may_change_as_soon_as_it_was_added() -> None:
    """It lies in its frame by then, whoever had it and whenever that is compressed."""
    put: list[SealedPack] = []
    compute = _Later()
    one = packer(put.append, Workers(compute, _Later(), 1))
    buffer = bytearray(900)
    added = [DATA[place : place + 900] for place in range(0, 18_000, 900)]
    for piece in added:
        buffer[:] = piece
        one.add(ChunkKind.DATA, chunk_id(ChunkKind.DATA, piece), memoryview(buffer))
    assert compute.waiting
    one.flush()
    assert [chunk for pack in put for _, held in opened(pack) for chunk in held] == added


class _Later(Executor):
    """Does nothing until somebody waits for it, and knows what waits."""

    def __init__(self) -> None:
        self.waiting = 0

    def submit(self, work: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """See ``Executor``."""
        executor = self
        self.waiting += 1

        class Waiting(Future[T]):
            def result(self, timeout: float | None = None) -> T:
                if not self.done():
                    executor.waiting -= 1
                    self.set_result(work(*args, **kwargs))
                return super().result(timeout)

        return Waiting()


def test_what_is_on_its_way_is_bounded() -> None:
    """However slow compressing and storing are, only so much is taken in before they are done."""
    compute, transfer = _Later(), _Later()
    stored = 0

    def put(pack: SealedPack) -> None:
        nonlocal stored
        stored += pack.plain_bytes

    one = packer(put, Workers(compute, transfer, 1), in_flight=20_000)
    taken = 0
    for place in range(0, 90_000, 900):
        piece = DATA[place : place + 900]
        one.add(ChunkKind.DATA, chunk_id(ChunkKind.DATA, piece), piece)
        taken += len(piece)
        assert taken - stored <= 20_000 + 8 * FRAME  # one that is filling, and the last one
    one.flush()
    assert stored == taken
    assert compute.waiting == transfer.waiting == 0


def test_compressed_bytes_take_no_more_room_than_they_are_long() -> None:
    """Zstd asks for room for the worst case; that is not kept until a pack is full."""
    given = PlainFrame(ChunkKind.DATA, bytes(32), [1 << 20], bytes(1 << 20))
    compressor, decompressor = Compressor(), Decompressor()
    tracemalloc.start()
    try:
        frames = [compress_frame(given, compressor, decompressor)[0] for _ in range(32)]
        held, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert sum(len(frame.content) for frame in frames) < 10_000
    assert held < 8 << 20


def fails_after(count: int) -> tuple[Callable[[SealedPack], None], list[SealedPack]]:
    """Return a put that works so many times, and what it took."""
    put: list[SealedPack] = []

    def store(pack: SealedPack) -> None:
        if len(put) == count:
            msg = "no space left"
            raise StoreFullError(msg)
        put.append(pack)

    return store, put


def add_all(one: Packer) -> None:
    """Add a hundred chunks, enough for several packs, and flush."""
    for place in range(0, 90_000, 900):
        piece = DATA[place : place + 900]
        one.add(ChunkKind.DATA, chunk_id(ChunkKind.DATA, piece), piece)
    one.flush()


@pytest.mark.parametrize("count", [0, 1, 3])
def test_a_failed_put_is_raised_and_the_rest_settles(count: int) -> None:
    """The failure comes up at a later call; settling tells what did reach the store."""
    store, put = fails_after(count)
    one = packer(store)
    with pytest.raises(StoreFullError):
        add_all(one)
    one.settle()
    assert len(one.take_stored()) == len(put) == count


def test_settling_outlasts_every_failure() -> None:
    """With several packs on their way that all fail, settling ends, and lists none of them."""
    with threads(2) as workers:
        store, put = fails_after(1)
        one = packer(store, workers)
        with pytest.raises(StoreFullError):
            add_all(one)
        one.settle()
        stored = {pack.entry.pack_id for pack in one.take_stored()}
        assert stored == {pack.pack_id for pack in put}


def test_a_chunk_that_is_not_what_its_id_says_never_leaves() -> None:
    """Bytes that changed in memory are found before anything is stored."""
    put: list[SealedPack] = []
    one = packer(put.append)
    one.add(ChunkKind.DATA, chunk_id(ChunkKind.DATA, b"some text"), b"some tezt")
    with pytest.raises(DamageError, match="nothing was stored") as found:
        one.flush()
    assert "memory" in found.value.hint
    assert put == []


def test_a_salt_is_never_the_same() -> None:
    """Salts differ by their number, by what they are for, and by the random bytes."""
    one = packer(lambda _: None)
    other = packer(lambda _: None)
    salts = [one.fresh_salt(b"a"), one.fresh_salt(b"a"), other.fresh_salt(b"b")]
    assert len(set(salts)) == 3
    assert all(len(salt) == 32 for salt in salts)


def test_each_chunk_is_compressed_by_what_was_said_before_it() -> None:
    """Frames that were filling are closed first; so one source never decides for another."""
    rows = b"".join(b"%d\t%d\tsome words and a number\n" % (n, n * 7919) for n in range(4000))
    pieces = [rows[at : at + 400] for at in range(0, len(rows), 400)]
    kind = ChunkKind.DATA
    sizes = []
    for levels in ((19, 19), (1, 1), (19, 1)):
        put: list[SealedPack] = []
        one = packer(put.append)
        for level, half in zip(levels, (pieces[:100], pieces[100:200]), strict=True):
            one.compress_with(Compressor(level))
            for piece in half:
                one.add(kind, chunk_id(kind, piece), piece)
        one.flush()
        frames = [frame for pack in put for frame in decode_columns("x", pack.columns)]
        assert sum(frame.plain_length for frame in frames) == 80_000
        half_way = len(frames) // 2
        sizes.append(
            [sum(f.sealed_length for f in part) for part in (frames[:half_way], frames[half_way:])]
        )
    hard, fast, both = sizes
    assert both == [hard[0], fast[1]]
    assert hard[0] < fast[0]
