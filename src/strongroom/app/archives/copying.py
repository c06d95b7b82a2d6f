"""A second place for an archive: copied, read back, and only then there."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from strongroom.app.archives.away import bucket_at, send
from strongroom.app.archives.place import ArchivePlace, settle, shelf_at, shelf_of
from strongroom.app.machine import Run
from strongroom.archive.naming import ArchiveId
from strongroom.errors import RefusedError, UsageError
from strongroom.operations.archives.copying import copy
from strongroom.storage.url import parse


class Copied(NamedTuple):
    """Where the copy is: a folder, or the URL of a bucket."""

    folder: str


def copy_to(run: Run, place: ArchivePlace, one: ArchiveId, url: str) -> Copied:
    """Copy an archive, with those that it builds on, to a folder or a bucket."""
    parsed = parse(url, str(run.settings.folder))
    if parsed.scheme == "s3":
        remote = bucket_at(run, url)
        send(run, place.folder, one, remote)
        return Copied(remote.url)
    if parsed.scheme != "file":
        raise UsageError(
            f"archives are copied into folders and buckets, and {url} is neither",
            hint="Give a path, file:///PATH or s3://BUCKET/PREFIX.",
        )
    target = Path(parsed.path)
    if target == place.folder:
        raise RefusedError(f"{target} is where the archive is", hint="Name another folder.")
    there = shelf_at(run, target)
    settle(run, there)
    copy(shelf_of(run, place), there, one, run.sink)
    return Copied(str(target))
