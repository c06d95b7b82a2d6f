"""The gate that every entry passes: its path cannot lead outside, and comes where it must."""

from __future__ import annotations

from typing import Final

_NOT_NAMES: Final = frozenset({b"", b".", b".."})
_MOST_MISSING: Final = 1000


class Refused(Exception):  # noqa: N818 - it is an answer
    """An entry that is not restored; the message says why."""


class Order:
    """Checks entries one after the other, as a tree holds them. Pure."""

    def __init__(self) -> None:
        self._last_key = b""
        self._last_leaf = b""

    def check(self, path: bytes) -> tuple[bytes, bytes]:
        """Return the path of the parent and the name; ``Refused`` if the entry cannot be meant.

        The parent is empty for an entry at the top. Of the components only the last is checked:
        the others are when the parent is found or made.
        """
        if b"\0" in path:
            raise Refused("its name contains a zero byte")
        key = path.replace(b"/", b"\0")
        if key <= self._last_key:
            why = "named twice" if key == self._last_key and key else "out of order"
            raise Refused("without a name" if not key else why)
        parent, slash, name = path.rpartition(b"/")
        if name in _NOT_NAMES or (slash and not parent):
            raise Refused("it would leave the target")
        self._last_key = key
        return parent, name

    def leaf(self, path: bytes) -> None:
        """Note that the entry just checked is no directory: nothing can be below it."""
        self._last_leaf = path

    def check_missing(self, path: bytes) -> list[bytes]:
        """Return the components of a parent that no entry has made; ``Refused`` if it cannot be.

        In the order of a tree all that is below a path follows it at once, so only the last leaf
        can stand in the way.
        """
        leaf = self._last_leaf
        if leaf and (path == leaf or path.startswith(leaf + b"/")):
            raise Refused("it lies below something that is no directory")
        names = path.split(b"/")
        if _NOT_NAMES.intersection(names):
            raise Refused("it would leave the target")
        if len(names) > _MOST_MISSING:
            raise Refused("the directories that lead to it are missing")
        return names
