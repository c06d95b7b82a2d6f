"""What a restore may remove: what an archive of the same scope would hold, and nothing else."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Final, NamedTuple

from strongroom.app.archives.choosing import (
    by_default,
    exclude_lines,
    ignored_lines,
    lines_of_ignore_file,
    walked,
)
from strongroom.app.archives.place import ArchivePlace
from strongroom.app.machine import Run
from strongroom.archive.metadata import Metadata
from strongroom.model.entry import EntryKind
from strongroom.model.source import Extra, Problem
from strongroom.operations.archives.reading import ArchiveTree
from strongroom.restore.swap.plan import Removal
from strongroom.sources.files.excludes import IGNORE_FILE, Line

_LARGEST: Final = 16 << 20  # of an ignore file


class Asked(NamedTuple):
    """Of what something may go: the scope of an archive, or a part of it, the ``paths``."""

    scope: tuple[str, ...]
    paths: Sequence[bytes]
    metadata: Metadata


def keeps_ours(place: ArchivePlace) -> Callable[[Extra], bool]:
    """Return what says whether something belongs to archives and restores, however deep it lies."""
    ours = [os.fsencode(path) for path in place.ours]

    def is_ours(extra: Extra) -> bool:
        return any(extra.path == path or extra.path.startswith(path + b"/") for path in ours)

    return is_ours


def removal(
    run: Run,
    place: ArchivePlace,
    tree: ArchiveTree,
    staged: Path,
    asked: Asked,
    report: Callable[[Problem], object],
) -> Removal:
    """Let go what is there now and not in the archive, but would be in one of that scope.

    What is left out today stays, and so does what was left out when the archive was made, or could
    not be read then: it was never in it, so that it is missing there means nothing.
    Where today's files cannot be looked at nothing goes, which is reported.
    """
    metadata, scope = asked.metadata, asked.scope
    then = [Line(text, "the archive") for text in metadata.ignored]
    nested = list(_nested(place, tree, staged))
    today = exclude_lines(place, metadata.excludes, ignored_lines(place))
    before = [*exclude_lines(place, metadata.excludes, then), *nested]
    if metadata.default_scope:  # a new file at the top would be in it as well
        scope = tuple(dict.fromkeys((*scope, *by_default(place, before).paths)))
    now = walked(run, place, scope, today, report)
    now &= walked(run, place, scope, before, lambda _problem: None)  # the same again
    is_ours = keeps_ours(place)
    unread = [problem.path for problem in metadata.problems if problem.path]

    def keeps(extra: Extra) -> bool:
        shown = extra.path.decode("utf-8", "backslashreplace")
        lost = any(shown == path or shown.startswith(f"{path}/") for path in unread)
        return lost or extra.path not in now or is_ours(extra)

    is_all = metadata.default_scope or scope == (".",)  # what is at the top goes, too
    tops = [b""] if is_all else [os.fsencode(path) for path in scope]
    return Removal(list(asked.paths) or tops, keeps)


def _nested(place: ArchivePlace, tree: ArchiveTree, staged: Path) -> Iterator[Line]:
    """Yield the patterns of the ignore files in the archive, but for that of the project itself."""
    for entry in tree.entries:
        folder, _, name = entry.path.rpartition(b"/")
        if folder and name == IGNORE_FILE and entry.kind == EntryKind.FILE:
            with (staged / os.fsdecode(entry.path)).open("rb") as file:
                yield from lines_of_ignore_file(place, folder, file.read(_LARGEST))
