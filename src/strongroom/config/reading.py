"""``strongroom.toml``, read and checked: every error in it is reported at once."""

from __future__ import annotations

import difflib
import json
import re
import tomllib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from strongroom.config.archives import wrong_in as wrong_in_archives
from strongroom.config.file import ConfigurationError, ConfigurationFile, TomlFile
from strongroom.config.lines import key_lines, line_of
from strongroom.config.merging import filled, laid_over, unfilled, words_of
from strongroom.config.naming import Wrong, bad_names, unknown_names
from strongroom.config.plainly import plainly
from strongroom.config.references import wrong_in_repository
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

_LARGEST: Final = 1 << 20
_INLINE: Final = re.compile(r"=\s*[{\[]")


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
    version = read.get("version")
    if isinstance(version, int) and not isinstance(version, bool) and version != VERSION:
        detail = f"line {_line(text, ('version',))}: version {version} is not known to this release"
        raise ConfigurationError(path, [f"{detail}, which reads version {VERSION}"])
    problems: list[Wrong] = []

    def checked(table: type[Any], value: object, *top: str) -> Any:  # noqa: ANN401 - a table
        found = plainly(table, value)
        if found is not None:
            return found
        from pydantic import TypeAdapter, ValidationError  # noqa: PLC0415 - costs 90 ms

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
        found += wrong_in_repository(("repositories", name), repository)
    for top in _policies(file):
        found += [((*top, key), what) for key, what in wrong_in(file.at(*top))]
    if file.states("retention") and file.states("defaults", "retention"):
        found.append((("defaults", "retention"), "it is said in [retention] already"))
    archives = file.table("archives")
    found += [(("archives", key), what) for key, what in wrong_in_archives(archives)]
    return found


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
