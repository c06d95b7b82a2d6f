"""Which packs are worth writing anew without what nobody needs of them. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

_SMALL: Final = 4  # packs below this part of the usual size are worth joining


class PackUse(NamedTuple):
    """A pack that is kept: its number, size in bytes, and which part of its chunks is needed."""

    number: int
    size: int
    needed: float

    @property
    def unused(self) -> float:
        """Bytes that nobody needs."""
        return self.size * (1 - self.needed)


class ShrinkLimits(NamedTuple):
    """How much may stay unused, as a part of all that is kept; and how much is written at most.

    ``pack_size``: what a full pack has, bytes.
    """

    max_unused: float
    max_bytes: int | None
    pack_size: int


def worth_repacking(packs: Sequence[PackUse], limits: ShrinkLimits) -> list[PackUse]:
    """Choose packs, those with the most to gain first.

    Until what is unused in the others is within the limit; and all small ones, if together they
    make a full pack.
    """
    left = sum(pack.unused for pack in packs)
    allowed = limits.max_unused * sum(pack.size for pack in packs)
    chosen: list[PackUse] = []
    for pack in sorted(packs, key=lambda one: (one.needed, one.number)):
        if left <= allowed or pack.unused < 1:
            break
        chosen.append(pack)
        left -= pack.unused
    small = [pack for pack in packs if pack.size * _SMALL < limits.pack_size]
    if sum(pack.size for pack in small) >= limits.pack_size:
        chosen += [pack for pack in small if pack not in chosen]
    return _within(chosen, limits.max_bytes)


def _within(packs: Sequence[PackUse], most: int | None) -> list[PackUse]:
    if most is None:
        return list(packs)
    taken: list[PackUse] = []
    for pack in packs:
        most -= round(pack.size * pack.needed)
        if most < 0:
            break
        taken.append(pack)
    return taken
