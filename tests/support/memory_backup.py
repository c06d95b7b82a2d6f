"""From a source to a target without a repository: chunks stay in memory."""

from __future__ import annotations

import hashlib
import os
import random
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import msgspec

from strongroom.clock import Clock, ManualClock, SystemClock
from strongroom.model.entry import EXTENT, HOLE, Entry, extents
from strongroom.model.fs import Fs
from strongroom.model.source import Content, Item, Loaded, Problem
from strongroom.restore.files.begin import TargetOptions, begin
from strongroom.restore.files.naming import Overwrite
from strongroom.restore.files.owners import Owners, Ownership
from strongroom.restore.files.target import FilesTarget
from strongroom.sources.files.options import FilesOptions
from strongroom.sources.files.source import FilesSource
from strongroom.system.posix import PosixFs
from tests.support.randomness import SeededRandomness

PIECE: Final = 1 << 18
BATCH: Final = 100
_HOUR_NS: Final = 3_600_000_000_000


@dataclass
class Saved:
    """A backup: entries with content, chunks by their ids, tokens by path, and what went wrong."""

    entries: list[Entry] = field(default_factory=list)
    chunks: dict[bytes, bytes] = field(default_factory=dict)
    tokens: dict[bytes, bytes] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)

    def entry(self, path: bytes) -> Entry:
        """Return the entry of a tree path."""
        return next(entry for entry in self.entries if entry.path == path)

    @property
    def paths(self) -> list[bytes]:
        """The tree paths, in the order of the tree."""
        return [entry.path for entry in self.entries]

    def data(self, path: bytes) -> bytes:
        """Return what a file contains, holes as zeros."""
        pieces = extents(self.entry(path).content)
        return b"".join(
            bytes(length) if chunk_id == HOLE else self.chunks[chunk_id]
            for chunk_id, length in pieces
        )

    def causes(self) -> dict[bytes, str]:
        """Return the cause of each problem by path."""
        return {problem.path: problem.cause for problem in self.problems}

    def _keep(self, data: bytes) -> bytes:
        chunk_id = hashlib.sha256(data).digest()
        self.chunks[chunk_id] = data
        return EXTENT.pack(chunk_id, len(data))

    def add(self, loaded: Loaded, content: bytes | None = None) -> None:
        """Take in what was captured."""
        if loaded.problem is not None:
            self.problems.append(loaded.problem)
        if loaded.entry is not None:
            if content is None:
                content = self._keep(loaded.data) if loaded.data else b""
            self.entries.append(msgspec.structs.replace(loaded.entry, content=content))
            self.tokens[loaded.item.path] = loaded.token

    def read(self, content: Content, piece: int = PIECE) -> bytes:
        """Read a large item in pieces; its extents."""
        parts = []
        for start, length, is_data in content.extents():
            if not is_data:
                parts.append(EXTENT.pack(HOLE, length))
                continue
            for offset in range(start, start + length, piece):
                buffer = memoryview(bytearray(min(piece, start + length - offset)))
                got = content.readinto(offset, buffer)
                if got:
                    parts.append(self._keep(bytes(buffer[:got])))
        return b"".join(parts)


def later() -> ManualClock:
    """Return a clock an hour ahead, for which everything that is on the disk is old."""
    return ManualClock(SystemClock().now_ns() + _HOUR_NS)


def files_source(
    *paths: Path | bytes,
    options: FilesOptions | None = None,
    fs: Fs | None = None,
    clock: Clock | None = None,
) -> FilesSource:
    """Make a source; everything on the disk is old for it."""
    return FilesSource(
        fs or PosixFs(),
        clock or later(),
        [os.fsencode(path) for path in paths],
        name="test",
        options=options,
    )


def tree_path(path: Path) -> bytes:
    """Return the path that an entry has in the tree."""
    return os.fsencode(path).removeprefix(b"/")


def walked(source: FilesSource) -> tuple[list[Item], list[Problem]]:
    """Walk and return all items."""
    problems: list[Problem] = []
    items = [item for batch in source.walk(problems.append) for item in batch]
    return items, problems


def save(source: FilesSource) -> Saved:
    """Capture everything; the source is closed afterwards."""
    saved = Saved()
    with source:
        for batch in source.walk(saved.problems.append):
            small: list[Item] = []
            for item in batch:
                if item.size < source.large:
                    small.append(item)
                    continue
                _save_small(source, small, saved)
                small = []
                _save_large(source, item, saved)
            _save_small(source, small, saved)
    return saved


def _save_small(source: FilesSource, items: Sequence[Item], saved: Saved) -> None:
    for loaded in source.load(items):
        saved.add(loaded)


def _save_large(source: FilesSource, item: Item, saved: Saved) -> None:
    try:
        with source.open(item) as content:
            references = saved.read(content)
            size = sum(length for _, length in extents(references))
            saved.add(content.finish(size), references)
    except OSError as error:
        saved.problems.append(Problem(item.path, error.strerror or str(error)))


def files_target(
    path: Path,
    problems: list[Problem],
    *,
    fs: Fs | None = None,
    overwrite: Overwrite | None = None,
    ownership: Ownership = "number",
) -> FilesTarget:
    """Begin a restore into ``path``."""
    options = TargetOptions(overwrite, Owners(ownership))
    randomness = SeededRandomness()
    return begin(fs or PosixFs(), os.fsencode(path), problems.append, randomness, options)


def bring_back(saved: Saved, target: FilesTarget, entries: Iterable[Entry] | None = None) -> None:
    """Restore entries: small files by two threads, large ones in pieces out of order."""
    chosen = list(saved.entries if entries is None else entries)
    with ThreadPoolExecutor(2) as threads:
        work = []
        for start in range(0, len(chosen), BATCH):
            small = []
            for entry in target.place(chosen[start : start + BATCH]):
                pieces = extents(entry.content)
                if len(pieces) == 1 and pieces[0].chunk_id != HOLE:
                    small.append((entry, memoryview(saved.chunks[pieces[0].chunk_id])))
                elif not pieces:
                    small.append((entry, memoryview(b"")))
                else:
                    work.append(threads.submit(_bring_back_large, saved, target, entry))
            work.append(threads.submit(_write, target, small))
        for one in work:
            one.result()
    target.finish()


def _write(target: FilesTarget, files: Sequence[tuple[Entry, memoryview]]) -> None:
    target.write(files)


def _bring_back_large(saved: Saved, target: FilesTarget, entry: Entry) -> None:
    file = target.open(entry)
    if file is None:
        return
    offset = 0
    pieces = []
    for chunk_id, length in extents(entry.content):
        if chunk_id != HOLE:
            pieces.append((offset, saved.chunks[chunk_id]))
        offset += length
    random.Random(len(pieces)).shuffle(pieces)
    for place, data in pieces:
        file.write(place, data)
    file.finish()
