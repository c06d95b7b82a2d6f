"""Files that hold a secret: made anew, readable by their owner alone, durable before they count."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

from strongroom.errors import RefusedError, StrongroomError, UsageError
from strongroom.system.causes import cause_of


class SecretFile:
    """A new, empty file with mode 0600. ``RefusedError`` if there is one, ``UsageError``."""

    def __init__(self, path: Path, what: str) -> None:
        self.path = path
        self._what = what
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
        try:
            os.close(os.open(path, flags, 0o600))
        except FileExistsError as error:
            raise RefusedError(
                f"{path} exists already", hint=f"Name another file for the {what}."
            ) from error
        except FileNotFoundError as error:
            raise UsageError(
                f"cannot make the {what} {path}: the folder {path.parent} does not exist"
            ) from error
        except OSError as error:
            raise self._failed(error) from error

    def write(self, text: str) -> None:
        """Write all of it and make it durable, name and all; ``UsageError``."""
        try:
            with self.path.open("wb", buffering=0) as file:
                file.write(text.encode())
                os.fsync(file.fileno())
            folder = os.open(self.path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)
        except OSError as error:
            raise self._failed(error) from error

    def remove(self) -> None:
        """Take it away again, if that is possible."""
        with contextlib.suppress(OSError):
            self.path.unlink()

    def _failed(self, error: OSError) -> StrongroomError:
        return UsageError(f"cannot make the {self._what} {self.path}: {cause_of(error)}")
