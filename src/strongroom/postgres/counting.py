"""The rows of tables in a server, compared with those of their dump, by several sessions."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from itertools import zip_longest
from typing import Final

from strongroom.errors import StrongroomError
from strongroom.postgres.client import Client, Session
from strongroom.postgres.names import identifier
from strongroom.postgres.record import Table

_AT_ONCE: Final = 40  # tables that one query counts: far below what fills a pipe
_COUNT: Final = "(SELECT count(*) FROM ONLY {}.{})"


def count_as_dumped(
    client: Client, database: str, tables: Sequence[Table], jobs: int, *, analyze: bool = False
) -> int:
    """Return how many rows tables have; ``StrongroomError`` where a dump has another number.

    ``analyze``: another session gathers the statistics of the database meanwhile.
    """
    largest = sorted(tables, key=lambda table: -table.rows)
    shares = [largest[start::jobs] for start in range(jobs)]
    with ExitStack() as stack:
        statistics = stack.enter_context(client.session(database)) if analyze else None
        if statistics is not None:
            statistics.tell("ANALYZE;\nSELECT 1;\n")
        sessions = [stack.enter_context(client.session(database)) for share in shares if share]
        turns = zip_longest(*(_batches(share) for share in shares if share), fillvalue=())
        rows = sum(_counted(sessions, turn) for turn in turns)
        if statistics is not None:
            statistics.answer()
    return rows


def _batches(share: Sequence[Table]) -> list[Sequence[Table]]:
    return [share[start : start + _AT_ONCE] for start in range(0, len(share), _AT_ONCE)]


def _counted(sessions: Sequence[Session], turn: Sequence[Sequence[Table]]) -> int:
    """Let every session count its part at the same time."""
    for session, tables in zip(sessions, turn, strict=True):
        if tables:
            session.tell(f"SELECT json_build_array({', '.join(map(_count, tables))});\n")
    rows = 0
    for session, tables in zip(sessions, turn, strict=True):
        for table, count in zip(tables, session.answer() if tables else (), strict=True):
            if count != table.rows:
                raise StrongroomError(
                    f"{table.schema}.{table.name} has {count:,} rows, and its dump {table.rows:,}"
                )
            rows += int(count)
    return rows


def _count(table: Table) -> str:
    """Return what counts the rows of a table; not those of its partitions."""
    return _COUNT.format(identifier(table.schema), identifier(table.name))
