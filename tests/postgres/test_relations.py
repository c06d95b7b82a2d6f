"""The first page of a file says whether it is one of an index."""

from __future__ import annotations

import pytest

from strongroom.postgres.relations import PAGE_HEADER, is_index
from tests.postgres.cluster_kit import cluster_of

pytestmark = pytest.mark.spec("C5")

_MADE = """
CREATE EXTENSION btree_gin; CREATE EXTENSION btree_gist;
CREATE TABLE kept AS SELECT n, n::text AS said, point(n, n) AS at FROM generate_series(1, 2000) n;
CREATE INDEX of_btree ON kept (n); CREATE INDEX of_hash ON kept USING hash (n);
CREATE INDEX of_gin ON kept USING gin (n); CREATE INDEX of_gist ON kept USING gist (n);
CREATE INDEX of_spgist ON kept USING spgist (at); CREATE INDEX of_brin ON kept USING brin (n);
CHECKPOINT
"""
_FILES = """
SELECT relname || ' ' || relkind::text || ' ' || pg_relation_filepath(oid) FROM pg_class
WHERE relkind IN ('r', 'i', 't', 'm') AND pg_relation_filepath(oid) IS NOT NULL
"""


def test_of_a_real_cluster() -> None:
    """Every table and every index of a database is known for what it is, whatever its kind."""
    with cluster_of(15) as (_, server):
        server.sql(_MADE)
        kinds: dict[str, set[bool]] = {}
        for line in server.sql(_FILES).splitlines():
            name, kind, path = line.split(" ")
            data = (server.data / path).read_bytes()
            if any(data[:PAGE_HEADER]):
                assert is_index(data) == (kind == "i"), name
                kinds.setdefault(kind, set()).add(is_index(data))
        assert kinds == {"r": {False}, "t": {False}, "i": {True}}


@pytest.mark.parametrize(
    "data",
    [
        b"",
        bytes(PAGE_HEADER - 1),
        bytes(8192),
        b"\xff" * 8192,
        b"PG_VERSION 15, and more than that",
    ],
    ids=["nothing", "short", "never used", "no page", "text"],
)
def test_what_is_no_page_is_no_index(data: bytes) -> None:
    """Whatever a file begins with, nothing is guessed of it."""
    assert not is_index(data)
