"""Copy archives into a bucket: the same files below ID/, the metadata last.

An archive is in a bucket when its metadata is, which is put when everything else was read back.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Protocol

from strongroom.archive.files import Files, InFile
from strongroom.archive.metadata import LARGEST, Metadata, read_metadata
from strongroom.archive.naming import ArchiveId
from strongroom.archive.shelf import Shelf, Shelved
from strongroom.errors import DamageError, ObjectExistsError, RefusedError, StoreError
from strongroom.model.events import Advanced, PhaseBegan, Sink
from strongroom.operations.archives.contents import hash_of
from strongroom.operations.archives.copying import chain_of, identity_of


class Remote(Protocol):
    """Files far away, by names with slashes in them."""

    @property
    def url(self) -> str:
        """Where they are, for people."""
        ...

    def get(self, name: str, limit: int) -> bytes | None:
        """Return the first ``limit`` bytes of a file; None if it is not there."""
        ...

    def put(self, name: str, file: InFile, size: int, moved: Callable[[int], None]) -> None:
        """Put a file of ``size`` bytes; ``ObjectExistsError`` if the name is taken."""
        ...

    def digest(self, name: str) -> str:
        """Read a file; its SHA-256 in hexadecimal."""
        ...

    def remove(self, name: str) -> None:
        """Remove a file, if it is there."""
        ...


def upload(source: Shelf, remote: Remote, wanted: ArchiveId, sink: Sink) -> list[ArchiveId]:
    """Copy an archive, and those it builds on that are not there yet; what was copied.

    ``RefusedError`` if another archive has the name, ``DamageError`` if what came back is not what
    was put.
    """
    done = []
    for one in chain_of(source, wanted):
        there = _metadata_of(remote, one.id)
        if there is not None:
            _expect_same(one, there, remote)
            continue
        sink(PhaseBegan(f"copy {one.id}", 0, one.size))
        _upload_one(source.below(one), remote, one.id, sink)
        done.append(one.id)
    return done


def _metadata_of(remote: Remote, one: ArchiveId) -> Metadata | None:
    name = f"{one}/{one.metadata}"
    data = remote.get(name, LARGEST)
    return None if data is None else read_metadata(data, f"{remote.url}/{name}")


def _expect_same(one: Shelved, there: Metadata, remote: Remote) -> None:
    if one.metadata is None or identity_of(one.metadata) != identity_of(there):
        raise RefusedError(
            f"{remote.url} has another archive {one.id}, of {there.project_root}",
            hint="Give each project a prefix of its own to copy to.",
        )


def _upload_one(files: Files, remote: Remote, one: ArchiveId, sink: Sink) -> None:
    names = sorted(files.names(), key=lambda name: name == one.metadata)
    put: list[str] = []
    try:
        for name in names:
            _upload_file(files, remote, f"{one}/{name}", name, put, sink)
    except BaseException:
        _take_back(remote, put)
        raise


def _upload_file(
    files: Files, remote: Remote, key: str, name: str, put: list[str], sink: Sink
) -> None:
    with files.reading(name) as file:
        try:
            remote.put(key, file, files.size(name), lambda size: sink(Advanced(0, size)))
            put.append(key)
            is_ours = True
        except ObjectExistsError:
            is_ours = False  # or a request that came twice: what is there decides
    if remote.digest(key) == hash_of(files, name):
        return
    if not is_ours:
        raise RefusedError(
            f"{remote.url}/{key} is there already, and is something else",
            hint="It may be what a killed run left: remove it if no metadata lies beside it.",
        )
    raise DamageError(
        f"the copy {remote.url}/{key} did not read back as it was written",
        hint="Run 'strongroom store validate' with that place.",
    )


def _take_back(remote: Remote, put: Sequence[str]) -> None:
    """Remove what was begun; without its metadata it counts as nothing in any case."""
    with suppress(StoreError):
        for key in put:
            remote.remove(key)
