"""What of a project is meant: its scope, and the patterns of what stays out."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final, NamedTuple

from strongroom.app.archives.place import ArchivePlace
from strongroom.app.machine import Run
from strongroom.app.sources import exclude_lines as read_exclude_file
from strongroom.app.sources import literal
from strongroom.archive.metadata import Metadata
from strongroom.archive.scope import Scope, checked_scope, default_scope, read_scope
from strongroom.archive.writing import below
from strongroom.config.values import Value
from strongroom.errors import UsageError
from strongroom.model.source import Problem
from strongroom.sources.files.excludes import (
    IGNORE_FILE,
    Line,
    decoded,
    from_options,
    read_lines,
)
from strongroom.sources.files.options import FilesOptions
from strongroom.sources.files.source import FilesSource

_OURS: Final = "the archives"


class Chosen(NamedTuple):
    """What is archived. ``by_default``: nobody said so; ``lines``: the patterns of what stays out.

    ``ignored``: those of them that stand in the ignore file of the project.
    ``missing``: what belongs to the scope and is not there, which an incremental archive may say.
    """

    scope: Scope
    lines: Sequence[Line]
    by_default: bool = False
    ignored: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()

    def paths(self, project: Path) -> list[bytes]:
        """Return the roots to walk, absolute."""
        there = [path for path in self.scope.paths if path not in self.missing]
        return [os.fsencode(project if path == "." else project / path) for path in there]


def choose(
    run: Run,
    place: ArchivePlace,
    scope: Sequence[str],
    exclude: Sequence[str],
    base: Metadata | None,
) -> Chosen:
    """Decide what an archive holds; ``UsageError`` for what cannot be meant.

    What is said counts: options, then the variable and the configuration. Without that, what the
    ``base`` of an incremental one was told, and else what the guide names.
    """
    ignored = ignored_lines(place)
    said = (*run.settings.archives.exclude, *exclude)
    lines = exclude_lines(place, said, ignored)
    from_options(lines, b"")  # each can be read
    chosen = _scope(run, place, scope, lines, base)
    return chosen._replace(ignored=tuple(line.text for line in ignored))


def _scope(
    run: Run,
    place: ArchivePlace,
    scope: Sequence[str],
    lines: Sequence[Line],
    base: Metadata | None,
) -> Chosen:
    said = run.settings.archives.scope
    if scope:
        return Chosen(_named(run, place, list(scope), "--scope"), lines)
    if isinstance(said, Value):
        return Chosen(_named(run, place, read_scope(said.value), said.origin), lines)
    if said is not None:
        return Chosen(_named(run, place, list(said), "archives.scope"), lines)
    if base is not None and not base.default_scope:
        return _as_before(place, base, lines)
    return Chosen(_by_default(run, place, lines), lines, by_default=True)


def all_of(place: ArchivePlace, scope: Sequence[str]) -> Chosen:
    """Choose what is there of a scope, whatever any pattern says; but never the archives."""
    there = tuple(path for path in scope if os.path.lexists(place.project / path))
    return Chosen(Scope(there), _without_ours(place))


def _as_before(place: ArchivePlace, base: Metadata, lines: Sequence[Line]) -> Chosen:
    """Choose what the base holds; what is gone since is a change like others."""
    paths = checked_scope(base.backup_scope)
    missing = tuple(path for path in paths if not os.path.lexists(place.project / path))
    if len(missing) == len(paths):
        raise UsageError(
            f"nothing of {', '.join(paths)} is in {place.project} any more",
            hint="Go to the project, or name it with --project; 'create' makes a new archive.",
        )
    return Chosen(Scope(paths, base.not_in_scope), lines, missing=missing)


def by_default(place: ArchivePlace, lines: Sequence[Line]) -> Scope:
    """Choose what the guide names of what is there, without what the patterns leave out."""
    project = os.fsencode(place.project)
    patterns = from_options(lines, project.lstrip(b"/"))
    top = {}
    for one in os.scandir(place.project):
        name = decoded(os.fsencode(one.name))
        path = f"{decoded(project.lstrip(b'/'))}/{name}"
        is_folder = one.is_dir(follow_symlinks=False)
        if not patterns.decide(name, path, directory=is_folder):
            top[one.name] = is_folder
    return default_scope(top, [path for path in place.ours if "/" not in path])


def _by_default(run: Run, place: ArchivePlace, lines: Sequence[Line]) -> Scope:
    scope = by_default(place, lines)
    if not scope.paths:
        raise UsageError(
            f"there is nothing in {place.project} that an archive holds by itself",
            hint="Say what it is to hold: --scope PATH, or BACKUP_SCOPE.",
        )
    if scope.outside:
        outside = ", ".join(scope.outside)
        run.warn(f"not in the archive: {outside} (--scope, or BACKUP_SCOPE, says what is)")
    _warn_of_links(run, place, scope.paths)
    return scope


def _named(run: Run, place: ArchivePlace, names: list[str], origin: str) -> Scope:
    """Check names that somebody wrote: each must be there, and in the project."""
    paths = checked_scope(names)
    for path in paths:
        if any(path == ours or path.startswith(f"{ours}/") for ours in place.ours):
            raise UsageError(
                f"{origin} names {path}, which is where archives are, and no part of the project",
                hint="Archives are copied with 'strongroom archive create --to FOLDER'.",
            )
        link = _link_on_the_way(place.project, path)
        if link is not None:
            raise UsageError(
                f"{origin} names {path}, but {link} is a link, and what is behind it is elsewhere",
                hint="Name what it leads to, if that is in the project; or archive that folder as "
                "a project of its own, with --project.",
            )
    missing = [path for path in paths if not os.path.lexists(place.project / path)]
    if missing:
        raise UsageError(
            f"{origin} names {', '.join(missing)}, and that is not in {place.project}",
            hint="Correct it; an archive that lacks what was asked for would be no backup.",
        )
    _warn_of_links(run, place, paths)
    return Scope(paths)


def _link_on_the_way(project: Path, path: str) -> str | None:
    names = path.split("/")[:-1]
    for depth in range(1, len(names) + 1):
        above = "/".join(names[:depth])
        if (project / above).is_symlink():
            return above
    return None


def _warn_of_links(run: Run, place: ArchivePlace, paths: Sequence[str]) -> None:
    """Say of which folders only the link is archived: nobody expects that."""
    for path in paths:
        there = place.project / path
        if there.is_symlink() and there.is_dir():
            run.warn(f"{path} is a link to a folder: the link is archived, what is in it is not")


def ignored_lines(place: ArchivePlace) -> list[Line]:
    """Return the patterns of the ignore file in the project, as they stand."""
    file = place.project / os.fsdecode(IGNORE_FILE)
    return read_exclude_file(file, str(file)) if file.is_file() else []


def exclude_lines(place: ArchivePlace, said: Sequence[str], ignored: Sequence[Line]) -> list[Line]:
    """Return what is left out; patterns with a slash start from the project, as in its root."""
    root = literal(str(place.project))
    lines = [_anchored(Line(text, "--exclude"), root, from_root=False) for text in said]
    lines += [_anchored(line, root, from_root=True) for line in ignored]
    return [*lines, *_without_ours(place)]


def lines_of_ignore_file(place: ArchivePlace, folder: bytes, data: bytes) -> list[Line]:
    """Return the patterns of an ignore file that stood in a folder of the project."""
    origin = os.fsdecode(folder + b"/" + IGNORE_FILE)
    root = literal(str(place.project / os.fsdecode(folder)))
    return [_within(line, root) for line in read_lines(data, origin)]


def _within(line: Line, folder: str) -> Line:
    """Let a pattern hold in one folder, at any depth unless it has a slash before its end."""
    sign, body = ("!", line.text[1:]) if line.text.startswith("!") else ("", line.text)
    below = body.lstrip("/") if "/" in body.rstrip("/ ") else f"**/{body}"
    return line._replace(text=f"{sign}{folder}/{below}")


def _without_ours(place: ArchivePlace) -> list[Line]:
    root = literal(str(place.project))
    return [Line(f"{root}/{literal(name)}/", _OURS) for name in place.ours]


def _anchored(line: Line, root: str, *, from_root: bool) -> Line:
    """Let a pattern with a slash in its middle start from the project, not from what is in it."""
    sign, body = ("!", line.text[1:]) if line.text.startswith("!") else ("", line.text)
    middle = "/" in body.rstrip("/ ").lstrip("/") and not body.startswith("/")
    if middle or (from_root and body.startswith("/") and not body.startswith(root + "/")):
        return line._replace(text=f"{sign}{root}/{body.lstrip('/')}")
    return line


def walked(
    run: Run,
    place: ArchivePlace,
    scope: Sequence[str],
    lines: Sequence[Line],
    report: Callable[[Problem], object],
) -> frozenset[bytes]:
    """Return what an archive of this scope would hold now, by its names in the archive."""
    machine = run.machine
    there = tuple(path for path in scope if os.path.lexists(place.project / path))
    paths = Chosen(Scope(there), lines).paths(place.project)
    rename = below(os.fsencode(place.project).lstrip(b"/"))
    options = FilesOptions(exclude=tuple(lines))
    with FilesSource(machine.fs, machine.clock, paths, name="archive", options=options) as source:

        def renamed(problem: Problem) -> None:
            path = rename(problem.path) or problem.path
            report(problem._replace(path=path, missing=False))

        found = (item for items in source.walk(renamed) for item in items)
        return frozenset(name for item in found if (name := rename(item.path)))
