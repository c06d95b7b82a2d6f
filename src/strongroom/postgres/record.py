"""``backup.json`` beside each dump: what it corresponds to, for people and for a restore."""

from __future__ import annotations

import json
from typing import Final

import msgspec

from strongroom.errors import DamageError
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


def encoded(record: Record) -> bytes:
    """Return a record as text, a line a value; names of any bytes are kept by escapes."""
    return json.dumps(msgspec.to_builtins(record), indent=1).encode("ascii") + b"\n"


def decoded(data: bytes) -> Record:
    """Read a record; ``DamageError`` if it is none, or from a later release."""
    try:
        record = msgspec.convert(json.loads(data), Record)
    except (msgspec.ValidationError, ValueError, RecursionError) as error:
        raise DamageError(f"the record of the dump cannot be read: {error}") from error
    if record.version != VERSION:
        raise DamageError(f"the record of the dump is of version {record.version}, not {VERSION}")
    return record
