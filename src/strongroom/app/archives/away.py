"""Archives in a bucket: made here and sent there, or brought here to be read."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from strongroom.app.archives.place import shelf_at
from strongroom.app.databases import scratch_of
from strongroom.app.machine import Run
from strongroom.archive.files import Files
from strongroom.archive.naming import ArchiveId, archive_id
from strongroom.aws.bucketfiles import BucketFiles
from strongroom.aws.clients import Clients
from strongroom.errors import NotFoundError, UsageError
from strongroom.model.events import Advanced, PhaseBegan
from strongroom.operations.archives.uploading import upload
from strongroom.storage.url import parse

LATEST: Final = "latest"


def is_away(place: str) -> bool:
    """Whether this is the URL of a bucket, and no path."""
    return place.startswith("s3://")


@contextmanager
def room_for_archives(run: Run) -> Iterator[Path]:
    """Lend a private folder for archives that only pass through."""
    with scratch_of(run, None) as scratch:
        yield scratch


def bucket_at(run: Run, url: str) -> BucketFiles:
    """Return the place that a URL names; ``UsageError``. Nobody is asked yet."""
    parsed = parse(url, str(run.settings.folder))
    return BucketFiles(Clients(run.settings.account), parsed.bucket, parsed.prefix)


def send(run: Run, folder: Path, one: ArchiveId, remote: BucketFiles) -> None:
    """Copy an archive into a bucket, and read it back."""
    upload(shelf_at(run, folder), remote, one, run.sink)


@contextmanager
def brought(run: Run, url: str) -> Iterator[Path]:
    """Lend what a URL names, in a folder: an archive by its id or ``latest``, or a file.

    ``NotFoundError`` if nothing is there.
    """
    above, _, name = url.rstrip("/").rpartition("/")
    if not is_away(above) or above == "s3:/":
        raise UsageError(
            f"{url} names no archive and no file",
            hint="Give s3://BUCKET/PREFIX/20241219_143022, …/latest, or a file.",
        )
    remote = bucket_at(run, above)
    if name == LATEST:
        name = _latest(remote)
    with room_for_archives(run) as folder:
        files = shelf_at(run, folder).files
        run.sink(PhaseBegan(f"bring {name}"))
        if archive_id(name) is None:
            is_there = _bring(run, remote, name, files, name)
        else:
            is_there = _bring_archive(run, remote, name, files.below(name))
        if not is_there:
            raise NotFoundError(
                f"there is no {name} in {remote.url}", hint="Name an archive by its id, or a file."
            )
        yield folder / name


def _bring_archive(run: Run, remote: BucketFiles, name: str, files: Files) -> bool:
    names = [one for one in remote.names(name) if is_name(one)]
    if names:
        files.make()
    return bool(names) and all(_bring(run, remote, f"{name}/{one}", files, one) for one in names)


def _bring(run: Run, remote: BucketFiles, key: str, files: Files, name: str) -> bool:
    """Whether it was there."""

    def take(piece: bytes) -> None:
        file.write(piece)
        run.sink(Advanced(0, len(piece)))

    with files.writing(name) as file:
        return remote.read(key, take)


def is_name(text: str) -> bool:
    """Whether a key that somebody else may have made is the name of a file in its folder."""
    return text not in {"", ".", ".."} and not {"/", "\0"} & set(text)


def _latest(remote: BucketFiles) -> str:
    found = [archive_id(one.removesuffix("/")) for one in remote.names() if one.endswith("/")]
    mine = [one for one in found if one is not None and not one.before_restore]
    if not mine:
        raise NotFoundError(
            f"there is no archive in {remote.url}",
            hint="Make one: strongroom export, or strongroom archive create --to.",
        )
    return str(max(mine))
