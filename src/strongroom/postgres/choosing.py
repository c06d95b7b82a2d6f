"""Single tables and schemas of a dump: what comes with them, what they need, what stays out."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from strongroom.errors import NotFoundError, UsageError
from strongroom.postgres.toc import Toc, TocEntry

_RELATIONS: Final = frozenset({"TABLE", "VIEW", "MATERIALIZED VIEW", "FOREIGN TABLE", "SEQUENCE"})
_SAID: Final = frozenset({"ACL", "COMMENT", "SECURITY LABEL"})
_BELONGS: Final = _SAID | {
    "CHECK CONSTRAINT",
    "CONSTRAINT",
    "DEFAULT",
    "FK CONSTRAINT",
    "INDEX",
    "INDEX ATTACH",
    "MATERIALIZED VIEW DATA",
    "POLICY",
    "ROW SECURITY",
    "RULE",
    "SEQUENCE",  # of an identity column
    "SEQUENCE OWNED BY",
    "SEQUENCE SET",
    "STATISTICS",
    "TABLE ATTACH",
    "TABLE DATA",
    "TRIGGER",
}
_WITH_BOTH: Final = frozenset({"FK CONSTRAINT", "INDEX ATTACH", "TABLE ATTACH"})
_TOLD: Final = {"FK CONSTRAINT": "foreign key", "TABLE ATTACH": "being a partition:"}
_QUOTED: Final = re.compile(r'(?:"((?:[^"]|"")+)"|([^".]+))(?:\.(?:"((?:[^"]|"")+)"|([^"]+)))?')
_MOST_NAMED: Final = 20


class Name(NamedTuple):
    """A table, or whatever stands where one could."""

    schema: str
    name: str

    def __str__(self) -> str:
        """The name as a person writes it."""
        return f"{self.schema}.{self.name}"


@dataclass(frozen=True, slots=True)
class Choice:
    """What of a dump is restored: entries by number, and the files that they need.

    ``relations`` are made. ``left_out`` says what belongs to them and is not restored, because it
    leads to something that is not; ``empty`` are made without rows, because others need them.
    """

    numbers: Sequence[int]
    files: frozenset[str]
    relations: Sequence[Name]
    left_out: Sequence[str]
    empty: Sequence[Name]


def table_name(text: str) -> Name:
    """Read ``schema.table`` or ``table``; names with dots or quotes in them stand in quotes."""
    match = _QUOTED.fullmatch(text)
    if match is None:
        raise UsageError(f"{text!r} is no table", hint="Name it as schema.table.")
    first = _plain(match[1]) or match[2]
    second = _plain(match[3]) or match[4]
    return Name(first, second) if second else Name("public", first)


def choose(
    contents: Toc, tables: Iterable[Name], schemas: Collection[str], here: Collection[str]
) -> Choice:
    """Choose tables, and all that is in schemas, with all that belongs to them.

    ``here``: the schemas of the database they go to, if that is there already, which must have what
    they need; into a new one (empty) what they need comes along. ``NotFoundError``.
    """
    choosing = _Choosing(contents)
    for table in tables:
        choosing.seed(
            f"table {table}",
            [
                one
                for one in contents.entries
                if one.kind in _RELATIONS and (one.schema, one.tag) == table
            ],
        )
    for schema in schemas:
        choosing.seed(f"schema {schema}", [one for one in contents.entries if _in(one, schema)])
    choosing.take_what_belongs()
    choosing.leave_out()
    choosing.take_what_is_needed(here)
    return choosing.choice()


@dataclass(slots=True)
class _Choosing:
    contents: Toc
    taken: set[int] = field(default_factory=set)
    needed: set[int] = field(default_factory=set)
    left_out: list[TocEntry] = field(default_factory=list)
    known: dict[int, TocEntry] = field(init=False)

    def __post_init__(self) -> None:
        self.known = {one.number: one for one in self.contents.entries}

    def seed(self, what: str, entries: Sequence[TocEntry]) -> None:
        """Take what was asked for."""
        if not entries:
            there = [
                f"{one.schema}.{one.tag}" for one in self.known.values() if one.kind == "TABLE"
            ]
            more = f" and {len(there) - _MOST_NAMED:,} more" if len(there) > _MOST_NAMED else ""
            raise NotFoundError(
                f"the dump has no {what}",
                hint=f"It has the tables {', '.join(there[:_MOST_NAMED]) or 'none'}{more}.",
            )
        self.taken.update(one.number for one in entries)

    def take_what_belongs(self) -> None:
        """Take rows, indexes, constraints, sequences of columns, partitions, rights."""
        size = -1
        while size != len(self.taken):
            size = len(self.taken)
            for one in self.contents.entries:
                if one.number not in self.taken and self._belongs(one):
                    self.taken.add(one.number)
                    self.taken.update(self._brings(one))

    def _belongs(self, one: TocEntry) -> bool:
        if one.kind not in _BELONGS:
            return False
        to = [self.known[n] for n in one.depends if n in self.taken]
        if one.kind in {"SEQUENCE", "TABLE ATTACH"}:
            return any(it.kind == "TABLE" for it in to)
        return bool(to)

    def _brings(self, one: TocEntry) -> list[int]:
        """Return what comes with an entry: the sequence of a column, a partition of its table."""
        if one.kind not in {"SEQUENCE OWNED BY", "TABLE ATTACH"}:
            return []
        own = (one.schema, one.tag)
        found = [self.known[n] for n in one.depends if n in self.known]
        return [it.number for it in found if (it.schema, it.tag) == own]

    def leave_out(self) -> None:
        """Leave out what joins two things of which one is not restored."""
        size = -1
        while size != len(self.taken):  # an index that is left out takes others with it
            size = len(self.taken)
            for number in sorted(self.taken):
                one = self.known[number]
                away = [n for n in one.depends if n in self.known and n not in self.taken]
                if (one.kind in _WITH_BOTH and away) or self._of_whole(one, away):
                    self.taken.remove(number)
                    self.left_out.append(one)

    def _of_whole(self, one: TocEntry, away: Iterable[int]) -> bool:
        """Whether it is a trigger that a partition only has with its whole, which is away."""
        return one.kind == "TRIGGER" and any(self.known[n].kind == "TRIGGER" for n in away)

    def take_what_is_needed(self, here: Collection[str]) -> None:
        """Take schemas that are not there, and into a new database all that must be before."""
        schemas = {self.known[number].schema for number in self.taken} - set(here)
        waiting = [
            one for one in self.known.values() if one.kind == "SCHEMA" and one.tag in schemas
        ]
        if not here:
            waiting += [self.known[n] for number in self.taken for n in self._before(number)]
        while waiting:
            one = waiting.pop()
            if one.number not in self.taken | self.needed:
                self.needed.add(one.number)
                waiting += [self.known[n] for n in self._before(one.number)]
                schemas = {one.schema}
                waiting += [
                    it for it in self.known.values() if it.kind == "SCHEMA" and it.tag in schemas
                ]
        for one in self.known.values():
            if one.kind in _SAID and self.needed.intersection(one.depends):
                self.needed.add(one.number)
        if here:
            there = {one.number for one in self.known.values() if _is_schema(one, here)}
            self.taken -= there

    def _before(self, number: int) -> list[int]:
        return [n for n in self.known[number].depends if n in self.known]

    def choice(self) -> Choice:
        """Return what was chosen, in the order of the dump."""
        every = [one for one in self.contents.entries if one.number in self.taken | self.needed]
        return Choice(
            numbers=[one.number for one in every],
            files=frozenset(one.file for one in every if one.file),
            relations=[Name(one.schema, one.tag) for one in every if one.kind in _RELATIONS],
            left_out=[
                f"{_TOLD.get(one.kind, one.kind.lower())} {one.schema}.{one.tag}"
                for one in self.left_out
                if one.kind != "INDEX ATTACH"
            ],
            empty=[
                Name(one.schema, one.tag)
                for one in every
                if one.kind == "TABLE" and one.number in self.needed
            ],
        )


def _in(one: TocEntry, schema: str) -> bool:
    return one.schema == schema or (one.kind == "SCHEMA" and one.tag == schema)


def _is_schema(one: TocEntry, here: Collection[str]) -> bool:
    """Whether an entry is a schema that is there already, or something said of it."""
    if one.kind == "SCHEMA":
        return one.tag in here
    return one.kind in _SAID and one.tag in {f"SCHEMA {name}" for name in here}


def _plain(quoted: str | None) -> str:
    return (quoted or "").replace('""', '"')
