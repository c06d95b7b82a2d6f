"""What lies below the root of a local store: objects, directories, temporary files."""

from __future__ import annotations

import stat
from collections.abc import Iterator
from typing import Final, NamedTuple

from strongroom.errors import StoreError
from strongroom.model.fs import Fs
from strongroom.model.store import MAX_KEY_LENGTH, ObjectInfo
from strongroom.storage.arguments import TEMPORARY_PREFIX
from strongroom.storage.local_directories import Directories, Path
from strongroom.storage.local_errors import NoRootError, RemovedError, store_errors

_KEY_BYTES: Final = b"abcdefghijklmnopqrstuvwxyz0123456789_.-"
_TEMPORARY: Final = TEMPORARY_PREFIX.encode()


class Content(NamedTuple):
    """What one directory holds, in no order; ``files`` with their sizes in bytes and times."""

    files: list[tuple[bytes, int, int]]
    directories: list[bytes]
    temporaries: list[bytes]


class Tree:
    """Reads directories; what has no name of a key, such as ``lost+found``, is not looked at.

    Every method raises StoreError if a directory cannot be read, or vanishes after it was seen:
    a store never removes one, so objects would be missing from a listing without a reason.
    """

    def __init__(self, fs: Fs, directories: Directories, url: str) -> None:
        self._fs = fs
        self._directories = directories
        self._url = url

    def objects(self, top: Path) -> Iterator[ObjectInfo]:
        """Yield every object below ``top``, in ascending order of key; none if it is missing."""
        content = self._top(top)
        if content is not None:
            yield from self._objects(top, content)

    def directories(self, top: Path) -> Iterator[tuple[Path, Content]]:
        """Yield ``top`` and every directory below it; none if it is missing."""
        content = self._top(top)
        if content is not None:
            yield from self._walk(top, content)

    def place(self, path: Path) -> str:
        """Return how a person would write the path of a directory."""
        return b"/".join((self._url.encode(errors="surrogateescape"), *path)).decode(
            errors="surrogateescape"
        )

    def _objects(self, path: Path, content: Content) -> Iterator[ObjectInfo]:
        rows: list[tuple[bytes, int, int]] = [*content.files]
        rows += [(name + b"/", 0, 0) for name in content.directories]
        rows.sort()  # a directory by its slash, since "a-b" comes before "a/c"
        for name, size, stored_ns in rows:
            if name.endswith(b"/"):
                below = (*path, name[:-1])
                yield from self._objects(below, self._content(below))
            else:
                key = b"/".join((*path, name)).decode("ascii")
                yield ObjectInfo(key, size, stored_ns)

    def _walk(self, path: Path, content: Content) -> Iterator[tuple[Path, Content]]:
        yield path, content
        for name in content.directories:
            below = (*path, name)
            yield from self._walk(below, self._content(below))

    def _top(self, path: Path) -> Content | None:
        with store_errors(f"cannot list {self.place(path)}"):
            try:
                return self._read(path)
            except NoRootError:
                raise
            except FileNotFoundError:
                return None

    def _content(self, path: Path) -> Content:
        with store_errors(f"cannot list {self.place(path)}"):
            try:
                return self._read(path)
            except (FileNotFoundError, RemovedError) as error:
                raise StoreError(
                    f"cannot list {self.place(path)}: the folder vanished meanwhile",
                    hint="Find out who removes folders there; strongroom never does.",
                ) from error

    def _read(self, path: Path) -> Content:
        content = Content([], [], [])
        room = MAX_KEY_LENGTH - sum(map(len, path)) - len(path)
        with self._directories.lease(path) as fd:
            for name in self._fs.names(fd):
                if name.startswith(_TEMPORARY):
                    content.temporaries.append(name)
                elif len(name) <= room and not name.translate(None, _KEY_BYTES):
                    self._add(content, name, path, fd)
            self._directories.check_not_removed(path)
        return content

    def _add(self, content: Content, name: bytes, path: Path, fd: int) -> None:
        try:
            found = self._fs.stat(name, dir_fd=fd)
        except FileNotFoundError:
            return  # deleted since its directory was read
        if stat.S_ISREG(found.mode):
            content.files.append((name, found.size, found.mtime_ns))
        elif stat.S_ISDIR(found.mode):
            content.directories.append(name)
        else:
            raise StoreError(
                f"{self.place((*path, name))} is neither a file nor a folder",
                hint="A store holds no symbolic links or special files: move it away.",
            )
