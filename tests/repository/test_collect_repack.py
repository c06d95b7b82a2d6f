"""Packs written anew and segments joined, inside a collector run: what is needed stays where it is
found, once, and what was replaced goes.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from strongroom.errors import DamageError
from strongroom.model.events import Notice
from strongroom.repository import layout
from strongroom.repository.collection.collect import Collected, CollectLimits, Collector
from strongroom.repository.collection.repacking import Repacker
from strongroom.repository.loading import LoadedIndex
from tests.repository.test_collect_races import keys, other_host, stop_at
from tests.support.agents import agent_host
from tests.support.hooks import HookedStore
from tests.support.invariants import check_invariants, check_nothing_left
from tests.support.kit import DAY_NS, Kit
from tests.support.noise import noise
from tests.support.recording import RecordingStore
from tests.support.runs import pack_ids, segment_ids

pytestmark = pytest.mark.spec("B2")

A, B, C = ({name: noise(3000, name.decode())} for name in (b"a", b"b", b"c"))


def half_needed(host: Kit, more: dict[bytes, bytes] = C) -> str:
    """Make a pack of which a part is needed; return the snapshot that needs it."""
    gone = host.backup(A | B | more).snapshot.id
    kept = host.backup(A).snapshot.id
    host.forget(gone)
    return kept


def collect(host: Kit, *, most: int | None = None, seconds: float | None = None) -> Collected:
    """Collect with bounds on what is written."""
    limits = CollectLimits(
        grace_ns=0,
        silent_ns=DAY_NS,
        wait_seconds=0,
        max_unused=0,
        max_repack_bytes=most,
        repack_seconds=seconds,
    )
    return Collector(host.open(), limits).run()


def index_of(host: Kit) -> LoadedIndex:
    """Load the whole index."""
    return host.open().load_index()


class TestRepack:
    """Packs of which too little is needed."""

    def test_what_is_needed_of_a_pack_is_written_anew(self, host: Kit) -> None:
        """The old pack goes in the same run; the next backup stores nothing again, and the next
        collection finds nothing to do.
        """
        kept = half_needed(host)
        before = set(pack_ids(host))
        done = host.prune(max_unused=0)
        assert len(done.repacked.packs) == 1
        assert 3000 < done.repacked.written < done.repacked.read
        assert done.unused_bytes == 0
        assert not set(done.repacked.packs) & set(pack_ids(host))
        assert len(set(pack_ids(host)) & before) == 1
        assert host.prune(max_unused=0).repacked.packs == []
        chunks = len(index_of(host).index)
        check_nothing_left(host)
        assert len(index_of(host).index) == chunks
        check_invariants(host, {kept: A})

    def test_what_may_stay_unused_stays(self, host: Kit) -> None:
        """Within the limit nothing is written, and the figure says how much is unused."""
        half_needed(host)
        done = host.prune(max_unused=0.9)
        assert done.repacked.packs == []
        assert 6000 < done.unused_bytes < 7000
        assert done.kept_bytes > done.unused_bytes

    @pytest.mark.parametrize(("most", "seconds"), [(100, None), (None, 0.0)])
    def test_it_is_bounded(self, host: Kit, most: int | None, seconds: float | None) -> None:
        """Nothing is written beyond so many bytes or seconds, and the next run goes on."""
        kept = half_needed(host)
        done = collect(host, most=most, seconds=seconds)
        assert done.repacked.packs == []
        assert done.unused_bytes > 6000
        assert len(collect(host, most=4000, seconds=1).repacked.packs) == 1
        check_invariants(host, {kept: A})

    @pytest.mark.parametrize("prefix", [layout.PACKS, layout.INDEX, layout.GC])
    def test_one_that_stopped_leaves_nothing(self, host: Kit, prefix: str) -> None:
        """Stopped before the new pack, its segment or the tombs were put: the next run does it."""
        kept = half_needed(host)
        other = other_host(host, "other")
        stop_at(other, prefix, lambda: other.prune(max_unused=0))
        host.prune(max_unused=0)
        check_nothing_left(host)
        assert len(pack_ids(host)) == 2
        check_invariants(host, {kept: A})

    def test_what_stays_unused_is_said_of_all_packs(self, host: Kit) -> None:
        """Of two packs the one with more to gain is written anew; the figure is of the other."""
        kept = half_needed(host)
        many = {b"%d" % number: noise(3000, f"many {number}") for number in range(9)}
        gone = host.backup(many, "second").snapshot.id
        del many[b"0"]
        second = host.backup(many, "second").snapshot.id
        host.forget(gone)
        done = host.prune(max_unused=0.15)
        assert len(done.repacked.packs) == 1
        assert 3000 < done.unused_bytes < 4000
        check_invariants(host, {kept: A, second: many})

    def test_what_was_just_written_is_not_read_again(self, host: Kit) -> None:
        """A new pack was verified when it was made: it takes the place of the old one as it is."""
        kept = half_needed(host)
        before = set(keys(host, layout.PACKS))
        recording = RecordingStore(host.store)
        kit = other_host(host, "this")
        kit.store = recording
        assert len(kit.prune(max_unused=0).repacked.packs) == 1
        (new,) = set(keys(host, layout.PACKS)) - before
        assert ("get", new) not in recording.requests
        check_invariants(host, {kept: A})

    def test_what_was_written_is_listed_now_and_then(self, host: Kit) -> None:
        """After so many bytes read there is a pack and a segment, so that a run that stops then was
        not in vain; what is said to be done is all of it.
        """
        more = {b"d": noise(3000, "d")}
        for files in (A | B, C | more):
            host.backup(files)
        old = pack_ids(host)
        segments = len(segment_ids(host))

        def every(ids: Sequence[bytes]) -> list[bool]:
            return [True] * len(ids)

        done = Repacker(host.open(), every, every, checkpoint=1).run(old, lambda: True)
        assert done.packs == old
        assert len({pack.pack_id for pack in done.made}) == len(old) == 2
        assert len(segment_ids(host)) == segments + len(old)
        assert done.written == sum(pack.size for pack in done.made)
        assert done.read == sum(len(host.store.get(layout.pack(pack))) for pack in old)

    def test_small_rests_of_several_packs_become_one(self, host: Kit) -> None:
        """What is needed of two packs is put into one new pack, which one segment lists."""
        more = {b"d": noise(3000, "d")}
        gone = [host.backup(files).snapshot.id for files in (A | B, C | more)]
        first, second = (host.backup(files).snapshot.id for files in (A, C))
        host.forget(*gone)
        before = set(pack_ids(host)), set(segment_ids(host))
        assert len(host.prune(max_unused=0).repacked.packs) == 2
        assert len(set(pack_ids(host)) - before[0]) == 1
        assert len(set(segment_ids(host)) - before[1]) == 1
        check_invariants(host, {first: A, second: C})

    def test_a_chunk_that_lies_in_two_packs_is_written_once(self, host: Kit) -> None:
        """Two hosts stored the same at once; both packs are written anew, and it lies once then."""
        hooked = HookedStore(host.store)
        first, second = other_host(host, "first"), other_host(host, "second")
        first.store = hooked
        gone: list[str] = []
        hooked.before("put", layout.PACKS, lambda: gone.append(second.backup(A | C).snapshot.id))
        gone.append(first.backup(A | B).snapshot.id)
        kept = [first.backup(files, f"only {files.keys()}").snapshot.id for files in (A, B, C)]
        host.forget(*gone, allow_empty=True)
        done = host.prune(max_unused=0)
        assert len(done.repacked.packs) == 2
        columns = list(index_of(host).index.columns())
        ids = [row.tobytes() for run in columns for row in run.ids]
        usable = set(pack_ids(host))
        index = index_of(host)
        there = [index.index.pack_ids[int(n)] in usable for run in columns for n in run.pack]
        found = [one for one, is_there in zip(ids, there, strict=True) if is_there]
        assert len(found) == len(set(found))
        check_nothing_left(host)
        check_invariants(host, dict(zip(kept, (A, B, C), strict=True)))

    def test_a_pack_that_cannot_be_read_stays(self, host: Kit) -> None:
        """It is told of, the others are written anew, and what it still holds restores."""
        kept = half_needed(host)
        first = pack_ids(host)
        gone = host.backup(B | C, "other").snapshot.id
        other = host.backup(B, "other").snapshot.id
        host.forget(gone)
        (bad,) = [pack for pack in first if len(host.store.get(layout.pack(pack))) > 8000]
        value = host.store.get(layout.pack(bad))
        host.store.delete(layout.pack(bad))
        host.store.put(layout.pack(bad), value[:-1] + bytes([value[-1] ^ 1]))
        done = host.prune(max_unused=0)
        assert bad not in done.repacked.packs
        assert bad in pack_ids(host)
        told = [event.text for event in host.events if isinstance(event, Notice)]
        assert any(bad.hex() in text and "stays as it is" in text for text in told)
        assert host.restore(kept)[1] == A
        assert host.restore(other)[1] == B


class TestCompaction:
    """Small segments joined into one."""

    def test_eight_small_ones_become_one(self, host: Kit, tmp_path: Path) -> None:
        """Of each domain for itself; seven of another domain stay as they are. What was replaced
        goes, and entries of packs that are gone do in the next run that touches the segment.
        """
        agent = agent_host(host, tmp_path)
        agent.clock = host.clock
        wanted = {}
        for number in range(8):
            files = {b"f": noise(2000, f"f{number}")}
            wanted[host.backup(files).snapshot.id] = files
        for number in range(7):
            files = {b"f": noise(2000, f"g{number}")}
            wanted[agent.backup(files).snapshot.id] = files
        assert host.prune().compacted == 8
        assert len(segment_ids(host)) == 8
        assert host.prune().compacted == 0
        for one, files in wanted.items():
            assert host.restore(one)[1] == files
        assert agent.backup({b"f": noise(2000, "g0")}).written.plain_bytes < 2000
        assert host.backup({b"f": noise(2000, "f0")}).written.plain_bytes < 2000
        check_nothing_left(host)

    def test_entries_of_packs_that_are_gone_are_dropped(self, host: Kit) -> None:
        """A segment of which a quarter is gone is written anew; a lesser part stays for now."""
        made = [host.backup({b"f": noise(2000, f"f{n}")}).snapshot.id for n in range(9)]
        assert host.prune().compacted == 9
        (before,) = segment_ids(host)
        host.forget(*made[:2])
        host.prune()
        assert host.prune().compacted == 0
        assert segment_ids(host) == [before]
        host.forget(made[2])
        host.prune()
        assert host.prune().compacted == 1
        (segment,) = index_of(host).segments
        assert segment.name != before
        assert set(segment.packs) == set(pack_ids(host))
        check_nothing_left(host)

    @pytest.mark.parametrize("prefix", [layout.GC, layout.index_segment(b"")[:6]])
    def test_one_that_stopped_loses_nothing(self, host: Kit, prefix: str) -> None:
        """Stopped before the tombs, or at the removal of what was replaced."""
        wanted = {}
        for number in range(8):
            files = {b"f": noise(2000, f"f{number}")}
            wanted[host.backup(files).snapshot.id] = files
        other = other_host(host, "other")
        stop_at(other, prefix, other.prune)
        for one, files in wanted.items():
            assert host.restore(one)[1] == files
        host.prune()
        check_nothing_left(host)
        check_invariants(host, wanted)


class TestMeanwhile:
    """What others do between the readings of a collector."""

    @pytest.mark.parametrize("listing", [1, 2])
    def test_another_collector_that_moves_chunks_is_no_damage(
        self, host: Kit, listing: int
    ) -> None:
        """The other one writes a pack anew and removes the old one, after this one listed packs."""
        kept = half_needed(host)
        hooked = HookedStore(host.store)
        other = other_host(host, "other")
        hooked.after_nth(listing, "list", layout.PACKS, lambda: other.prune(max_unused=0))
        kit = other_host(host, "this")
        kit.store = hooked
        kit.prune(max_unused=1)
        check_nothing_left(host)
        check_invariants(host, {kept: A})

    def test_damage_that_appears_meanwhile_ends_the_command(self, host: Kit) -> None:
        """After its own tombs a collector finds that a pack is gone: exit 4, an empty kills."""
        half_needed(host)
        hooked = HookedStore(host.store)
        kit = other_host(host, "this")
        kit.store = hooked
        (pack,) = [p for p in pack_ids(host) if len(host.store.get(layout.pack(p))) > 8000]
        hooked.after("put", layout.run_object(1, "waits"), lambda: hooked.delete(layout.pack(pack)))
        before = set(keys(host, layout.PACKS)) | set(keys(host, layout.COMMITS))
        with pytest.raises(DamageError):
            kit.prune(max_unused=1)
        after = set(keys(host, layout.PACKS)) | set(keys(host, layout.COMMITS))
        assert before - after == {layout.pack(pack)}
        assert layout.run_object(1, "done") in keys(host, layout.GC)

    def test_what_is_forgotten_while_a_run_goes_on_is_not_half_removed(self, host: Kit) -> None:
        """A backup at work when tombs were put commits, is forgotten before the kills, and held
        after them: its packs were in the tombs, its COMMIT was not, so all of it stays.
        """
        half_needed(host)
        writer = other_host(host, "writer")
        hooked = HookedStore(host.store)
        writer.store = hooked

        def collector_dies() -> None:
            kit = other_host(host, "collector")
            stop_at(kit, layout.run_object(1, "waits"), lambda: kit.prune(max_unused=1))

        hooked.before("put", layout.COMMITS, collector_dies)
        files = {b"new": noise(4000, "new")}
        made = writer.backup(files, "new").snapshot.id
        host.forget(made, allow_empty=True)
        kit = other_host(host, "collector")
        stop_at(kit, layout.run_object(2, "tombs"), lambda: kit.prune(max_unused=1))
        host.hold(made)
        host.prune(max_unused=1)
        check_nothing_left(host)
        assert host.restore(made)[1] == files
        assert host.verify().damage == []
