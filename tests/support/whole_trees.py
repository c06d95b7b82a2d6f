"""Everything that the trees of a repository say, with the bytes in place of the names of chunks.

Two repositories have other keys, so the same bytes have other ids there; what this gives is the
same for the same tree.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import msgspec

from strongroom.app.machine import Run, this_machine
from strongroom.app.opening import opened_repository
from strongroom.config.environment import Environment
from strongroom.config.places import Flags
from strongroom.config.settings import load_settings
from strongroom.model.entry import HOLE, Entry
from strongroom.model.events import ignore
from strongroom.model.source import Problem
from strongroom.operations.export import snapshot_problems
from strongroom.operations.listing import named_snapshots
from strongroom.operations.restore import selected_entries
from strongroom.repository.content import flatten
from strongroom.repository.reader import Reader


class Whole(NamedTuple):
    """An entry without its content, the SHA-256 of its bytes, and its runs of data and of holes."""

    entry: Entry
    sha256: str
    runs: tuple[tuple[bool, int], ...]


def whole_tree(repository: Path, key: Path, snapshot: str = "latest") -> list[Whole]:
    """Read a snapshot, every byte of it."""
    run = _run(repository, key)
    with opened_repository(run) as opened:
        listed = named_snapshots(opened.repository, [snapshot])[0]
        reader = opened.repository.reader()
        batches = selected_entries(reader, listed, b"", None)
        return [_whole(reader, entry) for batch in batches for entry in batch]


def problems_of(repository: Path, key: Path, snapshot: str = "latest") -> list[Problem]:
    """Read what a snapshot says that it lacks."""
    with opened_repository(_run(repository, key)) as opened:
        listed = named_snapshots(opened.repository, [snapshot])[0]
        return list(snapshot_problems(opened.repository.reader(), listed))


def differences(one: Sequence[Whole], other: Sequence[Whole]) -> list[str]:
    """Return a line for each entry that is not the same in both."""
    left, right = ({whole.entry.path: whole for whole in side} for side in (one, other))
    return [
        f"{path!r}: {left.get(path)} {right.get(path)}"
        for path in sorted(left.keys() | right.keys())
        if left.get(path) != right.get(path)
    ]


def _run(repository: Path, key: Path) -> Run:
    variables = {"HOME": str(key.parent / "reader of whole trees")}
    flags = Flags(repository=str(repository), key_file=str(key))
    settings = load_settings(flags, Environment(variables, key.parent))
    return Run(settings, this_machine(), ignore)


def _whole(reader: Reader, entry: Entry) -> Whole:
    digest = hashlib.sha256()
    runs: list[tuple[bool, int]] = []
    for piece in flatten("a file", entry.content, entry.depth, reader.fetch):
        is_data = piece.chunk_id != HOLE
        digest.update(reader.fetch([piece.chunk_id])[0] if is_data else bytes(piece.length))
        if runs and runs[-1][0] == is_data:
            runs[-1] = is_data, runs[-1][1] + piece.length
        else:
            runs.append((is_data, piece.length))
    plain = msgspec.structs.replace(entry, content=b"", depth=0)
    return Whole(plain, digest.hexdigest(), tuple(runs))
