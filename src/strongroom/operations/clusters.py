"""The base backups among the snapshots of a repository."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from strongroom.model.snapshot import ListedSnapshot, SourceRecord
from strongroom.postgres.cluster import KIND, Position, read_position


class BaseBackup(NamedTuple):
    """A base backup in a snapshot."""

    listed: ListedSnapshot
    source: SourceRecord
    position: Position


def base_backups(snapshots: Iterable[ListedSnapshot], name: str) -> list[BaseBackup]:
    """Return the base backups of a source, as the snapshots come."""
    kind = KIND.encode()
    found = []
    for listed in snapshots:
        for source in listed.snapshot.sources:
            if (source.kind, source.name) == (kind, name.encode()):
                position = read_position(source.position)
                if position is not None:
                    found.append(BaseBackup(listed, source, position))
    return found
