"""Files that arrive in any order, several at once, become the tree of those that come in order."""

from __future__ import annotations

import random
from collections.abc import Callable, Generator, Mapping
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from strongroom.chunking.cutter import ROWS
from strongroom.errors import StrongroomError
from strongroom.model.source import Part, Problem, Report
from strongroom.operations.backup import Circumstances, PlannedArrivals, back_up
from strongroom.repository.arriving import Arriving
from strongroom.repository.ingest import Ingest
from strongroom.repository.lastwalk import LastWalk, new_walk
from strongroom.repository.session import BackupSession
from strongroom.storage.memory import MemoryStore
from tests.support.fakes import MemorySource, file_entry
from tests.support.kit import Kit
from tests.support.noise import noise

pytestmark = pytest.mark.spec("C1")


class Arrivals:
    """Files in memory that arrive in pieces, mixed by chance."""

    kind = "postgres"
    name = "test"

    def __init__(
        self,
        files: Mapping[bytes, bytes],
        seed: int = 1,
        most: int = 50_000,
        then: Callable[[Report], None] = lambda _: None,
    ) -> None:
        self.files = files
        self.closed = False
        self._chance = random.Random(seed)
        self._most = most
        self._then = then

    def arrivals(self, report: Report) -> Generator[Part | None, None, None]:
        """See ``ArrivingSource``."""
        places = dict.fromkeys(self.files, 0)
        buffer = bytearray(self._most)
        try:
            while places:
                if self._chance.random() < 0.1:
                    yield None
                path = self._chance.choice(list(places))
                data = self.files[path]
                piece = data[places[path] : places[path] + self._chance.randint(0, self._most)]
                places[path] += len(piece)
                buffer[: len(piece)] = piece  # and every piece in the same place
                entry = None
                if places[path] == len(data) and self._chance.random() < 0.5:
                    entry = file_entry(path, len(data))
                    del places[path]
                yield Part(path, memoryview(buffer)[: len(piece)], entry)
            self._then(report)
        finally:
            self.closed = True


def a_kit(tmp_path: Path) -> Kit:
    """Return a host with a new repository."""
    kit = Kit(MemoryStore(), tmp_path)
    kit.init()
    return kit


def save(kit: Kit, source: Arrivals) -> tuple[str, int]:
    """Back it up: the id of the snapshot, and how many chunks were new."""
    planned = [PlannedArrivals(source, [b"/"])]
    made = back_up(kit.open(), planned, Circumstances("h", "u", "test"), kit.state)
    return made.snapshot.id, made.written.chunks


FILES = {
    b"a/empty": b"",
    b"a/small": b"small",
    b"a/large": noise(700_000, "large"),
    b"a.b": noise(65_535, "whole"),
    b"a0": noise(65_536, "cut"),
    b"z/of two": noise(130_000, "two"),
}


@given(st.integers(0, 10_000), st.sampled_from([7_000, 50_000, 900_000]))
def test_the_tree_is_that_of_files_that_come_in_order(
    tmp_path_factory: pytest.TempPathFactory, seed: int, most: int
) -> None:
    """The same chunks, lists and entries, so that nothing is new however the files came before."""
    kit = a_kit(tmp_path_factory.mktemp("kit"))
    session = BackupSession(kit.open())
    session.begin()
    arriving = Arriving(session, ROWS, kit.events.append)
    arrived = arriving.run(Arrivals(FILES, seed, most))
    ingest = Ingest(session, ROWS, kit.open().around)
    with new_walk(kit.state, "walk") as walk:
        in_order = ingest.run(MemorySource(FILES), LastWalk(kit.state, "walk"), walk)
    assert (arrived.root, arrived.levels) == (in_order.root, in_order.levels)
    assert arrived.counts == in_order.counts
    assert arriving.tally.bytes_read == sum(map(len, FILES.values()))
    session.give_up()


def test_what_arrived_comes_back_and_is_not_stored_again(tmp_path: Path) -> None:
    """Whatever the order of the next time."""
    kit = a_kit(tmp_path)
    first, chunks = save(kit, Arrivals(FILES))
    assert chunks > 20
    _, again = save(kit, Arrivals(FILES, seed=2))
    assert again == 0
    result, files = kit.restore(first)
    assert not result.damaged
    assert files == FILES
    assert kit.verify().damage == []


def test_many_files_are_in_the_order_of_a_tree(tmp_path: Path) -> None:
    """More than one block of those that wait."""
    kit = a_kit(tmp_path)
    files = {b"d/%d" % number: b"%d" % number for number in range(3000)}
    made, _ = save(kit, Arrivals(files, most=10))
    assert kit.restore(made)[1] == files


def test_a_problem_is_in_the_snapshot(tmp_path: Path) -> None:
    """What the source reports makes it incomplete."""
    kit = a_kit(tmp_path)
    problem = Problem(b"gone", "is not here")
    save(kit, Arrivals(FILES, then=lambda report: report(problem)))
    (listed,) = kit.snapshots()
    assert listed.snapshot.sources[0].counts.problems == 1


def test_an_error_at_the_end_commits_nothing_and_ends_the_source(tmp_path: Path) -> None:
    """However much of it is saved."""
    kit = a_kit(tmp_path)

    def fail(_report: Report) -> None:
        msg = "the last moment"
        raise ValueError(msg)

    source = Arrivals(FILES, then=fail)
    with pytest.raises(ValueError, match="the last moment"):
        save(kit, source)
    assert source.closed
    assert kit.snapshots() == []


def test_a_file_that_does_not_end_is_not_saved(tmp_path: Path) -> None:
    """A source that forgets the rest of a file makes no snapshot without it."""
    kit = a_kit(tmp_path)

    class Forgetful(Arrivals):
        def arrivals(self, report: Report) -> Generator[Part | None, None, None]:
            yield Part(b"half", b"only so far")
            yield from super().arrivals(report)

    with pytest.raises(StrongroomError, match="half did not come to its end"):
        save(kit, Forgetful(FILES))
    assert kit.snapshots() == []


def test_a_database_is_compressed_at_its_own_level(tmp_path: Path) -> None:
    """At level 1 if nobody says otherwise; what a person says counts for it as for files."""
    rows = b"".join(b"%d\t%d\tsome words of a row\n" % (n, n * 7919 % 10007) for n in range(30_000))
    sizes = {}
    for level in (None, 1, 3):
        kit = a_kit(tmp_path / str(level))
        planned = [PlannedArrivals(Arrivals({b"rows": rows}), [b"/"])]
        made = back_up(kit.open(), planned, Circumstances("h", "u", "test", level=level), kit.state)
        sizes[level] = made.written.stored_bytes
    assert sizes[None] == sizes[1] != sizes[3]
