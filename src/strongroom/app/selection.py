"""Which entries of a snapshot a person wants: patterns as for a backup."""

from __future__ import annotations

from collections.abc import Sequence

from strongroom.model.entry import Entry, EntryKind
from strongroom.repository.tree import is_below
from strongroom.sources.files.excludes import Line, Patterns, decoded, from_options


class Selection:
    """Decides for entries given in the order of a tree.

    A pattern with a slash in its middle is anchored at the roots: what was saved, or the path that
    is restored. What is below a directory that matches goes with it. What matches nothing is wanted
    if there are no includes.
    """

    def __init__(
        self, roots: Sequence[bytes], include: Sequence[str], exclude: Sequence[str]
    ) -> None:
        """Compile the patterns; ``UsageError`` for a bad one."""
        self._roots = sorted(roots, key=len, reverse=True)
        self._include = _compiled(self._roots, include, "--include") if include else None
        self._exclude = _compiled(self._roots, exclude, "--exclude") if exclude else None
        self._inside: tuple[bytes, bool] | None = None

    def __call__(self, entry: Entry) -> bool:
        """Return whether an entry is wanted."""
        path = entry.path
        if self._inside is not None:
            directory, wanted = self._inside
            if path.startswith(directory + b"/") and not wanted:
                return False
            if not path.startswith(directory + b"/"):
                self._inside = None
        is_directory = entry.kind == EntryKind.DIRECTORY
        if self._exclude is not None and self._matches(self._exclude, path, is_directory):
            if is_directory:
                self._inside = (path, False)
            return False
        if self._inside is not None or self._include is None:
            return True
        if not self._matches(self._include, path, is_directory):
            return False
        if is_directory:
            self._inside = (path, True)
        return True

    def _matches(self, patterns: list[Patterns], path: bytes, directory: bool) -> bool:  # noqa: FBT001
        for root, compiled in zip(self._roots, patterns, strict=True):
            if is_below(path, root):
                name = path.rpartition(b"/")[2]
                return compiled.decide(decoded(name), decoded(path), directory=directory) is True
        return False


def _compiled(roots: Sequence[bytes], texts: Sequence[str], origin: str) -> list[Patterns]:
    lines = [Line(text, origin) for text in texts]
    return [from_options(lines, root) for root in roots]
