"""A database with what dumps and restores get wrong: odd names, and every kind of object."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from tests.support.postgres import PostgresServer

ODD_NAME: Final = "a \"b\" 'c' %/ = é\n漢"
"""Quotes, a space, a percent sign, a slash, an equals sign, a line end, and other scripts."""


def make_odd_database(server: PostgresServer, name: str = ODD_NAME, owner: str = "reader") -> None:
    """Make it; with an extension that this server has."""
    quoted = name.replace('"', '""')
    server.sql(_read("odd_roles.sql"))
    server.sql(f'CREATE DATABASE "{quoted}" OWNER {owner}')
    extension = "hstore" if server.major == 15 else "vector"
    server.sql(f"CREATE EXTENSION {extension}; {_read('odd_database.sql')}", name)
    if server.major == 15:
        server.sql("CREATE TABLE extended AS SELECT 'a=>1, b=>NULL'::hstore AS h", name)
    else:
        server.sql("CREATE TABLE extended AS SELECT '[1,2.5,-3]'::vector(3) AS v", name)


def _read(name: str) -> str:
    return Path(__file__).with_name(name).read_text(encoding="utf-8")
