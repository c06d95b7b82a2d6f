"""A dump on its way to ``pg_restore``: its files lie in a folder, or large ones come through pipes.

Files are faster while they fit into the memory of the machine, and let ``pg_restore`` begin with
the largest table. Where there is no room for them rows go through pipes, so that no disk has to
hold them: a pipe is a file of the folder that leads to ``/dev/fd``; it ends when this process does.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from strongroom.app.dumps import Dump, refuse_without_room, write_out
from strongroom.app.machine import Run
from strongroom.app.opening import Opened
from strongroom.model.entry import Entry
from strongroom.operations.feeding import Feeder
from strongroom.postgres.client import Client
from strongroom.repository.reader import Reader

_LARGE: Final = 1 << 20
_MOST: Final = 200  # pipes; each takes two descriptors


@dataclass(frozen=True, slots=True)
class Feed:
    """What a program that reads ``folder`` must be given, and what feeds it then."""

    folder: Path
    readable: tuple[int, ...]
    feeder: Feeder

    def run(self, is_over: Callable[[], bool]) -> None:
        """Feed a program that was started, until it has read all, or ``is_over``."""
        for fd in self.readable:
            os.close(fd)
        self.feeder.feed(is_over)


def through_pipes(dump: Dump, wanted: Collection[str] | None, folder: Path) -> dict[str, Entry]:
    """Return the files of a dump that have to come through pipes, for ``folder`` has no room.

    They are the rows of the largest tables. ``RefusedError`` if the others have no room either.
    """
    size = dump.size if wanted is None else dump.size_of(wanted)
    if size <= shutil.disk_usage(folder).free:
        return {}
    rows = {table.file for table in dump.record.tables}
    large = [
        (name, entry)
        for name, entry in dump.files.items()
        if entry.size >= _LARGE and name in rows and (wanted is None or name in wanted)
    ]
    large.sort(key=lambda one: -one[1].size)
    piped = dict(large[:_MOST])
    refuse_without_room(folder, size - sum(entry.size for entry in piped.values()))
    return piped


@contextmanager
def fed(
    run: Run,
    opened: Opened,
    reader: Reader,
    dump: Dump,
    folder: Path,
    wanted: Collection[str] | None,
) -> Iterator[Feed]:
    """Make the folder that ``pg_restore`` reads, with the files of a dump, or those ``wanted``."""
    piped = through_pipes(dump, wanted, folder.parent)
    if piped:
        run.tell(
            f"{folder.parent} has no room for all: the rows of the largest tables ({len(piped):,}) "
            "go through pipes"
        )
    plain = set(dump.files if wanted is None else wanted) - set(piped)
    write_out(run, opened, reader, dump, folder, plain)
    readable: list[int] = []
    files: list[tuple[Entry, int]] = []
    for name, entry in piped.items():
        reading, writing = os.pipe()
        readable.append(reading)
        files.append((entry, writing))
        (folder / name).symlink_to(f"/dev/fd/{reading}")
    feeder = Feeder(reader, run.sink, files)
    try:
        yield Feed(folder, tuple(readable), feeder)
    finally:
        feeder.close()


def pour(client: Client, feed: Feed, database: str, arguments: Sequence[str], what: str) -> None:
    """Run ``pg_restore`` on what is fed; an error unless it ends with 0, having read all."""
    command = [*arguments, *client.connected(database), str(feed.folder)]
    with client.attended("pg_restore", command, feed.readable) as child:
        child.end_input()
        feed.run(lambda: child.ended(0) is not None)
        client.check("pg_restore", child, what)
