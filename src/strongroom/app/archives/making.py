"""From what a person says of a new archive to one that is made."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NamedTuple

from strongroom import __version__
from strongroom.app.archives.keys import Keys, archive_keys
from strongroom.app.archives.place import WORK, ArchivePlace, shelf_of
from strongroom.app.machine import Run
from strongroom.app.sources import exclude_lines, literal
from strongroom.archive.codecs import Codec, checked_jobs, checked_level
from strongroom.archive.files import TakenError
from strongroom.archive.metadata import Metadata, SystemInfo
from strongroom.archive.naming import ArchiveId, archive_id
from strongroom.archive.scope import Scope, checked_scope, default_scope, read_scope, shown_scope
from strongroom.archive.shelf import Shelf, State
from strongroom.archive.writing import below
from strongroom.clock import as_utc, rfc3339
from strongroom.config.archives import parse_number
from strongroom.config.values import Value
from strongroom.errors import RefusedError, UsageError
from strongroom.operations.archives.making import Around, Base, Packing, Recipe, make
from strongroom.operations.archives.manifests import load_manifest
from strongroom.sources.files.excludes import IGNORE_FILE, Line
from strongroom.sources.files.options import FilesOptions
from strongroom.sources.files.source import FilesSource

_FORMATS: Final = {"gzip": Codec.GZIP, "zstd": Codec.ZSTD, "none": Codec.NONE}
_STAMP: Final = "%Y%m%d_%H%M%S"
_SHORT_WAIT: Final = 0.1
_MOST_LEVEL: Final = 19
_MOST_JOBS: Final = 256


@dataclass(frozen=True, slots=True, kw_only=True)
class MakeRequest:
    """What the command line says of a new archive; None and nothing where it says nothing.

    ``before_restore``: a restore wants it, of the paths in ``scope``, which may be missing.
    """

    scope: Sequence[str] = ()
    exclude: Sequence[str] = ()
    form: str | None = None
    level: int | None = None
    jobs: int | None = None
    recipients: Sequence[str] = ()
    incremental: bool = False
    before_restore: bool = False
    bash: str = ""


class Made(NamedTuple):
    """An archive that was made. ``whole``: why an incremental one holds everything, or nothing."""

    id: ArchiveId
    metadata: Metadata
    seconds: float
    whole: str


def make_archive(run: Run, place: ArchivePlace, request: MakeRequest) -> Made:
    """Make an archive; ``RefusedError`` while a restore of the project is unfinished."""
    machine = run.machine
    began = machine.clock.elapsed()
    if not request.before_restore:
        refuse_unfinished_restore(place)
    shelf = shelf_of(run, place)
    shelf.settle()
    keys = archive_keys(run, request.recipients)
    packing = packing_of(run, request.form, request.level, request.jobs)
    base, whole = _base(shelf, keys) if request.incremental else (None, "")
    scope = _scope(run, place, request, base)
    lines = _excludes(run, place, request)
    new = _begin(run, shelf, before_restore=request.before_restore)
    recipe = Recipe(
        told=_told(run, place, request, scope, base, new),
        rename=below(os.fsencode(place.project).lstrip(b"/")),
        packing=packing,
        seal=keys.seal,
        unseal=keys.unseal,
        base=base.base if base is not None else None,
    )
    paths = [_joined(place.project, path) for path in scope.paths]
    options = FilesOptions(exclude=tuple(lines))
    with FilesSource(machine.fs, machine.clock, paths, name="archive", options=options) as source:
        metadata = make(shelf, new, recipe, source, Around(machine.clock, run.sink))
    return Made(new, metadata, machine.clock.elapsed() - began, whole)


def walked(
    run: Run, place: ArchivePlace, scope: Sequence[str], excludes: Sequence[str]
) -> frozenset[bytes]:
    """Return what an archive of this scope would hold now, by its names in the archive.

    Whoever removes what an archive does not have, removes nothing else.
    """
    machine = run.machine
    there = [path for path in scope if os.path.lexists(place.project / path)]
    lines = _excludes(run, place, MakeRequest(exclude=excludes))
    options = FilesOptions(exclude=tuple(lines))
    paths = [_joined(place.project, path) for path in there]
    rename = below(os.fsencode(place.project).lstrip(b"/"))
    with FilesSource(machine.fs, machine.clock, paths, name="archive", options=options) as source:
        found = (item for items in source.walk(lambda _problem: None) for item in items)
        return frozenset(name for item in found if (name := rename(item.path)))


def refuse_unfinished_restore(place: ArchivePlace) -> None:
    """``RefusedError`` while the project is neither as before nor as wanted."""
    if os.path.lexists(place.project / WORK):
        raise RefusedError(
            f"a restore of {place.project} is unfinished",
            hint="First end it: 'strongroom archive restore --rollback', or --resume.",
        )


def _joined(project: Path, path: str) -> bytes:
    return os.fsencode(project if path == "." else project / path)


def _begin(run: Run, shelf: Shelf, *, before_restore: bool) -> ArchiveId:
    """Make the folder of an archive that is named after the second it begins in."""
    clock = run.machine.clock
    while True:
        stamp = as_utc(clock.now_ns()).astimezone().strftime(_STAMP)
        new = ArchiveId(stamp, before_restore)
        try:
            shelf.begin(new)
        except TakenError:
            clock.sleep(_SHORT_WAIT)
        else:
            return new


# -- what it holds


class _Found(NamedTuple):
    """An archive to build on, and what it says of itself."""

    base: Base
    metadata: Metadata
    id: str


def _base(shelf: Shelf, keys: Keys) -> tuple[_Found | None, str]:
    """Find the archive that an incremental one builds on; without one, say why."""
    found = [one for one in shelf.archives() if one.state in {State.GOOD, State.INCOMPLETE}]
    if not found:
        return None, "there is none to build on"
    last = found[-1]
    metadata = last.metadata
    if metadata is None or not metadata.is_ours:
        return None, f"{last.id} has no manifest"
    if metadata.encrypted != (keys.seal is not None):
        return None, f"{last.id} is {'' if metadata.encrypted else 'not '}encrypted"
    if metadata.encrypted and keys.unseal is None:
        return None, f"nobody here can read the manifest of {last.id}"
    missing = [name for name in metadata.chain if not _is_sound(shelf, name)]
    if missing:
        return None, f"{missing[0]}, which {last.id} needs, is gone or damaged"
    rows = load_manifest(shelf.below(last), last.id, metadata, keys.unseal)
    chain = metadata.chain or (str(last.id),)
    return _Found(Base(chain, {row.path: row for row in rows}), metadata, str(last.id)), ""


def _is_sound(shelf: Shelf, name: str) -> bool:
    wanted = archive_id(name)
    return wanted is not None and any(
        one.id == wanted and one.state in {State.GOOD, State.INCOMPLETE} for one in shelf.archives()
    )


def _scope(run: Run, place: ArchivePlace, request: MakeRequest, base: _Found | None) -> Scope:
    if request.before_restore:
        there = [name for name in request.scope if os.path.lexists(place.project / name)]
        return Scope(tuple(there))
    if base is not None and not request.scope:
        return Scope(checked_scope(base.metadata.backup_scope), base.metadata.not_in_scope)
    said = run.settings.archives.scope
    if request.scope:
        return _named(place, list(request.scope), "--scope")
    if isinstance(said, Value):
        return _named(place, read_scope(said.value), said.origin)
    if said is not None:
        return _named(place, list(said), "archives.scope")
    top = {one.name: one.is_dir(follow_symlinks=False) for one in os.scandir(place.project)}
    scope = default_scope(top, [path for path in place.ours if "/" not in path])
    if not scope.paths:
        raise UsageError(
            f"there is nothing in {place.project} that an archive holds by itself",
            hint="Say what it is to hold: --scope PATH, or BACKUP_SCOPE.",
        )
    if scope.outside:
        outside = ", ".join(scope.outside)
        run.warn(f"not in the archive: {outside} (--scope, or BACKUP_SCOPE, says what is)")
    return scope


def _named(place: ArchivePlace, names: list[str], origin: str) -> Scope:
    """Check names that somebody wrote: each must be there."""
    paths = checked_scope(names)
    for path in paths:
        if any(path == ours or path.startswith(f"{ours}/") for ours in place.ours):
            raise UsageError(
                f"{origin} names {path}, which is where archives are, and no part of the project",
                hint="Archives are copied with 'strongroom archive create --to FOLDER'.",
            )
    missing = [path for path in paths if not os.path.lexists(place.project / path)]
    if missing:
        raise UsageError(
            f"{origin} names {', '.join(missing)}, and that is not in {place.project}",
            hint="Correct it; an archive that lacks what was asked for would be no backup.",
        )
    return Scope(paths)


def _excludes(run: Run, place: ArchivePlace, request: MakeRequest) -> list[Line]:
    """Return what is left out; patterns with a slash start from the project, as in its root."""
    root = literal(str(place.project))
    lines = [Line(f"{root}/{literal(name)}/", "the archives") for name in place.ours]
    if request.before_restore:
        return lines
    said = [Line(text, "archives.exclude") for text in run.settings.archives.exclude]
    said += [Line(text, "--exclude") for text in request.exclude]
    ignored = place.project / os.fsdecode(IGNORE_FILE)
    if ignored.is_file():
        said += [
            _anchored(line, root, from_root=True) for line in exclude_lines(ignored, str(ignored))
        ]
    return [*(_anchored(line, root, from_root=False) for line in said), *lines]


def _anchored(line: Line, root: str, *, from_root: bool) -> Line:
    """Let a pattern with a slash in its middle start from the project, not from what is in it."""
    sign, body = ("!", line.text[1:]) if line.text.startswith("!") else ("", line.text)
    middle = "/" in body.rstrip("/ ").lstrip("/") and not body.startswith("/")
    if middle or (from_root and body.startswith("/") and not body.startswith(root + "/")):
        return line._replace(text=f"{sign}{root}/{body.lstrip('/')}")
    return line


# -- how it is made


def packing_of(run: Run, form: str | None, level: int | None, jobs: int | None) -> Packing:
    """Decide how archives are compressed: options, then variables and the configuration."""
    said = run.settings.archives
    codec = _FORMATS[form or said.format]
    if level is None and said.level is not None:
        level = parse_number(said.level, "compression level", 1, _MOST_LEVEL)
    if jobs is None and said.jobs is not None:
        jobs = parse_number(said.jobs, "number of jobs", 1, _MOST_JOBS)
    return Packing(codec, checked_level(codec, level), checked_jobs(jobs))


def _told(
    run: Run,
    place: ArchivePlace,
    request: MakeRequest,
    scope: Scope,
    base: _Found | None,
    new: ArchiveId,
) -> Metadata:
    system = os.uname()
    folders = {path: (place.project / path).is_dir() for path in scope.paths}
    return Metadata(
        backup_timestamp=str(new) if request.before_restore else new.stamp,
        project_root=str(place.project),
        backup_scope=shown_scope(scope.paths, folders),
        system_info=SystemInfo(
            hostname=run.machine.host,
            user=run.machine.user,
            bash_version=request.bash,
            os=system.sysname,
            os_version=system.release,
        ),
        program=f"strongroom {__version__}",
        created=rfc3339(run.machine.clock.now_ns()),
        excludes=(*run.settings.archives.exclude, *request.exclude),
        not_in_scope=scope.outside,
        base=base.id if base is not None else "",
        chain=(*base.base.chain, str(new)) if base is not None else (),
    )
