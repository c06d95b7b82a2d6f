"""What is known of the chunks of another repository, within bounds."""

from __future__ import annotations

import pytest

from strongroom.model.snapshot import Counts
from strongroom.repository.layout import HASH_SIZE
from strongroom.repository.translating import LEAVES_BYTES, CopiedLeaf, Translation
from tests.support.forging import begun, save
from tests.support.kit import Kit

pytestmark = pytest.mark.spec("B8")


def test_chunks_of_the_index_are_translated(kit: Kit) -> None:
    """What was learnt is found; what was not, and what no index has, is empty."""
    session = begun(kit)
    ids = save(session, [b"one", b"two", b"three"])
    session.writer.finish()
    translation = Translation(kit.open().load_index().index)
    stranger = b"s" * HASH_SIZE
    translation.learn([(ids[0], b"1" * HASH_SIZE), (stranger, b"2" * HASH_SIZE)])
    translation.learn([(ids[2], b"3" * HASH_SIZE)])
    assert translation.find([*ids, stranger]) == [b"1" * HASH_SIZE, b"", b"3" * HASH_SIZE, b""]
    assert translation.find([]) == []


def test_leaves_take_bounded_memory(kit: Kit) -> None:
    """The oldest ones go; one that is kept again is counted once."""
    translation = Translation(kit.open().load_index().index)
    needs = bytes(LEAVES_BYTES // 4)
    for number in (1, 1, 2, 3, 4, 5):
        leaf = CopiedLeaf(b"", b"", b"", Counts(), needs)
        translation.keep_leaf(bytes([number]) * HASH_SIZE, leaf)
    kept = [n for n in range(1, 6) if translation.leaf(bytes([n]) * HASH_SIZE) is not None]
    assert kept == [2, 3, 4, 5]
