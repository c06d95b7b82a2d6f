"""The pure parts of the collector, each by itself."""

from __future__ import annotations

import pytest

from strongroom.repository.shrinking import PackUse, ShrinkLimits, worth_repacking

pytestmark = pytest.mark.spec("B2")

MIB = 1 << 20


class TestWorthRepacking:
    """Which packs are written anew."""

    @staticmethod
    def chosen(packs: list[PackUse], unused: float, most: int | None = None) -> list[int]:
        """Return the numbers of those that are chosen, with full packs of 16 MiB."""
        return [
            pack.number for pack in worth_repacking(packs, ShrinkLimits(unused, most, 16 * MIB))
        ]

    def test_those_with_the_most_to_gain_come_first(self) -> None:
        """Until what is unused in the others is within the limit."""
        packs = [PackUse(n, 16 * MIB, needed) for n, needed in enumerate((1.0, 0.5, 0.9, 0.1))]
        assert self.chosen(packs, 1.0) == []
        assert self.chosen(packs, 0.2) == [3]
        assert self.chosen(packs, 0.1) == [3, 1]
        assert self.chosen(packs, 0.0) == [3, 1, 2]

    def test_small_ones_are_joined_when_they_fill_a_pack(self) -> None:
        """Below a quarter of a full pack they are small; together they must make a full one."""
        small = [PackUse(n, 3 * MIB, 1.0) for n in range(6)]
        assert self.chosen(small[:5], 0.5) == []
        assert self.chosen(small, 0.5) == [0, 1, 2, 3, 4, 5]
        large = [PackUse(n, 4 * MIB, 1.0) for n in range(6)]
        assert self.chosen(large, 0.5) == []

    def test_what_is_written_is_bounded(self) -> None:
        """Not more than so many bytes of what is needed."""
        packs = [PackUse(n, 10 * MIB, 0.5) for n in range(4)]
        assert self.chosen(packs, 0.0, 10 * MIB) == [0, 1]
        assert self.chosen(packs, 0.0, 10 * MIB - 1) == [0]
        assert self.chosen(packs, 0.0, 0) == []
