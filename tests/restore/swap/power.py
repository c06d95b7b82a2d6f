"""What a power cut leaves of the calls of a swap: all that was synced, and any part of the rest.

Renames, new directories and attributes since the last sync each come through or not, by
themselves; of a write without an fsync the half may be there. A rename is never done by half, as
on every file system with a journal.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from random import Random
from typing import Any, Final

from tests.support.faulty_fs import MUTATING, Call

_OPENING: Final = frozenset({"open", "create"})


class Cut:
    """The calls of a run, with the path of everything that they name."""

    def __init__(self, calls: Sequence[Call]) -> None:
        self._open: dict[int, bytes] = {}
        self._steps = [step for call in calls for step in self._step(call)]

    def __len__(self) -> int:
        """Return the number of calls that change something or make it durable."""
        return len(self._steps)

    def replay(self, length: int, chance: Random) -> None:
        """Carry out on the disk what may be left of the first calls."""
        for number, step in enumerate(self._steps[:length]):
            later = self._steps[number + 1 : length]
            if any(_keeps(sync, step) for sync in later) or chance.random() < 0.5:
                with suppress(OSError):  # what it builds on did not come through
                    _DO[step[0]](*step[1:])

    def _step(self, call: Call) -> Iterator[tuple[Any, ...]]:
        what, (first, *others), named = call.what, call.arguments, call.named
        if what in _OPENING:
            path = self._path(first, named.get("dir_fd"))
            self._open[call.result] = path
            if what == "create":
                yield what, path
        elif what in {"fsync", "syncfs"}:
            yield what, self._open[first]
        elif what == "pwrite":
            yield what, self._open[first], *others
        elif what in {"rename", "rename_new"}:
            old = self._path(first, named["old_dir_fd"])
            yield "rename", old, self._path(others[0], named["dir_fd"])
        elif what in MUTATING:
            yield what, self._path(first, named["dir_fd"]), *others

    def _path(self, name: bytes, dir_fd: int | None) -> bytes:
        above = b"" if dir_fd is None else self._open[dir_fd]
        return os.path.normpath(os.path.join(above, name))  # noqa: PTH118


def _keeps(sync: tuple[Any, ...], step: tuple[Any, ...]) -> bool:
    """Whether a call makes an earlier one durable."""
    if sync[0] == "syncfs":
        return True
    if sync[0] != "fsync":
        return False
    if step[0] == "pwrite":
        return bool(step[1] == sync[1])
    return step[0] in {"create", "rename"} and os.path.dirname(step[-1]) == sync[1]  # noqa: PTH120


def _nothing(*_arguments: object) -> None:
    """Change nothing."""


def _create(path: bytes) -> None:
    os.close(os.open(path, os.O_CREAT | os.O_WRONLY | os.O_TRUNC))


def _pwrite(path: bytes, data: bytes, offset: int) -> None:
    fd = os.open(path, os.O_WRONLY)
    os.pwrite(fd, data, offset)
    os.close(fd)


_DO: Final[dict[str, Callable[..., None]]] = {
    "create": _create,
    "pwrite": _pwrite,
    "rename": os.rename,
    "mkdir": os.mkdir,
    "chmod": os.chmod,
    "utime": lambda path, when: os.utime(path, ns=(when, when)),
    "set_xattr_at": os.setxattr,
    "remove_xattr_at": os.removexattr,
    "fsync": _nothing,
    "syncfs": _nothing,
}
