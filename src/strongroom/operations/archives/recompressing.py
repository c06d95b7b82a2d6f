"""Write an archive anew, compressed otherwise; the old one goes when the new one was read back."""

from __future__ import annotations

import hashlib
from contextlib import ExitStack
from typing import NamedTuple

import msgspec

from strongroom.archive.codecs import Write, compressing
from strongroom.archive.files import TROUBLE, Files
from strongroom.archive.hashing import HashingReader, HashingWriter
from strongroom.archive.metadata import Metadata, checksum, write_metadata
from strongroom.archive.naming import SEALED
from strongroom.archive.shelf import Shelf, Shelved
from strongroom.archive.sums import write_sums
from strongroom.clock import rfc3339
from strongroom.errors import DamageError, RefusedError
from strongroom.model.events import Advanced, Notice, PhaseBegan, Sink
from strongroom.operations.archives.contents import Seal, Unseal, opened
from strongroom.operations.archives.copying import copy_file
from strongroom.operations.archives.making import Around, Packing

_PIECE = 1 << 20


class Recompressed(NamedTuple):
    """Bytes of the archive before and after; ``kept``: why the old one stays."""

    one: Shelved
    before: int
    after: int
    kept: str = ""


def recompress(
    shelf: Shelf,
    one: Shelved,
    packing: Packing,
    seal: Seal | None,
    unseal: Unseal | None,
    around: Around,
) -> Recompressed:
    """Compress one archive anew; where that makes it no smaller it stays.

    ``RefusedError`` for one that is encrypted where the key does not both open and seal.
    """
    metadata = one.metadata
    if metadata is None or not one.is_archive:
        raise RefusedError(f"{one.id} cannot be recompressed: {one.why}")
    if metadata.encrypted and (seal is None or unseal is None):
        raise RefusedError(
            f"{one.id} is encrypted, and stays so: that needs a key that opens and seals",
            hint="Give it with --key-file.",
        )
    with shelf.begun(one.id, anew=True) as inside:
        try:
            old = shelf.below(one)
            sealed = seal if metadata.encrypted else None
            size = _rewrite(old, inside, one, (packing, sealed, unseal), around)
            if size >= one.size:
                shelf.files.remove_folder(one.id.partial)
                return Recompressed(one, one.size, size, "it would not get smaller")
            shelf.replace(one.id)
        except BaseException:
            _take_back(shelf, one, around.sink)
            raise
    return Recompressed(one, one.size, size)


def _take_back(shelf: Shelf, one: Shelved, sink: Sink) -> None:
    try:
        if one.id.partial in shelf.files.names():
            shelf.files.remove_folder(one.id.partial)
    except TROUBLE as error:
        sink(Notice(f"warning: what was begun stays there: {error.message}"))


def _rewrite(
    old: Files,
    new: Files,
    one: Shelved,
    how: tuple[Packing, Seal | None, Unseal | None],
    around: Around,
) -> int:
    """Write all files of the archive into a new folder; the size of the new archive."""
    packing, seal, unseal = how
    metadata = one.metadata or Metadata(backup_timestamp=one.id.stamp)
    around.sink(PhaseBegan(f"recompress {one.id}", 0, metadata.tar_size))
    name = one.id.archive(packing.codec.suffix) + (SEALED if seal else "")
    with new.writing(name) as file, ExitStack() as stack:
        packed = HashingWriter(file.write)
        out: Write = packed.write
        if seal is not None:
            out = stack.enter_context(seal(out))
        out = stack.enter_context(
            compressing(packing.codec, out, level=packing.level, jobs=packing.jobs)
        )
        before = _copied(old, one.name, unseal, out, around.sink)
        stack.close()
    _expect(before, metadata)
    after = _read(new, name, unseal, around.sink)
    if (after.packed, after.tar) != (packed.digest().hex(), before.tar):
        raise DamageError(
            f"{one.id} did not read back as it was written, so the old one stays",
            hint="Check the memory and the disk of this machine.",
        )
    changed = msgspec.structs.replace(
        metadata,
        archive=name,
        format=packing.codec.name.lower(),
        compression_level=packing.level,
        backup_checksum=checksum(after.packed),
        backup_size=packed.size,
        compression_ratio=_ratio(packed.size, metadata),
        verified=rfc3339(around.clock.now_ns()) if metadata.is_ours else metadata.verified,
    )
    sums = {name: after.packed}
    beside = {each.file for each in metadata.beside}
    for other in old.names():
        if other not in {one.name, one.id.checksum, one.id.metadata}:
            sha256 = copy_file(old, new, other, around.sink)
            if other.startswith(one.id.manifest) or other in beside:
                sums[other] = sha256
    data = write_metadata(changed)
    new.write(one.id.metadata, data)
    if metadata.is_ours:
        sums[one.id.metadata] = hashlib.sha256(data).hexdigest()
    new.write(one.id.checksum, write_sums(sums))
    return packed.size


class _Hashes(NamedTuple):
    """In hexadecimal: of the file, and of the tar in it."""

    packed: str
    tar: str


def _copied(old: Files, name: str, unseal: Unseal | None, out: Write, sink: Sink) -> _Hashes:
    """Read a whole archive, and hand its tar on."""
    with opened(old, name, unseal) as archive:
        tar = HashingReader(archive.tar)
        while piece := tar.read(_PIECE):
            out(piece)
            sink(Advanced(0, len(piece)))
        archive.packed.drain()
        return _Hashes(archive.packed.digest().hex(), tar.digest().hex())


def _read(new: Files, name: str, unseal: Unseal | None, sink: Sink) -> _Hashes:
    return _copied(new, name, unseal, lambda _data: None, sink)


def _expect(found: _Hashes, metadata: Metadata) -> None:
    if metadata.sha256 and metadata.sha256 != found.packed:
        raise DamageError(
            f"the archive {metadata.backup_timestamp} is damaged: its checksum is "
            f"{found.packed}, and not {metadata.sha256}",
            hint="It stays as it is. 'strongroom archive verify' says more.",
        )


def _ratio(size: int, metadata: Metadata) -> float:
    if metadata.original_size:
        return round(1 - size / metadata.original_size, 4)
    return metadata.compression_ratio
