"""Archive one WAL file: what ``archive_command`` is for."""

from __future__ import annotations

import os
from typing import NamedTuple

from strongroom.errors import RefusedError, UsageError
from strongroom.model.fs import Fs
from strongroom.operations.wal.files import (
    cluster_of_folder,
    cluster_of_segment,
    named_file,
    read_whole,
)
from strongroom.postgres.wal.names import WalKind, WalName
from strongroom.postgres.wal.pages import Cluster, WalContentError
from strongroom.repository.wal import Put, WalArchive
from strongroom.repository.walsources import WalSources


class Pushed(NamedTuple):
    """What was archived; ``size`` in bytes."""

    name: WalName
    cluster: Cluster
    size: int
    put: Put


class Pusher:
    """Archives the WAL files of one source.

    Which cluster the source is, is asked once; a cluster that has another id is refused.
    """

    def __init__(self, archive: WalArchive, sources: WalSources, fs: Fs, source: str) -> None:
        self._archive = archive
        self._sources = sources
        self._fs = fs
        self._source = source
        self._registered: Cluster | None = None

    def push(self, path: bytes) -> Pushed:
        """Store the file at ``path``; it is durable when this returns."""
        name = named_file(path)
        if name is None:
            raise UsageError(
                f"{os.fsdecode(path)} is no WAL file",
                hint="archive_command = 'strongroom wal push --source NAME %p'",
            )
        content = read_whole(self._fs, path)
        cluster = self._cluster(name, path, content)
        if cluster != self._registered:
            self._registered = self._sources.register(self._source, cluster).cluster
        put = self._archive.put(cluster, name, content)
        return Pushed(name, cluster, len(content), put)

    def _cluster(self, name: WalName, path: bytes, content: memoryview) -> Cluster:
        if name.kind in {WalKind.SEGMENT, WalKind.PARTIAL}:
            try:
                return cluster_of_segment(content)
            except WalContentError as error:
                raise RefusedError(
                    f"{os.fsdecode(path)} is no WAL segment: {error}", hint="Nothing was stored."
                ) from error
        found = cluster_of_folder(self._fs, path)
        if found is None:
            raise RefusedError(
                f"whose {name.text} this is cannot be told: no segment lies beside it",
                hint="Nothing was stored. Archive it from the pg_wal folder of its server.",
            )
        return found
