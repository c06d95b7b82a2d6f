"""Where a project and its archives are, and with what access they are made."""

from __future__ import annotations

import grp
import os
import pwd
import shlex
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from strongroom.app.machine import Run
from strongroom.app.sources import absolute
from strongroom.archive.files import Access, Files
from strongroom.archive.runlog import killed_line
from strongroom.archive.shelf import Shelf
from strongroom.errors import RefusedError, UsageError

WORK: Final = ".strongroom-restore"
"""The folder in a project where a restore unpacks and keeps what it replaces."""
ASIDE: Final = "meanwhile"  # what somebody else put in the way of a restore, in that folder


@dataclass(frozen=True, slots=True)
class ArchivePlace:
    """A project and the folder of its archives; absolute, and symbolic links are not resolved."""

    project: Path
    folder: Path

    @property
    def inside(self) -> tuple[str, ...]:
        """The paths by which archives are in the project: where they lie, and links to there."""
        found = [
            str(folder.relative_to(top))
            for top in (self.project, self.project.resolve())
            for folder in (self.folder, self.folder.resolve())
            if folder.is_relative_to(top) and folder != top
        ]
        return tuple(dict.fromkeys(found))

    @property
    def ours(self) -> tuple[str, ...]:
        """What is in the project and no part of it: no archive holds it, no restore changes it."""
        return (WORK, *self.inside)


def place_of(run: Run, project: str, folder: str | None) -> ArchivePlace:
    """Find a project; ``UsageError`` if it is no folder."""
    if not project or folder == "":
        raise UsageError("the project or the folder of its archives is empty")
    top = _normal(absolute(run.settings.folder, project))
    if not top.is_dir():
        raise UsageError(
            f"the project {top} is not a folder", hint="Name it with --project, or go there."
        )
    start = top if folder is None else run.settings.folder
    archives = _normal(absolute(start, folder or run.settings.archives.folder))
    if archives == top:
        raise UsageError(
            f"{top} cannot hold the project and its archives",
            hint="Name another folder with --folder, such as backup.",
        )
    return ArchivePlace(top, archives)


def place_or_home(run: Run, project: str, folder: str | None, home: str | None) -> ArchivePlace:
    """Find a project to read from; without archives of its own, those of ``home`` are meant.

    That is the project that its scripts come from.
    """
    place = place_of(run, project, folder)
    if home is None or place.folder.exists():
        return place
    return ArchivePlace(place.project, Path(home) / run.settings.archives.folder)


def _normal(path: Path) -> Path:
    return Path(os.path.normpath(path))


def shelf_of(run: Run, place: ArchivePlace) -> Shelf:
    """Return the archives of a project; nothing is made yet."""
    return shelf_at(run, place.folder)


def shelf_at(run: Run, folder: Path) -> Shelf:
    """Return the archives in a folder."""
    return Shelf(Files(run.machine.fs, os.fsencode(folder), access_of(run)))


def access_of(run: Run) -> Access:
    """Return the access that is configured; ``UsageError`` for an owner that does not exist."""
    said = run.settings.archives
    return Access(
        folder_mode=said.folder_mode,
        file_mode=said.file_mode,
        uid=_number(said.owner, "owner", lambda name: pwd.getpwnam(name).pw_uid),
        gid=_number(said.group, "group", lambda name: grp.getgrnam(name).gr_gid),
    )


def _number(text: str | None, what: str, look_up: Callable[[str], int]) -> int | None:
    if text is None or text.isdigit():
        return None if text is None else int(text)
    try:
        return look_up(text)
    except KeyError as error:
        raise UsageError(
            f"archives.{what}: nobody on this machine is called '{text}'",
            hint=f"Name {what} as 'id' shows it, or give its number.",
        ) from error


def settle(run: Run, shelf: Shelf) -> None:
    """Finish what killed runs left, as far as that can be done."""
    for text in shelf.settle(killed_line(run.machine.clock)):
        run.warn(f"what a killed run left stays there: {text}")


def command_for(target: Path) -> str:
    """Return the command that ``--rollback`` and ``--resume`` are given to."""
    return f"strongroom archive restore --project {shlex.quote(str(target))}"


def refuse_unfinished_restore(target: Path) -> None:
    """``RefusedError`` while a folder is neither as before nor as wanted, or a restore at work."""
    work = target / WORK
    if not os.path.lexists(work):
        return
    if _is_only_aside(work):
        raise RefusedError(
            f"{work} holds what stood in the way of a restore",
            hint="Nothing else needs it: take out what is yours, and remove that folder.",
        )
    raise RefusedError(
        f"a restore of {target} is unfinished, or at work",
        hint=f"End it first: '{command_for(target)} --rollback', or --resume.",
    )


def _is_only_aside(work: Path) -> bool:
    try:
        names = [path.name for path in work.iterdir()]
    except OSError:
        return False
    return bool(names) and all(name.startswith(ASIDE) for name in names)
