"""``strongroom shims``: the guide's scripts, and what each of their sub-commands does here."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final

import click

from strongroom.app.shims import install as write_shims
from strongroom.cli.job import job
from strongroom.cli.loading import load
from strongroom.cli.output import say
from strongroom.config.environment import CONFIG, read_environment
from strongroom.config.file import NAME
from strongroom.errors import UsageError

_USAGE: Final[Mapping[str, str]] = {
    "backup-system.sh": """\
usage: backup-system.sh COMMAND

  create                       make an archive, and read it back
  verify                       verify the latest archive
  list                         list the archives
  cleanup [DAYS]               remove archives older than 7 days, or DAYS
  incremental                  archive what changed since the last one
  remote URL                   make an archive, and copy it there
  encrypted --key-file FILE    make an encrypted archive

Options of 'strongroom archive' may follow, such as --format zstd.""",
    "verify-backup.sh": """\
usage: verify-backup.sh [ID]

Verifies an archive, such as 20241219_143022; without an id all of them.""",
    "restore-backup.sh": """\
usage: restore-backup.sh COMMAND

  list                         list what can be restored
  restore ID [PATH]...         bring back an archive, such as 20241219_143022

Options of 'strongroom archive restore' may follow, such as --to FOLDER.""",
}
_HELP: Final = frozenset({"-h", "--help", "help"})
_ARCHIVE_FILE: Final = re.compile(
    r"(?:backup|(pre-restore))-(?:([0-9]{8}_[0-9]{6})\.|checksum|metadata|manifest)"
)
_HINT: Final = (
    "Name an archive: './scripts/restore-backup.sh list' shows them. To go back after a failed "
    "deployment use 'strongroom guard -- COMMAND': it restores the archive that it verified before."
)


def install(*, folder: str, replace: bool) -> int:
    """Write the scripts."""
    if not folder:
        raise click.UsageError("the folder is empty")
    with job() as one:
        done = write_shims(one.run.settings.folder / folder, replace=replace)
        for path in done.aside:
            one.output.notice(f"kept what was there as {path}")
        for path in done.written:
            one.output.record("written", path=str(path))
            one.output.line(f"written: {path}")
    return 0


def run(*, name: str, arguments: Sequence[str], project: str, home: str, bash: str) -> int:
    """Do what a shim was called for: the same as a verb of ``strongroom archive``."""
    given = list(arguments)
    if name not in _USAGE:
        raise UsageError(f"there is no shim '{name}'")
    if given and given[0] in _HELP:
        click.echo(_USAGE[name])
        return 0
    command = _COMMANDS[name](given)
    if command is None:
        say(_USAGE[name])
        return UsageError.exit_code
    place = ["--project", project]
    if command[0] in _READING:
        place += ["--home", home]  # scripts/ may be a link into that project
    if (Path(project) / NAME).is_file() and not read_environment().get(CONFIG):
        place += ["--config", str(Path(project) / NAME)]
    group = load("strongroom.cli.verbs.archive").command
    with group.make_context("strongroom archive", [*command, *place], obj=bash) as context:
        code: int = group.invoke(context) or 0
    return code


_READING: Final = frozenset({"restore", "verify", "list"})


def _backup(given: list[str]) -> list[str] | None:
    match given:
        case ["create" | "list" | "incremental", *_]:
            return given
        case ["verify", *_]:
            return given
        case ["cleanup", *rest]:
            return ["cleanup", *rest]
        case ["remote", url, *rest] if not url.startswith("-"):
            return ["create", "--to", url, *rest]
        case ["remote", *_]:
            raise UsageError(
                "remote needs the place to copy to",
                hint="./scripts/backup-system.sh remote /mnt/backups",
            )
        case ["encrypted", *rest]:
            if not any(one.split("=")[0] in {"--key-file", "--recipient"} for one in rest):
                raise UsageError(
                    "encrypted needs a key", hint="Give --key-file FILE, or --recipient age1..."
                )
            return ["create", *rest]
        case _:
            return None


def _verify(given: list[str]) -> list[str] | None:
    if given and not given[0].startswith("-"):
        return ["verify", _checked(given[0]), *given[1:]]
    return ["verify", "--all", *given]


def _restore(given: list[str]) -> list[str] | None:
    match given:
        case ["list", *rest]:
            return ["list", *rest]
        case ["restore", name, *rest] if not name.startswith("-"):
            return ["restore", _checked(name), *rest]
        case ["restore", _, *_]:
            return given
        case ["restore"]:
            raise UsageError("restore needs the id of an archive", hint=_HINT)
        case _:
            return None


def _checked(name: str) -> str:
    """Refuse what ``ls -t backup/*/ | head -1 | xargs basename`` prints, with the way out."""
    found = _ARCHIVE_FILE.match(name)
    if found is not None:
        raise UsageError(
            f"'{name}' is the name of a file, and whose archive is meant nobody can tell",
            hint=_HINT,
        )
    if name.endswith(":"):
        raise UsageError(f"'{name}' is what 'ls' prints above a list, and no archive", hint=_HINT)
    return name


_COMMANDS: Final[Mapping[str, Callable[[list[str]], list[str] | None]]] = {
    "backup-system.sh": _backup,
    "verify-backup.sh": _verify,
    "restore-backup.sh": _restore,
}
