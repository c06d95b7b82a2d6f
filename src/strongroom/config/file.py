"""``strongroom.toml``: where it is, what it says, and where in it."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Final, NamedTuple

from strongroom.config.environment import CONFIG, Environment
from strongroom.config.lines import key_lines, line_of
from strongroom.config.schema import SourceTable, Tables
from strongroom.errors import UsageError

NAME: Final = "strongroom.toml"
_OTHERS_MAY_WRITE: Final = 0o002


class TomlFile:
    """A file in TOML, whatever it says; ``origin`` says where a key stands."""

    def __init__(self, path: Path, text: str, read: dict[str, Any]) -> None:
        self.path = path
        self._text = text
        self._read = read

    @property
    def read(self) -> Mapping[str, Any]:
        """All that it says."""
        return self._read

    @property
    def folder(self) -> Path:
        """The folder that relative paths in the file start from."""
        return self.path.parent

    def states(self, *key: str) -> bool:
        """Whether a key stands in the file, and is not what it is without being there."""
        table: Any = self._read
        for name in key:
            if not isinstance(table, dict) or name not in table:
                return False
            table = table[name]
        return True

    def named(self, kind: str) -> dict[str, dict[str, Any]]:
        """Return the tables below ``kind``, as far as they are tables, with anything in them."""
        tables = self.table(kind).items()
        return {name: table for name, table in tables if isinstance(table, dict)}

    def table(self, name: str) -> dict[str, Any]:
        """Return a table with anything in it; an empty one if it is not there, or is none."""
        return self.at(name)

    def at(self, *key: str) -> dict[str, Any]:
        """Return the table of a key, as ``table`` does."""
        found: Any = self._read
        for name in key:
            found = found.get(name) if isinstance(found, dict) else None
        return found if isinstance(found, dict) else {}

    def origin(self, *key: str) -> str:
        """Return the file and the line of a key, as ``FILE:LINE``."""
        line = line_of(key_lines(self._text), key)
        return f"{self.path}:{line}" if line else str(self.path)


class ConfigurationError(UsageError):
    """A configuration file does not hold; ``details`` has a line for each thing that is wrong.

    ``file`` is what it says all the same, if it is TOML.
    """

    def __init__(self, path: Path, details: Sequence[str], file: TomlFile | None = None) -> None:
        count = "an error" if len(details) == 1 else f"{len(details)} errors"
        super().__init__(f"{path} has {count}")
        self.details = tuple(details)
        self.file = file


class Described(NamedTuple):
    """A source as it takes effect; in an environment it is called ENVIRONMENT.SOURCE."""

    environment: str
    source: str
    table: SourceTable

    @property
    def name(self) -> str:
        """What it is called, on the command line and in snapshots."""
        return f"{self.environment}.{self.source}" if self.environment else self.source

    @property
    def place(self) -> tuple[str, ...]:
        """Where an environment states its keys; empty without one."""
        return ("environments", self.environment, "sources", self.source)


class ConfigurationFile(TomlFile):
    """A file that was read and checked."""

    def __init__(self, path: Path, text: str, read: dict[str, Any], tables: Tables) -> None:
        super().__init__(path, text, read)
        self.tables = tables

    def sources(self) -> Iterator[Described]:
        """Yield every source that a backup can name: with environments, each in each of them."""
        if not self.tables.environments:
            yield from (Described("", *one) for one in self.tables.sources.items())
        for environment, table in self.tables.environments.items():
            yield from (Described(environment, *one) for one in table.sources.items())

    def key_of(self, one: Described, *key: str) -> tuple[str, ...]:
        """Return where a key of a source stands: what an environment states, it states whole."""
        if one.environment and self.states(*one.place, key[0]):
            return (*one.place, *key)
        return ("sources", one.source, *key)

    def origin_of(self, one: Described, *key: str) -> str:
        """Return the file and the line of a key of a source."""
        return self.origin(*self.key_of(one, *key))

    def retention(self) -> dict[str, Any]:
        """Return the policy that counts where no environment has its own."""
        stated = self.table("defaults").get("retention")
        return stated if isinstance(stated, dict) else self.table("retention")


def find_file(flag: str | None, environment: Environment) -> Path | None:
    """Return the file to use: the one that is named, else the first that is in its place.

    UsageError if the named one is not there, or if one that was found belongs to somebody else.
    """
    for given, who in ((flag, "--config"), (environment.get(CONFIG), CONFIG)):
        if given is not None:
            path = environment.expanded(given, environment.folder)
            if not path.is_file():
                raise UsageError(f"{who} names {path}, and there is no such file")
            return path
    for folder in _folders(environment):
        path = folder / NAME
        if os.path.lexists(path):
            _refuse_of_others(path)
            return path
    return None


def _folders(environment: Environment) -> list[Path]:
    folders = [environment.folder]
    with suppress(UsageError):  # no home: nothing is configured there
        folders.append(environment.base_folder("XDG_CONFIG_HOME", ".config") / "strongroom")
    return [*folders, Path("/etc/strongroom")]


def _refuse_of_others(path: Path) -> None:
    """A file that nobody named may run a command: it must be this user's, or root's."""
    try:
        found = path.stat()
    except OSError as error:
        raise UsageError(f"cannot read {path}: {(error.strerror or '').lower()}") from error
    if found.st_uid not in {0, os.getuid()} or found.st_mode & _OTHERS_MAY_WRITE:
        raise UsageError(
            f"{path} can be written by other users of this machine, so it is not used unasked",
            hint=f"Use it on purpose with --config {path}, or change its owner and mode.",
        )
