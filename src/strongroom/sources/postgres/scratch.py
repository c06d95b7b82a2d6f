"""A private folder for what is not in the repository yet; it ends with the process that made it."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from strongroom.errors import SourceError
from strongroom.model.fs import Fs
from strongroom.model.randomness import Randomness
from strongroom.system.causes import cause_of

_PREFIX: Final = "strongroom-scratch-"
_LOCK: Final = "lock"
_PRIVATE: Final = 0o700


@contextmanager
def scratch_folder(fs: Fs, randomness: Randomness, parent: Path) -> Iterator[Path]:
    """Make a folder that only this user can enter, and remove it at the end.

    Those that killed processes left behind are removed first: nobody holds their locks.
    """
    try:
        parent.mkdir(parents=True, exist_ok=True)
        _sweep(fs, parent)
        folder = parent / (_PREFIX + randomness.take(8).hex())
        folder.mkdir(mode=_PRIVATE)
        lock = fs.open(os.fsencode(folder / _LOCK), os.O_CREAT | os.O_RDWR)
    except OSError as error:
        raise SourceError(
            f"no room for dumps can be made in {parent}: {cause_of(error)}",
            hint="Name a folder that this user can write: scratch = '/path', in the source.",
        ) from error
    try:
        fs.try_lock(lock)
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        fs.close(lock)


def _sweep(fs: Fs, parent: Path) -> None:
    for folder in parent.glob(f"{_PREFIX}*"):
        with suppress(OSError):
            lock = fs.open(os.fsencode(folder / _LOCK), os.O_RDWR)
            try:
                if fs.try_lock(lock):
                    shutil.rmtree(folder, ignore_errors=True)
            finally:
                fs.close(lock)
