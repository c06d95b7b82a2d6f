"""What a power cut leaves of the calls made so far, if the disk owes nothing but what fsync says.

A file keeps its bytes up to its last fsync. A directory keeps the names it had at its last fsync;
whether a later change of its names comes through as well is up to the disk. Directories that are
found, and not made, are taken to be as new: somebody else may just have made them.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from tests.support.faulty_fs import Call


class Survivors(NamedTuple):
    """Bytes by path after a power cut.

    ``certain``: what nobody removed must be there; ``possible``: may be there. ``least``: of what
    is certain without what was removed: a removal may come through before anybody asks for it.
    """

    certain: dict[bytes, bytes]
    possible: dict[bytes, bytes]
    least: dict[bytes, bytes]


@dataclass(eq=False, slots=True)
class _File:
    written: bytes = b""
    durable: bytes = b""


@dataclass(eq=False, slots=True)
class _Directory:
    names: dict[bytes, _File | _Directory] = field(default_factory=dict)
    durable: dict[bytes, _File | _Directory] = field(default_factory=dict)


Names = Callable[[_Directory], dict[bytes, _File | _Directory]]


def durable_after(calls: Sequence[Call]) -> Survivors:
    """Return the files that the calls leave, when the power fails after the last of them.

    The first directory opened without a descriptor is the root, and is durable itself.
    """
    replay = _Replay()
    for call in calls:
        replay.play(call)

    def files(choose: Names) -> dict[bytes, bytes]:
        return dict(_files(replay.root, b"", choose))

    return Survivors(
        files(lambda directory: directory.durable),
        files(lambda directory: directory.durable | directory.names),
        files(_kept),
    )


def _kept(directory: _Directory) -> dict[bytes, _File | _Directory]:
    return {name: node for name, node in directory.names.items() if name in directory.durable}


class _Replay:
    """What is on the disk, and what each descriptor stands for, after some calls."""

    def __init__(self) -> None:
        self.root = _Directory()
        self._open: dict[int, _File | _Directory] = {}

    def play(self, call: Call) -> None:
        """Carry out one call; those that change neither bytes nor names do nothing."""
        first: Any = call.arguments[0] if call.arguments else None
        if call.what in {"open", "create", "create_unnamed"}:
            self._open[call.result] = self._opened(call)
        elif call.what == "names":
            self._names(first, call.result)
        elif call.what == "write":
            self._file(first).written += call.arguments[1][: call.result]
        elif call.what == "fsync":
            self._fsync(self._open[first])
        elif call.what == "mkdir":
            self._directory(call.named["dir_fd"]).names[call.arguments[0]] = _Directory()
        elif call.what == "unlink":
            self._directory(call.named["dir_fd"]).names.pop(call.arguments[0])
        elif call.what == "link_fd":
            self._directory(call.named["dir_fd"]).names[call.arguments[1]] = self._file(first)
        elif call.what in {"link", "rename", "rename_new"}:
            self._moved(call)

    def _opened(self, call: Call) -> _File | _Directory:
        name, flags = call.arguments[:2]
        above = call.named.get("dir_fd")
        if call.what == "create_unnamed":
            return _File()
        if above is None:
            return self.root
        names = self._directory(above).names
        if call.what == "create":
            names[name] = _File()
        return names.setdefault(name, _Directory() if flags & os.O_DIRECTORY else _File())

    def _names(self, fd: int, found: Sequence[bytes]) -> None:
        names = self._directory(fd).names
        for name in found:
            names.setdefault(name, _Directory())

    def _fsync(self, node: _File | _Directory) -> None:
        if isinstance(node, _File):
            node.durable = node.written
        else:
            node.durable = dict(node.names)

    def _moved(self, call: Call) -> None:
        old, new = call.arguments
        source = self._directory(call.named["old_dir_fd"]).names
        self._directory(call.named["dir_fd"]).names[new] = source[old]
        if call.what != "link":
            del source[old]

    def _file(self, fd: int) -> _File:
        node = self._open[fd]
        assert isinstance(node, _File)
        return node

    def _directory(self, fd: int) -> _Directory:
        node = self._open[fd]
        assert isinstance(node, _Directory)
        return node


def _files(directory: _Directory, above: bytes, choose: Names) -> Iterator[tuple[bytes, bytes]]:
    for name, node in choose(directory).items():
        if isinstance(node, _Directory):
            yield from _files(node, above + name + b"/", choose)
        else:
            yield above + name, node.durable
