"""What was asked for: the paths of a source as a tree of names, each path once."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from strongroom.errors import UsageError


class Wanted:
    """One directory on the way to what was asked for; ``whole`` where it was asked for itself."""

    __slots__ = ("below", "whole")

    def __init__(self) -> None:
        self.below: dict[bytes, Wanted] = {}
        self.whole = False


def wanted(paths: Iterable[bytes]) -> Wanted:
    """Merge absolute, normalised paths into one tree from ``/``; UsageError for any other path."""
    top = Wanted()
    for path in paths:
        here = top
        for name in _components(path):
            here = here.below.setdefault(name, Wanted())
        here.whole = True
    return top


def roots_below(here: Wanted, path: bytes) -> Iterator[bytes]:
    """Yield the tree path of each root below ``here``, which has the tree path ``path``."""
    waiting = [(path, here)]
    while waiting:
        path, place = waiting.pop()
        prefix = path + b"/" if path else b""
        names = sorted(place.below, reverse=True)
        waiting.extend((prefix + name, place.below[name]) for name in names)
        if place.whole and place is not here:
            yield path


def _components(path: bytes) -> list[bytes]:
    names = path.split(b"/")[1:] if path != b"/" else []
    if not path.startswith(b"/") or b"\0" in path or {b"", b".", b".."}.intersection(names):
        raise UsageError(f"not an absolute, normalised path: {path!r}")
    return names
