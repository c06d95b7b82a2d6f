"""Notices, as segments are archived, that some before them never will be.

So it is when a server went on without archiving.

A segment is given up when it is neither on the disk of the server nor in the archive, looked at in
this order: the server removes a segment only when it is archived, or when nobody archives.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable

from strongroom.errors import StrongroomError
from strongroom.model.fs import Fs
from strongroom.operations.wal.push import Pushed
from strongroom.postgres.wal.names import WalKind, WalName, parse_name
from strongroom.postgres.wal.pages import Cluster
from strongroom.postgres.wal.ranges import Missing, WalExtent
from strongroom.repository.wal import WalArchive
from strongroom.repository.walgaps import GapReason, WalGaps


class GapWatch:
    """Looks once at each segment that does not follow one that was looked at."""

    def __init__(
        self, archive: WalArchive, gaps: WalGaps, fs: Fs, tell: Callable[[str], None]
    ) -> None:
        self._archive = archive
        self._gaps = gaps
        self._fs = fs
        self._tell = tell
        self._lock = threading.Lock()
        self._seen: set[tuple[Cluster, int, int]] = set()

    def archived(self, path: bytes, pushed: Pushed) -> None:
        """Look at what comes before a file that is archived; a failure is told, and no error."""
        name, cluster = pushed.name, pushed.cluster
        if name.kind is not WalKind.SEGMENT:
            return
        number = name.number(cluster.segment_size)
        with self._lock:
            follows = (cluster, name.timeline, number - 1) in self._seen
            self._seen.discard((cluster, name.timeline, number - 1))
            self._seen.add((cluster, name.timeline, number))
        if follows:
            return
        try:
            self._look(path.rpartition(b"/")[0] or b".", name, cluster)
        except StrongroomError as error:
            self._tell(f"warning: whether WAL is missing before {name.text} is not known: {error}")

    def _look(self, folder: bytes, name: WalName, cluster: Cluster) -> None:
        on_disk = self._on_disk(folder)
        listed = self._archive.files(cluster.system_id, name.timeline)
        names = [*(one.name for one in listed), *on_disk]
        extent = WalExtent(names, cluster.segment_size)
        number = name.number(cluster.segment_size)
        holes = [one for one in extent.timelines[name.timeline].gaps if one.last < number]
        for hole in holes:
            missing = Missing(name.timeline, *hole)
            if self._gaps.record(cluster, missing, GapReason.NOT_ARCHIVED):
                self._tell(
                    f"warning: {missing.text(cluster.segment_size)} were never archived, and are "
                    "gone: a gap is on record. Make a new base backup"
                )

    def _on_disk(self, folder: bytes) -> list[WalName]:
        """Return the segments beside the file, which may be archived yet."""
        try:
            fd = self._fs.open(folder, os.O_RDONLY | os.O_DIRECTORY)
            try:
                found = [parse_name(os.fsdecode(one)) for one in self._fs.names(fd)]
            finally:
                self._fs.close(fd)
        except OSError as error:
            msg = f"cannot look into {os.fsdecode(folder)}: {error.strerror or error}"
            raise StrongroomError(msg) from error
        return [one for one in found if one is not None and one.kind is WalKind.SEGMENT]
