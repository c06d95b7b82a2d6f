"""Repositories as they become from the command line: pruned, copied and repaired."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.harness import NO_KEY, Program
from tests.faults.damage import flipped
from tests.recover.harness import DAMAGED, DONE, Result, run
from tests.support.compare_trees import compare_trees
from tests.support.noise import noise

pytestmark = pytest.mark.spec("B10")


class Life:
    """A repository to which things are done, and what each snapshot held when it was made."""

    def __init__(self, program: Program) -> None:
        self.program = program
        self.repository = program.repository
        self.key = program.key_file
        self.saved: dict[str, Path] = {}
        self._restored = 0

    def backup(self, number: int) -> str:
        """Save documents that share a part with those before; return the id."""
        own = noise(300_000, f"own {number}")
        folder = self.program.make_files(shared=noise(200_000), own=own)
        self.program.good("backup", "./documents")
        snapshot = str(self._listed()[-1])
        copy = self.program.folder / f"saved {snapshot}"
        self.program.good("restore", snapshot, "--to", copy)
        self.saved[snapshot] = copy / str(folder)[1:]
        return snapshot

    def run(self, verb: str, *arguments: str | Path) -> Result:
        """Run the independent reader."""
        return run(verb, self.repository, *arguments, "--key-file", self.key)

    def agree(self, *expected: str) -> None:
        """Both list these snapshots, nothing is damaged, and each restores what was saved."""
        assert self._listed() == list(expected)
        found = self.run("list", "--json")
        assert [one["id"] for one in found.records] == list(expected)
        verified = self.run("verify")
        assert (verified.code, verified.damage) == (DONE, []), verified
        for snapshot in expected:
            self.restores(snapshot)

    def restores(self, snapshot: str) -> None:
        """A snapshot comes back as it was saved."""
        self._restored += 1
        target = self.program.folder / f"restored {self._restored}"
        result = self.run("restore", snapshot, target)
        assert result.code == DONE, result
        restored = target / str(self.program.folder / "documents")[1:]
        assert compare_trees(self.saved[snapshot], restored) == []

    def _listed(self) -> list[str]:
        records = self.program.good("snapshots", "--json").records
        return [one["id"] for one in records if one["message_type"] == "snapshot"][::-1]


@pytest.fixture(name="life")
def _life(program: Program) -> Life:
    return Life(program)


def test_after_a_collection_everything_that_stays_is_read(life: Life) -> None:
    """Forgotten, brought back, held, collected, repacked and collected again."""
    first, second, third = (life.backup(number) for number in range(3))
    life.program.good("forget", first, second)
    life.agree(third)
    everything = life.run("list", "--all", "--json").records
    assert [one["forgotten"] for one in everything] == [True, True, False]
    life.program.good("undelete", first)
    life.agree(first, third)
    life.program.good("hold", first)
    life.program.good("prune", "--grace", "0s", "--max-unused", "0%")
    life.agree(first, third)
    assert len(life.run("list", "--all", "--json").records) == 2
    life.program.good("hold", first, "--release")
    life.program.good("forget", first)
    fourth = life.backup(4)
    life.program.good("prune", "--grace", "0s", "--max-unused", "0%")
    life.agree(third, fourth)


def test_copies_are_read_in_their_own_order(life: Life) -> None:
    """With the ids that the other repository gave them, beside what it held before."""
    first, second = life.backup(1), life.backup(2)
    other = life.program.folder / "other"
    life.program.good("-r", other, "init", "--key-file", "other.key", env=NO_KEY)
    life.program.good("copy", "--to", other, "--to-key-file", "other.key")
    opened = ("-r", other, "--key-file", "other.key")
    records = life.program.good(*opened, "snapshots", "--json", env=NO_KEY).records[-2::-1]
    life.repository, life.key = other, life.program.folder / "other.key"
    found = life.run("list", "--json").records
    assert [one["id"] for one in found] == [one["id"] for one in records]
    for copied, original in zip(found, (first, second), strict=True):
        life.saved[copied["id"]] = life.saved[original]
        life.restores(copied["id"])
    assert life.run("verify").code == DONE


def test_after_a_repair_what_is_left_is_read(life: Life) -> None:
    """A pack in quarantine, what could be read of it written anew, and segments put again."""
    first, second = life.backup(1), life.backup(2)
    packs = sorted(life.repository.glob("packs/*/*"), key=lambda path: path.stat().st_mtime_ns)
    packs[0].chmod(0o600)
    packs[0].write_bytes(flipped(packs[0].read_bytes(), 300, 0))
    for path in life.repository.glob("index/*"):
        path.unlink()
    assert life.run("verify").code == DAMAGED
    before = life.run("restore", second, life.program.folder / "before")
    assert life.program.run("repair", "--read-data").code == DAMAGED
    assert any(life.repository.glob("index/*"))
    after = life.run("restore", second, life.program.folder / "after")
    assert (before.code, after.code) == (DAMAGED, DAMAGED)
    both = life.program.folder / "before", life.program.folder / "after"
    assert compare_trees(*both, ignore={"top"}) == []
    assert life.run("restore", first, life.program.folder / "first").code == DAMAGED
