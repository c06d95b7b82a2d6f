"""From what a person says of a new archive to one that is made."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NamedTuple

from strongroom import __version__
from strongroom.app.archives.choosing import Chosen, all_of, choose
from strongroom.app.archives.keys import Keys, archive_keys
from strongroom.app.archives.place import (
    ArchivePlace,
    refuse_unfinished_restore,
    settle,
    shelf_of,
)
from strongroom.app.machine import Run
from strongroom.archive.codecs import Codec, checked_jobs, checked_level
from strongroom.archive.files import TakenError
from strongroom.archive.metadata import Metadata, SystemInfo
from strongroom.archive.naming import ArchiveId
from strongroom.archive.scope import shown_scope
from strongroom.archive.shelf import Shelf, State
from strongroom.archive.writing import below
from strongroom.clock import as_utc, rfc3339
from strongroom.config.archives import parse_number
from strongroom.operations.archives.making import Around, Base, Packing, Recipe, make
from strongroom.operations.archives.manifests import load_manifest
from strongroom.operations.archives.sums import wrong_beside
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
        refuse_unfinished_restore(place.project)
    shelf = shelf_of(run, place)
    settle(run, shelf)
    keys = archive_keys(run, request.recipients)
    packing = packing_of(run, request.form, request.level, request.jobs)
    base, whole = _base(shelf, keys) if request.incremental else (None, "")
    if request.before_restore:
        chosen = all_of(place, request.scope)
    else:
        chosen = choose(run, place, request.scope, request.exclude, base and base.metadata)
    paths = chosen.paths(place.project)
    options = FilesOptions(exclude=tuple(chosen.lines))
    with (
        FilesSource(machine.fs, machine.clock, paths, name="archive", options=options) as source,
        _begun(run, shelf, before_restore=request.before_restore) as new,
    ):
        recipe = Recipe(
            told=_told(run, place, request, chosen, base, new),
            rename=below(os.fsencode(place.project).lstrip(b"/")),
            packing=packing,
            seal=keys.seal,
            unseal=keys.unseal,
            base=base.base if base is not None else None,
        )
        metadata = make(shelf, new, recipe, source, Around(machine.clock, run.sink))
    return Made(new, metadata, machine.clock.elapsed() - began, whole)


@contextmanager
def _begun(run: Run, shelf: Shelf, *, before_restore: bool) -> Iterator[ArchiveId]:
    """Hold the folder of an archive that is named after the second it begins in."""
    clock = run.machine.clock
    with ExitStack() as stack:
        while True:
            stamp = as_utc(clock.now_ns()).astimezone().strftime(_STAMP)
            new = ArchiveId(stamp, before_restore)
            try:
                stack.enter_context(shelf.begun(new))
            except TakenError:
                clock.sleep(_SHORT_WAIT)
            else:
                break
        yield new


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
    wrong = next(wrong_beside(shelf.below(last), last), "")
    if metadata.encrypted and keys.unseal is None:
        wrong = "nobody here can read its manifest"
    if wrong:
        return None, f"{last.id} cannot be built on: {wrong}"
    rows = load_manifest(shelf.below(last), last.id, metadata, keys.unseal)
    chain = metadata.chain or (str(last.id),)
    return _Found(Base(chain, {row.path: row for row in rows}), metadata, str(last.id)), ""


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
    chosen: Chosen,
    base: _Found | None,
    new: ArchiveId,
) -> Metadata:
    system = os.uname()
    scope = chosen.scope
    folders = {path: _is_folder(place.project / path) for path in scope.paths}
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
        default_scope=chosen.by_default,
        ignored=chosen.ignored,
        excludes=(*run.settings.archives.exclude, *request.exclude),
        not_in_scope=scope.outside,
        base=base.id if base is not None else "",
        chain=(*base.base.chain, str(new)) if base is not None else (),
    )


def _is_folder(path: Path) -> bool:
    return path.is_dir() and not path.is_symlink()
