"""Problems in a snapshot: what was written is read, and nothing else is taken for it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from strongroom.errors import DamageError
from strongroom.model.entry import EXTENT, HOLE
from strongroom.model.snapshot import Stream
from strongroom.model.source import Problem
from strongroom.repository.problems import pack_problems, read_problems
from tests.support.chunks import Chunks

_PROBLEMS = st.builds(Problem, st.binary(max_size=70_000), st.text(max_size=300), st.booleans())


def _read(data: bytes) -> list[Problem]:
    chunks = Chunks()
    pieces = [data[start : start + 1000] for start in range(0, len(data), 1000)]
    content = b"".join(EXTENT.pack(chunks.save(piece), len(piece)) for piece in pieces)
    return list(read_problems("it", Stream(content, 0), chunks.fetch))


@given(problems=st.lists(_PROBLEMS, max_size=4))
def test_what_was_written_is_read(problems: list[Problem]) -> None:
    """Paths of any bytes and length, in any number of chunks."""
    assert _read(pack_problems(problems)) == problems


_GOOD = pack_problems([Problem(b"a", "gone"), Problem(b"b" * 300, "gone", missing=False)])


@pytest.mark.parametrize("length", [1, 2, 3, 5, 9, 10, len(_GOOD) - 1])
def test_what_is_cut_off(length: int) -> None:
    """It is damage, wherever it ends."""
    with pytest.raises(DamageError, match="it is damaged"):
        _read(_GOOD[:length])


@pytest.mark.parametrize("bad", [b"\x92", b"\x93\xa1a", b"\x93\xc4\x01a\xc4\x01b\x02", b"\0"])
def test_what_is_something_else(bad: bytes) -> None:
    """Another array, another type, another number."""
    with pytest.raises(DamageError, match="it is damaged"):
        _read(bad)


def test_a_hole_is_no_problem() -> None:
    """Nothing writes one, and no chunk is called so."""
    with pytest.raises(DamageError, match="it is damaged"):
        list(read_problems("it", Stream(EXTENT.pack(HOLE, 10), 0), Chunks().fetch))


def test_without_problems() -> None:
    """An empty stream has none."""
    assert list(read_problems("it", Stream(), Chunks().fetch)) == []
