"""Backups as a whole: what goes in comes out, once, and is told as it is."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from strongroom.model.entry import CHANGED_WHILE_READ, sort_key
from strongroom.model.source import Item, Loaded, Problem, Report
from strongroom.operations.backup import Circumstances, PlannedSource, back_up
from strongroom.storage.memory import MemoryStore
from tests.support.fakes import MemorySource
from tests.support.invariants import check_invariants
from tests.support.kit import Kit, threads
from tests.support.noise import noise
from tests.support.sources import SparseSource

pytestmark = [pytest.mark.spec("B1"), pytest.mark.spec("B2")]

components = st.binary(min_size=1, max_size=5).filter(
    lambda c: not set(c) & set(b"/\0") and c not in {b".", b".."}
)
names = st.lists(components, min_size=1, max_size=3).map(b"/".join)
contents = st.one_of(st.binary(max_size=100), st.sampled_from([noise(70_000), b"x" * 300_000]))


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.dictionaries(names, contents, max_size=12), min_size=1, max_size=3))
def test_what_goes_in_comes_out(kit: Kit, runs: list[dict[bytes, bytes]]) -> None:
    """Any files, in any number of backups into one repository, restore bit for bit."""
    made = [(kit.backup(files).snapshot.id, files) for files in runs]
    for snapshot_id, files in made:
        result, restored = kit.restore(snapshot_id)
        assert result.damaged == []
        assert restored == files


def test_equal_bytes_are_stored_once(kit: Kit) -> None:
    """A thousand equal files, and the same files under other names, are one chunk."""
    text = noise(5000)
    first = kit.backup({b"%04d" % n: text for n in range(1000)})
    again = kit.backup({b"other/%04d" % n: text for n in range(1000)})
    assert first.written.plain_bytes < 300_000
    assert again.tallies[0].new == 1000
    assert again.written.chunks <= 10


def test_a_change_in_a_large_file_stores_a_piece(kit: Kit) -> None:
    """Bytes inserted into 8 MiB store few chunks anew."""
    data = noise(8 << 20)
    kit.backup({b"a": data})
    changed = kit.backup({b"a": data[: 4 << 20] + b"inserted" + data[4 << 20 :]})
    assert changed.written.plain_bytes < 5 << 20


def test_threads_change_nothing(tmp_path: Path) -> None:
    """With many threads the same chunks are stored and the same files restored."""
    files = {b"d%d/%04d" % (n % 7, n): noise(n * 13, str(n)) for n in range(600)}
    files |= {b"large": noise(20 << 20), b"text": b"line\n" * 2_000_000, b"empty": b""}
    plain = Kit(MemoryStore(), tmp_path / "plain")
    plain.init()
    expected = plain.backup(files).written
    kit = Kit(MemoryStore(), tmp_path / "threads")
    kit.init()
    with threads(4) as kit.workers:
        result = kit.backup(files)
        assert (result.written.chunks, result.written.plain_bytes) == (
            expected.chunks,
            expected.plain_bytes,
        )
        assert kit.restore(result.snapshot.id)[1] == files
        check_invariants(kit, {result.snapshot.id: files})


def test_the_summary_says_what_was_done(kit: Kit) -> None:
    """Counts and sizes of a first backup, of an unchanged one and of one with changes."""
    files = {b"a": b"one", b"b": b"", b"c": noise(2 << 20)}
    first = kit.backup(files)
    tally = first.tallies[0]
    assert (tally.entries, tally.files, tally.directories) == (3, 3, 0)
    assert (tally.bytes, tally.bytes_read, tally.new) == ((2 << 20) + 3, (2 << 20) + 3, 3)
    assert first.written.packs == 1
    assert first.written.stored_bytes > 2 << 20
    assert first.problems == []
    second = kit.backup(files | {b"a": b"two!"}).tallies[0]
    assert (second.unchanged, second.new, second.bytes_read) == (2, 1, 4)


class TroubledSource(MemorySource):
    """A source that tells of problems and of things it could not read."""

    def walk(self, report: Report) -> Iterator[Sequence[Item]]:
        """See ``Source``."""
        report(Problem(b"gone \xff", "permission denied"))
        yield from super().walk(report)
        report(Problem(b"z", "vanished", missing=False))


def test_problems_are_in_the_snapshot(kit: Kit) -> None:
    """What was not saved is listed in the snapshot itself, and makes it incomplete."""
    result = kit.backup_source(TroubledSource({b"a": b"one"}))
    assert [problem.path for problem in result.problems] == [b"gone \xff", b"z"]
    (source,) = result.snapshot.snapshot.sources
    assert (source.status, source.counts.problems) == (1, 2)
    written = kit.open().reader().fetch([source.problems.content[:32]])[0]
    assert written == (
        b"\x93\xc4\x06gone \xff\xc4\x11permission denied\x01\x93\xc4\x01z\xc4\x08vanished\x00"
    )
    assert kit.verify().damage == []


@pytest.mark.parametrize(("flags", "reads"), [(CHANGED_WHILE_READ, 2), (0, 1)])
def test_only_what_changed_while_it_was_read_is_read_again(
    kit: Kit, flags: int, reads: int
) -> None:
    """Another try mends nothing else that is wrong with a large item, such as tags that are denied.

    The problem is told once.
    """

    class Flawed(MemorySource):
        """A source that has something to say against each large item."""

        def finished(self, loaded: Loaded) -> Loaded:
            """See ``MemorySource``."""
            assert loaded.entry is not None
            entry = msgspec.structs.replace(loaded.entry, flags=flags)
            problem = Problem(loaded.item.path, "flawed", missing=False)
            return loaded._replace(entry=entry, problem=problem, token=b"")

    source = Flawed({b"a": noise(2 << 20)})
    result = kit.backup_source(source)
    assert source.bytes_read == reads * (2 << 20)
    assert [problem.cause for problem in result.problems] == ["flawed"]
    assert kit.restore(result.snapshot.id)[1] == source.files


def test_entries_out_of_order_are_problems(kit: Kit) -> None:
    """A source that breaks its order loses the entry, and says so; the rest is saved."""

    class Disordered(MemorySource):
        """A source that gives its items backwards."""

        def walk(self, report: Report) -> Iterator[Sequence[Item]]:
            """See ``Source``."""
            for items in super().walk(report):
                yield items[::-1]

    result = kit.backup_source(Disordered({b"a": b"one", b"b": b"two", b"c": b"three"}))
    assert [problem.path for problem in result.problems] == [b"b", b"a"]
    assert kit.restore(result.snapshot.id)[1] == {b"c": b"three"}


def test_names_that_are_not_text_are_kept(kit: Kit) -> None:
    """Host, user and tags may be any bytes, as the system gives them."""
    odd = b"caf\xe9 \xff".decode("utf-8", "surrogateescape")
    circumstances = Circumstances(odd, odd, "strongroom", tags=[odd, "ok"], name=odd)
    planned = PlannedSource(MemorySource({b"a": b"b"}), [b"/\xff"])
    back_up(kit.open(), [planned], circumstances, kit.state)
    (listed,) = kit.snapshots()
    assert listed.snapshot.host == listed.snapshot.name == b"caf\xe9 \xff"
    assert listed.snapshot.tags == (b"caf\xe9 \xff", b"ok")
    assert listed.snapshot.sources[0].paths == (b"/\xff",)


def test_nothing_is_a_good_backup(kit: Kit) -> None:
    """A source without files makes a snapshot without a tree."""
    result = kit.backup({})
    (source,) = result.snapshot.snapshot.sources
    assert (source.root, source.levels, source.counts.entries) == (b"", 0, 0)
    assert kit.restore(result.snapshot.id)[1] == {}
    assert kit.verify().damage == []


def test_several_sources_make_one_snapshot(kit: Kit) -> None:
    """Each source has its own tree and last walk; together they are restored in one order."""
    one, two = {b"b": b"1", b"a/x": b"2"}, {b"a/y": b"3", b"c": noise(2 << 20)}
    kit.backup_source(MemorySource(one, "one"), SparseSource(two, "two"))
    result = kit.backup_source(MemorySource(one, "one"), SparseSource(two, "two"))
    assert [tally.unchanged for tally in result.tallies] == [2, 2]
    assert [source.name for source in result.snapshot.snapshot.sources] == [b"one", b"two"]
    assert kit.restore(result.snapshot.id)[1] == dict(
        sorted((one | two).items(), key=lambda item: sort_key(item[0]))
    )


def test_a_file_that_grew_beyond_a_chunk_is_a_problem_or_saved(kit: Kit) -> None:
    """An item that was small when it was found and is huge when it is read does no harm."""

    class Growing(MemorySource):
        """A source whose files are not as large as it says."""

        def walk(self, report: Report) -> Iterator[Sequence[Item]]:
            """See ``Source``."""
            for items in super().walk(report):
                yield [item._replace(size=10) for item in items]

    files = {b"a": b"one", b"grown": noise(17 << 20), b"z": b"two"}
    result = kit.backup_source(Growing(files))
    restored = kit.restore(result.snapshot.id)[1]
    lost = {problem.path for problem in result.problems}
    assert restored == {path: data for path, data in files.items() if path not in lost}
    assert lost <= {b"grown"}
    assert kit.verify().damage == []
