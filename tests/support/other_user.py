"""Running a part of a test as a user without rights."""

from __future__ import annotations

import json
import os
import tempfile
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, TypeVar

Result = TypeVar("Result")

NOBODY: Final = 65534


_MEMORY: Final = "/dev/shm"  # noqa: S108 - a folder of its own is made in it
_ENOUGH: Final = 2 << 30


def in_memory() -> str | None:
    """Return a folder whose files are in memory, if there is room and programs may run there.

    A server makes a thousand files, and a recovery syncs them, which takes most of the time of a
    test where they are on a disk. What a power cut leaves is tested elsewhere.
    """
    try:
        found = os.statvfs(_MEMORY)
    except OSError:
        return None
    free = found.f_bavail * found.f_frsize
    is_good = free >= _ENOUGH and not found.f_flag & os.ST_NOEXEC and os.access(_MEMORY, os.W_OK)
    return _MEMORY if is_good else None


@contextmanager
def open_folder(parent: str | None = None) -> Iterator[Path]:
    """Give a directory that every user may enter; the folders of pytest are private."""
    with tempfile.TemporaryDirectory(dir=parent) as name:
        top = Path(name)
        top.chmod(0o755)
        yield top


def without_rights(act: Callable[[], Result]) -> Result:
    """Return what ``act`` returns as a user without rights; its result goes through JSON.

    As root in a child that gives its rights up; anybody else has none to give up.
    """
    if os.geteuid() != 0:
        return act()
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        code = 1
        try:
            os.setgroups([])
            os.setgid(NOBODY)
            os.setuid(NOBODY)
            with os.fdopen(writing, "w") as pipe:
                json.dump(act(), pipe)
            code = 0
        except BaseException:  # noqa: BLE001 - the child must not return into pytest
            traceback.print_exc()
        finally:
            os._exit(code)
    os.close(writing)
    with os.fdopen(reading) as pipe:
        answer = pipe.read()
    _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == 0
    result: Result = json.loads(answer)
    return result
