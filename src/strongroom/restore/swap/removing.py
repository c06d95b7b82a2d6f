"""What leaves the target: found, never changed."""

from __future__ import annotations

import stat
from collections.abc import Iterator, Mapping
from collections.abc import Set as AbstractSet
from contextlib import suppress
from typing import NamedTuple

from strongroom.errors import RefusedError
from strongroom.model.entry import sort_key
from strongroom.model.fs import Stat
from strongroom.model.source import Extra
from strongroom.restore.swap.ground import Ground, is_path, shown
from strongroom.restore.swap.links import Groups
from strongroom.restore.swap.plan import Removal


class Gone(NamedTuple):
    """Something that goes as a whole: how many things, itself included, and their bytes."""

    path: bytes
    found: Stat
    entries: int
    size: int


def scopes_of(removal: Removal) -> list[bytes]:
    """Return the scopes that lie in no other; ``RefusedError`` for one that is no path."""
    scopes: list[bytes] = []
    for scope in sorted(set(removal.scopes), key=sort_key):
        if scope and not is_path(scope):
            raise RefusedError(f"{shown(scope)!r} is no path in the target")
        if not scopes or (scopes[-1] and not scope.startswith(scopes[-1] + b"/")):
            scopes.append(scope)
    return scopes


class Leaving:
    """Looks at what would go."""

    def __init__(self, ground: Ground, removal: Removal, groups: Groups) -> None:
        self._ground = ground
        self._groups = groups
        self._keeps = removal.keeps

    def whole(self, path: bytes, found: Stat) -> Gone:
        """Look at what must give way; ``RefusedError`` if anything in it must stay."""
        gone, stays = self._survey(path, found)
        if stays is not None:
            raise RefusedError(
                f"{shown(path)!r} would have to give way, but {shown(stays)!r} in it must stay",
                hint="Nothing was changed. Move one of them away, or leave it out.",
            )
        return gone

    def below(
        self, scope: bytes, wanted: AbstractSet[bytes], kept: Mapping[bytes, object]
    ) -> Iterator[Gone]:
        """Yield what is below a directory and not wanted; as few as can say it.

        ``kept``: the wanted directories that are there.
        """
        found = self._ground.target.look(scope) if scope else None
        if scope and (found is None or not stat.S_ISDIR(found.mode)):
            return
        names = scope.split(b"/") if scope else []
        leading = (b"/".join(names[:depth]) for depth in range(1, len(names) + 1))
        if any(path in wanted and path not in kept for path in leading):
            return  # something else takes its place as a whole
        waiting = [scope]
        while waiting:
            here = waiting.pop()
            for name, found in self._names(here):
                path = here + b"/" + name if here else name
                if path in wanted:
                    if path in kept:
                        waiting.append(path)
                    continue
                if self._must_stay(path, found):
                    continue
                gone, stays = self._survey(path, found)
                if stays is None:
                    yield gone
                else:
                    waiting.append(path)

    def _survey(self, path: bytes, found: Stat) -> tuple[Gone, bytes | None]:
        """Look at all of something; with the first path in it that must stay, if there is one."""
        entries, size = 1, _size(found)
        self._groups.leaves(found)
        if not stat.S_ISDIR(found.mode):
            return Gone(path, found, entries, size), None
        if found.device != self._ground.device:
            return Gone(path, found, entries, size), path
        waiting = [path]
        while waiting:
            here = waiting.pop()
            try:
                names = self._ground.target.names(here)
            except OSError:
                return Gone(path, found, entries, size), here  # nobody knows what is in it
            for name, one in names:
                inner = here + b"/" + name
                if self._must_stay(inner, one) or one.device != self._ground.device:
                    return Gone(path, found, entries, size), inner
                self._groups.leaves(one)
                entries, size = entries + 1, size + _size(one)
                if stat.S_ISDIR(one.mode):
                    waiting.append(inner)
        return Gone(path, found, entries, size), None

    def _names(self, path: bytes) -> list[tuple[bytes, Stat]]:
        with suppress(OSError):
            return self._ground.target.names(path)
        return []  # what cannot be looked at stays

    def _must_stay(self, path: bytes, found: Stat) -> bool:
        is_directory = stat.S_ISDIR(found.mode)
        is_work = is_directory and (found.device, found.inode) == self._ground.work_identity
        return is_work or self._keeps(Extra(path, is_directory))


def _size(found: Stat) -> int:
    return found.size if stat.S_ISREG(found.mode) else 0
