"""Make an archive: written, read back from the disk, and only then an archive."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Final, NamedTuple

import msgspec

from strongroom.archive.codecs import Codec, Write, compressing
from strongroom.archive.files import TROUBLE, Files
from strongroom.archive.hashing import HashingWriter
from strongroom.archive.manifest import Row
from strongroom.archive.metadata import Metadata, Missing, PlainFile, checksum, write_metadata
from strongroom.archive.naming import SEALED, ArchiveId
from strongroom.archive.runlog import RunLog, failed_line, logged
from strongroom.archive.shelf import Shelf, Shelved, State
from strongroom.archive.sums import write_sums
from strongroom.archive.tarwriting import TarWriter
from strongroom.archive.writing import Captured, Choice, Rename, Tally, write_source
from strongroom.clock import Clock, rfc3339
from strongroom.errors import DamageError
from strongroom.model.entry import EntryKind, sort_key
from strongroom.model.events import Notice, PhaseBegan, Sink
from strongroom.model.source import InspectableSource, Item
from strongroom.operations.archives.contents import Seal, Unseal, hash_of
from strongroom.operations.archives.manifests import save_manifest
from strongroom.operations.archives.verifying import Stated, read_back

INCOMPLETE = "incomplete"
DONE = "done"
CONTENTS: Final = "contents"  # of ``verification``: a restore would be able to read it


class Base(NamedTuple):
    """What an incremental archive builds on: the ids, the oldest first, and all that there was."""

    chain: Sequence[str]
    rows: Mapping[bytes, Row]


Beside = Callable[[Files, Sink], Sequence[PlainFile]]


class Packing(NamedTuple):
    """How an archive is compressed, and by how many threads."""

    codec: Codec
    level: int
    jobs: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """How an archive is made.

    ``told``: the metadata as far as it is known beforehand. ``rename`` gives what the source has
    its name in the archive. ``seal`` encrypts; ``unseal`` opens that again to read it back.
    ``beside`` makes the plain files that lie beside it, verified.
    """

    told: Metadata
    rename: Rename
    packing: Packing
    seal: Seal | None = None
    unseal: Unseal | None = None
    base: Base | None = None
    beside: Beside | None = None


class Around(NamedTuple):
    """What a run works with: time, and whoever watches."""

    clock: Clock
    sink: Sink


class _Written(NamedTuple):
    """The archive as it was written: its name, sizes in bytes, its checksum in hexadecimal."""

    name: str
    size: int
    sha256: str
    tar_size: int
    tally: Tally


@dataclass(slots=True)
class _Tree:
    """Collects the rows: of what is written, and of what did not change."""

    id: str
    base: Mapping[bytes, Row]
    rows: list[Row] = field(default_factory=list)

    def keep(self, path: bytes, item: Item) -> bool:
        """Whether a thing has to be written; if not, its row says which archive has it."""
        row = self.base.get(path)
        if row is None or not item.token or row.token != item.token:
            return True
        self.rows.append(row)
        return False

    def take(self, captured: Captured) -> None:
        """Note what was written."""
        entry = captured.entry
        kind = EntryKind(entry.kind)
        size = entry.size if kind == EntryKind.FILE else 0
        self.rows.append(
            Row(
                entry.path,
                kind,
                size,
                captured.sha256,
                captured.token,
                archive=self.id,
                flags=entry.flags,
                linked=entry.link == entry.path,
            )
        )

    def sorted(self) -> list[Row]:
        """Return the rows in the order of a tree."""
        return sorted(self.rows, key=lambda row: sort_key(row.path))


def make(
    shelf: Shelf, new: ArchiveId, recipe: Recipe, source: InspectableSource, around: Around
) -> Metadata:
    """Make an archive in the folder that was begun for it, and let it count.

    What ends it with an error leaves its log in ``ID-failed``, and no archive.
    """
    inside = shelf.files.below(new.partial)
    try:
        with logged(inside, new.log, around.clock) as log:
            heard = Around(around.clock, log.sink(around.sink))
            metadata = _make(inside, new, recipe, source, heard)
            log.say(f"{metadata.status}: {metadata.entries:,} entries")
        _tell_of_log(log, around.sink)
        shelf.publish(new)
    except BaseException as error:
        _keep_log(shelf, new, error, around)
        raise
    return metadata


def _tell_of_log(log: RunLog, sink: Sink) -> None:
    if log.broken is not None:
        sink(Notice(f"warning: its log is not whole: {log.broken.message}"))


def _keep_log(shelf: Shelf, new: ArchiveId, failure: BaseException, around: Around) -> None:
    """Leave the log of a run that failed; the error that brought us here matters more."""
    try:
        shelf.fail(new, failed_line(around.clock, failure))
    except TROUBLE as error:
        around.sink(Notice(f"warning: what was begun stays in {new.partial}: {error.message}"))


def _make(
    inside: Files, new: ArchiveId, recipe: Recipe, source: InspectableSource, around: Around
) -> Metadata:
    clock = around.clock
    began = clock.elapsed()
    plain = tuple(recipe.beside(inside, around.sink)) if recipe.beside is not None else ()
    tree = _Tree(str(new), recipe.base.rows if recipe.base is not None else {})
    written = _write(inside, new, recipe, source, tree, around.sink)
    rows = tree.sorted()
    metadata = _metadata(recipe, written, rows)
    one = Shelved(new, State.UNPROVEN, new.partial, written.name)
    with ThreadPoolExecutor(1, thread_name_prefix="manifest") as beside:  # while hashing waits
        listing = beside.submit(save_manifest, inside, new, rows, recipe.seal)
        verification = _verify(inside, one, recipe, Stated(metadata, rows), around.sink)
    listed = listing.result()
    metadata = msgspec.structs.replace(
        metadata,
        verified=rfc3339(clock.now_ns()),
        verification=verification,
        duration_seconds=round(clock.elapsed() - began, 3),
        plain_files=plain or msgspec.UNSET,
    )
    data = write_metadata(metadata)
    inside.write(new.metadata, data)
    said = hashlib.sha256(data).hexdigest()
    sums = {written.name: written.sha256, listed.name: listed.sha256, new.metadata: said}
    sums |= {one.file: one.sha256 for one in plain}
    inside.write(new.checksum, write_sums(sums))
    for name in (listed.name, new.metadata):
        if hash_of(inside, name) != sums[name]:
            raise _not_as_written(f"{name} is another one")
    return metadata


def _write(
    inside: Files,
    new: ArchiveId,
    recipe: Recipe,
    source: InspectableSource,
    tree: _Tree,
    sink: Sink,
) -> _Written:
    """Write the archive; each layer hands on to the one below it."""
    sink(PhaseBegan("archive"))
    packing = recipe.packing
    name = new.archive(packing.codec.suffix) + (SEALED if recipe.seal else "")
    with inside.writing(name) as file, ExitStack() as stack:
        packed = HashingWriter(file.write)
        out: Write = packed.write
        if recipe.seal is not None:
            out = stack.enter_context(recipe.seal(out))
        out = stack.enter_context(
            compressing(packing.codec, out, level=packing.level, jobs=packing.jobs)
        )
        tar = TarWriter(out)
        choice = Choice(rename=recipe.rename, keep=tree.keep)
        tally = write_source(source, tar, choice, captured=tree.take, sink=sink)
        tar.finish()
        stack.close()  # what is held back comes out before the file is made durable
    return _Written(name, packed.size, packed.digest().hex(), tar.size, tally)


def _metadata(recipe: Recipe, written: _Written, rows: Sequence[Row]) -> Metadata:
    tally = written.tally
    problems = tuple(Missing(_shown(one.path), one.cause) for one in tally.problems)
    sealed = recipe.seal is not None
    return msgspec.structs.replace(
        recipe.told,
        backup_checksum=checksum(written.sha256),
        backup_size=written.size,
        compression_ratio=round(1 - written.size / tally.size, 4) if tally.size else 0.0,
        status=INCOMPLETE if problems else DONE,
        archive=written.name,
        format=recipe.packing.codec.name.lower(),
        compression_level=recipe.packing.level,
        encrypted=sealed,
        entries=tally.entries,
        files=tally.files,
        original_size=tally.size,
        tar_size=written.tar_size,
        deleted=() if sealed else _deleted(recipe.base, rows, problems),
        problems=problems,
    )


def _deleted(
    base: Base | None, rows: Sequence[Row], problems: Sequence[Missing]
) -> tuple[str, ...]:
    """Return what was there and is not any more; what could not be read is not gone."""
    if base is None:
        return ()
    unread = {problem.path for problem in problems}
    gone = base.rows.keys() - {row.path for row in rows}
    return tuple(path for path in map(_shown, sorted(gone, key=sort_key)) if path not in unread)


def _verify(inside: Files, one: Shelved, recipe: Recipe, stated: Stated, sink: Sink) -> str:
    """Read what was written from the disk; ``DamageError`` if it is not what it was made of.

    What only somebody else can open is compared as it is. So is what gzip made, of which every
    block was opened again before it was written.
    """
    metadata = stated.metadata
    sink(PhaseBegan("read back", metadata.entries, metadata.original_size))
    opens = recipe.seal is None or recipe.unseal is not None
    findings: list[str] = []
    if not opens or (recipe.seal is None and recipe.packing.codec is Codec.GZIP):
        sha256 = hash_of(inside, one.name)
    else:
        found = read_back(inside, one, stated, recipe.unseal, sink)
        sha256 = found.contents.sha256 if found.contents is not None else metadata.sha256
        findings = list(found.findings)
    if sha256 != metadata.sha256:
        findings.append("its checksum is another one")
    if findings:
        raise _not_as_written(findings[0])
    return CONTENTS if opens else "checksum"


def _not_as_written(what: str) -> DamageError:
    return DamageError(
        f"the new archive did not read back as it was written: {what}",
        hint="Check the memory and the disk of this machine.",
    )


def _shown(path: bytes) -> str:
    return path.decode("utf-8", "backslashreplace")
