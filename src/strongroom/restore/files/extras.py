"""What a target holds that a snapshot does not: looked at and removed, one name at a time.

As everywhere in a restore, no path of more than one component is given to the system, and no
symbolic link is followed.
"""

from __future__ import annotations

import stat
from collections.abc import Sequence

from strongroom.model.fs import Fs
from strongroom.model.source import Extra
from strongroom.restore.files.tools import Tools
from strongroom.system.directories import Directories, Directory


class Below:
    """The directories below one, each by its path; for one thread."""

    def __init__(self, directories: Directories, base: Directory) -> None:
        self._directories = directories
        self._known = {b"": base}

    def find(self, path: bytes) -> Directory:
        """Open a directory, each of its parents first; OSError if one of them is none."""
        found = self._known.get(path)
        if found is None:
            parent, _, name = path.rpartition(b"/")
            missing = [name]
            while parent not in self._known:
                parent, _, name = parent.rpartition(b"/")
                missing.append(name)
            found = self._known[parent]
            for name in reversed(missing):
                found = self._directories.enter(found, name)
                parent = parent + b"/" + name if parent else name
                self._known[parent] = found
        return found


class Looking:
    """Looks at a target that is not there yet, or in use."""

    def __init__(self, fs: Fs, directories: Directories, base: Directory) -> None:
        self._fs = fs
        self._directories = directories
        self._base = base
        self._below = Below(directories, base)

    def names(self, path: bytes) -> Sequence[tuple[bytes, bool]] | None:
        """Return the sorted names in a directory, each with whether it is a directory.

        None where there is none, where it cannot be read, or on another file system than the
        target: nothing in there is ever removed.
        """
        try:
            directory = self._below.find(path)
            if directory.identity[0] != self._base.identity[0]:
                return None
            with self._directories.use(directory) as fd:
                return [(name, self._is_directory(name, fd)) for name in sorted(self._fs.names(fd))]
        except OSError:
            return None  # so it stays

    def _is_directory(self, name: bytes, dir_fd: int) -> bool:
        return stat.S_ISDIR(self._fs.stat(name, dir_fd=dir_fd).mode)


def remove_extras(tools: Tools, base: Directory, extras: Sequence[Extra]) -> int:
    """Remove things, in this order; the number removed. What cannot be is reported."""
    below = Below(tools.directories, base)
    removed = 0
    for extra in extras:
        parent, _, name = extra.path.rpartition(b"/")
        try:
            with tools.directories.use(below.find(parent)) as dir_fd:
                if extra.is_directory:
                    tools.fs.rmdir(name, dir_fd=dir_fd)
                else:
                    tools.fs.unlink(name, dir_fd=dir_fd)
        except FileNotFoundError:
            removed += 1  # by somebody else
        except OSError as error:
            tools.fail_to_remove(extra.path, error)
        else:
            removed += 1
    return removed
