"""What every part of one restore works with."""

from __future__ import annotations

import errno
from threading import Lock
from typing import Final

from strongroom.errors import RestoreError
from strongroom.model.fs import Fs
from strongroom.model.source import Problem, Report
from strongroom.restore.files.attributes import Attributes
from strongroom.restore.files.naming import Names
from strongroom.restore.files.shortfalls import Shortfalls
from strongroom.system.causes import cause_of
from strongroom.system.directories import Directories

FAILED: Final = (OSError, ValueError, OverflowError)
_HOPELESS: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EROFS})


class Tools:
    """The file system, and how this restore names, dresses and reports things."""

    def __init__(
        self,
        fs: Fs,
        directories: Directories,
        names: Names,
        attributes: Attributes,
        shortfalls: Shortfalls,
        report: Report,
    ) -> None:
        self.fs = fs
        self.directories = directories
        self.names = names
        self.attributes = attributes
        self.shortfalls = shortfalls
        self._report = report
        self._lock = Lock()

    def report(self, path: bytes, cause: str, *, missing: bool = True) -> None:
        """Report a problem; one thread at a time."""
        with self._lock:
            self._report(Problem(path, cause, missing))

    def fail_to_remove(self, path: bytes, error: OSError) -> None:
        """Report something that should go and is still there."""
        self.report(path, f"it could not be removed ({cause_of(error)})", missing=False)

    def fail(self, path: bytes, error: OSError | ValueError | OverflowError) -> None:
        """Report an entry that could not be restored; ``RestoreError`` if none can be any more."""
        if not isinstance(error, OSError):
            self.report(path, "it has a value that this system does not know")
            return
        if error.errno in _HOPELESS:
            shown = path.decode("utf-8", "backslashreplace")
            raise RestoreError(
                f"the restore stopped at {shown!r}: {cause_of(error)}",
                hint="Make room in the target, or name another one, and restore again.",
            ) from error
        self.report(path, cause_of(error))
