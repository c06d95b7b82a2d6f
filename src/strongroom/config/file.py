"""``strongroom.toml``: found, read and checked; every error in it is reported at once."""

from __future__ import annotations

import difflib
import json
import os
import re
import tomllib
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from strongroom.config.archives import wrong_in as wrong_in_archives
from strongroom.config.databases import wrong_in as wrong_in_databases
from strongroom.config.environment import CONFIG, Environment
from strongroom.config.lines import key_lines, line_of
from strongroom.config.quantities import parse_size
from strongroom.config.retention import wrong_in
from strongroom.config.schema import SOURCE_TYPES, VERSION, Tables, known_keys, source_table
from strongroom.errors import UsageError

NAME: Final = "strongroom.toml"
_LARGEST: Final = 1 << 20
_NAME: Final = re.compile(r"[a-z0-9][a-z0-9-]{0,63}")
_WHERE_NAMES_STAND: Final = ("repositories", "sources")
_OTHERS_MAY_WRITE: Final = 0o002

Wrong = tuple[tuple[str, ...], str]
"""A key, and what is wrong with it."""


class TomlFile:
    """A file in TOML, whatever it says; ``origin`` says where a key stands."""

    def __init__(self, path: Path, text: str, read: dict[str, Any]) -> None:
        self.path = path
        self._text = text
        self._read = read

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
        found = self._read.get(name)
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


class ConfigurationFile(TomlFile):
    """A file that was read and checked."""

    def __init__(self, path: Path, text: str, read: dict[str, Any], tables: Tables) -> None:
        super().__init__(path, text, read)
        self.tables = tables


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


def read_file(path: Path) -> ConfigurationFile:
    """Read and check a file; ``ConfigurationError`` with everything that is wrong in it."""
    try:
        with path.open("rb") as file:
            data = file.read(_LARGEST + 1)
    except OSError as error:
        raise UsageError(f"cannot read {path}: {(error.strerror or '').lower()}") from error
    if len(data) > _LARGEST:
        raise UsageError(f"{path} is larger than 1 MiB, which no configuration is")
    try:
        text = data.decode("utf-8-sig")
        read = tomllib.loads(text)
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise ConfigurationError(path, [f"line {line}: it is not written in UTF-8"]) from error
    except tomllib.TOMLDecodeError as error:
        raise ConfigurationError(path, [_syntax(str(error))]) from error
    return ConfigurationFile(path, text, read, _checked(path, text, read))


def _syntax(message: str) -> str:
    """Put the place that tomllib names at its end to the beginning."""
    match = re.fullmatch(r"(.*) \(at (line \d+), (column \d+)\)", message, re.DOTALL)
    said, place = (match[1], f"{match[2]}, {match[3]}") if match else (message, "at the end")
    said = re.sub(r"\((?:'[^']*'(?:, )?)+,?\)", lambda m: _dotted_tuple(m[0]), said)
    return f"{place}: {said[:1].lower()}{said[1:]}"


def _dotted_tuple(text: str) -> str:
    return "[" + ".".join(re.findall(r"'([^']*)'", text)) + "]"


def _checked(path: Path, text: str, read: dict[str, Any]) -> Tables:
    from pydantic import TypeAdapter, ValidationError  # noqa: PLC0415 - costs 0.2 s, needs a file

    version = read.get("version")
    if isinstance(version, int) and not isinstance(version, bool) and version != VERSION:
        detail = f"line {_line(text, ('version',))}: version {version} is not known to this release"
        raise ConfigurationError(path, [f"{detail}, which reads version {VERSION}"])
    problems: list[Wrong] = []

    def checked(table: type[Any], value: object, *top: str) -> Any:  # noqa: ANN401 - a table
        try:
            return TypeAdapter(table).validate_json(json.dumps(value, default=str))
        except ValidationError as error:
            for one in error.errors(include_url=False):
                key = _meant((*top, *map(str, one["loc"])), one["input"])
                if key:
                    problems.append((key, _said(key, one["type"], one["msg"], read)))

    sources = read.get("sources")
    of_sources = sources if isinstance(sources, dict) else {}
    rest = {key: value for key, value in read.items() if key != "sources" or not of_sources}
    tables: Tables | None = checked(Tables, rest)
    described = {
        name: checked(source_table(_type_of(source)), source, "sources", name)
        for name, source in of_sources.items()
    }
    problems += _bad_names(read) + _senseless(TomlFile(path, text, read))
    if problems or tables is None:
        problems.sort(key=lambda problem: _line(text, problem[0]))
        raise ConfigurationError(
            path,
            [f"line {_line(text, key)}: {'.'.join(key)}: {what}" for key, what in problems],
            TomlFile(path, text, read),
        )
    return replace(tables, sources=described)


def _meant(key: tuple[str, ...], given: object) -> tuple[str, ...]:
    """Return the key that an error is about; none if it is about the other way to write a value.

    What may be true or a table is tried as both.
    """
    is_other = key[-1] == "bool" and isinstance(given, dict)  # a table was meant
    if is_other or key[-1] in _EITHER[1:]:  # or none: the error about true and false says enough
        return ()
    return tuple(one for one in key if one not in _EITHER)


_EITHER: Final = ("bool", "PhysicalTable")


def _type_of(source: object) -> object:
    return source.get("type") if isinstance(source, dict) else None


def _line(text: str, key: tuple[str, ...]) -> int:
    return line_of(key_lines(text), key) or 1


def _said(key: tuple[str, ...], kind: str, message: str, read: dict[str, Any]) -> str:
    if kind == "missing":
        return "it is missing"
    if kind in {"extra_forbidden", "unexpected_keyword_argument"}:
        stated = read.get("sources")
        of_type = _type_of(stated.get(key[1])) if isinstance(stated, dict) and key[1:] else None
        near = difflib.get_close_matches(key[-1], known_keys(key[:-1], of_type), n=1)
        return "not a known key" + (f"; did you mean '{near[0]}'?" if near else "")
    if kind == "literal_error" and key[0] == "sources" and key[-1] == "type":
        return f"it should be {' or '.join(map(repr, SOURCE_TYPES))}"
    said = message.removeprefix("Input should be ").replace("a valid ", "a ")
    return f"it should be {_TYPES.get(said, said)}"


_TYPES: Final = {
    "a array": 'a list of texts, such as ["/srv/app"]',
    "a tuple": 'a list of texts, such as ["/srv/app"]',
    "a string": "a text in quotes",
    "a boolean": "true or false",
    "a integer": "a number",
    "a dictionary or an instance of ConnectionTable": "a table",
    "a dictionary or an instance of PasswordTable": "a table",
    "an object": "a table",
    "a dictionary": "a table",
}


def _bad_names(read: dict[str, Any]) -> list[Wrong]:
    found: list[Wrong] = []
    for table in _WHERE_NAMES_STAND:
        names = read.get(table)
        found += [
            ((table, name), "a name has up to 64 small letters, digits and hyphens")
            for name in (names if isinstance(names, dict) else ())
            if not _NAME.fullmatch(name)
        ]
    return found


def _senseless(file: TomlFile) -> list[Wrong]:
    """Return what a schema cannot say: something must be there, and sizes must be sizes."""
    found: list[Wrong] = []
    for name, source in file.named("sources").items():
        found += wrong_in_databases(name, source)
        paths = source.get("paths")
        if isinstance(paths, list) and (not paths or "" in paths):
            found.append((("sources", name, "paths"), "at least one path, and none that is empty"))
        size = source.get("exclude_larger_than")
        if isinstance(size, str):
            try:
                parse_size(size, "")
            except UsageError as error:
                key = ("sources", name, "exclude_larger_than")
                found.append((key, f"{size!r} is no size. {error.hint}"))
    for name, repository in file.named("repositories").items():
        if repository.get("url") == "":
            found.append((("repositories", name, "url"), "it is empty"))
    found += [(("retention", key), what) for key, what in wrong_in(file.table("retention"))]
    archives = file.table("archives")
    found += [(("archives", key), what) for key, what in wrong_in_archives(archives)]
    return found
