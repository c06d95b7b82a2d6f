"""The last walk: it saves reading what is unchanged, and is never believed in anything else."""

from __future__ import annotations

import hashlib
import random
import struct
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from strongroom.errors import RefusedError
from strongroom.model.entry import EXTENT, HOLE, sort_key
from strongroom.model.events import Advanced, Notice
from strongroom.model.source import Item, Loaded, Problem, Report
from strongroom.repository import layout
from strongroom.repository.lastwalk import LastWalk, WalkBlock, WalkRecord, new_walk
from strongroom.repository.localfiles import LocalFiles
from strongroom.system.posix import PosixFs
from tests.support.fakes import MemorySource, file_entry
from tests.support.kit import Kit, threads
from tests.support.noise import noise
from tests.support.randomness import SeededRandomness
from tests.support.sources import SparseSource

pytestmark = pytest.mark.spec("B2")

FILES = {
    b"a": b"one",
    b"a-b": b"two",
    b"a/b": b"three",
    b"empty": b"",
    b"large": noise(3 << 20, "large"),
    b"text": b"line\n" * 5000,
}
NAME = "walks/files-test"
MAGIC = b"strongroom last walk 1\n"
MANY = {b"d%02d/f%03d" % (number // 97, number): b"%d" % number for number in range(4000)}
paths = st.binary(min_size=1, max_size=4).filter(lambda path: b"\0" not in path)


def local(folder: Path) -> LocalFiles:
    """Return files below a folder."""
    return LocalFiles(PosixFs(), str(folder).encode(), SeededRandomness())


def record(path: bytes, token: bytes) -> WalkRecord:
    """Return a record of a small file."""
    return WalkRecord(token, file_entry(path, 1))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> LocalFiles:
    """A folder for many walks."""
    return local(tmp_path_factory.mktemp("walks"))


@given(st.dictionaries(paths, st.binary(max_size=2)), st.dictionaries(paths, st.binary(max_size=2)))
def test_matching_is_looking_up(
    folder: LocalFiles, before: dict[bytes, bytes], now: dict[bytes, bytes]
) -> None:
    """Read beside a new walk, the last one gives what a dictionary would: same path, same token."""
    with new_walk(folder, NAME) as walk:
        for path in sorted(before, key=sort_key):
            walk.add(record(path, before[path]))
    last = LastWalk(folder, NAME)
    for path in sorted(now, key=sort_key):
        found = last.match(path, now[path])
        if now[path] and before.get(path) == now[path]:
            assert found == record(path, before[path])
        else:
            assert found is None


@settings(max_examples=10)
@given(st.integers(0, 2500))
def test_blocks_do_not_show(folder: LocalFiles, count: int) -> None:
    """Any number of records is read back, however many blocks they fill."""
    names = [b"%05d" % number for number in range(count)]
    with new_walk(folder, NAME) as walk:
        for name in names:
            walk.add(record(name, b"t"))
    last = LastWalk(folder, NAME)
    assert all(last.match(name, b"t") for name in names)
    assert last.match(b"99999", b"t") is None


def test_a_record_needs_every_chunk_that_it_names() -> None:
    """Extents in the entry, holes left out, and the chunks of lists that lie deeper."""
    ids = [noise(32, str(number)) for number in range(4)]
    entry = file_entry(b"a", 10)

    def needs(content: bytes, chunks: bytes = b"") -> list[bytes]:
        return WalkRecord(b"t", msgspec.structs.replace(entry, content=content), chunks).needs()

    assert needs(b"") == []
    assert needs(EXTENT.pack(ids[0], 5)) == [ids[0]]
    assert needs(EXTENT.pack(HOLE, 5)) == []
    assert needs(EXTENT.pack(ids[0], 5) + EXTENT.pack(HOLE, 5) + EXTENT.pack(ids[1], 5)) == ids[:2]
    assert needs(EXTENT.pack(ids[0], 5), ids[1] + ids[2]) == ids[:3]
    assert needs(b"x" * 41) == needs(b"", b"x") == [HOLE]


def walked_again(kit: Kit, expected: int) -> None:
    """A backup of the same files reads so many of them again, and is as good as the first."""
    source = MemorySource(FILES)
    result = kit.backup_source(source)
    tally = result.tallies[0]
    assert (tally.unchanged, tally.new) == (len(FILES) - expected, expected)
    assert result.written.chunks == 0
    assert kit.restore(result.snapshot.id)[1] == FILES
    if not expected:
        assert source.bytes_read == 0


def test_what_is_unchanged_is_not_read(kit: Kit) -> None:
    """A second backup reads no byte and writes no pack; its tree is the same."""
    first = kit.backup(FILES)
    walked_again(kit, 0)
    second = kit.snapshots()[-1]
    assert second.snapshot.sources[0].root == first.snapshot.snapshot.sources[0].root


def test_what_changed_is_read(kit: Kit) -> None:
    """One changed, one new and one removed file: two are read, the rest is kept."""
    kit.backup(FILES)
    files = FILES | {b"a": b"ONE", b"new": b"new"}
    del files[b"text"]
    result = kit.backup(files)
    assert (result.tallies[0].unchanged, result.tallies[0].new) == (4, 2)
    assert kit.restore(result.snapshot.id)[1] == files


def test_sparse_files_with_lists_are_kept_as_well(kit: Kit) -> None:
    """A file whose extents lie in chunks of their own is skipped if all of them are there."""
    files = {b"sparse": b"".join(noise(4096, str(n)) + bytes(4096) for n in range(200))}
    first = kit.backup_source(SparseSource(files))
    second = kit.backup_source(SparseSource(files))
    assert (first.tallies[0].new, second.tallies[0].unchanged) == (1, 1)
    assert kit.restore(second.snapshot.id)[1] == files


def spoilt_walk(kit: Kit, spoil: Callable[[bytes], bytes]) -> None:
    """Change the file of the last walk."""
    path = kit.state_path / NAME
    path.write_bytes(spoil(path.read_bytes()))


def block(*records: object, leaf: bytes = b"", needs: bytes = b"") -> bytes:
    """Return a block of such records, with its length and a right digest."""
    packed = msgspec.Raw(msgspec.msgpack.encode(list(records)))
    whole = WalkBlock(b"a", b"zz", len(records), leaf, b"", needs, 0, 0, 0, packed)
    return _block(msgspec.msgpack.encode(whole))


def forged(*records: object) -> bytes:
    """Return a file of records with a right digest."""
    return MAGIC + block(*records)


@pytest.mark.parametrize(
    "spoil",
    [
        pytest.param(lambda _: b"", id="empty"),
        pytest.param(lambda _: b"garbage", id="garbage"),
        pytest.param(lambda data: data[:-1], id="a byte short"),
        pytest.param(lambda data: data[:30], id="cut in the head"),
        pytest.param(lambda data: data[:100] + b"!" + data[101:], id="a byte changed"),
        pytest.param(lambda data: b"strongroom last walk 2\n" + data[23:], id="another version"),
        pytest.param(lambda data: data[:23] + b"\xff\xff\xff\xff" + data[27:], id="huge block"),
        pytest.param(lambda _: forged(1, b"x", None), id="no records"),
        pytest.param(lambda _: forged([b"t", [b"a", 1]]), id="short entries"),
        pytest.param(lambda _: forged([b"t", [b"\xff", *[0] * 15]]), id="other types"),
        pytest.param(lambda _: MAGIC + _block(b"\x91\x94\xc4\x01t" + b"\x91" * 9999), id="nested"),
        pytest.param(lambda _: MAGIC + _block(b"\x91\x01"), id="no block"),
        pytest.param(lambda _: MAGIC + block(leaf=b"x"), id="a leaf of one byte"),
        pytest.param(lambda _: MAGIC + block(needs=b"x" * 33), id="33 bytes of needs"),
        pytest.param(lambda _: MAGIC + block(leaf=noise(32)), id="an unknown leaf"),
    ],
)  # fmt: skip
def test_a_damaged_walk_costs_a_full_read_and_nothing_else(
    kit: Kit, spoil: Callable[[bytes], bytes]
) -> None:
    """Whatever the file holds, everything is read again once, and then kept again."""
    kit.backup(FILES)
    spoilt_walk(kit, spoil)
    walked_again(kit, len(FILES))
    walked_again(kit, 0)


def _block(data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + hashlib.sha256(data).digest() + data


def token(path: bytes) -> bytes:
    """Return the token of a file."""
    (found,) = [
        item.token
        for items in MemorySource(FILES).walk(print)
        for item in items
        if item.path == path
    ]
    return found


@pytest.mark.parametrize(
    "content",
    [b"x", bytes(39), EXTENT.pack(noise(32), 3), EXTENT.pack(noise(32), 3) + b"x", b"x" * 40 * 70],
    ids=["one byte", "39 bytes", "unknown chunk", "41 bytes", "many unknown chunks"],
)
def test_a_walk_that_names_what_is_not_there_costs_a_full_read(kit: Kit, content: bytes) -> None:
    """A record of the right path and token whose chunks are not in the repository is not used."""
    kit.backup(FILES)
    entry = msgspec.structs.replace(file_entry(b"a", 3), content=content)
    spoilt_walk(kit, lambda _: forged(WalkRecord(token(b"a"), entry)))
    walked_again(kit, len(FILES))


def test_the_walk_of_another_host_is_used_as_far_as_it_fits(kit: Kit, tmp_path: Path) -> None:
    """Where another host's file lies in its place, what matches is kept, and the rest is read."""
    kit.backup(FILES)
    other = Kit(kit.store, tmp_path / "other")
    other.backup({b"a": FILES[b"a"], b"zz": b"else"})
    spoilt_walk(kit, lambda _: (other.state_path / NAME).read_bytes())
    walked_again(kit, len(FILES) - 1)


def test_a_walk_in_another_order_is_used_as_far_as_it_fits(kit: Kit) -> None:
    """Records that do not rise cost reading, and give nothing wrong."""
    kit.backup(FILES)

    def reversed_records(data: bytes) -> bytes:
        whole = msgspec.msgpack.decode(data[len(MAGIC) + 4 + 32 :], type=WalkBlock)
        return forged(*reversed(whole.records()))

    spoilt_walk(kit, reversed_records)
    walked_again(kit, len(FILES) - 1)


def test_a_folder_in_place_of_the_walk_costs_a_full_read(kit: Kit) -> None:
    """If the file cannot be read or written the backup says so, and is as good."""
    kit.backup(FILES)
    path = kit.state_path / NAME
    path.unlink()
    path.mkdir()
    (path / "in the way").touch()
    walked_again(kit, len(FILES))
    walked_again(kit, len(FILES))
    told = [event.text for event in kit.events if isinstance(event, Notice)]
    assert any("reads everything again" in text for text in told)


@pytest.mark.parametrize("prefix", [layout.PACKS, layout.INDEX])
def test_files_whose_chunks_vanished_are_read_again(kit: Kit, prefix: str) -> None:
    """If packs or index are gone, what was unchanged is read and stored again."""
    kit.backup(FILES)
    for info in list(kit.store.list(prefix)):
        kit.store.delete(info.key)
    result = kit.backup(FILES)
    assert (result.tallies[0].unchanged, result.tallies[0].new) == (1, len(FILES) - 1)
    assert kit.restore(result.snapshot.id)[1] == FILES


def test_a_failed_backup_keeps_the_walk_before_it(kit: Kit) -> None:
    """A walk takes the place of the last one only when it is complete."""
    kit.backup(FILES)
    before = (kit.state_path / NAME).read_bytes()

    class Broken(MemorySource):
        """A source that fails in the middle."""

        def walk(self, report: Report) -> Iterator[Sequence[Item]]:
            """See ``Source``."""
            yield next(super().walk(report))[:2]
            raise InterruptedError

    with pytest.raises(InterruptedError):
        kit.backup_source(Broken(FILES | {b"a": b"other"}))
    assert (kit.state_path / NAME).read_bytes() == before
    assert [path.name for path in (kit.state_path / "walks").iterdir()] == ["files-test"]
    walked_again(kit, 0)


def edited(files: dict[bytes, bytes], chance: random.Random) -> dict[bytes, bytes]:
    """Return the files with a few changed, removed, added, in places and in stretches."""
    names = sorted(files, key=sort_key)
    files = dict(files)
    for name in chance.sample(names, 1):
        files[name] = b"changed " + chance.randbytes(4)
    for name in chance.sample(names, chance.choice([0, 1])):
        files.pop(name, None)
    start = chance.randrange(len(names))
    for name in names[start : start + chance.choice([0, 0, 5, 300])]:
        files.pop(name, None)
    for number in range(chance.choice([0, 1, 200])):
        files[b"d%02d/new %d" % (chance.randrange(42), chance.randrange(10**6))] = b"%d" % number
    return files


@pytest.mark.parametrize("seed", range(6))
def test_leaves_that_are_kept_are_those_that_reading_everything_makes(
    kit: Kit, tmp_path: Path, seed: int
) -> None:
    """After any edits, the tree is that of a host without a last walk, and little was read."""
    chance = random.Random(seed)
    files = MANY
    fast = kit.backup(files)
    kept_whole = 0  # how often leaves were, instead of being gone through entry by entry
    for number in range(4):
        changed = edited(files, chance)
        source = MemorySource(changed)
        kit.events.clear()
        fast = kit.backup_source(source)
        full = Kit(kit.store, tmp_path / f"{number}").backup(changed)
        steps = sum(isinstance(event, Advanced) for event in kit.events)
        kept_whole += steps < len(changed) * 0.9
        records = [result.snapshot.snapshot.sources[0] for result in (fast, full)]
        assert records[0].root == records[1].root
        assert records[0].counts == records[1].counts
        new = sum(files.get(path) != data for path, data in changed.items())
        assert (fast.tallies[0].new, fast.tallies[0].unchanged) == (new, len(changed) - new)
        assert source.bytes_read == sum(
            len(data) for path, data in changed.items() if files.get(path) != data
        )
        files = changed
    assert kept_whole
    assert kit.restore(fast.snapshot.id)[1] == files
    assert kit.verify().damage == []


@pytest.mark.parametrize("prefix", [layout.PACKS, layout.INDEX])
def test_leaves_whose_chunks_vanished_are_not_kept(kit: Kit, prefix: str) -> None:
    """If packs or index are gone, nothing of a large tree is taken for saved."""
    kit.backup(MANY)
    for info in list(kit.store.list(prefix)):
        kit.store.delete(info.key)
    result = kit.backup(MANY)
    assert result.tallies[0].unchanged == 0
    assert kit.restore(result.snapshot.id)[1] == MANY


def test_a_file_that_was_not_saved_is_tried_again(kit: Kit) -> None:
    """A leaf in whose range something was lost, or read while it changed, is looked at again."""

    class Unruly(MemorySource):
        """One file cannot be read, another one is not settled."""

        def load(self, items: Sequence[Item]) -> list[Loaded]:
            """See ``Source``."""
            return [self._loaded(one) for one in super().load(items)]

        def _loaded(self, one: Loaded) -> Loaded:
            if one.item.path == b"d05/f500":
                return Loaded(one.item, None, b"", b"", Problem(one.item.path, "cannot be read"))
            return one._replace(token=b"") if one.item.path == b"d10/f1000" else one

    first = kit.backup_source(Unruly(MANY))
    assert [problem.path for problem in first.problems] == [b"d05/f500"]
    second = kit.backup_source(Unruly(MANY))
    assert [problem.path for problem in second.problems] == [b"d05/f500"]
    assert second.tallies[0].new == 1
    third = kit.backup(MANY)
    assert third.tallies[0].new == 2
    assert kit.restore(third.snapshot.id)[1] == MANY
    walked = kit.backup(MANY)
    assert walked.tallies[0].new == 0


def test_a_leaf_whose_records_cannot_be_read_is_never_left_out(kit: Kit) -> None:
    """Where entries of a forged leaf are needed, the backup saves nothing and says what to remove;
    then all is read.
    """
    kit.backup(MANY)

    def with_an_unreadable_block(data: bytes) -> bytes:
        size = int.from_bytes(data[len(MAGIC) : len(MAGIC) + 4])
        start = len(MAGIC) + 4 + 32 + size
        size = int.from_bytes(data[start : start + 4])
        whole = msgspec.msgpack.decode(data[start + 36 : start + 36 + size], type=WalkBlock)
        assert whole.leaf
        packed = msgspec.Raw(msgspec.msgpack.encode([1]))
        forged_block = _block(msgspec.msgpack.encode(msgspec.structs.replace(whole, packed=packed)))
        return data[:start] + forged_block + data[start + 36 + size :]

    spoilt_walk(kit, with_an_unreadable_block)
    first = msgspec.msgpack.decode(
        (kit.state_path / NAME).read_bytes()[len(MAGIC) + 36 :][: _first_size(kit)], type=WalkBlock
    )
    files = {path: data for path, data in MANY.items() if path != first.last}  # no cut there now
    with pytest.raises(RefusedError, match="cannot be read") as caught:
        kit.backup(files)
    assert "Remove walks" in caught.value.hint
    assert len(kit.snapshots()) == 1
    (kit.state_path / NAME).unlink()
    result = kit.backup(files)
    assert kit.restore(result.snapshot.id)[1] == files


def _first_size(kit: Kit) -> int:
    return int.from_bytes((kit.state_path / NAME).read_bytes()[len(MAGIC) : len(MAGIC) + 4])


class SlowSource(MemorySource):
    """Reading takes ``seconds`` a file on the clock of the kit; ``threads`` that read."""

    def __init__(self, files: dict[bytes, bytes], kit: Kit, seconds: float) -> None:
        super().__init__(files)
        self._clock = kit.clock
        self._seconds = seconds
        self.threads: list[str] = []

    def load(self, items: Sequence[Item]) -> list[Loaded]:
        """See ``Source``."""
        self._clock.sleep(self._seconds * len(items))
        self.threads.append(threading.current_thread().name)
        return super().load(items)


@pytest.mark.parametrize(("seconds", "others"), [(0.0, False), (0.01, True)])
def test_reads_that_wait_are_made_by_several_threads(
    kit: Kit, seconds: float, *, others: bool
) -> None:
    """Where the file system answers at once, one thread reads; else others do, with one result."""
    here = threading.current_thread().name
    source = SlowSource(MANY, kit, seconds)
    with threads(2) as kit.workers:
        result = kit.backup_source(source)
        assert kit.restore(result.snapshot.id)[1] == MANY
    assert source.threads[0] == here
    assert bool(set(source.threads) - {here}) is others
