"""What snapshots hold and take: each number is what it says it is."""

from __future__ import annotations

import pytest

from strongroom.operations.stats import Stats, stats
from strongroom.repository import layout
from strongroom.repository.columns import decode_columns
from strongroom.repository.loading import read_segment
from strongroom.repository.records import PackColumns
from strongroom.repository.usage import Distinct, Usage
from tests.support.fakes import MemorySource
from tests.support.kit import Kit
from tests.support.noise import noise
from tests.support.tree_shapes import Forger

pytestmark = pytest.mark.spec("B1")


def added_up(kit: Kit) -> Stats:
    """Add up all snapshots."""
    return stats(kit.open(), kit.snapshots())


def indexed(kit: Kit) -> tuple[int, int]:
    """Return the bytes of all chunks that the index lists, and of all sealed frames."""
    repository = kit.open()
    plain, sealed = 0, 0
    for info in kit.store.list(layout.INDEX):
        _, body = read_segment(kit.store, repository.keyring, repository.around.cache, info)
        for pack in body.packs:
            columns = PackColumns(pack.frames, pack.ids, pack.lengths)
            for frame in decode_columns(info.key, columns):
                plain += sum(frame.lengths)
                sealed += frame.sealed_length
    return plain, sealed


def test_an_empty_repository() -> None:
    """Nothing adds up to nothing."""
    found = Stats()
    assert (found.plain, found.stored, found.size) == (0, 0, 0)


def test_everything_that_is_stored_is_needed_by_something(kit: Kit) -> None:
    """Where every snapshot counts, all chunks and frames of the repository are counted once."""
    files = {b"a": noise(5 << 20, "a"), b"b": noise(1000, "b"), b"c": noise(1000, "b"), b"d": b""}
    kit.backup(files)
    kit.backup({**files, b"e": noise(2000, "e")})
    found = added_up(kit)
    plain, sealed = indexed(kit)
    assert found.plain == plain
    assert abs(found.stored - sealed) <= 1
    assert found.size == 2 * sum(map(len, files.values())) + 2000
    assert (found.files, found.distinct_files) == (9, 4)
    assert found.distinct_size == (5 << 20) + 1000 + 2000
    assert found.data.plain == found.distinct_size
    assert sum(found.objects.values()) == sum(info.size for info in kit.store.list(""))


def test_growth_is_what_no_older_snapshot_needs(kit: Kit) -> None:
    """The same files again add next to nothing, a new file adds itself."""
    files = {b"d/%04d" % n: noise(100, str(n)) for n in range(2000)}
    kit.backup(files)
    kit.backup(files)
    kit.backup({**files, b"new": noise(50_000, "new")})
    first, second, third = added_up(kit).growth
    assert first.added.plain > 200_000
    assert (second.added.plain, second.added.chunks) == (0, 0)
    assert 50_000 < third.added.plain < 150_000
    assert [growth.size for growth in (first, second, third)] == [200_000, 200_000, 250_000]
    alone = stats(kit.open(), kit.snapshots()[1:2])
    assert alone.plain == first.added.plain


def test_sources_are_apart(kit: Kit) -> None:
    """Each source has its snapshots, the size of its newest, and what it added."""
    one, two = MemorySource({b"a": noise(1000)}, "one"), MemorySource({b"b": noise(10)}, "two")
    kit.backup_source(one)
    kit.backup_source(MemorySource({b"a": noise(3000)}, "one"), two)
    first, second = added_up(kit).sources
    assert (first.name, first.snapshots, first.size) == (b"one", 2, 3000)
    assert (second.name, second.snapshots, second.size) == (b"two", 1, 10)
    assert first.added.plain > 4000 > second.added.plain > 10


def test_long_lists_of_chunks_are_counted(kit: Kit) -> None:
    """A file so large that its list of chunks is kept in chunks of its own is counted whole."""
    kit.backup({b"large": noise(120 << 20, "large")})
    found = added_up(kit)
    assert found.data.plain == 120 << 20
    assert found.plain == indexed(kit)[0]


def test_damage_is_in_the_result(kit: Kit) -> None:
    """A part that cannot be read, and chunks that are nowhere, are said; the rest is counted."""
    kit.backup({b"a": b"1"})
    forger = Forger(kit)
    parts = [(b"a", forger.leaf(b"a"), 1), (b"m", bytes(31) + b"\1", 2)]
    bad = forger.commit(forger.branch(1, *parts), 2, 3)
    found = added_up(kit)
    assert [(f.snapshot, f.path) for f in found.damaged] == [(bad.short_id, b"m")]
    assert found.trees.missing == 1
    assert found.data.plain == 1


def test_a_chunk_is_needed_once(kit: Kit) -> None:
    """However often a chunk is asked for, and in however many calls."""
    kit.backup({b"a": b"12345", b"b": b"1"})
    repository = kit.open()
    hasher = repository.keyring.own_domain.data_hasher
    ids = [hasher(b"12345"), hasher(b"1")]
    usage = Usage(repository.reader().index)
    first = usage.need([ids[0], ids[0], bytes(32)])
    assert (first.chunks, first.plain, first.missing) == (1, 5, 1)
    second = usage.need(ids)
    assert (second.chunks, second.plain, second.missing) == (1, 1, 0)
    assert usage.need([]).chunks == 0
    assert 0 < second.stored < first.stored


def test_different_files() -> None:
    """Files are the same if what they consist of is."""
    distinct = Distinct()
    for content, depth, size in ((b"a", 0, 5), (b"b", 0, 7), (b"a", 0, 5), (b"a", 1, 9)):
        distinct.add(content, depth, size)
    assert distinct.totals() == (3, 21)
    distinct.add(b"b", 0, 7)
    distinct.add(b"", 0, 0)
    assert distinct.totals() == (4, 21)
