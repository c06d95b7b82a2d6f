"""Reading the index with little memory."""

from __future__ import annotations

import pytest

from strongroom.repository.loading import IndexMemory, load_index
from tests.support.kit import Kit

pytestmark = pytest.mark.spec("B2")


def test_segments_that_there_is_no_room_for_are_read_again(kit: Kit) -> None:
    """Without room for what was read, an index holds the same."""
    files = {b"file %d" % number: b"content %d" % number for number in range(5)}
    for number in range(3):
        kit.backup({**files, b"new": b"%d" % number})
    repository = kit.open()
    cache = repository.around.cache
    full = load_index(repository.store, repository.keyring, cache)
    again = load_index(repository.store, repository.keyring, cache, memory=IndexMemory(room=0))
    assert len(full.index) == len(again.index) > 5
    assert full.index.pack_ids == again.index.pack_ids
    assert full.segments == again.segments
    assert len(full.segments) == 3
    assert full.damaged == again.damaged == ()
