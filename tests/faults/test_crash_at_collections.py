"""A collection, a forget, a hold and an un-forget stop at any request; nothing is ever lost.

The collection is one that does everything: it ends dead sessions, writes packs anew, joins index
segments, and removes expired snapshots with all that they alone needed.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.faults.stopping import ACTS, REPEATS, repeat_everywhere, requests_of, stop_everywhere
from tests.faults.test_crash_at_requests import STOPS
from tests.support.faulty_store import Kind

pytestmark = pytest.mark.spec("B1", "B2")

EVERY = {"prune": 30, "forget": 9, "hold": 12, "undelete": 12}
"""One request in so many is tried in each way, another one in every way."""


@pytest.mark.parametrize("act", ACTS)
@pytest.mark.parametrize("how", STOPS)
def test_stopped_at_some_requests(act: str, how: str, tmp_path: Path) -> None:
    """Stopped at some requests in each way: all that is wanted restores, verify finds no damage,
    the next backup works, the next collections end everything and leave only what is referenced.
    """
    count = requests_of(act, tmp_path / "counted")
    first = 1 + list(STOPS).index(how) * EVERY[act] // len(STOPS)
    assert stop_everywhere(act, how, range(first, count + 1, EVERY[act]), tmp_path) > 0


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("act", ACTS)
@pytest.mark.parametrize("how", STOPS)
def test_stopped_at_every_request(act: str, how: str, tmp_path: Path) -> None:
    """The same at every request."""
    count = requests_of(act, tmp_path / "counted")
    assert stop_everywhere(act, how, range(1, count + 1), tmp_path) == count


@pytest.mark.parametrize("act", ACTS)
@pytest.mark.parametrize("kind", REPEATS)
def test_changes_that_arrive_twice_or_late(act: str, kind: Kind, tmp_path: Path) -> None:
    """Some changes arrive a second time, at once or later, or are told to have failed and arrive
    all the same: nothing is lost, and what comes back is removed again.
    """
    assert repeat_everywhere(act, kind, tmp_path, every=7 if act == "prune" else 1) > 0


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("kind", REPEATS)
def test_every_change_of_a_collection_arrives_twice_or_late(kind: Kind, tmp_path: Path) -> None:
    """The same with every change."""
    assert repeat_everywhere("prune", kind, tmp_path) > 0
