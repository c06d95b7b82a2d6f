"""What one source came to, counted while it is captured, and its record in the snapshot."""

from __future__ import annotations

from dataclasses import dataclass, field

from strongroom.model.entry import Entry, EntryKind
from strongroom.model.snapshot import Counts, Order, SourceRecord, Status
from strongroom.model.source import Problem
from strongroom.repository.streaming import Streaming
from strongroom.repository.tree import Root


@dataclass(slots=True)
class Tally:
    """What one source came to; sizes in bytes. ``unchanged`` entries were not read again."""

    entries: int = 0
    files: int = 0
    directories: int = 0
    bytes: int = 0
    new: int = 0
    unchanged: int = 0
    bytes_read: int = 0
    problems: list[Problem] = field(default_factory=list)

    def count(self, entry: Entry) -> None:
        """Count an entry of the tree."""
        self.entries += 1
        if entry.kind == EntryKind.FILE:
            self.files += 1
            self.bytes += entry.size
        elif entry.kind == EntryKind.DIRECTORY:
            self.directories += 1


def source_record(
    tally: Tally,
    names: tuple[str, str],
    root: Root,
    streaming: Streaming,
    order: Order = Order.COMPONENTS,
) -> SourceRecord:
    """Return the record of the source of this name and kind; its problems are saved with it."""
    name, kind = names
    return SourceRecord(
        name=name.encode("utf-8", "surrogateescape"),
        kind=kind.encode("utf-8", "surrogateescape"),
        order=order,
        paths=(),
        root=root.chunk_id,
        levels=root.levels,
        status=Status.INCOMPLETE if tally.problems else Status.COMPLETE,
        position=b"",
        counts=Counts(
            entries=tally.entries,
            files=tally.files,
            directories=tally.directories,
            bytes=tally.bytes,
            problems=len(tally.problems),
        ),
        problems=streaming.save_problems(tally.problems),
    )
