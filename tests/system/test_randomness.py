"""The door to randomness."""

from __future__ import annotations

from strongroom.model.randomness import Randomness
from strongroom.system.randomness import SystemRandomness
from tests.support.randomness import SeededRandomness


def test_the_kernel_gives_fresh_bytes() -> None:
    """As many as asked for, and never the same twice."""
    randomness: Randomness = SystemRandomness()
    taken = {randomness.take(16) for _ in range(1000)}
    assert len(taken) == 1000
    assert {len(one) for one in taken} == {16}
    assert randomness.take(0) == b""


def test_a_seed_repeats() -> None:
    """Tests with one seed see the same bytes, with another seed others."""
    first, same, other = SeededRandomness(1), SeededRandomness(1), SeededRandomness(2)
    assert [first.take(9) for _ in range(5)] == [same.take(9) for _ in range(5)]
    assert first.take(9) != other.take(9)
