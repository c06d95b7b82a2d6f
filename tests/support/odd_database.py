"""A database with what dumps and restores get wrong: odd names, and every kind of object."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from tests.support.postgres import PostgresServer

ODD_NAME: Final = "a \"b\" 'c' %/ = é\n漢"
"""Quotes, a space, a percent sign, a slash, an equals sign, a line end, and other scripts."""
_WITH_CONTRIB: Final = 15  # and with ICU; the others are built without
_WITH_ICU: Final = """
CREATE COLLATION any_case (PROVIDER = icu, LOCALE = 'und-u-ks-level2', DETERMINISTIC = false);
CREATE TABLE cases (t text COLLATE any_case UNIQUE); INSERT INTO cases VALUES ('a'), ('B'), ('é')"""
_VIRTUAL: Final = 18


def make_odd_database(
    server: PostgresServer, name: str = ODD_NAME, owner: str = "reader", *, anywhere: bool = False
) -> None:
    """Make it; ``anywhere``: only with what every version has, and no extension."""
    quoted = name.replace('"', '""')
    server.sql(_read("odd_roles.sql"))
    server.sql(f'CREATE DATABASE "{quoted}" OWNER {owner}')
    server.sql(_read("odd_database.sql"), name)
    server.sql(_read("odd_superuser.sql"), name)
    if anywhere:
        return
    if server.major >= _VIRTUAL:
        server.sql(_read("odd_since_18.sql"), name)
    _extend(server, name, "postgres")


def make_owned_database(server: PostgresServer, name: str, owner: str) -> None:
    """Make what an owner can make who is no superuser; the role ``owner`` may make databases."""
    server.sql(_read("odd_roles.sql"))
    server.sql(f"CREATE DATABASE {name}", user=owner)
    server.sql(_read("odd_database.sql"), name, owner)
    if server.major >= _VIRTUAL:
        server.sql(_read("odd_since_18.sql"), name, owner)
    if server.major == _WITH_CONTRIB:  # what the others have is not for everybody
        _extend(server, name, owner)


def _extend(server: PostgresServer, name: str, user: str) -> None:
    extension, value = "vector", "'[1,2.5,-3]'::vector(3)"
    if server.major == _WITH_CONTRIB:
        extension, value = "hstore", "'a=>1, b=>NULL'::hstore"
        server.sql(_WITH_ICU, name, user)
    server.sql(
        f"CREATE EXTENSION {extension}; CREATE TABLE extended AS SELECT {value} AS v", name, user
    )


def _read(name: str) -> str:
    return Path(__file__).with_name(name).read_text(encoding="utf-8")
