"""What a restore changed in a bucket that keeps versions, so that it can be undone.

Text, a JSON value a line. The first is an object: ``format`` (``strongroom bucket restore``),
``version`` (1), ``bucket``, ``snapshot`` and ``began`` (RFC 3339). Every other one is an array:
``["will", KEY]`` before a key is changed, ``["did", KEY, VERSION]`` afterwards, with the version
that the restore made of it, a delete marker among them. Keys are percent-encoded. A line that was
not written whole, which only the last can be, means nothing.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final, Self
from urllib.parse import quote_from_bytes, unquote_to_bytes

FORMAT: Final = "strongroom bucket restore"
VERSION: Final = 1
_FOLDER: Final = "bucket-restores"
_NEW: Final = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND
_DONE: Final = ".undone"
_NO_VERSION: Final = frozenset({"", "null"})


class Journal:
    """Writes; every call is durable when it returns."""

    def __init__(self, path: Path, header: dict[str, str]) -> None:
        """Make it; OSError."""
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        self.path = path
        self._fd = os.open(path, _NEW, 0o600)
        self._write([{"format": FORMAT, "version": VERSION, **header}])

    def will(self, keys: Sequence[bytes]) -> None:
        """Note what is about to be changed."""
        self._write([["will", quote_from_bytes(key)] for key in keys])

    def did(self, made: Sequence[tuple[bytes, str]]) -> None:
        """Note the versions that were made."""
        self._write([["did", quote_from_bytes(key), version] for key, version in made])

    def _write(self, values: Sequence[object]) -> None:
        if not values:
            return
        text = "".join(json.dumps(value, separators=(",", ":")) + "\n" for value in values)
        data = memoryview(text.encode())
        while data:
            data = data[os.write(self._fd, data) :]
        os.fsync(self._fd)

    def close(self) -> None:
        """Close it."""
        os.close(self._fd)

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close."""
        self.close()


def journal_path(state: Path, bucket: str, began: str) -> Path:
    """Return where the journal of a restore into a bucket is."""
    return state / _FOLDER / bucket / f"{began.replace(':', '')}.journal"


def last_journal(state: Path, bucket: str) -> Path | None:
    """Return the journal of the last restore into a bucket that was not undone; None without."""
    found = sorted((state / _FOLDER / bucket).glob("*.journal"))
    return found[-1] if found else None


def read_journal(path: Path) -> Iterator[list[str]]:
    """Yield its arrays, keys as they stand there; OSError, and ValueError if it is none."""
    with path.open(encoding="utf-8") as file:
        header = json.loads(file.readline())
        if (header.get("format"), header.get("version")) != (FORMAT, VERSION):
            msg = f"{path} is no journal that this version knows"
            raise ValueError(msg)
        for line in file:
            if line.endswith("\n"):
                yield json.loads(line)


def made_in(path: Path) -> tuple[list[tuple[bytes, str]], set[bytes]]:
    """Return the versions that a restore made, and the keys of which it is not known."""
    made: list[tuple[bytes, str]] = []
    open_keys: set[bytes] = set()
    for line in read_journal(path):
        key = unquote_to_bytes(line[1])
        if line[0] == "will":
            open_keys.add(key)
        else:
            open_keys.discard(key)
            made.append((key, line[2]))
    return made, open_keys


def told_apart(
    made: Sequence[tuple[bytes, str]],
) -> tuple[list[tuple[bytes, str]], list[bytes]]:
    """Return the versions that may be deleted, and the keys that got none of their own.

    Where versioning is suspended S3 calls what it made ``null``, in the place of what was ``null``
    before. To delete that, or a key without a version, gives nothing back.
    """
    owned = [(key, version) for key, version in made if version not in _NO_VERSION]
    return owned, [key for key, version in made if version in _NO_VERSION]


def set_aside(path: Path) -> None:
    """Note that a restore was undone."""
    path.rename(path.with_name(path.name + _DONE))
