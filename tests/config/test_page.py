"""``docs/configuration.md`` has every key of the file, and no other; its example holds."""

from __future__ import annotations

import re
from dataclasses import fields
from pathlib import Path
from typing import Any, Final

import pytest

from strongroom.config.reading import read_file
from strongroom.config.schema import (
    ArchivesTable,
    AwsConfigTable,
    AwsTable,
    CnameTable,
    ConnectionTable,
    DefaultsTable,
    EnvironmentTable,
    FilesTable,
    PasswordTable,
    PhysicalTable,
    PostgresTable,
    RdsTable,
    RepositoryTable,
    RetentionTable,
    S3Table,
    SecretTable,
    SwapTable,
    Tables,
)

PAGE: Final = Path(__file__).parents[2] / "docs" / "configuration.md"
TABLES: Final[dict[str, type[Any]]] = {
    "The file": Tables,
    "`[repositories.NAME]`": RepositoryTable,
    "`passphrase`": SecretTable,
    '`[sources.NAME]` with `type = "files"`': FilesTable,
    '`[sources.NAME]` with `type = "postgres"`': PostgresTable,
    "`physical`": PhysicalTable,
    "`connection`": ConnectionTable,
    "`password`": PasswordTable,
    "`rds`": RdsTable,
    "`swap`": SwapTable,
    "`cname`": CnameTable,
    '`[sources.NAME]` with `type = "s3"`': S3Table,
    '`[sources.NAME]` with `type = "aws-config"`': AwsConfigTable,
    "`[retention]`": RetentionTable,
    "`[archives]`": ArchivesTable,
    "`[aws]`": AwsTable,
    "`[defaults]`": DefaultsTable,
    "`[environments.NAME]`": EnvironmentTable,
}


def sections() -> dict[str, list[str]]:
    """Return the keys in the table of each section, in their order."""
    found: dict[str, list[str]] = {}
    for section in re.split(r"^##+ ", PAGE.read_text("utf-8"), flags=re.MULTILINE)[1:]:
        title, _, text = section.partition("\n")
        cells = re.findall(r"^\| (`[^|]*?) \|", text, re.MULTILINE)
        found[title] = [key for cell in cells for key in re.findall(r"`(\w+)`", cell)]
    return found


@pytest.mark.parametrize("title", TABLES)
def test_every_key_is_on_the_page(title: str) -> None:
    """In the table of its section, once, in the order of the schema."""
    assert sections()[title] == [field.name for field in fields(TABLES[title])]


def test_no_table_is_left_out() -> None:
    """A new table of the schema needs a section."""
    assert list(sections()) == list(TABLES)


def test_the_example_holds(tmp_path: Path) -> None:
    """It is read without an error."""
    (example,) = re.findall(r"```toml\n(.*?)```", PAGE.read_text("utf-8"), re.DOTALL)
    path = tmp_path / "strongroom.toml"
    path.write_text(example)
    assert set(read_file(path).tables.environments) == {"production", "dr-test"}
