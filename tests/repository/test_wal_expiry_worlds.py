"""What expiry leaves of WAL in many small clusters with forks: every promise is kept in all."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import NamedTuple

import pytest

from strongroom.postgres.wal.history import Fork, History, leads_through
from strongroom.postgres.wal.ranges import WalExtent
from strongroom.repository.collection.walexpiry import Base, WalNeeds, WalObject
from tests.support.wal import SIZE, SYSTEM, numbered

pytestmark = pytest.mark.spec("C6")

LAST = 13
WORLDS = 1_000


class World(NamedTuple):
    """One cluster. ``known``: the histories that came into the repository."""

    histories: dict[int, History]
    known: dict[int, History]
    begins: dict[int, int]
    bases: list[Base]

    def objects(self) -> list[WalObject]:
        """Every segment, from the one in which a timeline began."""
        return [
            WalObject(str((line, n)), b"", SYSTEM, name.segment, name.segment, 1)
            for line, begin in self.begins.items()
            for n in range(begin, LAST + 1)
            for name in [numbered(n, line)]
        ]

    def way(self, base: Base, target: int) -> list[tuple[int, int]]:
        """Segments from a base backup to the end of a timeline."""
        steps = WalExtent((), SIZE, self.histories).path(target)
        return [
            (line, n)
            for line, low, high in steps
            for n in range(max(low, base.first), (LAST if high is None else high) + 1)
        ]


def _histories(chance: random.Random) -> dict[int, History]:
    found: dict[int, History] = {1: ()}
    for line in range(2, chance.randint(1, 4) + 1):
        parent = chance.randint(1, line - 1)
        before = found[parent]
        low = before[-1].lsn if before else SIZE
        found[line] = (*before, Fork(parent, chance.randint(low, LAST * SIZE)))
    return found


def _world(chance: random.Random) -> World:
    histories = _histories(chance)
    lows = {line: way[-1].lsn if way else SIZE for line, way in histories.items()}
    bases = []
    for number in range(chance.randint(1, 6)):
        line = chance.choice(list(histories))
        start = chance.randint(lows[line], (LAST + 1) * SIZE - 2)
        stop = min(start + 1 + chance.randint(0, SIZE), (LAST + 1) * SIZE)
        complete, wanted, old = (chance.random() < part for part in (0.85, 0.8, 0.6))
        bases.append(
            Base(
                id=str(number),
                domain=b"",
                by_admin=True,
                complete=complete,
                wanted=wanted,
                old=old,
                system=SYSTEM,
                timeline=line,
                numbers=(start // SIZE, (stop - 1) // SIZE),
                stop=stop,
                segment_size=SIZE,
            )
        )
    known = {line: way for line, way in histories.items() if way and chance.random() < 0.85}
    begins = {line: low // SIZE for line, low in lows.items()}
    return World(histories, known, begins, bases)


def _broken(world: World, there: set[tuple[int, int]]) -> Iterator[str]:
    """Yield the promises that are not kept."""
    for base in world.bases:
        own = {(base.timeline, n) for n in range(base.numbers[0], base.numbers[1] + 1)}
        if not own <= there:
            yield f"{base} is not whole"
    for target in world.histories:
        on = [
            one
            for one in world.bases
            if leads_through(world.histories, target, one.timeline, one.stop)
        ]
        whole = [one for one in on if there.issuperset(world.way(one, target))]
        yield from (f"{one} reaches no {target}" for one in on if not (one.old or one in whole))
        last = max((one.first for one in on if one.old and one.complete and one.wanted), default=0)
        if last and last not in {one.first for one in whole}:
            yield f"the window of timeline {target} is not reached"


def test_every_promise_is_kept_in_every_world() -> None:
    """Each base backup is whole; each in the window reaches every timeline that leads through it;
    and so does, for each timeline, the last that is older, complete and not forgotten.
    """
    chance = random.Random(5)
    gone = 0
    for _ in range(WORLDS):
        world = _world(chance)
        objects = world.objects()
        needs = WalNeeds(world.bases, {SYSTEM: world.known}, {SYSTEM: set(world.begins)})
        expired = needs.expired(objects)
        stays = [one.first for one in objects if one.key not in expired]
        there = {(one.timeline, one.number(SIZE)) for one in stays}
        assert list(_broken(world, there)) == [], world
        gone += len(expired)
    assert gone > WORLDS
