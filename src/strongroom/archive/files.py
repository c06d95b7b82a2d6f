"""Files of one folder, by descriptor: made with the access that was decided, whatever the umask.

What the file system refuses becomes a ``FilesError`` that says what could not be done, and why.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from typing import Final

from strongroom.errors import DamageError, RefusedError, StrongroomError
from strongroom.model.fs import Buffer, Fs
from strongroom.system.causes import cause_of

_FOLDER: Final = os.O_RDONLY | os.O_DIRECTORY
_NEW: Final = os.O_WRONLY | os.O_CREAT | os.O_EXCL
_FULL: Final = frozenset({errno.ENOSPC, errno.EDQUOT})


class FilesError(StrongroomError):
    """A file or folder of archives cannot be read or written."""


class TakenError(RefusedError):
    """The name is that of something else already."""


TROUBLE: Final = (FilesError, TakenError, DamageError)
"""What work on the files of archives may end with, and somebody may pass over; never an
interruption, which is an error of this program as well."""


@contextmanager
def _told(what: str) -> Iterator[None]:
    try:
        yield
    except FileExistsError as error:
        raise TakenError(f"{what}: it exists already") from error
    except OSError as error:
        hint = "Make space there, and run the same command again." if error.errno in _FULL else ""
        raise FilesError(f"{what}: {cause_of(error)}", hint=hint) from error


@dataclass(frozen=True, slots=True)
class Access:
    """Modes of folders and files, and who they belong to; None: whoever runs this."""

    folder_mode: int = 0o750
    file_mode: int = 0o640
    uid: int | None = None
    gid: int | None = None

    @property
    def _owner(self) -> tuple[int, int]:
        return (-1 if self.uid is None else self.uid, -1 if self.gid is None else self.gid)

    def of_folder(self, fs: Fs, fd: int) -> None:
        """Give an open folder its access."""
        self._give(fs, fd, self.folder_mode)

    def of_file(self, fs: Fs, fd: int) -> None:
        """Give an open file its access."""
        self._give(fs, fd, self.file_mode)

    def _give(self, fs: Fs, fd: int, mode: int) -> None:
        if self._owner != (-1, -1):
            fs.fchown(fd, *self._owner)
        fs.fchmod(fd, mode)


class OutFile:
    """A new file that is being written."""

    def __init__(self, fs: Fs, fd: int, shown: str) -> None:
        self._fs = fs
        self._fd = fd
        self._shown = shown
        self.size = 0

    def write(self, data: Buffer) -> None:
        """Append all of ``data``."""
        view = memoryview(data)
        self.size += len(view)
        with _told(f"{self._shown} cannot be written"):
            while view:
                view = view[self._fs.write(self._fd, view) :]


class InFile:
    """A file that is being read from its beginning."""

    def __init__(self, fs: Fs, fd: int, shown: str) -> None:
        self._fs = fs
        self._fd = fd
        self._shown = shown

    def read(self, size: int, /) -> bytes:
        """Return up to ``size`` bytes; none at the end."""
        with _told(f"{self._shown} cannot be read"):
            return self._fs.read(self._fd, size)

    def from_disk(self) -> None:
        """Let what is read come from the disk, and not from what the system remembers."""
        with _told(f"{self._shown} cannot be read"):
            self._fs.drop_cache(self._fd)


class Files:
    """What is in one folder; ``path`` is absolute, and may be reached by a link."""

    def __init__(self, fs: Fs, path: bytes, access: Access) -> None:
        self._fs = fs
        self.path = path
        self._access = access

    def below(self, name: str) -> Files:
        """Return the same for a folder in this one."""
        return Files(self._fs, self.path + b"/" + os.fsencode(name), self._access)

    def shown(self, name: str = "") -> str:
        """Return the path of a file, or of the folder, for people."""
        path = self.path + b"/" + os.fsencode(name) if name else self.path
        return path.decode("utf-8", "backslashreplace")

    def make(self, *, exist_ok: bool = False) -> None:
        """Make the folder, with all that lead to it; one that is there keeps its access.

        ``TakenError`` if it is there and that is not ``exist_ok``.
        """
        with _told(f"the folder {self.shown()} cannot be made"):
            missing = [self.path]
            while missing:
                try:
                    self._fs.mkdir(missing[-1], 0o700)
                except FileNotFoundError:
                    missing.append(missing[-1].rpartition(b"/")[0] or b"/")
                    continue
                except FileExistsError:
                    if len(missing) == 1 and not exist_ok:
                        raise
                    self._must_lead_somewhere(missing[-1])
                else:
                    self._dress(missing[-1])
                missing.pop()

    def _must_lead_somewhere(self, path: bytes) -> None:
        """Raise OSError for a link to what is not there, and for what is no folder."""
        self._fs.close(self._fs.open(path + b"/.", _FOLDER))

    def _dress(self, path: bytes) -> None:
        fd = self._fs.open(path, _FOLDER)
        try:
            self._access.of_folder(self._fs, fd)
        finally:
            self._fs.close(fd)

    @contextmanager
    def locked(self) -> Iterator[bool]:
        """Hold the folder for as long as the block lasts; False if somebody else has it."""
        with _told(f"{self.shown()} cannot be locked"):
            fd = self._fs.open(self.path + b"/.", _FOLDER)
        try:
            with _told(f"{self.shown()} cannot be locked"):
                mine = self._fs.try_lock(fd)
            yield mine
        finally:
            self._fs.close(fd)

    def names(self) -> list[str]:
        """Return what is in the folder, sorted; nothing if there is no folder."""
        with _told(f"{self.shown()} cannot be read"):
            try:
                with self._opened() as fd:
                    return sorted(os.fsdecode(name) for name in self._fs.names(fd))
            except FileNotFoundError:
                return []

    def folders(self) -> list[str]:
        """Return what in the folder is one itself, or a link that may lead to one; sorted."""
        names = self.names()
        with _told(f"{self.shown()} cannot be looked at"), ExitStack() as stack:
            fd = stack.enter_context(self._opened()) if names else -1
            return [name for name in names if not self._is_file(name, fd)]

    def _is_file(self, name: str, fd: int) -> bool:
        try:
            mode = self._fs.stat(os.fsencode(name), dir_fd=fd).mode
        except FileNotFoundError:
            return True  # it went meanwhile
        return not stat.S_ISDIR(mode) and not stat.S_ISLNK(mode)

    def size(self, name: str) -> int:
        """Return the bytes in a file."""
        with _told(f"{self.shown(name)} cannot be looked at"), self._opened() as fd:
            return self._fs.stat(os.fsencode(name), dir_fd=fd).size

    def read(self, name: str, limit: int) -> bytes:
        """Return a whole file; ``FilesError`` if it is larger than ``limit``."""
        with self.reading(name) as file:
            parts = []
            while part := file.read(1 << 20):
                parts.append(part)
                limit -= len(part)
                if limit < 0:
                    raise FilesError(f"{self.shown(name)} is too large to be meant")
            return b"".join(parts)

    @contextmanager
    def reading(self, name: str) -> Iterator[InFile]:
        """Open a file."""
        with _told(f"{self.shown(name)} cannot be read"), self._opened() as here:
            fd = self._fs.open(os.fsencode(name), os.O_RDONLY, dir_fd=here)
        try:
            yield InFile(self._fs, fd, self.shown(name))
        finally:
            self._fs.close(fd)

    @contextmanager
    def writing(self, name: str) -> Iterator[OutFile]:
        """Make a new file; it is durable when the block ends well."""
        what = f"{self.shown(name)} cannot be written"
        with _told(what), self._opened() as here:
            fd = self._fs.open(os.fsencode(name), _NEW, dir_fd=here, mode=0o600)
        try:
            with _told(what):
                self._access.of_file(self._fs, fd)
            yield OutFile(self._fs, fd, self.shown(name))
            with _told(what):
                self._fs.fsync(fd)
        finally:
            self._fs.close(fd)

    def write(self, name: str, data: Buffer) -> None:
        """Make a new file of these bytes."""
        with self.writing(name) as file:
            file.write(data)

    def rename(self, old: str, new: str) -> None:
        """Give something in the folder another name, which is free; durable afterwards."""
        with _told(f"{self.shown(old)} cannot become {new}"), self._opened() as fd:
            self._fs.rename_new(os.fsencode(old), os.fsencode(new), old_dir_fd=fd, dir_fd=fd)
            self._fs.fsync(fd)

    def sync(self) -> None:
        """Make durable which names there are."""
        with _told(f"{self.shown()} cannot be made durable"), self._opened() as fd:
            self._fs.fsync(fd)

    def remove(self, name: str) -> None:
        """Remove a file, if it is there."""
        with (
            _told(f"{self.shown(name)} cannot be removed"),
            self._opened() as fd,
            suppress(FileNotFoundError),
        ):
            self._fs.unlink(os.fsencode(name), dir_fd=fd)

    def remove_folder(self, name: str, *, by_way_of: str = "") -> None:
        """Remove a folder that holds only files; ``FilesError`` if there is more in it.

        ``by_way_of``: the name that it has while it is half removed.
        """
        self._refuse_folders(name)
        if by_way_of:
            self.rename(name, by_way_of)
            name = by_way_of
        inside = self.below(name)
        for one in inside.names():
            inside.remove(one)
        with _told(f"{self.shown(name)} cannot be removed"), self._opened() as fd:
            self._fs.rmdir(os.fsencode(name), dir_fd=fd)
            self._fs.fsync(fd)

    def _refuse_folders(self, folder: str) -> None:
        names = self.below(folder).names()
        with _told(f"{self.shown(folder)} cannot be looked at"), self._opened() as fd:
            for name in names:
                path = f"{folder}/{name}"
                if stat.S_ISDIR(self._fs.stat(os.fsencode(path), dir_fd=fd).mode):
                    raise FilesError(
                        f"{self.shown(path)} is a folder, and not ours",
                        hint="Move it away; nothing was removed.",
                    )

    @contextmanager
    def _opened(self) -> Iterator[int]:
        fd = self._fs.open(self.path + b"/.", _FOLDER)
        try:
            yield fd
        finally:
            self._fs.close(fd)
