"""The checksums beside an archive, compared with its files."""

from __future__ import annotations

from collections.abc import Iterator

from strongroom.archive.files import TROUBLE, Files
from strongroom.archive.metadata import LARGEST
from strongroom.archive.naming import SEALED
from strongroom.archive.shelf import Shelved
from strongroom.archive.sums import read_sums
from strongroom.operations.archives.contents import hash_of


def wrong_beside(files: Files, one: Shelved) -> Iterator[str]:
    """Yield what is wrong with the files beside an archive, the small ones, and with their list.

    The archive itself is not read, and no plain file: that the list and the metadata state the same
    of them is enough. Without metadata that can be read they are, since nothing else would be.
    """
    shown = f"{one.id}/{one.id.checksum}"
    ours = one.metadata is None or one.metadata.is_ours
    try:
        data = files.read(one.id.checksum, LARGEST)
        sums = read_sums(data, shown, ours=ours)
    except TROUBLE as error:
        yield error.message
        return
    wanted = [one.name] if one.name else []
    if one.metadata is not None and one.metadata.is_ours:
        sealed = SEALED if one.metadata.encrypted else ""
        wanted += [one.id.manifest + sealed, one.id.metadata]
    for name in wanted:
        if name not in sums:
            yield f"{shown} does not name {name}"
    if (
        one.metadata
        and one.metadata.sha256
        and sums.get(one.name) not in {None, one.metadata.sha256}
    ):
        yield f"{shown} and {one.id.metadata} state different checksums of {one.name}"
    plain = {each.file: each.sha256 for each in one.metadata.beside} if one.metadata else {}
    for name, stated in plain.items():
        if sums.get(name) != stated:
            yield f"{shown} and {one.id.metadata} state different checksums of {name}"
    for name, stated in sums.items():
        if (name != one.name and name not in plain) or one.metadata is None:
            yield from _wrong(files, one, name, stated)


def _wrong(files: Files, one: Shelved, name: str, stated: str) -> Iterator[str]:
    try:
        found = hash_of(files, name)
    except TROUBLE as error:
        yield error.message
    else:
        if found != stated:
            yield (
                f"{one.id}/{name} is damaged: its checksum is {found}, and {one.id.checksum} "
                f"states {stated}"
            )
