"""Look at the configuration as a whole: what takes effect, and everything that is wrong with it."""

from __future__ import annotations

import difflib
import os
import stat
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final, NamedTuple

from strongroom.app.sources import exclude_lines
from strongroom.config.archives import ArchiveSettings
from strongroom.config.effective import Effective, effective
from strongroom.config.environment import KNOWN, TZ, Environment
from strongroom.config.file import ConfigurationError, TomlFile, find_file
from strongroom.config.merging import filled, laid_over, words_of
from strongroom.config.places import Flags, SecretKind
from strongroom.config.reading import read_file
from strongroom.config.settings import Settings, load_settings
from strongroom.errors import UsageError
from strongroom.sources.files.excludes import Line, from_options
from strongroom.storage.url import parse
from strongroom.system.causes import cause_of

__all__ = ["Effective", "Finding", "check", "effective"]

_OTHERS: Final = 0o077


class Finding(NamedTuple):
    """Something that is wrong; ``where`` is FILE:LINE, a flag or a variable."""

    where: str
    text: str
    is_error: bool = True


def check(flags: Flags, environment: Environment) -> tuple[Path | None, list[Finding]]:
    """Return the file that is used, and everything that is wrong; nothing is opened with a key."""
    found = [_unknown(name) for name in environment.unknown()]
    path = None
    file: TomlFile | None = None
    try:
        path = find_file(flags.config, environment)
        file = read_file(path) if path is not None else None
        settings = load_settings(flags, environment)
    except ConfigurationError as error:
        found += [_of_file(path, detail) for detail in error.details]
        file = error.file
    except UsageError as error:
        found.append(_of(str(path or "configuration"), error))
    else:
        found += _place(settings)
        there = [one for name in settings.environments for one in settings.within(name)]
        for one in [settings, *there]:
            found += [finding for finding in _secrets(one) if finding not in found]
        found += _retention(settings)
    if file is not None:
        found += _repositories(file, environment)
        found += _sources(file, environment)
    return path, found


def _unknown(name: str) -> Finding:
    near = difflib.get_close_matches(name, KNOWN, n=1)
    guess = f"; did you mean {near[0]}?" if near else f" (known: {', '.join(KNOWN)})"
    return Finding(name, f"no variable of this name is read{guess}")


def _of_file(path: Path | None, detail: str) -> Finding:
    """Turn ``line N: what`` of an error into the place that editors and terminals know."""
    place, _, what = detail.partition(": ")
    number = place.removeprefix("line ")
    line, _, column = number.partition(", column ")
    return Finding(f"{path}:{line}" + (f":{column}" if column else ""), what)


def _of(where: str, error: UsageError) -> Finding:
    return Finding(where, error.message + (f". {error.hint}" if error.hint else ""))


def _place(settings: Settings) -> Iterator[Finding]:
    place = settings.place
    where = str(settings.config_file or "configuration")
    for name, one in settings.environments.items():
        if one.sources and any(there is None for there, _ in one.places):
            yield Finding(where, f"environments.{name}.repositories: none is named")
    archives = settings.archives != ArchiveSettings()  # they need none
    if place is None and not archives and not settings.environments:
        yield Finding(where, "no repository is named: write url below [repositories.main]")
    if place is not None and place.folder == settings.folder:
        # one of the file is looked at with the others there
        yield from _address(place.origin, place.url, place.folder)


def _repositories(file: TomlFile, environment: Environment) -> Iterator[Finding]:
    for name, table in file.named("repositories").items():
        url = table.get("url")
        if isinstance(url, str) and url:
            path = str(environment.expanded(url, file.folder)) if url.startswith("~") else url
            yield from _address(file.origin("repositories", name, "url"), path, file.folder)


def _address(origin: str, url: str, folder: Path) -> Iterator[Finding]:
    try:
        parse(url, str(folder))
    except UsageError as error:
        yield _of(origin, error)


def _secrets(settings: Settings) -> Iterator[Finding]:
    for secret in settings.secrets:
        if not secret.is_file:
            continue
        where, path = secret.setting.origin, secret.setting.value
        try:
            found = os.stat(path)  # noqa: PTH116 - a name of any bytes
        except OSError as error:
            missing_key = secret.kind is SecretKind.KEY_FILE and isinstance(
                error, FileNotFoundError
            )
            hint = "; init makes it" if missing_key else ""
            text = f"the {secret.kind.value} {path} cannot be used: {cause_of(error)}{hint}"
            yield Finding(where, text, is_error=not missing_key)
            continue
        if stat.S_ISREG(found.st_mode) and found.st_mode & _OTHERS:
            text = f"other users of this machine may read the {secret.kind.value} {path}"
            yield Finding(where, f"{text}: chmod 600 {path}", is_error=False)


def _retention(settings: Settings) -> Iterator[Finding]:
    """What a variable says wrong, or the table as a whole; the values in it were checked before."""
    retention = settings.retention
    where = (
        retention.days.origin if retention.days else f"{settings.config_file or 'configuration'}"
    )
    for wanted, place in ((retention.policy, where), (retention.zone, TZ)):
        try:
            wanted()
        except UsageError as error:
            yield _of(place, error)


def _sources(file: TomlFile, environment: Environment) -> Iterator[Finding]:
    sources = file.named("sources")
    environments = file.named("environments")
    for name, source in sources.items():
        if not environments:
            yield from _source(file, ("sources", name), source, environment)
    for one in laid_over(sources, environments):
        top = ("environments", one.environment, "sources", one.source)
        for key in _LOOKED_AT:
            place = top if key in one.own else ("sources", one.source)
            table = filled({key: one.table.get(key, [])}, words_of(file.read, one.environment))
            for found in _source(file, place, table, environment):
                # of other machines, which one file may describe as well
                yield found._replace(is_error=found.is_error and "does not exist" not in found.text)
    if not sources:
        text = "no source is described, so that a backup needs paths"
        yield Finding(str(file.path), text, is_error=False)


def _source(
    file: TomlFile, top: tuple[str, ...], table: Mapping[str, object], environment: Environment
) -> Iterator[Finding]:
    for key, look in _LOOKED_AT.items():
        stated = table.get(key, [])
        texts = [stated] if isinstance(stated, str) else stated
        if isinstance(texts, list) and all(isinstance(text, str) for text in texts):
            where = file.origin(*top, key)
            for found in look(texts, where, file.folder, environment):
                yield found._replace(text=f"{'.'.join((*top, key))}: {found.text}")


def _paths(
    texts: Sequence[str], where: str, folder: Path, environment: Environment
) -> Iterator[Finding]:
    for path in (environment.expanded(text, folder) for text in texts if text):
        if not os.path.lexists(path):
            yield Finding(where, f"{path} does not exist")


def _excludes(
    texts: Sequence[str], where: str, _folder: Path, _environment: Environment
) -> Iterator[Finding]:
    yield from _patterns([Line(text, where) for text in texts])


def _listed(
    texts: Sequence[str], where: str, folder: Path, environment: Environment
) -> Iterator[Finding]:
    for path in (environment.expanded(text, folder) for text in texts):
        try:
            lines = exclude_lines(path, str(path))
        except UsageError as error:
            yield Finding(where, error.message)
        else:
            yield from _patterns(lines)


def _patterns(lines: Sequence[Line]) -> Iterator[Finding]:
    for line in lines:
        try:
            from_options([line], b"")
        except UsageError as error:
            yield Finding(line.origin, error.message.removeprefix(f"{line.origin}: "))


_LOOKED_AT: Final = {"paths": _paths, "exclude": _excludes, "exclude_file": _listed}
