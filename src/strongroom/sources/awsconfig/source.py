"""A source of configuration in AWS: a JSON record for each parameter, secret and stack.

All names are listed first, so that records come in the order of their paths; what is read is read
by a few threads, some names ahead. Nothing of it touches a disk.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, NamedTuple, cast

from strongroom.aws import cloudformation, secretsmanager, ssm
from strongroom.aws.asking import Found, HasClients, Service
from strongroom.aws.errors import AwsError
from strongroom.aws.patterns import Patterns, is_exact
from strongroom.aws.records import (
    KIND,
    PARAMETER,
    SECRET,
    STACK,
    Captured,
    encoded,
    file_of,
    folder_of,
    token_of,
)
from strongroom.clock import Clock
from strongroom.model.entry import sort_key
from strongroom.model.source import Content, Item, Loaded, Problem, Report
from strongroom.sources.awsconfig.whole import whole
from strongroom.sources.made import made_file

_READERS: Final = 4  # AWS answers 10 to 40 requests a second
_AHEAD: Final = 32


class _Reading(NamedTuple):
    """How things of one kind are listed and read."""

    kind: str
    service: str
    listed: Callable[[Service, Patterns], dict[str, Found]]
    captured: Callable[[Service, Found], Captured]
    changed: Sequence[str]


_READINGS: Final = (
    _Reading(
        STACK,
        cloudformation.SERVICE,
        cloudformation.listed,
        cloudformation.captured,
        ("LastUpdatedTime", "CreationTime"),
    ),
    _Reading(
        SECRET,
        secretsmanager.SERVICE,
        secretsmanager.listed,
        secretsmanager.captured,
        ("LastChangedDate", "CreatedDate"),
    ),
    _Reading(PARAMETER, ssm.SERVICE, ssm.listed, ssm.captured, ("LastModifiedDate",)),
)
SERVICES: Final = {reading.kind: reading.service for reading in _READINGS}


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfigurationOptions:
    """Which names are meant of each; none where there are no texts. See ``Patterns``."""

    parameters: Sequence[str] = ()
    secrets: Sequence[str] = ()
    stacks: Sequence[str] = ()

    def of(self, kind: str) -> Sequence[str]:
        """Return the texts for a kind of record."""
        return {PARAMETER: self.parameters, SECRET: self.secrets, STACK: self.stacks}[kind]


class _Wanted(NamedTuple):
    """Something that was listed, and is to be read."""

    path: bytes
    reading: _Reading
    described: Found


class _File(NamedTuple):
    """A file of the snapshot; ``mtime_ns`` is when AWS says it changed."""

    data: bytes
    token: bytes
    mtime_ns: int


class ConfigurationSource:
    """A ``Source`` of records below ``aws/NAME``; see ``docs/aws-configuration.md``."""

    kind = KIND

    def __init__(
        self,
        name: str,
        clients: HasClients,
        options: ConfigurationOptions,
        clock: Clock,
        tell: Callable[[str], None],
    ) -> None:
        """``tell`` gets what a person should know and is no problem."""
        self.name = name
        self._clients = clients
        self._options = options
        self._clock = clock
        self._tell = tell
        self.looked_at: dict[bytes, bytes] = {}
        self._services = {
            one.kind: Service(clients, one.service, "", clock.sleep) for one in _READINGS
        }

    @property
    def top(self) -> bytes:
        """The folder that all of it is in."""
        return folder_of(self.name).encode()

    def walk(self, report: Report) -> Iterator[Sequence[Item]]:
        """See ``Source``; ``SourceError`` if nothing at all can be listed."""
        wanted = self._listed(report)
        with ThreadPoolExecutor(_READERS, thread_name_prefix="aws") as readers:
            for start in range(0, len(wanted), _AHEAD):
                part = wanted[start : start + _AHEAD]
                items = []
                for files, problems in readers.map(self._read, part):
                    for problem in problems:
                        report(problem)
                    items += files
                yield items

    def load(self, items: Sequence[Item]) -> list[Loaded]:
        """See ``Source``; what the walk read is given."""
        return [self._loaded(item, cast(_File, item.handle).data) for item in items]

    def look(self, items: Sequence[Item]) -> list[Loaded]:
        """See ``InspectableSource``; ``looked_at`` keeps the bytes until the next look."""
        self.looked_at = {item.path: cast(_File, item.handle).data for item in items}
        return [self._loaded(item, b"") for item in items]

    def open(self, item: Item) -> AbstractContextManager[Content]:
        """See ``Source``."""
        return whole(cast(_File, item.handle).data, lambda: self._loaded(item, b""))

    def _loaded(self, item: Item, data: bytes) -> Loaded:
        file = cast(_File, item.handle)
        entry = made_file(item.path, len(file.data), file.mtime_ns)
        return Loaded(item, entry, data, file.token)

    # -- listing

    def _listed(self, report: Report) -> list[_Wanted]:
        found: list[_Wanted] = []
        failures = []
        asked = [one for one in _READINGS if self._options.of(one.kind)]
        for reading in asked:
            patterns = Patterns(self._options.of(reading.kind))
            try:
                names = reading.listed(self._services[reading.kind], patterns)
            except AwsError as error:
                if error.is_of_credentials:
                    raise
                failures.append(error)
                place = b"%s/%s" % (self.top, _folder(reading.kind))
                report(Problem(place, f"none of it can be listed: {error.message}"))
                continue
            self._tell_unmet(reading, patterns, names, report)
            found += [
                _Wanted(self._path(reading.kind, name), reading, one) for name, one in names.items()
            ]
        if failures and len(failures) == len(asked):
            raise failures[0]
        if not found and not failures:
            report(Problem(self.top, "nothing that is meant is in the account"))
        return sorted(found, key=lambda one: sort_key(one.path))

    def _tell_unmet(
        self, reading: _Reading, patterns: Patterns, names: dict[str, Found], report: Report
    ) -> None:
        for text in patterns.unmet(names):
            if is_exact(text):
                below = " (a path ends with a slash)" if reading.kind == PARAMETER else ""
                why = f"{reading.service} has no '{text}'{below}"
                report(Problem(self._path(reading.kind, text), why))
            else:
                self._tell(f"warning: {reading.service} has nothing like '{text}'")

    def _path(self, kind: str, name: str, suffix: str = ".json") -> bytes:
        return b"%s/%s" % (self.top, file_of(kind, name, suffix).encode())

    # -- reading, by several threads

    def _read(self, wanted: _Wanted) -> tuple[list[Item], list[Problem]]:
        reading, described = wanted.reading, wanted.described
        try:
            found = reading.captured(self._services[reading.kind], described)
        except AwsError as error:
            if error.is_of_credentials:
                raise
            return [], [Problem(wanted.path, error.message)]
        mtime = next((_ns(described[k]) for k in reading.changed if k in described), 0)
        data = encoded(found.record)
        name = found.record["Name"]
        files = [(wanted.path, _File(data, token_of(data, found.record), mtime))]
        for suffix, text in found.files:
            path = self._path(reading.kind, name, suffix)
            files.append((path, _File(text, token_of(text, None), mtime)))
        files.sort(key=lambda one: sort_key(one[0]))
        items = [Item(path, file.token, len(file.data), file) for path, file in files]
        return items, [Problem(wanted.path, lack, missing=False) for lack in found.lacks]


def _folder(kind: str) -> bytes:
    return file_of(kind, "x").partition("/")[0].encode()


def _ns(when: Any) -> int:  # noqa: ANN401 - a time, if AWS gave one
    return int(when.timestamp() * 1000) * 1_000_000 if isinstance(when, datetime) else 0
