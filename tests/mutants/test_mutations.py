"""The mutants themselves: what kinds of faults are made, and that the lists name what there is."""

from __future__ import annotations

from pathlib import Path

from tests.mutants.groups import mutants_by_group
from tests.mutants.mutations import mutants_of
from tests.mutants.reviewed import REVIEWED

EXAMPLE = """
def example(store: int | None, items: list[int]) -> int | None:
    store.sync()
    first = store.list("a")
    second = store.list("b")
    if first and len(second) > 2:
        raise ValueError
    return {*first, *second} - {True}
"""
FAULTS = {
    "store.sync() -> ",
    "store.sync(); first = store.list('a') -> the other way round",
    "first = store.list('a'); second = store.list('b') -> the other way round",
    "first and len(second) > 2 -> not (first and len(second) > 2)",
    "first and len(second) > 2 -> without first",
    "first and len(second) > 2 -> without len(second) > 2",
    "len(second) > 2 -> with GtE",
    "2 -> 3",
    "raise ValueError -> ",
    "{*first, *second} - {True} -> {*first, *second}",
    "{*first, *second} -> without *first",
    "{*first, *second} -> without *second",
    "True -> False",
}


def test_what_faults_are_made(tmp_path: Path) -> None:
    """Calls and raises dropped, readings swapped, conditions negated, operands and elements taken
    away, limits and constants moved: each by itself, and each a program that can be compiled.
    """
    path = tmp_path / "example.py"
    path.write_text(EXAMPLE)
    made = {one.name.removeprefix("example.py:example: "): one for one in mutants_of(path)}
    assert set(made) == FAULTS
    texts = {one.source() for one in made.values()}
    assert len(texts) == len(FAULTS)
    for text in texts:
        compile(text, "example", "exec")


def test_what_was_reviewed_is_there() -> None:
    """A mutant whose code changed has to be looked at again."""
    assert REVIEWED.keys() <= {one.name for group in mutants_by_group().values() for one in group}
