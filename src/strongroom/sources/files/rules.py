"""What is left out at one place of the tree, and how much was."""

from __future__ import annotations

import stat
from collections.abc import Sequence
from dataclasses import dataclass

from strongroom.model.fs import Stat
from strongroom.sources.files.excludes import Line, Patterns, decoded, from_options


@dataclass(slots=True)
class Excluded:
    """How many entries were left out on purpose; what lies below a directory is not counted."""

    by_pattern: int = 0
    too_large: int = 0
    in_caches: int = 0
    mount_points: int = 0


class Rules:
    """The rules for the entries of one directory, and of those below it."""

    def __init__(
        self, options: Patterns, larger_than: int | None, counts: Excluded, *nearest: Patterns
    ) -> None:
        self._options = options
        self._larger_than = larger_than
        self._counts = counts
        self._ignore_files = nearest
        self._deciding = tuple(patterns for patterns in (options, *nearest) if patterns)

    def with_ignore_file(self, patterns: Patterns) -> Rules:
        """Return the rules where these patterns hold as well, before those from further above."""
        return Rules(self._options, self._larger_than, self._counts, patterns, *self._ignore_files)

    @property
    def needed(self) -> bool:
        """Whether anything can be left out at all."""
        return bool(self._deciding) or self._larger_than is not None

    def leave_out(self, name: bytes, path: bytes, found: Stat) -> bool:
        """Whether an entry is left out; counted if so."""
        is_file = stat.S_ISREG(found.mode)
        if self._deciding:
            directory = stat.S_ISDIR(found.mode)
            for patterns in self._deciding:
                out = patterns.decide(decoded(name), decoded(path), directory=directory)
                if out:
                    self._counts.by_pattern += 1
                    return True
                if out is not None:
                    break
        if is_file and self._larger_than is not None and found.size > self._larger_than:
            self._counts.too_large += 1
            return True
        return False


def rules_for_root(
    lines: Sequence[Line], larger_than: int | None, counts: Excluded, root: bytes
) -> Rules:
    """Return what the options leave out below one root; ``UsageError`` for a bad pattern."""
    return Rules(from_options(lines, root), larger_than, counts)
