"""A million entries: what grows with a source is on disk or in the store, not in memory."""

from __future__ import annotations

import hashlib
import tracemalloc
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pytest

from strongroom.model.entry import EXTENT, Entry
from strongroom.model.snapshot import Order
from strongroom.repository.lastwalk import LastWalk, WalkRecord, new_walk
from strongroom.repository.localfiles import LocalFiles
from strongroom.repository.tree import Root, TreeReader, TreeWriter
from strongroom.system.posix import PosixFs
from tests.support.fakes import file_entry
from tests.support.noise import noise
from tests.support.randomness import SeededRandomness

pytestmark = [pytest.mark.spec("B2"), pytest.mark.slow]

COUNT = 1_000_000
MEBIBYTE = 1 << 20


def entries() -> Iterator[Entry]:
    """Yield a million small files in a thousand folders, in order."""
    content = EXTENT.pack(noise(32), 1000)
    plain = msgspec.structs.replace(file_entry(b"x", 1000), content=content)
    for number in range(COUNT):
        path = b"data/folder %03d/file %06d" % (number // 1000, number)
        yield msgspec.structs.replace(plain, path=path)


def peak(act: Callable[[], None]) -> int:
    """Return the most bytes that Python held while ``act`` ran."""
    tracemalloc.start()
    try:
        act()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.timeout(900)
def test_a_tree_of_a_million_entries_takes_little_memory(tmp_path: Path) -> None:
    """Writing it holds a few nodes, reading it a few leaves; a path is found by a few reads."""
    stored, fetched = 0, 0
    roots: list[Root] = []

    def save(chunk: bytes) -> bytes:
        nonlocal stored
        chunk_id = hashlib.sha256(chunk).digest()
        (tmp_path / chunk_id.hex()).write_bytes(chunk)
        stored += 1
        return chunk_id

    def fetch(ids: list[bytes]) -> list[bytes]:
        nonlocal fetched
        fetched += len(ids)
        return [(tmp_path / chunk_id.hex()).read_bytes() for chunk_id in ids]

    def write() -> None:
        writer = TreeWriter(save)
        for entry in entries():
            writer.add(entry)
        roots.append(writer.finish())

    assert peak(write) < 16 * MEBIBYTE
    (root,) = roots
    assert (root.count, root.levels) == (COUNT, 3)
    assert COUNT / 4096 < stored < COUNT / 60

    def read() -> None:
        reader = TreeReader("a test", root, Order.COMPONENTS, fetch)
        expected = entries()
        for leaf in reader.entries():
            for entry in leaf:
                assert entry == next(expected)
        assert next(expected, None) is None

    assert peak(read) < 16 * MEBIBYTE
    fetched = 0
    path = b"data/folder 567/file 567890"
    found = [
        e.path
        for leaf in TreeReader("a", root, Order.COMPONENTS, fetch).entries(path)
        for e in leaf
    ]
    assert (found, fetched <= root.levels + 1) == ([path], True)


@pytest.mark.timeout(900)
def test_a_last_walk_of_a_million_records_takes_little_memory(tmp_path: Path) -> None:
    """It is written and read beside a new walk in blocks, and finds every record."""
    files = LocalFiles(PosixFs(), str(tmp_path).encode(), SeededRandomness())

    def write() -> None:
        with new_walk(files, "walk") as walk:
            for entry in entries():
                walk.add(WalkRecord(b"token of sixteen", entry))

    def match() -> None:
        last = LastWalk(files, "walk")
        found = sum(last.match(one.path, b"token of sixteen") is not None for one in entries())
        assert found == COUNT

    assert peak(write) < 16 * MEBIBYTE
    assert peak(match) < 16 * MEBIBYTE
