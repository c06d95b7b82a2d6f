"""Compare two snapshots, or one with the disk of this machine."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from strongroom.app.awsconfig_records import diff_live, explained
from strongroom.app.listing import path_in_snapshot
from strongroom.app.machine import Run
from strongroom.app.opening import Opened, opened_repository
from strongroom.app.selection import Selection
from strongroom.app.sources import Excludes, source_of
from strongroom.config.settings import SourceSettings
from strongroom.errors import NotFoundError, UsageError
from strongroom.model.snapshot import ListedSnapshot, SourceRecord
from strongroom.operations.changes import Change, DiffResult, Modifier, Tally
from strongroom.operations.diff import Take, diff
from strongroom.operations.diff_disk import Living, diff_disk
from strongroom.operations.listing import named_snapshots
from strongroom.repository.tree import is_below
from strongroom.sources.files.source import FilesSource

__all__ = [
    "Change",
    "DiffReport",
    "Modifier",
    "Tally",
    "compare",
    "compare_with_account",
    "compare_with_disk",
]


@dataclass(frozen=True, slots=True)
class DiffReport:
    """What was compared, and what the differences come to; ``new``: None if that is no snapshot."""

    old: ListedSnapshot
    new: ListedSnapshot | None
    result: DiffResult


def compare(run: Run, old: str, new: str, path: str, take: Take) -> DiffReport:
    """Give every difference between two snapshots to ``take``."""
    top = path_in_snapshot(path)
    with opened_repository(run) as opened:
        first, second = named_snapshots(opened.repository, [old, new])
        told = explained(opened.repository, first, second, take)
        result = diff(opened.repository, first, second, top, told)
        return DiffReport(first, second, result)


def compare_with_account(run: Run, snapshot: str, source: str, take: Take) -> DiffReport:
    """Give every difference between the AWS configuration of a snapshot and the account."""
    with opened_repository(run) as opened:
        listed = named_snapshots(opened.repository, [snapshot])[0]
        result = diff_live(run, opened.repository, listed, source, take)
        return DiffReport(listed, None, result)


def compare_with_disk(
    run: Run,
    snapshot: str,
    paths: Sequence[str],
    exclude: Sequence[str],
    take: Take,
    *,
    read_content: bool,
) -> DiffReport:
    """Give every difference between a snapshot and the disk to ``take``.

    The disk is walked as a backup of the same source would walk it. ``NotFoundError`` for a path
    that the snapshot has nothing of.
    """
    with opened_repository(run) as opened:
        listed = named_snapshots(opened.repository, [snapshot])[0]
        if listed.snapshot.host != os.fsencode(run.machine.host):
            host = os.fsdecode(listed.snapshot.host)
            run.tell(f"snapshot {listed.short_id} is from host {host}, and this is another one")
        tops = [_top(run.settings.folder / path) for path in paths]
        with _living(run, opened, listed, tops, exclude) as living:
            result = diff_disk(opened.repository, listed, living, take, read_content=read_content)
        return DiffReport(listed, None, result)


def _top(path: Path) -> bytes:
    real = os.path.realpath(path) if ".." in path.parts else str(path)
    return path_in_snapshot(real)


@contextmanager
def _living(
    run: Run,
    opened: Opened,
    listed: ListedSnapshot,
    tops: Sequence[bytes],
    exclude: Sequence[str],
) -> Iterator[list[Living]]:
    """Open every source of the snapshot that something of is to be compared."""
    records = [s for s in listed.snapshot.sources if s.kind == b"files"]
    if not records:
        raise UsageError(f"snapshot {listed.short_id} holds no files to compare with the disk")
    for top in tops:
        if not any(_shared(record, top) for record in records):
            raise NotFoundError(
                f"snapshot {listed.short_id} has nothing of /{os.fsdecode(top)}",
                hint="See its paths with 'strongroom snapshots'.",
            )
    folder = opened.store.folder
    with ExitStack() as stack:
        living = []
        for record in records:
            wanted = [one for top in tops for one in _shared(record, top)] if tops else None
            if wanted is None:
                wanted = [path.strip(b"/") for path in record.paths]
            if wanted:
                source = _opened(run, record, wanted, exclude, folder.url if folder else None)
                if source is not None:
                    stack.enter_context(source)
                selection = Selection([p.strip(b"/") for p in record.paths], (), exclude)
                living.append(Living(record, source, wanted, not tops, selection))
        yield living


def _shared(record: SourceRecord, top: bytes) -> list[bytes]:
    """Return what a source saved at or below a path: the path, or what it saved itself."""
    saved = [path.strip(b"/") for path in record.paths]
    if any(is_below(top, path) for path in saved):
        return [top]
    return [path for path in saved if is_below(path, top)]


def _opened(
    run: Run,
    record: SourceRecord,
    wanted: Sequence[bytes],
    exclude: Sequence[str],
    repository: str | None,
) -> FilesSource | None:
    """Open what a source saved, as far as it is there and something of it is wanted."""
    roots = [
        Path(os.fsdecode(path))
        for path in record.paths
        if os.path.lexists(path) and any(_touch(path.strip(b"/"), one) for one in wanted)
    ]
    if not roots:
        return None
    name = os.fsdecode(record.name)
    known = run.settings.sources.get(name, SourceSettings(name, ()))
    settings = replace(known, paths=tuple(roots))
    return source_of(run, settings, Excludes(patterns=exclude), repository).source


def _touch(one: bytes, two: bytes) -> bool:
    return is_below(one, two) or is_below(two, one)
