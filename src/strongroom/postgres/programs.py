"""Which of PostgreSQL's client programs to use: several versions may be installed.

``pg_dump`` refuses servers that are newer than itself. A dump by a newer one is not always read by
older programs and servers (17 sets ``transaction_timeout``, which 16 does not know), so the oldest
that is new enough is used.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from strongroom.errors import RefusedError, SourceError
from strongroom.model.spawn import Spawn

_PLACES: Final = (
    ("/usr/lib/postgresql", "bin"),  # Debian, Ubuntu
    ("/usr", "bin"),  # /usr/pgsql-18 of PostgreSQL's own packages
    ("/opt/homebrew/opt", "bin"),
    ("/usr/local/opt", "bin"),
)
_VERSIONED: Final = re.compile(r"([0-9]{2,3}|pgsql-[0-9]+|postgresql@[0-9]+)")
_WRAPPER: Final = "pg_wrapper"  # Debian's, which chooses by the clusters of this machine
CLIENT: Final = ("pg_dump", "pg_dumpall", "pg_restore", "psql")
SERVER: Final = ("postgres", "pg_ctl", "psql")
_VERSION: Final = re.compile(rb"\(PostgreSQL\) ([0-9]+)([^\s]*)")
_MINOR: Final = re.compile(r"[0-9]+\.([0-9]+)")
_SECONDS: Final = 30.0
_SETS_MORE: Final = 17  # the first whose dumps set transaction_timeout
_MENDED: Final = {13: 22, 14: 19, 15: 14, 16: 10, 17: 6}
"""The minor versions that mend CVE-2025-8714 and CVE-2025-8715; older majors have no such one."""


@dataclass(frozen=True, slots=True)
class Programs:
    """The client programs of one version, in one folder."""

    folder: Path
    major: int
    version: str

    def is_too_new_for(self, server: int) -> bool:
        """Whether a dump that these make of a server, by its major, cannot go back into it."""
        return self.major >= _SETS_MORE > server

    def path(self, name: str) -> str:
        """Return the path of a program."""
        return str(self.folder / name)

    @property
    def sound(self) -> bool:
        """Whether restoring a dump does no more than the dump says (CVE-2025-8714, -8715).

        Older ``pg_restore`` hands on names with line ends as they are, behind ``--``: what follows
        is run as SQL by the server, with the rights of whoever restores, or as orders by ``psql``.
        """
        minor = _MINOR.fullmatch(self.version)
        least = _MENDED.get(self.major)
        if least is None:
            return self.major > max(_MENDED)
        return minor is None or int(minor[1]) >= least


def find_programs(
    spawn: Spawn,
    named: Sequence[Path],
    search_path: str,
    environment: Mapping[str, str] | None = None,
    *,
    needed: Sequence[str] = CLIENT,
) -> list[Programs]:
    """Return every version that is there, oldest first; folders that a person named come alone.

    ``environment`` is all that they see when they are asked what they are; None: what we see. A
    version is there if all that are ``needed`` are; the first says which it is.
    """
    folders: Iterable[Path] = named or [*_usual(), *_of_path(search_path)]
    found: dict[int, Programs] = {}
    for folder in dict.fromkeys(folders):
        programs = _programs_in(spawn, folder, environment, needed)
        if programs is not None:
            found.setdefault(programs.major, programs)
    return [found[major] for major in sorted(found)]


def choose(found: Sequence[Programs], least: int, what: str) -> Programs:
    """Return the oldest version that is at least ``least``; ``SourceError`` names the package.

    ``what`` is what asks for it, such as ``the server``.
    """
    for programs in found:
        if programs.major >= least:
            return programs
    have = ", ".join(programs.version for programs in found)
    here = f"the newest client programs here are {have}" if found else "none are here"
    raise SourceError(
        f"{what} is of PostgreSQL {least}, and {here}",
        hint=f"Install pg_dump {least} or newer: apt-get install postgresql-client-{least}, or "
        "name the folder with its programs: programs = ['/path/to/bin'].",
    )


def choose_sound(found: Sequence[Programs], least: int, what: str) -> Programs:
    """Return the oldest sound version that is at least ``least``, to restore with.

    ``RefusedError`` names the version to install where only unsound ones are new enough.
    """
    sound = [programs for programs in found if programs.sound]
    if any(programs.major >= least for programs in sound):
        return choose(sound, least, what)
    unsound = choose(found, least, what)
    mended = _MENDED.get(unsound.major)
    newer = f"{unsound.major}.{mended}" if mended else str(max(_MENDED) + 1)
    raise RefusedError(
        f"pg_restore {unsound.version} in {unsound.folder} has CVE-2025-8715: names in a dump can "
        "make it run anything on the server that the dump goes to",
        hint=f"Install {newer} or newer: apt-get install --only-upgrade "
        f"postgresql-client-{unsound.major}; or take the files: strongroom dump SNAP --database "
        "NAME --format directory --to FOLDER.",
    )


def _usual() -> Iterator[Path]:
    for top, below in _PLACES:
        try:
            names = sorted(os.listdir(top))  # noqa: PTH208 - names are enough
        except OSError:
            continue
        yield from (Path(top, name, below) for name in names if _VERSIONED.fullmatch(name))


def _of_path(search_path: str) -> Iterator[Path]:
    for folder in search_path.split(os.pathsep):
        if folder.startswith("/"):
            real = os.path.realpath(Path(folder, "pg_dump"))
            if Path(real).name == "pg_dump":
                yield Path(real).parent
            elif Path(real).name != _WRAPPER:
                yield Path(folder)


def _programs_in(
    spawn: Spawn, folder: Path, environment: Mapping[str, str] | None, needed: Sequence[str]
) -> Programs | None:
    if not all(os.access(folder / name, os.X_OK) for name in needed):
        return None
    try:
        command = [str(folder / needed[0]), "--version"]
        done = spawn.run(command, seconds=_SECONDS, environment=environment)
    except OSError:  # also TimeoutError: a program that does not say what it is, is none
        return None
    match = _VERSION.search(done.output)
    if done.code != 0 or match is None:
        return None
    major = int(match[1])
    return Programs(folder, major, f"{major}{match[2].decode('ascii', 'replace')}")
