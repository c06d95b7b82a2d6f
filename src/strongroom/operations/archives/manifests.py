"""Manifests beside archives: encrypted where the archive is, for they name everything."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from typing import Final, NamedTuple

from strongroom.archive.files import Files
from strongroom.archive.hashing import HashingWriter
from strongroom.archive.manifest import LARGEST, Row, read_manifest, write_manifest
from strongroom.archive.metadata import Metadata
from strongroom.archive.naming import SEALED, ArchiveId
from strongroom.errors import DamageError, KeyRefusedError
from strongroom.operations.archives.contents import Seal, Unseal

_PIECE: Final = 1 << 20


class Saved(NamedTuple):
    """A file that was written, and its checksum in hexadecimal."""

    name: str
    sha256: str


def save_manifest(files: Files, one: ArchiveId, rows: Sequence[Row], seal: Seal | None) -> Saved:
    """Write the manifest of an archive."""
    data = write_manifest(str(one), rows)
    name = one.manifest + (SEALED if seal else "")
    with files.writing(name) as file:
        out = HashingWriter(file.write)
        with ExitStack() as stack:
            write = stack.enter_context(seal(out.write)) if seal else out.write
            write(data)
    return Saved(name, out.digest().hex())


def load_manifest(
    files: Files, one: ArchiveId, metadata: Metadata, unseal: Unseal | None
) -> list[Row]:
    """Read the manifest of an archive that we made.

    ``DamageError``, ``FilesError``, ``KeyRefusedError``.
    """
    name = one.manifest + (SEALED if metadata.encrypted else "")
    shown = f"{one}/{name}"
    if metadata.encrypted and unseal is None:
        raise KeyRefusedError(
            f"{one} is encrypted, and no key was given",
            hint="Give the key file that it was made with, or an age identity: --key-file FILE.",
        )
    parts, left = [], LARGEST
    with files.reading(name) as file, ExitStack() as stack:
        sealed = metadata.encrypted and unseal is not None
        plain = stack.enter_context(unseal(file)) if sealed and unseal else file
        while part := plain.read(_PIECE):
            parts.append(part)
            left -= len(part)
            if left < 0:
                raise DamageError(f"{shown} is larger than any manifest")
    return read_manifest(b"".join(parts), str(one), shown)
