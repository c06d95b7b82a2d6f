"""``backup.json`` beside each dump: what it corresponds to, for people and for a restore."""

from __future__ import annotations

from typing import Final

import msgspec

from strongroom.postgres import recordtext
from strongroom.postgres.catalog import Locale

VERSION: Final = 1


class Table(msgspec.Struct, frozen=True):
    """A table whose rows are in ``file``; ``rows`` as they stand in it.

    ``counted``: what the server counted in the same snapshot, if it was asked.
    """

    schema: str
    name: str
    file: str
    rows: int
    counted: int | None = None


class Record(msgspec.Struct, frozen=True):
    """One dump. ``time`` and ``lsn`` are those of its snapshot; ``major`` that of ``pg_dump``."""

    version: int
    database: str
    server: str
    client: str
    major: int
    time: str
    lsn: str
    owner: str
    locale: Locale
    extensions: dict[str, str]
    tables: tuple[Table, ...]


def decoded(data: bytes) -> Record:
    """Read a record; ``DamageError`` if it is none, or from a later release."""
    return recordtext.decoded(data, Record, VERSION, "the dump")
