"""Entries in any order come back in the order of a tree."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from strongroom.model.entry import sort_key
from strongroom.repository.spool import Spool, Spooled
from tests.support.fakes import file_entry

_PATHS = st.lists(st.sampled_from(b"ab/-"), min_size=1, max_size=6).map(bytes)


@given(paths=st.lists(_PATHS, max_size=40), run=st.integers(1, 10))
def test_all_come_back_in_order(paths: list[bytes], run: int) -> None:
    """Whatever the runs: each once, with its marks, those of one path as they came; and again."""
    spool = Spool(run=run)
    given_ = [Spooled(file_entry(path, n), n, n % 3, n % 5) for n, path in enumerate(paths)]
    for one in given_:
        spool.add(one)
    wanted = sorted(given_, key=lambda one: (sort_key(one.entry.path), one.number))
    assert list(spool.sorted()) == wanted
    assert list(spool.sorted()) == wanted


@pytest.mark.parametrize("in_order", [True, False])
def test_blocks_of_long_runs(in_order: bool) -> None:  # noqa: FBT001
    """Runs of several blocks, one after the other or all mixed."""
    numbers = list(range(5000))
    if not in_order:
        random.Random(1).shuffle(numbers)
    spool = Spool(run=1500)
    for number in numbers:
        spool.add(Spooled(file_entry(b"%06d" % number, 0), number))
    assert [one.number for one in spool.sorted()] == sorted(numbers)
