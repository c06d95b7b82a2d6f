"""Read an archive as a restore would, and compare everything that is said of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Final, NamedTuple

from strongroom.archive.files import TROUBLE, Files, FilesError
from strongroom.archive.manifest import Row
from strongroom.archive.metadata import Metadata
from strongroom.archive.naming import ArchiveId
from strongroom.archive.runlog import log_line
from strongroom.archive.shelf import Shelf, Shelved, State
from strongroom.clock import Clock, rfc3339
from strongroom.errors import DamageError, KeyRefusedError
from strongroom.model.entry import EntryKind
from strongroom.model.events import PhaseBegan, Sink
from strongroom.operations.archives.contents import Thing, Unseal, hash_of, opened, things
from strongroom.operations.archives.manifests import load_manifest
from strongroom.operations.archives.plainfiles import Restorers, read_plain
from strongroom.operations.archives.sums import wrong_beside

_MOST: Final = 100  # findings of one archive; the rest is counted


class Verified(NamedTuple):
    """What reading an archive came to; sizes in bytes. ``findings`` is empty if all is well.

    ``closed``: why it could not be opened, so that only its checksum was compared. ``plain``: what
    read each of its plain files, by their names.
    """

    one: Shelved
    findings: Sequence[str]
    entries: int
    size: int
    seconds: float
    closed: str = ""
    plain: Mapping[str, str] = MappingProxyType({})


class Stated(NamedTuple):
    """What is said of an archive: its rows are None where it has no manifest."""

    metadata: Metadata
    rows: Sequence[Row] | None


class Contents(NamedTuple):
    """What was read: the checksum of the file in hexadecimal, and its things."""

    sha256: str
    size: int
    entries: int
    original: int


def verify(
    shelf: Shelf,
    one: Shelved,
    unseal: Unseal | None,
    restorers: Restorers,
    clock: Clock,
    sink: Sink,
) -> Verified:
    """Read one archive whole, with its plain files, and say everything that is wrong with it.

    Of one that is encrypted, and that no key opens here, the checksum is compared.
    """
    began = clock.elapsed()
    sink(PhaseBegan(f"verify {one.id}", 0, _tar_size(one)))
    files = shelf.below(one)
    findings = [one.why] if one.state is State.DAMAGED and not one.marked else []
    findings += wrong_beside(files, one)
    if not one.name or one.metadata is None:
        return Verified(one, _bounded(findings), 0, 0, clock.elapsed() - began)
    findings += _metadata_findings(one.id, one.metadata)
    plain = {}
    for each in one.metadata.beside:
        read = read_plain(files, each, unseal, restorers, sink)
        plain[each.file] = read.how
        findings += [f"{one.id}/{finding}" for finding in read.findings]
    try:
        rows = _rows(files, one, unseal, findings)
        found = read_back(files, one, Stated(one.metadata, rows), unseal, sink)
    except KeyRefusedError as error:
        return _by_checksum(files, one, findings, error.message, clock.elapsed() - began)
    findings += found.findings
    contents = found.contents or Contents("", 0, 0, 0)
    if found.contents is not None:
        findings += _compare(one, contents)
    findings += _chain_findings(shelf, one, rows, unseal)
    seconds = clock.elapsed() - began
    bounded = _bounded(findings)
    return Verified(one, bounded, contents.entries, contents.original, seconds, plain=plain)


def note(shelf: Shelf, found: Verified, clock: Clock) -> None:
    """Write down beside an archive that it is damaged, or that it is not any more.

    Whoever cleans up or asks for the last good one goes by that. ``FilesError``.
    """
    one = found.one
    files = shelf.below(one)
    if found.findings and one.name and one.state is not State.DAMAGED:
        files.write(one.id.damage, b"".join(log_line(clock, "ERROR", t) for t in found.findings))
        files.sync()
    elif one.marked and not found.findings and not found.closed:
        files.remove(one.id.damage)
        files.sync()


def _by_checksum(
    files: Files, one: Shelved, findings: list[str], closed: str, seconds: float
) -> Verified:
    try:
        sha256 = hash_of(files, one.name)
    except TROUBLE as error:
        findings.append(error.message)
    else:
        findings += _compare_checksum(one, sha256)
    return Verified(one, _bounded(findings), 0, 0, seconds, closed)


def _tar_size(one: Shelved) -> int:
    return one.metadata.original_size if one.metadata is not None else 0


def _bounded(findings: Sequence[str]) -> list[str]:
    more = len(findings) - _MOST
    rest = [f"and {more:,} findings more"] if more > 0 else []
    return [*findings[:_MOST], *rest]


def _metadata_findings(one: ArchiveId, metadata: Metadata) -> Iterator[str]:
    """Yield the fields of the guide that are missing."""
    for name, is_there in (
        ("backup_version", metadata.backup_version),
        ("backup_checksum", metadata.sha256),
        ("backup_size", metadata.backup_size >= 0),
        ("backup_scope", metadata.backup_scope),
        ("project_root", metadata.project_root),
    ):
        if not is_there:
            yield f"{one}/{one.metadata} does not state {name}"


def _rows(
    files: Files, one: Shelved, unseal: Unseal | None, findings: list[str]
) -> list[Row] | None:
    if one.metadata is None or not one.metadata.is_ours:
        return None
    try:
        return load_manifest(files, one.id, one.metadata, unseal)
    except KeyRefusedError:
        raise
    except TROUBLE as error:
        findings.append(error.message)
        return None


class ReadBack(NamedTuple):
    """What came of reading; ``contents`` is None where it could not be read to its end."""

    contents: Contents | None
    findings: Sequence[str]


def read_back(
    files: Files, one: Shelved, stated: Stated, unseal: Unseal | None, sink: Sink
) -> ReadBack:
    """Read every byte of an archive, and compare each thing with its row in the manifest."""
    findings: list[str] = []
    compare = _Comparison(str(one.id), stated.rows, findings)
    entries = original = 0
    try:
        with opened(files, one.name, unseal) as archive:
            for thing in things(archive.tar, sink):
                entries += 1
                original += thing.entry.size if thing.sha256 else 0
                compare.take(thing)
            archive.packed.drain()
            packed = archive.packed
            contents = Contents(packed.digest().hex(), packed.size, entries, original)
    except KeyRefusedError:
        raise
    except TROUBLE as error:
        return ReadBack(None, [*findings, f"{one.id}/{one.name}: {error.message}"])
    compare.finish()
    return ReadBack(contents, findings)


class _Comparison:
    """Compares what is read with the manifest, or, without one, with itself."""

    def __init__(self, archive: str, rows: Sequence[Row] | None, findings: list[str]) -> None:
        mine = [row for row in rows or () if row.archive == archive]
        self._left: dict[bytes, Row] | None = None if rows is None else {r.path: r for r in mine}
        self._seen: set[bytes] = set()
        self._files: set[bytes] = set()
        self._links: dict[bytes, bytes] = {}
        self._findings = findings

    def take(self, thing: Thing) -> None:
        entry = thing.entry
        if not entry.path:
            return
        if entry.path in self._seen:
            self._findings.append(f"{_shown(entry.path)} is in the archive twice")
            return
        self._seen.add(entry.path)
        if entry.kind == EntryKind.FILE:
            if entry.link and entry.link != entry.path:
                self._links[entry.path] = entry.link
            else:
                self._files.add(entry.path)
        if self._left is not None:
            self._compare(thing, self._left.pop(entry.path, None))

    def _compare(self, thing: Thing, row: Row | None) -> None:
        path = thing.entry.path
        if row is None:
            self._findings.append(f"{_shown(path)} is in the archive, and not in its manifest")
        elif row.kind != thing.entry.kind:
            self._findings.append(f"{_shown(path)} is another kind of thing than its manifest says")
        elif thing.sha256 and (thing.sha256, thing.entry.size) != (row.sha256, row.size):
            self._findings.append(
                f"{_shown(path)} is damaged: its bytes are not those it was made of"
            )

    def finish(self) -> None:
        for path in self._left or ():
            self._findings.append(f"{_shown(path)} is missing in the archive")
        for path, link in self._links.items():
            if link not in self._files:
                self._findings.append(
                    f"{_shown(path)} is a further name of {_shown(link)}, which is not there"
                )


def _compare(one: Shelved, contents: Contents) -> Iterator[str]:
    metadata = one.metadata
    if metadata is None:
        return
    yield from _compare_checksum(one, contents.sha256)
    if metadata.is_ours and metadata.entries != contents.entries:
        yield f"{one.name} holds {contents.entries:,} things, and not {metadata.entries:,}"


def _compare_checksum(one: Shelved, sha256: str) -> Iterator[str]:
    stated = one.metadata.sha256 if one.metadata is not None else ""
    if stated and stated != sha256:
        yield f"{one.id}/{one.name} is damaged: its checksum is {sha256}, and not {stated}"


def _chain_findings(
    shelf: Shelf, one: Shelved, rows: Sequence[Row] | None, unseal: Unseal | None
) -> Iterator[str]:
    """Look whether what an incremental archive takes from others is there."""
    wanted = {row.archive for row in rows or ()} - {str(one.id)}
    listed = {str(other.id): other for other in shelf.listed() if other.is_archive}
    for name in sorted(wanted):
        base = listed.get(name)
        if base is None or base.metadata is None or base.state is State.DAMAGED:
            why = base.why if base is not None else "it is gone"
            yield f"{one.id} needs {name}: {why}"
            continue
        held = _held(shelf, base, unseal)
        missing = [
            row
            for row in rows or ()
            if row.archive == name and held.get(row.path) != (row.kind, row.size, row.sha256)
        ]
        for row in missing[:_MOST]:
            yield f"{one.id} needs {_shown(row.path)} of {name}, which does not hold it so"


def _held(
    shelf: Shelf, base: Shelved, unseal: Unseal | None
) -> Mapping[bytes, tuple[EntryKind, int, bytes]]:
    if base.metadata is None:
        return {}
    try:
        rows = load_manifest(shelf.below(base), base.id, base.metadata, unseal)
    except (DamageError, FilesError):
        return {}  # then nothing of it is as it should be, which is said of each
    mine = str(base.id)
    return {row.path: (row.kind, row.size, row.sha256) for row in rows if row.archive == mine}


def verified_at(clock: Clock) -> str:
    """Return the time as metadata has it."""
    return rfc3339(clock.now_ns())


def _shown(path: bytes) -> str:
    return path.decode("utf-8", "backslashreplace")
