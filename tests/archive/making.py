"""Archives as a test needs them, and what GNU tar makes of them."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NamedTuple

from strongroom.archive.tarreading import read_tar
from strongroom.archive.tarwriting import TarWriter
from strongroom.archive.writing import Captured, Choice, Tally, below, write_source
from strongroom.model.entry import Entry, EntryKind
from strongroom.model.fs import Buffer, Fs
from tests.support.memory_backup import files_source, tree_path

WHEN_NS: Final = 1_600_000_000_000_000_000


class Chunks:
    """A ``Readable`` that gives at most ``most`` bytes at once."""

    def __init__(self, data: bytes, most: int = 1 << 20) -> None:
        self._data = data
        self._most = most
        self._at = 0

    def read(self, size: int, /) -> bytes:
        data = self._data[self._at : self._at + min(size, self._most)]
        self._at += len(data)
        return data


class Sink:
    """Takes what is written."""

    def __init__(self) -> None:
        self._data = bytearray()

    def write(self, data: Buffer) -> None:
        self._data += data

    @property
    def data(self) -> bytes:
        return bytes(self._data)


class Seen(NamedTuple):
    """A member that was read."""

    entry: Entry
    data: bytes


def thing(path: bytes, kind: int = EntryKind.FILE, *, size: int = 0, link: bytes = b"") -> Entry:
    """Return an entry with nothing remarkable."""
    mode = 0o755 if kind == EntryKind.DIRECTORY else 0o644
    return Entry(path, int(kind), mode, 1000, 1001, b"app", b"staff", WHEN_NS, size, link=link)


def tar_of(*things: tuple[Entry, bytes] | Entry) -> bytes:
    """Return an archive of things, each with its bytes where it has any."""
    out = Sink()
    tar = TarWriter(out.write)
    for one in things:
        entry, data = one if isinstance(one, tuple) else (one, b"")
        assert tar.add(entry, data)
    tar.finish()
    return out.data


def members_of(data: bytes, most: int = 1 << 20) -> list[Seen]:
    """Read a whole archive."""
    return [Seen(member.entry, member.read()) for member in read_tar(Chunks(data, most))]


@dataclass
class Archived:
    """An archive of a folder, and what was told of it."""

    data: bytes
    tally: Tally
    captured: list[Captured]


def archive_of(
    folder: Path, choice: Choice | None = None, *, large: int = 1 << 20, fs: Fs | None = None
) -> Archived:
    """Archive what is below a folder, with names relative to it."""
    out = Sink()
    tar = TarWriter(out.write)
    captured: list[Captured] = []
    choice = choice or Choice(below(tree_path(folder)), large=large)
    with files_source(folder, fs=fs) as source:
        tally = write_source(source, tar, choice, captured=captured.append)
    tar.finish()
    return Archived(out.data, tally, captured)


def extract(data: bytes, folder: Path, *options: str) -> None:
    """Let GNU tar extract an archive with everything in it; it may not fail."""
    folder.mkdir()
    command = ["tar", "--xattrs", "--xattrs-include=*", "--warning=no-timestamp", *options]
    command += ["-xpf", "-", "-C", str(folder)]
    subprocess.run(command, input=data, check=True)


def made_by_tar(folder: Path, *options: str, names: Sequence[str] | None = None) -> bytes:
    """Let GNU tar archive what is in a folder, by the names that it has there."""
    listed = sorted(one.name for one in folder.iterdir()) if names is None else names
    command = ["tar", "-c", "-f", "-", *options, "-C", str(folder), "--", *listed]
    return subprocess.run(command, check=True, capture_output=True).stdout


def headers_of(data: bytes) -> Iterator[int]:
    """Yield where header blocks of an archive without sparse files begin, by their magic."""
    for at in range(0, len(data), 512):
        if data[at + 257 : at + 262] == b"ustar":
            yield at
