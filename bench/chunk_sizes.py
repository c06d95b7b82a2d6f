"""Sizes of chunks of rows, tried on dumps of two databases before and after a day."""

from __future__ import annotations

import subprocess
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import zstandard
from blake3 import blake3

from strongroom.chunking.cutter import ROWS, ChunkerParameters, FastCdc
from tests.support.postgres import PostgresServer

_TRIED = (
    ROWS,
    ChunkerParameters(1 << 16, 1 << 13, 1 << 10, 1 << 16, 2),
    ChunkerParameters(1 << 16, 1 << 12, 1 << 9, 1 << 16, 2),
    ChunkerParameters(1 << 16, 1 << 11, 1 << 9, 1 << 16, 3),
)
_FRAME = 4 << 20
_INDEX = 52  # bytes of an index for a chunk
SHOP_ROWS = "1,200,000"
SHOP = """
CREATE TABLE orders AS SELECT g AS id, (g::bigint * 7919 % 100003)::int AS customer,
  (g::bigint * 104729 % 9999991)::numeric / 100 AS amount,
  (ARRAY['new', 'paid', 'sent', 'done'])[1 + g % 4] AS state,
  timestamp '2025-01-01' + g * interval '11 s' AS made, md5(g::text) AS token,
  md5((g % 5000)::text) AS article, 'note ' || (g::bigint * 15485863 % 1000000007) AS note
FROM generate_series(1, 1200000) g"""
_EVENLY = "UPDATE orders SET state = 'back', amount = amount + 1 WHERE id % 100 = 7"
_RECENT = """
UPDATE orders SET state = 'back', amount = amount + 1 WHERE id IN (
  SELECT 1200000 - (120000 * -ln(n / 12001.0))::int FROM generate_series(1, 12000) n)"""
_EVENLY_HERE = "UPDATE pgbench_accounts SET abalance = abalance + 7 WHERE aid % 100 = 11"
_HEAD = """## Sizes of chunks

Dumps of two databases, before and after a day in which one row in a hundred changed: pgbench's,
whose rows are mostly blanks, and a table of orders (170 MB) with texts that compress to two fifths.
*Evenly*: one row in each hundred; *recent*: the newer a row, the likelier, which is more like what
applications do. *MB* is what is stored: compressed rows, lists of chunks, and 52 bytes of the index
for each new chunk. The first line is what is used.

| average, minimum, normalisation | mean bytes | {columns} |
|---|---|{lines}|"""


class _Cut(NamedTuple):
    """A dump in chunks: those that are not known yet, and the lists of all of them."""

    ids: set[bytes]
    lists: set[bytes]
    chunks: int
    size: int
    stored: int


def compared(server: PostgresServer, work: Path) -> str:
    """Measure, and return a part of the page."""
    columns = ["pgbench first MB", "evenly MB"]
    columns += ["orders first MB", "evenly MB", "recent MB"]
    dumps = _dumps(server, work)
    lines = [_HEAD.format(columns=" | ".join(columns), lines="---|" * (len(columns) - 1) + "---")]
    for tried in _TRIED:
        lines.append(_row(tried, dumps))
        print(lines[-1], flush=True)
    return "\n".join([*lines, ""])


def _dumps(server: PostgresServer, work: Path) -> list[list[Path]]:
    server.sql("CREATE DATABASE shop")
    server.sql(SHOP, "shop")
    server.sql("CREATE DATABASE shop_2 TEMPLATE shop")
    found = [[_dump(server, work, "bench", "1")], [_dump(server, work, "shop", "1")]]
    for name, sql, which in (("bench", _EVENLY_HERE, 0), ("shop", _EVENLY, 1)):
        server.sql(sql, name)
        found[which].append(_dump(server, work, name, "2"))
    server.sql(_RECENT, "shop_2")
    found[1].append(_dump(server, work, "shop_2", "3"))
    return found


def _dump(server: PostgresServer, work: Path, name: str, number: str) -> Path:
    folder = work / f"{name}-{number}"
    command = [str(server.programs / "pg_dump"), "-Fd", "-Z0", "--no-sync"]
    command += ["-h", str(server.folder), "-U", "postgres", "-f", str(folder), name]
    subprocess.run(command, check=True)
    return folder


def _row(tried: ChunkerParameters, dumps: Sequence[Sequence[Path]]) -> str:
    cells, chunks, size = [], 0, 0
    for first, *later in dumps:
        base = _cut(first, tried, set(), set())
        chunks, size = chunks + base.chunks, size + base.size
        cells.append(f"{base.stored / 1e6:.1f}")
        for one in later:
            day = _cut(one, tried, base.ids, base.lists)
            cells.append(f"{day.stored / 1e6:.1f} ({day.stored / base.stored:.0%})")
    name = f"{tried.average:,}, {tried.minimum:,}, {tried.normalisation}"
    return f"| {name} | {size / chunks:,.0f} | {' | '.join(cells)} |"


def _cut(dump: Path, tried: ChunkerParameters, known: set[bytes], lists: set[bytes]) -> _Cut:
    """Cut a dump; ``stored`` is what of it is neither ``known`` nor in ``lists``."""
    ids: set[bytes] = set()
    new: list[memoryview] = []
    listed: set[bytes] = set()
    chunks = size = 0
    for file in sorted(dump.glob("[0-9]*.dat")):
        records: list[bytes] = []
        for chunk in _chunks(file.read_bytes(), tried):
            chunk_id = blake3(chunk).digest()
            chunks, size = chunks + 1, size + len(chunk)
            if chunk_id not in known and chunk_id not in ids:
                new.append(chunk)
            ids.add(chunk_id)
            records.append(chunk_id + len(chunk).to_bytes(8, "big"))
        listed.update(_lists(records))
    compressor = zstandard.ZstdCompressor(level=3)
    stored = sum(len(compressor.compress(frame)) for frame in _frames(new))
    stored += sum(len(compressor.compress(one)) for one in listed - lists)
    return _Cut(ids, listed, chunks, size, stored + _INDEX * len(new))


def _chunks(data: bytes, tried: ChunkerParameters) -> Iterator[memoryview]:
    view, place = memoryview(data), 0
    if len(data) < tried.whole_below:
        yield view
        return
    for length in FastCdc(tried).lengths(view):
        yield view[place : place + length]
        place += length


def _frames(chunks: Iterable[memoryview]) -> Iterator[bytes]:
    waiting = bytearray()
    for chunk in chunks:
        waiting += chunk
        if len(waiting) >= _FRAME:
            yield bytes(waiting)
            waiting.clear()
    yield bytes(waiting)


def _lists(records: list[bytes]) -> Iterator[bytes]:
    """Yield lists of chunks, cut as docs/format.md 8 says."""
    held: list[bytes] = []
    for record in records:
        ends = held and int.from_bytes(held[-1][30:32], "big") % 1024 == 0
        if len(held) >= 4096 or (len(held) >= 64 and ends):
            yield b"".join(held)
            held = []
        held.append(record)
    yield b"".join(held)
