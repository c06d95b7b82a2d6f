"""``strongroom.toml``: found, read and checked; every error in it is reported at once."""

from __future__ import annotations

import difflib
import json
import os
import re
import tomllib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, Final, NamedTuple

from strongroom.config.archives import wrong_in as wrong_in_archives
from strongroom.config.environment import CONFIG, Environment
from strongroom.config.lines import key_lines, line_of
from strongroom.config.merging import filled, laid_over, unfilled, words_of
from strongroom.config.naming import Wrong, bad_names, unknown_names
from strongroom.config.references import SERVICES, wrong_reference
from strongroom.config.retention import wrong_in
from strongroom.config.schema import (
    SOURCE_TYPES,
    VERSION,
    SourceTable,
    Tables,
    below_source,
    known_keys,
    meant_key,
    source_table,
)
from strongroom.config.sources import wrong_in_source
from strongroom.errors import UsageError

NAME: Final = "strongroom.toml"
_LARGEST: Final = 1 << 20
_OTHERS_MAY_WRITE: Final = 0o002
_INLINE: Final = re.compile(r"=\s*[{\[]")


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
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise ConfigurationError(path, [f"line {line}: it is not written in UTF-8"]) from error
    try:
        read = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigurationError(path, [_syntax(str(error), text)]) from error
    return ConfigurationFile(path, text, read, _checked(path, text, read))


def _syntax(message: str, text: str) -> str:
    """Put the place that tomllib names at its end to the beginning."""
    match = re.fullmatch(r"(.*) \(at line (\d+), (column \d+)\)", message, re.DOTALL)
    if match is None:
        return f"at the end: {message[:1].lower()}{message[1:]}"
    said, number, column = match[1], int(match[2]), match[3]
    place = f"line {number}, {column}"
    if named := re.search(r"\((?:'[^']*'(?:, )?)+,?\)", said):
        key = tuple(re.findall(r"'([^']*)'", named[0]))
        if inline := _written_inline(text, key, number):
            return f"{place}: {inline}"
        said = said.replace(named[0], f"[{'.'.join(key)}]")
    return f"{place}: {said[:1].lower()}{said[1:]}"


def _written_inline(text: str, key: tuple[str, ...], number: int) -> str:
    """Say that a table cannot be extended, if its first part is written in braces or brackets."""
    lines = text.splitlines()
    before = key_lines("\n".join(lines[: number - 1]))
    for end in range(len(key), 0, -1):
        first = before.get(key[:end])
        if first is not None and _INLINE.search(lines[first - 1]):
            whole, part = ".".join(key), ".".join(key[:end])
            return (
                f"[{part}] is written inline in line {first} and cannot be extended by "
                f"[{whole}] here: write it in one of the two ways"
            )
    return ""


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
                if key := meant_key((*top, *map(str, one["loc"])), one["input"]):
                    problems.append((key, _said(key, one["type"], one["msg"], read)))

    of_sources = _table(read, "sources")
    rest = {key: value for key, value in read.items() if key != "sources" or not of_sources}
    tables: Tables | None = checked(Tables, rest)
    environments = _table(read, "environments")
    words = {} if environments else words_of(read)
    described = {
        name: checked(source_table(_type_of(one)), filled(one, words), "sources", name)
        for name, one in of_sources.items()
    }
    laid = _laid(read, checked, problems) if environments else {}
    problems += [*bad_names(read), *unknown_names(read), *_senseless(TomlFile(path, text, read))]
    if not environments and words:
        problems += _meaningless({"sources": filled(of_sources, words)}, ())
    if problems or tables is None:
        problems.sort(key=lambda problem: _line(text, problem[0]))
        raise ConfigurationError(
            path,
            [f"line {_line(text, key)}: {'.'.join(key)}: {what}" for key, what in problems],
            TomlFile(path, text, read),
        )
    there = {
        name: replace(table, sources=laid.get(name, {}))
        for name, table in tables.environments.items()
    }
    return replace(tables, sources=described, environments=there)


def _laid(
    read: dict[str, Any], checked: Callable[..., Any], problems: list[Wrong]
) -> dict[str, dict[str, SourceTable]]:
    """Check each source as it is in each environment; what is wrong with the rest was said."""
    found: dict[str, dict[str, SourceTable]] = {}
    named = {name: one for name, one in _table(read, "sources").items() if isinstance(one, dict)}
    for one in laid_over(named, _table(read, "environments")):
        top = ("environments", one.environment, "sources", one.source)
        table = filled(one.table, words_of(read, one.environment))
        before = len(problems)
        kind = source_table(_type_of(named[one.source]))
        value = checked(kind, table, *top)
        own = [wrong for wrong in problems[before:] if set(wrong[0][4:5]) <= one.own - {"type"}]
        problems[before:] = own
        problems += [
            (key if key[4] in one.own else ("sources", one.source, *key[4:]), what)
            for key, what in _meaningless(table, top)
        ]
        found.setdefault(one.environment, {})[one.source] = value
    return found


def _meaningless(value: object, top: tuple[str, ...]) -> Iterator[Wrong]:
    for key, word in unfilled(value, top):
        why = "project = '…' is missing" if word == "project" else "no environment is described"
        yield key, f"{{{word}}} means nothing here: {why}"


def _table(read: Mapping[str, Any], name: str) -> dict[str, Any]:
    found = read.get(name)
    return found if isinstance(found, dict) else {}


def _type_of(source: object) -> object:
    return source.get("type") if isinstance(source, dict) else None


def _line(text: str, key: tuple[str, ...]) -> int:
    return line_of(key_lines(text), key) or 1


def _said(key: tuple[str, ...], kind: str, message: str, read: dict[str, Any]) -> str:
    if kind == "missing":
        return "it is missing"
    if kind in {"extra_forbidden", "unexpected_keyword_argument"}:
        of_type = _type_of(_table(read, "sources").get(_source_in(key)))
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
    "a dictionary or an instance of RetentionTable": "a table",
    "a dictionary or an instance of SecretTable": "a table",
    "an object": "a table",
    "a dictionary": "a table",
}


def _source_in(key: tuple[str, ...]) -> str:
    """Return the source that a key belongs to; empty if it is none of a source."""
    below = below_source(key)
    return "" if below is None else key[len(key) - len(below) - 1]


def _senseless(file: TomlFile) -> list[Wrong]:
    """Return what a schema cannot say: something must be there, and sizes must be sizes."""
    found: list[Wrong] = []
    for top, source in _all_sources(file):
        found += wrong_in_source(top, source)
    for name, repository in file.named("repositories").items():
        found += _senseless_repository(("repositories", name), repository)
    for top in _policies(file):
        found += [((*top, key), what) for key, what in wrong_in(file.at(*top))]
    if file.states("retention") and file.states("defaults", "retention"):
        found.append((("defaults", "retention"), "it is said in [retention] already"))
    archives = file.table("archives")
    found += [(("archives", key), what) for key, what in wrong_in_archives(archives)]
    return found


def _senseless_repository(top: tuple[str, ...], table: Mapping[str, Any]) -> Iterator[Wrong]:
    for key in ("url", "kms_key"):
        if table.get(key) == "":
            yield (*top, key), "it is empty"
    passphrase = table.get("passphrase")
    if isinstance(passphrase, dict) and (what := wrong_reference(passphrase, SERVICES)):
        yield (*top, "passphrase"), what


def _all_sources(file: TomlFile) -> Iterator[tuple[tuple[str, ...], dict[str, Any]]]:
    """Yield every table of a source, an environment's too, and where it stands."""
    for name, source in file.named("sources").items():
        yield ("sources", name), source
    for environment, table in file.named("environments").items():
        for name, source in _table(table, "sources").items():
            if isinstance(source, dict):
                yield ("environments", environment, "sources", name), source


def _policies(file: TomlFile) -> Iterator[tuple[str, ...]]:
    yield ("retention",)
    yield ("defaults", "retention")
    for environment in file.named("environments"):
        yield ("environments", environment, "retention")
