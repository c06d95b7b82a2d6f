"""Copy archives from one shelf to another."""

from __future__ import annotations

from strongroom.archive.files import TROUBLE, Files
from strongroom.archive.hashing import HashingReader
from strongroom.archive.metadata import Metadata
from strongroom.archive.naming import ArchiveId
from strongroom.archive.shelf import Shelf, Shelved, State
from strongroom.errors import DamageError, RefusedError
from strongroom.model.events import Advanced, Notice, PhaseBegan, Sink
from strongroom.operations.archives.contents import hash_of

_PIECE = 1 << 20


def copy(source: Shelf, target: Shelf, wanted: ArchiveId, sink: Sink) -> list[ArchiveId]:
    """Copy an archive, and those it builds on that are not there yet; what was copied.

    Each counts when all of its files were read back from the disk. ``DamageError`` if one is not
    what was written.
    """
    there = {one.id: one for one in target.listed() if one.is_archive}
    done = []
    for each in chain_of(source, wanted):
        if each.id in there:
            _expect_same(each, there[each.id], target)
        else:
            sink(PhaseBegan(f"copy {each.id}", 0, each.size))
            _copy_one(source.below(each), target, each, sink)
            done.append(each.id)
    return done


def chain_of(source: Shelf, wanted: ArchiveId) -> list[Shelved]:
    """Return an archive after those that it builds on."""
    one = source.find(str(wanted))
    chain = one.metadata.chain if one.metadata is not None else ()
    return [source.find(name) for name in chain] if chain else [one]


def _expect_same(one: Shelved, there: Shelved, target: Shelf) -> None:
    """``RefusedError`` unless what is there under the same id is this archive."""
    if there.state is State.DAMAGED:
        raise RefusedError(
            f"the copy of {one.id} in {target.path} is damaged: {there.why}",
            hint="Look at it, move it away, and copy again.",
        )
    if _identity(one) != _identity(there):
        raise RefusedError(
            f"{target.path} has another archive {one.id}, of {_origin(there)}",
            hint="Give each project a folder of its own to copy to.",
        )


def _identity(one: Shelved) -> tuple[str, ...]:
    """Return what two copies have in common, also when one was recompressed."""
    return identity_of(one.metadata) if one.metadata is not None else ("",)


def identity_of(metadata: Metadata) -> tuple[str, ...]:
    """Return what copies of one archive have in common."""
    if not metadata.is_ours:
        return (metadata.sha256,)
    return metadata.created, metadata.project_root, metadata.system_info.hostname


def _origin(one: Shelved) -> str:
    return one.metadata.project_root if one.metadata is not None else "nobody knows what"


def _copy_one(source: Files, target: Shelf, one: Shelved, sink: Sink) -> None:
    with target.begun(one.id) as inside:
        try:
            for name in source.names():
                copy_file(source, inside, name, sink)
            target.publish(one.id)
        except BaseException:
            _take_back(target, one.id, sink)
            raise


def _take_back(target: Shelf, one: ArchiveId, sink: Sink) -> None:
    """Remove what was begun; the error that brought us here matters more."""
    try:
        target.files.remove_folder(one.partial)
    except TROUBLE as error:
        sink(Notice(f"warning: what was begun stays there: {error.message}"))


def copy_file(source: Files, target: Files, name: str, sink: Sink) -> str:
    """Copy one file, and compare the copy on the disk; its checksum. ``DamageError``."""
    with source.reading(name) as file, target.writing(name) as new:
        hashing = HashingReader(file)
        while piece := hashing.read(_PIECE):
            new.write(piece)
            sink(Advanced(0, len(piece)))
    sha256 = hashing.digest().hex()
    if hash_of(target, name) != sha256:
        raise DamageError(
            f"the copy {target.shown(name)} did not read back as it was written",
            hint="Check the disk, or the share, that it is on.",
        )
    return sha256
