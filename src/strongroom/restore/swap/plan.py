"""What a swap will change; frozen before anything is."""

from __future__ import annotations

import enum
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from strongroom.model.source import Extra


class Kind(enum.Enum):
    """What becomes of one path."""

    SAME = "same"
    NEW = "new"
    CHANGED = "changed"
    METADATA = "metadata"
    REPLACED = "replaced"
    REMOVED = "removed"


class Change(NamedTuple):
    """One path that will not stay as it is.

    ``is_directory`` and ``size`` (bytes) are those of what comes, of a removal those of what goes.
    ``below``: how many things in a directory go with it, where that goes as a whole.
    """

    path: bytes
    kind: Kind
    is_directory: bool
    size: int = 0
    below: int = 0


class Total(NamedTuple):
    """Things and bytes of one kind of change."""

    entries: int = 0
    bytes: int = 0


class Unchanged(NamedTuple):
    """Something that is right already, and by what it is known that it stayed so."""

    path: bytes
    inode: int
    ctime_ns: int


class Folder(NamedTuple):
    """A directory that stays, and in which something moves or whose attributes change.

    ``is_wanted``: it gets the attributes of the staged one; otherwise it keeps its own.
    """

    path: bytes
    is_wanted: bool


def _nothing_stays(_extra: Extra) -> bool:
    return False


@dataclass(frozen=True, slots=True)
class Removal:
    """What goes without being wanted: all below ``scopes`` (``b""``: the target) that is not.

    ``keeps`` says that something stays, with all below it. It also guards what is in a directory
    that must give way to something else.
    """

    scopes: Sequence[bytes] = ()
    keeps: Callable[[Extra], bool] = _nothing_stays


@dataclass(frozen=True, slots=True)
class SwapPlan:
    """A whole swap. All paths are relative to ``target`` and in the order of a tree.

    ``changes`` and ``totals`` are for people. ``puts``: paths that get what is staged, as a whole;
    ``takes``: paths that only go. ``inside``: where the work folder is in the target, if it is.
    """

    target: bytes
    work: bytes
    inside: bytes
    changes: tuple[Change, ...]
    totals: Mapping[Kind, Total]
    puts: tuple[bytes, ...]
    takes: tuple[bytes, ...]
    folders: tuple[Folder, ...]
    unchanged: tuple[Unchanged, ...]

    @property
    def is_empty(self) -> bool:
        """Whether everything is as wanted already."""
        return not self.changes

    def shown(self, most: int) -> tuple[Sequence[Change], int]:
        """Return the first changes to show to a person, and how many more there are."""
        return self.changes[:most], max(0, len(self.changes) - most)
