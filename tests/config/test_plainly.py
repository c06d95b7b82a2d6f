"""Tables that are read without pydantic: the same as with it, and only where all is right."""

from __future__ import annotations

import copy
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from strongroom.config import schema
from strongroom.config.plainly import plainly

Table = type[Any]
GOOD: list[tuple[Table, dict[str, Any]]] = [
    (schema.FilesTable, {"type": "files", "paths": ["/srv", "/etc"], "one_file_system": True}),
    (
        schema.SOURCE_TYPES["postgres"],
        {
            "type": "postgres",
            "connection": {"host": "db", "port": 5432, "password": {"file": "/run/pw"}},
            "physical": {"wal": "archive"},
        },
    ),
    (schema.SOURCE_TYPES["postgres"], {"type": "postgres", "connection": {}, "physical": True}),
    (schema.SecretTable, {"ssm": "/app/passphrase"}),
    (
        schema.Tables,
        {
            "version": 1,
            "project": "shop",
            "repositories": {"main": {"url": "/b", "passphrase": {"ssm": "/p"}}},
            "aws": {"region": "eu-central-1"},
            "defaults": {"repositories": ["main"], "manifests": False},
            "environments": {"prod": {"protected": True, "sources": {"app": {"paths": ["/a"]}}}},
        },
    ),
]
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-2, 9) | st.floats(-1, 2) | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=4,
)


def by_pydantic(table: Table, value: object) -> object:
    """Return what pydantic makes of it; None if it refuses it."""
    try:
        return TypeAdapter(table).validate_json(json.dumps(value))
    except ValidationError:
        return None


@pytest.mark.parametrize(("table", "value"), GOOD)
def test_what_is_right_is_read_as_by_pydantic(table: Table, value: dict[str, Any]) -> None:
    """The same table, of the same type."""
    found = plainly(table, value)
    assert found is not None
    assert found == by_pydantic(table, value)


@given(data=st.data())
def test_nothing_is_taken_that_pydantic_refuses(data: st.DataObject) -> None:
    """Whatever is put in the place of a value, under a key of it or under a new one."""
    table, good = data.draw(st.sampled_from(GOOD))
    value = copy.deepcopy(good)
    place: dict[str, Any] = value
    keys = [*place, "more"]
    key = data.draw(st.sampled_from(keys))
    while isinstance(place.get(key), dict) and data.draw(st.booleans()):
        place = place[key]
        key = data.draw(st.sampled_from([*place, "more"]))
    if data.draw(st.booleans()):
        place[key] = data.draw(VALUES)
    else:
        place.pop(key, None)
    found = plainly(table, value)
    assert found is None or found == by_pydantic(table, value)


def test_a_table_is_a_table() -> None:
    """Anything else is left to pydantic."""
    assert plainly(schema.SecretTable, ["ssm"]) is None


def test_a_file_that_holds_is_read_without_pydantic(tmp_path: Path) -> None:
    """It takes 90 ms to load, in every command."""
    path = tmp_path / "strongroom.toml"
    path.write_text(
        'version = 1\n[repositories.main]\nurl = "/b"\n'
        '[sources.app]\ntype = "files"\npaths = ["/srv"]\n'
        '[sources.db]\ntype = "postgres"\nphysical = true\n'
    )
    program = (
        "import sys; from pathlib import Path; from strongroom.config.reading import read_file; "
        f"read_file(Path({str(path)!r})); print('pydantic' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout == "False\n"
