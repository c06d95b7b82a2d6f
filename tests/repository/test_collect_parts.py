"""The pure parts of the collector, each by itself."""

from __future__ import annotations

from collections.abc import Collection

import msgspec
import pytest

from strongroom.model.snapshot import ListedSnapshot, Snapshot
from strongroom.repository import layout
from strongroom.repository.collection.compacting import worth_compacting
from strongroom.repository.collection.liveness import GraceTime, liveness
from strongroom.repository.collection.shrinking import PackUse, ShrinkLimits, worth_repacking
from strongroom.repository.collection.verdict import (
    Expired,
    Listed,
    Staying,
    kills,
    removals,
    tombs,
)
from strongroom.repository.commits import oldest_first
from strongroom.repository.loading import ListedSegment
from strongroom.repository.orders import Order
from strongroom.repository.records import OrderBody, OrderKind, Removals, Targets, split
from strongroom.repository.runs import Absent, Doubtful
from strongroom.repository.standing import Standing

pytestmark = pytest.mark.spec("B2")

MIB = 1 << 20

NONE = Expired(())


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


def name(number: int) -> bytes:
    """Return an id of a pack or segment."""
    return bytes([number]) * 32


def segment(number: int, *packs: int, size: int = 1000, **more: object) -> ListedSegment:
    """Return a segment of domain 0 that lists packs and replaces ``supersedes``."""
    domain = name(more.get("domain", 0))[:16]  # type: ignore[arg-type]
    old = tuple(map(name, more.get("supersedes", ())))  # type: ignore[call-overload]
    return ListedSegment(name(number), size, domain, tuple(map(name, packs)), old)


def listed(*segments: ListedSegment, packs: Collection[int] = range(1, 10)) -> Listed:
    """Return what a collector found, without commits."""
    sizes = {name(number): 100 for number in packs}
    return Listed(sizes, segments, (), (), (), [one.name for one in segments])


class TestWorthCompacting:
    """Which segments are joined."""

    @staticmethod
    def groups(
        *segments: ListedSegment, ended: Collection[int] = (), doubtful: int = 0
    ) -> list[int]:
        """Return the sizes of the groups."""
        gone, doubt = set(map(name, ended)), {name(doubtful)}
        return [len(group) for group in worth_compacting(segments, gone, doubt)]

    def test_eight_small_ones_of_a_domain(self) -> None:
        """Seven are not worth it, nor are eight of two domains; those replaced do not count."""
        small = [segment(number, number) for number in range(1, 9)]
        assert self.groups(*small) == [8]
        assert self.groups(*small[:7]) == []
        assert self.groups(*small[:7], segment(8, 8, domain=1)) == []
        assert self.groups(*small[:7], segment(8, 8, supersedes=[1])) == []
        large = [segment(number, number, size=16 << 20) for number in range(1, 9)]
        assert self.groups(*large) == []
        assert self.groups(*[one._replace(size=(16 << 20) - 1) for one in large]) == [6, 2]

    def test_those_of_which_much_is_gone(self) -> None:
        """More than a quarter gone, but not all: it is written anew. A doubtful one always is."""
        one = segment(1, 1, 2, 3, 4)
        assert self.groups(one, ended=[1]) == []
        assert self.groups(one, ended=[1, 2]) == [1]
        assert self.groups(one, ended=[1, 2, 3, 4]) == []
        assert self.groups(one, doubtful=1) == [1]

    def test_one_for_two_reasons_is_joined_once(self) -> None:
        """A small one that is doubtful, or of which much is gone, is in one group, once."""
        small = [segment(number, number, number + 1) for number in range(1, 9)]
        assert self.groups(*small, doubtful=1) == [8]
        assert self.groups(*small, ended=[1]) == [8]


class TestVerdict:
    """What is in tombs and kills, of segments."""

    @staticmethod
    def killed(
        found: Listed, tombed: Removals, spared: Collection[int], past: Absent
    ) -> set[bytes]:
        """Return the segments in the kills."""
        names = kills(tombed, found, Staying(set(map(name, spared)), ()), past)
        return set(split(names.index, 32, "kills"))

    def test_a_segment_goes_with_its_packs(self) -> None:
        """When all its packs are tombed or gone; it stays with any of them that is spared."""
        found = listed(segment(11, 1, 2), segment(12, 2, 3), packs=[1, 2, 3])
        tombed = tombs(found, {name(3)}, NONE, Absent())
        assert set(split(tombed.index, 32, "tombs")) == {name(11)}
        assert self.killed(found, tombed, (), Absent()) == {name(11)}
        assert self.killed(found, tombed, [1], Absent()) == set()
        found = listed(segment(11, 1, 2), packs=[1])
        past = Absent(killed_packs=frozenset([name(2)]))
        assert tombs(found, (), NONE, past).index == name(11)
        assert tombs(found, (), NONE, Absent()).index == b""

    def test_what_is_replaced_goes_if_what_replaces_it_stays(self) -> None:
        """The new one lists its packs, is of its domain, is not on its way out, and is sound."""
        old, new = segment(11, 1, 2), segment(12, 1, 2, supersedes=[11])
        tombed = tombs(listed(old, new), set(map(name, (1, 2))), NONE, Absent())
        assert tombed.index == name(11)
        assert self.killed(listed(old, new), tombed, (), Absent()) == {name(11)}
        for other in (
            segment(12, 1, 2),
            segment(12, 1, supersedes=[11]),
            segment(12, 1, 2, supersedes=[11], domain=1),
        ):
            assert self.killed(listed(old, other), tombed, (), Absent()) == set()
        assert self.killed(listed(old), tombed, (), Absent()) == set()
        doubtful = Absent(doubtful=Doubtful(index=frozenset([name(12)])))
        assert self.killed(listed(old, new), tombed, (), doubtful) == set()
        newer = segment(13, 1, supersedes=[12])
        assert self.killed(listed(old, new, newer), tombed, (), Absent()) == set()

    def test_what_is_on_its_way_out_itself_replaces_nothing(self) -> None:
        """Of two segments that list the same, both tombed, or killed before: an entry that may be
        needed stays with each.
        """
        old, new = segment(11, 1, 2), segment(12, 1, 2, supersedes=[11])
        both = removals((), (), [name(11), name(12)])
        assert self.killed(listed(old, new), both, (), Absent()) == set()
        past = Absent(killed_index=frozenset([name(12)]))
        assert self.killed(listed(old, new), removals((), (), [name(11)]), (), past) == set()

    def test_a_removed_segment_that_came_back_goes_again(self) -> None:
        """Its name is in an earlier kills, so it does not count, and is tombed."""
        past = Absent(killed_index=frozenset([name(11), name(12)]))
        found = listed()._replace(segment_names=[name(11)])
        tombed = tombs(found, set(map(name, range(1, 10))), NONE, past)
        assert tombed.index == name(11)
        assert self.killed(found, tombed, (), past) == {name(11)}


class TestLiveness:
    """Which snapshots stay, beyond what the tests of whole collections show."""

    def test_of_what_may_be_gone_no_snapshot_is_the_last_good_one(self) -> None:
        """A run that nobody can read may have removed parts of it: the one before it stays."""
        whole, doubtful = _snapshot(1), _snapshot(2)
        for forgotten in ([whole], [whole, doubtful]):
            found = liveness(
                [whole, doubtful],
                Standing((), [_forget(*forgotten)]),
                GraceTime({}, now_ns=10, grace_ns=1),
                doubtful={doubtful.key},
            )
            assert found.last_good == [whole]
            assert whole.key in found.roots


def test_copies_of_one_second_stay_in_their_order() -> None:
    """A bucket says in whole seconds when it first had a snapshot; of two in one second the times
    of the snapshots decide, not their ids.
    """
    second = 1_000_000_000
    early, late = _snapshot(5 * second + 7), _snapshot(5 * second + 9)
    late = msgspec.structs.replace(late, id="0" * 32)  # which would come first
    copied = {late.key: 5 * second, early.key: 5 * second}
    assert oldest_first([late, early], [], copied) == [early, late]
    assert oldest_first([early, late], [], copied) == [early, late]


def _snapshot(number: int) -> ListedSnapshot:
    writer, snapshot_id = bytes(16), number.to_bytes(16, "big")
    record = Snapshot(b"", b"", b"", b"host", b"user", (), number, number, b"", ())
    key = layout.commit(writer, snapshot_id)
    return ListedSnapshot(snapshot_id.hex(), writer.hex(), key, b"", record)


def _forget(*snapshots: ListedSnapshot) -> Order:
    body = OrderBody(OrderKind.FORGET, 5, (), b"", b"")
    targets = Targets(tuple(sorted(listed.key for listed in snapshots)))
    return Order(layout.order(bytes(16)), bytes(32), body, targets)
