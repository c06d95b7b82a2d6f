"""``strongroom store replica``, and restores from a replica that is half there."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.cli.harness import NO_KEY, Program, Result
from tests.support.compare_trees import compare_trees

pytestmark = pytest.mark.spec("D8")


class Pair:
    """A repository with two snapshots, and a folder into which its objects are copied one by one.

    ``late``: the packs of the newest snapshot, which have not arrived.
    """

    def __init__(self, program: Program) -> None:
        self.program = program
        self.there = program.folder / "replica"
        self.data = program.make_files(a="1" * 9000)
        program.good("backup", self.data)
        before = self._packs()
        self.old = program.folder / "old"
        shutil.copytree(self.data, self.old)
        program.settle()
        program.make_files(b="2" * 9000)
        program.good("backup", self.data)
        listed = program.good("snapshots", "--json").records
        self.second, self.first = (one["id"] for one in listed if one["message_type"] == "snapshot")
        self.late = sorted(self._packs() - before)
        for path in program.repository.rglob("*"):
            if path.is_file() and self.key(path) not in self.late:
                self.arrive(self.key(path))

    def _packs(self) -> set[str]:
        return {self.key(path) for path in self.program.repository.glob("packs/*/*")}

    def key(self, path: Path) -> str:
        """Return the key of an object of the original."""
        return str(path.relative_to(self.program.repository))

    def arrive(self, *keys: str) -> None:
        """Let objects arrive."""
        for key in keys:
            (self.there / key).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(self.program.repository / key, self.there / key)

    def look(self, *more: str | Path) -> Result:
        """Look at the replica."""
        return self.program.run("store", "replica", self.there, *more)

    def restore(self, snapshot: str, to: str) -> Result:
        """Restore from the replica."""
        return self.program.run("-r", self.there, "restore", snapshot, "--to", to)

    def came_back(self, to: str, what: Path) -> bool:
        """Whether a restore brought back what was saved."""
        name = self.data.relative_to("/")
        return compare_trees(what, self.program.folder / to / name) == []


@pytest.fixture(name="pair")
def _pair(program: Program) -> Pair:
    return Pair(program)


def test_the_newest_that_is_whole_is_named_and_what_is_waited_for(pair: Pair) -> None:
    """Exit 5 while something is missing, 0 once it is there; the lag is that of a record."""
    found = pair.look()
    assert found.code == 5
    assert f"whole is {pair.first[:8]}" in found.out
    assert f"waiting for {pair.second[:8]}" in found.out
    assert "not everything has arrived" in found.out
    told = pair.look("--json")
    series, waiting = told.record("replica"), told.record("waiting")
    assert (series["id"], series["waiting"]) == (pair.first, 1)
    assert waiting["snapshot_id"] == pair.second
    assert waiting["packs_missing"] == len(pair.late)
    sizes = [(pair.program.repository / key).stat().st_size for key in pair.late]
    assert waiting["bytes_missing"] == sum(sizes)
    assert (waiting["commit_missing"], waiting["index_missing"]) == (False, False)
    assert told.record("summary")["replica_lag_seconds"] == series["lag_seconds"]
    pair.arrive(*pair.late)
    found = pair.look()
    assert found.code == 0
    assert "nothing is missing" in found.out
    assert pair.look("--json").record("summary")["snapshots_waiting"] == 0


def test_objectives_decide_the_exit_code(pair: Pair) -> None:
    """A lag and an age within what they may be are 0, although not everything is there."""
    assert pair.look("--max-lag", "1h").code == 0
    assert pair.look("--max-lag", "1h", "--max-age", "1h").code == 0
    assert pair.look("--max-age", "1h").code == 5
    assert pair.look("--max-lag", "soon").code == 2


def test_what_has_not_begun_to_arrive_is_seen_with_its_source(pair: Pair) -> None:
    """The replica alone cannot know; if the original is gone, what can be told is told: exit 3."""
    pair.arrive(*pair.late)
    pair.program.make_files(c="3")
    pair.program.good("backup", pair.data)
    assert pair.look().code == 0
    found = pair.look("--source", pair.program.repository, "--json")
    assert found.code == 5
    assert found.record("waiting")["commit_missing"] is True
    assert found.record("replica")["id"] == pair.second
    assert pair.look("--source", pair.program.repository, "--max-lag", "1h").code == 0
    assert pair.look("--source", pair.there).code == 6
    assert pair.look("--source-key-file", "k").code == 2


def test_a_pack_that_is_cut_is_damage(pair: Pair) -> None:
    """It is there, and will not become right: exit 4."""
    key = pair.late[0]
    pair.arrive(*pair.late)
    (pair.there / key).write_bytes((pair.there / key).read_bytes()[:-1])
    found = pair.look("--max-lag", "1h")
    assert found.code == 4
    assert f"damage: {key}" in found.out


def test_latest_is_refused_before_anything_is_written_and_says_what_is_whole(pair: Pair) -> None:
    """What it names comes back bit for bit; so does the latest once all has arrived."""
    refused = pair.restore("latest", "out")
    assert refused.code == 4
    assert f"snapshot {pair.second[:8]} is not whole" in refused.err
    assert f"strongroom restore {pair.first[:8]}" in refused.err
    assert not (pair.program.folder / "out").exists()
    assert pair.restore(pair.first[:8], "out").code == 0
    assert pair.came_back("out", pair.old)
    pair.arrive(*pair.late)
    assert pair.restore("latest", "all").code == 0
    assert pair.came_back("all", pair.data)


def test_one_that_is_named_is_restored_as_far_as_it_is_there(pair: Pair) -> None:
    """It is said first that it is not whole, then what could not be restored: exit 4."""
    held = pair.restore(pair.second, "out")
    assert held.code == 4
    assert f"warning: snapshot {pair.second[:8]} is not whole" in held.err


def test_an_export_of_the_latest_is_refused_too(pair: Pair) -> None:
    """An archive is as good as a restore."""
    refused = pair.program.run("-r", pair.there, "export", "latest", "--to", "out.tar")
    assert refused.code == 4
    assert "is not whole" in refused.err


def test_a_replica_disturbs_no_memory_of_the_original(pair: Pair) -> None:
    """What a host remembers goes by URL: looking at the one leaves the other as it is."""
    known = {path: path.read_bytes() for path in (pair.program.state / "known").iterdir()}
    assert pair.look("--source", pair.program.repository).code == 5
    assert {path: path.read_bytes() for path in (pair.program.state / "known").iterdir()} == known
    pair.restore("latest", "out")
    for path, before in known.items():
        assert path.read_bytes() == before
    pair.program.good("backup", pair.data)


def test_another_repository_is_not_taken_for_the_replica(pair: Pair) -> None:
    """Where this host knows one, a look refuses another, as every command does."""
    pair.restore(pair.first, "out")
    shutil.rmtree(pair.there)
    pair.program.good("-r", pair.program.folder / "new", "init", "--key-file", "n", env=NO_KEY)
    (pair.program.folder / "new").rename(pair.there)
    assert pair.program.run("store", "replica", pair.there, "--key-file", "n", env=NO_KEY).code == 6


def test_an_empty_repository_meets_no_objective(program: Program) -> None:
    """Nothing can be restored from it."""
    found = program.run("store", "replica")
    assert found.code == 5
    assert "it holds no snapshot" in found.out


def test_older_snapshots_are_looked_at_on_request(pair: Pair) -> None:
    """One of which a pack is gone, older than the newest whole one, is found with ``--all``."""
    (pair.data / "b").unlink()
    pair.program.good("backup", pair.data)
    for path in pair.program.repository.rglob("*"):
        if path.is_file() and pair.key(path) not in pair.late:
            pair.arrive(pair.key(path))
    assert pair.look().code == 0
    found = pair.look("--all", "--json")
    assert found.code == 5
    assert found.record("waiting")["snapshot_id"] == pair.second
