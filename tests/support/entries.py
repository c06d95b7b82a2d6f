"""Entries as a test needs them."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from pathlib import Path

import msgspec

from strongroom.model.entry import EXTENT, Entry, EntryKind
from strongroom.model.source import OpenFile
from strongroom.restore.files.target import FilesTarget
from tests.support.compare_trees import describe

WHEN_NS = 1_600_000_000_123_456_789


def file(path: bytes | str, data: bytes = b"data", link: bytes = b"") -> Entry:
    """Return a file with the content of ``data``."""
    content = EXTENT.pack(hashlib.sha256(data).digest(), len(data)) if data else b""
    made = thing(path, EntryKind.FILE, mode=0o644)
    return msgspec.structs.replace(made, size=len(data), content=content, link=link)


def directory(path: bytes | str, mode: int = 0o755) -> Entry:
    """Return a directory."""
    return thing(path, EntryKind.DIRECTORY, mode=mode)


def symlink(path: bytes | str, target: bytes) -> Entry:
    """Return a symbolic link."""
    return msgspec.structs.replace(thing(path, EntryKind.SYMLINK, mode=0o777), target=target)


def thing(path: bytes | str, kind: int, *, mode: int = 0o600) -> Entry:
    """Return anything that belongs to the one who runs the test."""
    raw = path.encode() if isinstance(path, str) else path
    return Entry(raw, kind, mode, os.geteuid(), os.getegid(), b"", b"", WHEN_NS, 0)


def restore(target: FilesTarget, *entries: Entry, data: bytes = b"data") -> list[Entry]:
    """Restore entries whose files all hold ``data`` or nothing; return those that were wanted."""
    wanted = list(target.place(entries))
    fill(target, wanted, data)
    target.finish()
    return wanted


def fill(target: FilesTarget, wanted: Sequence[Entry], data: bytes = b"data") -> int:
    """Write the wanted files."""
    return target.write([(entry, data if entry.size else b"") for entry in wanted])


def begun(target: FilesTarget, entry: Entry) -> OpenFile:
    """Place a large file and begin to write it."""
    target.place([entry])
    opened = target.open(entry)
    assert opened is not None
    return opened


def names_in(top: Path) -> set[str]:
    """Return the path of everything below ``top``, relative to it."""
    return {os.fsdecode(path) for path in describe(top) if path}
