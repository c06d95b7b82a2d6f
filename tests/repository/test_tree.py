"""Trees: what is written in order is read in order, whole or below a path, and shared in parts."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from strongroom.errors import DamageError
from strongroom.model.entry import MAX_PATH, Entry, sort_key
from strongroom.model.snapshot import Order
from strongroom.repository.canonical import encode
from strongroom.repository.tree import Branch, Child, Leaf, Root, TreeReader, TreeWriter, is_below
from tests.support.chunks import Chunks
from tests.support.decoder import is_cut
from tests.support.fakes import file_entry
from tests.support.msgpack_reader import read
from tests.support.noise import noise

pytestmark = [pytest.mark.spec("B1"), pytest.mark.spec("B2")]

components = st.one_of(
    st.sampled_from([b"a", b"b", b"ab", b"a.b", b"a-b", b".a", b"\x01", b"\xff", b"a b"]),
    st.binary(min_size=1, max_size=6).filter(lambda c: not set(c) & set(b"/\0") and c.strip(b".")),
)
paths = st.lists(components, min_size=1, max_size=6).map(b"/".join)


def plain(path: bytes) -> Entry:
    """Return an entry with this path and a size that follows from it."""
    return file_entry(path, len(path))


def written(chunks: Chunks, entries: Iterable[Entry]) -> Root:
    """Write a tree."""
    writer = TreeWriter(chunks.save)
    for entry in entries:
        writer.add(entry)
    return writer.finish()


def read_back(chunks: Chunks, root: Root, below: bytes = b"") -> list[Entry]:
    """Read a tree, whole or in part."""
    reader = TreeReader("a test", root, Order.COMPONENTS, chunks.fetch)
    return list(itertools.chain.from_iterable(reader.entries(below)))


def many(count: int) -> list[Entry]:
    """Return entries of a tree with folders of several sizes."""
    names = (b"d%03d/e%02d/%05d" % (n // 700, n // 60 % 12, n) for n in range(count))
    return [plain(name) for name in sorted(names, key=sort_key)]


@pytest.mark.parametrize("count", [0, 1, 2, 63, 64, 65, 500, 513, 1000, 4096, 4097, 5000])
def test_entries_come_back_in_their_order(count: int) -> None:
    """Any number of entries is read as it was written, and the root states it."""
    chunks, entries = Chunks(), many(count)
    root = written(chunks, entries)
    assert read_back(chunks, root) == entries
    assert root.count == count
    assert bool(root.chunk_id) == bool(count)


@settings(max_examples=60)
@given(st.sets(paths, max_size=300))
def test_any_paths_come_back_in_their_order(names: set[bytes]) -> None:
    """Paths of any bytes, deep or beside each other, are read in the order of components."""
    entries = [plain(name) for name in sorted(names, key=sort_key)]
    chunks = Chunks()
    assert read_back(chunks, written(chunks, entries)) == entries


@settings(max_examples=60)
@given(st.sets(paths, max_size=200), st.data())
def test_what_lies_below_a_path_is_what_a_filter_finds(
    names: set[bytes], data: st.DataObject
) -> None:
    """Reading below a path gives the same as reading everything and choosing."""
    ordered = sorted(names, key=sort_key)
    tops = {b"/".join(n.split(b"/")[:depth]) for n in names for depth in range(7)} | {b"zz", b"a"}
    chunks = Chunks()
    root = written(chunks, map(plain, ordered))
    top = data.draw(st.sampled_from(sorted(tops)))
    found = [entry.path for entry in read_back(chunks, root, top)]
    assert found == [
        name for name in ordered if not top or name == top or name.startswith(top + b"/")
    ]


def test_a_path_is_found_by_one_chunk_a_level() -> None:
    """Reading one file of 20,000 fetches few chunks, not the tree."""
    chunks, entries = Chunks(), many(20_000)
    root = written(chunks, entries)
    assert len(chunks.held) > 20
    for entry in (entries[0], entries[-1], entries[12_345]):
        chunks.fetched = 0
        assert read_back(chunks, root, entry.path) == [entry]
        assert chunks.fetched <= root.levels + 1
    assert len(read_back(chunks, root, b"d001")) == 700
    assert read_back(chunks, root, b"d001/none") == []


def test_a_very_long_path_is_kept() -> None:
    """Paths of 1 MiB, and many of them, make a higher tree and no larger chunks."""
    chunks = Chunks()
    start = (b"x" * 1023 + b"/") * 1023
    entries = [plain(start + b"%023d" % n + bytes([n + 65]) * 1000) for n in range(6)]
    assert len(entries[0].path) <= MAX_PATH < len(entries[0].path) + 10
    root = written(chunks, entries)
    assert read_back(chunks, root) == entries
    assert root.levels == 4
    assert max(map(len, chunks.held.values())) < 4 << 20


def test_equal_trees_are_one_tree() -> None:
    """The same entries give the same root, whoever writes them; one other byte gives another."""
    entries = many(3000)
    assert written(Chunks(), entries) == written(Chunks(), entries)
    entries[1234] = file_entry(entries[1234].path, 7)
    assert written(Chunks(), entries) != written(Chunks(), many(3000))


@settings(max_examples=25)
@given(
    st.lists(st.integers(0, 9_999), min_size=1, max_size=3),
    st.sampled_from(["change", "add", "remove"]),
)
def test_small_edits_change_few_chunks(places: list[int], edit: str) -> None:
    """An edit writes about one chunk a level anew; the others are shared."""
    before, entries = Chunks(), many(10_000)
    root = written(before, entries)
    assert root.levels >= 2
    for place in places:
        old = entries[place % len(entries)]
        if edit == "change":
            entries[place % len(entries)] = file_entry(old.path, 123_456)
        elif edit == "add":
            entries.append(plain(old.path + b".new"))
        else:
            entries.remove(old)
    entries = sorted(
        {entry.path: entry for entry in entries}.values(), key=lambda e: sort_key(e.path)
    )
    after = Chunks()
    changed = written(after, entries)
    assert read_back(after, changed) == entries
    assert len(after.held.keys() - before.held.keys()) <= len(places) * (2 * root.levels + 1)


def test_nodes_lie_in_chunks_as_the_document_says() -> None:
    """A leaf is [0, entries], a branch [level, [first path, id, count]]."""
    chunks, entries = Chunks(), many(5000)
    root = written(chunks, entries)
    level, children = read(chunks.held[root.chunk_id])
    assert (level, root.levels) == (1, 2)
    place = 0
    for path, chunk_id, count in children:
        zero, elements = read(chunks.held[chunk_id])
        assert (zero, elements[0][0], len(elements)) == (0, path, count)
        assert elements[0] == list(read(encode(entries[place])))
        place += count
        if place < 5000:
            size = sum(len(encode(entry)) for entry in entries[place - count : place])
            assert is_cut(0, elements[-1][0])
            assert count >= 64 or size >= 4096
    assert place == 5000


@pytest.mark.parametrize("name", [b"%07d", b"img_%07d.jpg", b"d/%05x"])
def test_numbered_names_are_cut_on_every_level(name: bytes) -> None:
    """Branches end where paths decide, for names in a row too, and not only where they are full."""
    chunks = Chunks()
    names = (name % number for number in range(1_000_000))
    paths = [path for path in names if is_cut(0, path)]
    saved: list[int] = []

    def save(chunk: bytes) -> bytes:
        saved.append(read(chunk)[0])
        return chunks.save(chunk)

    writer = TreeWriter(save)
    value = (b"user.x", bytes(5000))
    for path in paths:
        writer.add(msgspec.structs.replace(file_entry(path, 0), xattrs=(value,)))
    writer.finish()
    assert len(paths) > 1500
    assert saved.count(0) > 1500
    assert saved.count(1) > 2


def test_leaves_are_never_too_large() -> None:
    """Where no path allows a cut, a leaf ends at 4,096 entries, or at 1 MiB."""
    names = [b"%08d" % n for n in range(12_000)]
    chunks = Chunks()
    written(chunks, [plain(name) for name in names if not is_cut(0, name)])
    assert max(len(read(chunk)[1]) for chunk in chunks.held.values()) == 4096
    chunks = Chunks()
    entries = [file_entry(name, 0) for name in names if not is_cut(0, name)][:300]
    large = [msgspec.structs.replace(entry, target=noise(9000)) for entry in entries]
    written(chunks, large)
    assert (1 << 20) < max(map(len, chunks.held.values())) < (1 << 20) + 10_000


@pytest.mark.parametrize(
    "names",
    [(b"b", b"a"), (b"a", b"a"), (b"a/b", b"a"), (b"a-b", b"a/b"), (b"a", b"a/b", b"a-b", b"a/c")],
)
def test_entries_out_of_order_are_refused(names: Sequence[bytes]) -> None:
    """An entry that does not follow the last one is not written; the tree goes on without it."""
    chunks = Chunks()
    writer = TreeWriter(chunks.save)
    for name in names[:-1]:
        writer.add(plain(name))
    with pytest.raises(ValueError, match="order"):
        writer.add(plain(names[-1]))
    assert read_back(chunks, writer.finish()) == [plain(name) for name in names[:-1]]


class Forged:
    """A tree made by hand, node by node."""

    def __init__(self) -> None:
        self.chunks = Chunks()

    def leaf(self, *names: bytes, level: int = 0) -> bytes:
        """Save a leaf."""
        return self.chunks.save(encode(Leaf(level, tuple(map(plain, names)))))

    def branch(self, level: int, *children: tuple[bytes, bytes, int]) -> bytes:
        """Save a branch."""
        return self.chunks.save(encode(Branch(level, tuple(Child(*child) for child in children))))

    def is_refused(self, root: bytes, levels: int, count: int) -> None:
        """Reading the tree ends with a DamageError."""
        with pytest.raises(DamageError):
            read_back(self.chunks, Root(root, levels, count))


def test_nodes_of_another_level_are_refused() -> None:
    """A leaf for a branch, a branch for a leaf, and a level that is skipped are damage."""
    forged = Forged()
    leaf = forged.leaf(b"a", b"b")
    branch = forged.branch(1, (b"a", leaf, 2))
    assert read_back(forged.chunks, Root(branch, 2, 2)) == [plain(b"a"), plain(b"b")]
    forged.is_refused(leaf, 2, 2)
    forged.is_refused(branch, 1, 2)
    forged.is_refused(branch, 3, 2)
    forged.is_refused(forged.leaf(b"a", level=1), 1, 1)
    forged.is_refused(forged.branch(2, (b"a", leaf, 2)), 3, 2)


def test_empty_nodes_are_refused() -> None:
    """A leaf without entries and a branch without children are damage."""
    forged = Forged()
    forged.is_refused(forged.leaf(), 1, 0)
    forged.is_refused(forged.branch(1), 2, 0)


def test_wrong_counts_are_refused() -> None:
    """A tree that holds more or fewer entries than its root states is damage."""
    forged = Forged()
    leaf = forged.leaf(b"a", b"b")
    forged.is_refused(leaf, 1, 1)
    forged.is_refused(leaf, 1, 3)


def test_entries_out_of_order_are_damage() -> None:
    """Within a leaf and across leaves entries rise; doubled ones are damage as well."""
    forged = Forged()
    forged.is_refused(forged.leaf(b"b", b"a"), 1, 2)
    forged.is_refused(forged.leaf(b"a", b"a"), 1, 2)
    low, high = forged.leaf(b"a", b"b"), forged.leaf(b"c")
    forged.is_refused(forged.branch(1, (b"c", high, 1), (b"a", low, 2)), 2, 3)
    forged.is_refused(forged.branch(1, (b"a", low, 2), (b"a", low, 2)), 2, 4)


def test_a_missing_node_is_damage() -> None:
    """A tree whose node is gone says so."""
    forged = Forged()
    forged.is_refused(forged.branch(1, (b"a", bytes(32), 2)), 2, 2)
    forged.is_refused(forged.branch(1, (b"a", b"short", 2)), 2, 2)


def test_raw_order_is_that_of_bytes() -> None:
    """In raw order a path sorts by its bytes, so what lies below one need not lie together."""
    forged = Forged()
    leaf = forged.leaf(b"a", b"a-b", b"a/b", b"ab")
    reader = TreeReader("a test", Root(leaf, 1, 4), Order.RAW, forged.chunks.fetch)
    assert [e.path for part in reader.entries(b"a") for e in part] == [b"a", b"a/b"]
    forged.is_refused(leaf, 1, 4)


@given(paths, paths)
def test_below_is_at_or_inside(path: bytes, top: bytes) -> None:
    """A path is below another if it is the same, or begins with it and a slash."""
    assert is_below(path, b"")
    assert is_below(path, path)
    assert is_below(path + b"/x", path)
    assert is_below(path, top) == (path.split(b"/")[: len(top.split(b"/"))] == top.split(b"/"))
