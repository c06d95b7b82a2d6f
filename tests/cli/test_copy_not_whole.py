"""What ``strongroom copy`` says of snapshots that are there already, and of which data is lost."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.harness import NO_KEY, Program, Result

pytestmark = pytest.mark.spec("B8")


class Pair:
    """A repository with two snapshots, and another one with copies of them."""

    def __init__(self, program: Program) -> None:
        self.program = program
        self.second = program.folder / "second"
        program.good("-r", self.second, "init", "--key-file", "second.key", env=NO_KEY)
        for number in range(2):
            program.make_files(own=f"{number}" * 5000)
            program.good("backup", "./documents")
            self.packs = self._packs()  # those of the first copy, in the end
            assert self.copy().code == 0
        (self.newest,) = self._packs() - self.packs

    def _packs(self) -> set[Path]:
        return set(self.second.glob("packs/*/*"))

    def copy(self, *more: str) -> Result:
        """Copy everything."""
        to = ("--to", self.second, "--to-key-file", "second.key")
        return self.program.run("copy", *to, *more)

    def there(self, *arguments: str | Path) -> Result:
        """Run a command on the second repository."""
        opened = ("-r", self.second, "--key-file", "second.key")
        return self.program.run(*opened, *arguments, env=NO_KEY)

    def repaired(self, *more: str | Path) -> Result:
        """Repair the second repository."""
        return self.there("repair", *more)


@pytest.fixture(name="pair")
def _pair(program: Program) -> Pair:
    return Pair(program)


def from_first(pair: Pair) -> tuple[str | Path, ...]:
    """Return the options that name the first repository as the source of a repair."""
    return ("--from", pair.program.repository, "--from-key-file", pair.program.key_file)


def test_what_is_there_was_not_read_again(pair: Pair) -> None:
    """Where nothing is known to be lost that is all that is said, and it is exit 0."""
    result = pair.copy()
    assert result.code == 0
    assert "2 already there, not read again" in result.out
    assert pair.copy("--json").record("summary")["snapshots_not_whole"] == 0


@pytest.mark.parametrize("more", [(), ("-n",)], ids=["done", "dry"])
def test_a_pack_that_is_gone_there_is_exit_3(pair: Pair, more: tuple[str, ...]) -> None:
    """The snapshot that needs it is named, no other, and what to do next; a repair mends it."""
    pair.newest.unlink()
    result = pair.copy(*more)
    assert result.code == 3, result
    assert "2 already there" in result.out
    assert "1 snapshot there already, but not whole" in result.out
    assert "strongroom verify, then strongroom repair --from" in result.out
    assert result.err.count("but not whole") == 1
    told = pair.copy("--json", *more)
    assert told.code == 3
    assert told.record("summary")["snapshots_not_whole"] == 1
    assert told.record("error")["during"] == "check"
    assert pair.repaired(*from_first(pair)).code == 0
    assert pair.copy().code == 0


def test_a_pack_in_quarantine_counts_while_something_needs_it(pair: Pair) -> None:
    """After a repair that could not mend it a copy says so still; after one that could, no more,
    although the pack is there, and in quarantine, until it is collected.
    """
    data = bytearray(pair.newest.read_bytes())
    data[len(data) // 2] ^= 1
    pair.newest.chmod(0o600)
    pair.newest.write_bytes(data)
    assert pair.copy().code == 0  # nobody has read it
    pair.repaired("--read-data")
    assert pair.newest.exists()
    assert pair.copy().code == 3
    pair.repaired("--read-data", *from_first(pair))
    assert pair.newest.exists()
    assert pair.copy().code == 0


def test_what_a_collector_took_is_not_missing(pair: Pair) -> None:
    """Packs of forgotten snapshots go there, others are put together: all that stays is whole."""
    assert pair.there("forget", "latest~1").code == 0
    before = set(pair.second.glob("packs/*/*"))
    assert pair.there("prune", "--grace", "0", "--max-unused", "0%").code == 0
    assert set(pair.second.glob("packs/*/*")) != before
    result = pair.copy()
    assert result.code == 0, result


def test_what_was_forgotten_there_need_not_be_whole(pair: Pair) -> None:
    """Nobody wants it there any more, so its data may be lost."""
    assert pair.there("forget", "latest").code == 0
    pair.newest.unlink()
    result = pair.copy()
    assert result.code == 0, result
    assert "1 of them forgotten" in result.out
