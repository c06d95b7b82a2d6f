"""Forget, undelete, hold, retention and prune, as a person runs them."""

from __future__ import annotations

import os
import shutil
import time
from pathlib import Path

import pytest

from tests.cli.harness import Program

pytestmark = pytest.mark.spec("B6")

POLICY = "version = 1\n[retention]\n"


@pytest.fixture
def saved(program: Program) -> Program:
    """Save five snapshots of one folder; each has something of its own."""
    for number in range(5):
        program.make_files({"all": "the same", "own": f"{number}" * 5000})
        program.good("backup", "./documents", "--tag", f"t{number}")
    return program


def ids(program: Program, *more: str) -> list[str]:
    """Return the ids of the snapshots that are listed, newest first."""
    records = program.good("snapshots", "--json", *more).records
    return [one["id"] for one in records if one["message_type"] == "snapshot"]


def stored(program: Program) -> int:
    """Return the bytes of all packs."""
    return sum(path.stat().st_size for path in program.repository.glob("packs/*/*"))


def test_a_named_snapshot_goes_and_comes_back(saved: Program) -> None:
    """It is not listed and is not the latest any more, until it is brought back."""
    before = ids(saved)
    result = saved.good("forget", "latest")
    assert result.out.splitlines()[-2] == "1 of 1 snapshot forgotten"
    assert ids(saved) == before[1:]
    assert ids(saved, "--forgotten") == before[:1]
    gone = saved.run("ls", before[0][:8])
    assert gone.code == 15
    assert f"strongroom undelete {before[0][:8]}" in gone.err
    saved.good("prune")
    assert saved.good("undelete", before[0][:8]).out.splitlines()[-1] == "1 snapshot back"
    assert ids(saved) == before
    target = saved.folder / "back"
    saved.good("restore", before[0][:8], "--to", target)
    assert next(target.rglob("own")).read_text() == "4" * 5000


def test_prune_frees_room_after_the_grace(saved: Program) -> None:
    """Within the grace nothing goes; after it what nothing needs, and the rest restores."""
    kept = ids(saved)[0]
    saved.good("forget", "--keep-last", "1")
    size = stored(saved)
    result = saved.good("prune", "--json").record("summary")
    assert (result["packs_removed"], result["snapshots_in_grace"]) == (0, 4)
    assert stored(saved) == size
    told = saved.good("prune", "--grace", "0", "--dry-run", "--json").record("summary")
    assert told["dry_run"] is True
    assert told["commits_removed"] == 4
    assert stored(saved) == size
    done = saved.good("prune", "--grace", "0", "--json").record("summary")
    assert done["commits_removed"] == 4
    assert done["bytes_removed"] > 0
    assert stored(saved) < size
    assert ids(saved) == [kept]
    assert ids(saved, "--forgotten") == []
    assert saved.good("verify", "--read-data").out.startswith("no damage found: 1 snapshot")
    assert saved.run("undelete", "t", env={}).code == 15


def test_a_policy_says_why(saved: Program) -> None:
    """Each snapshot has its reasons; a dry run and an explanation change nothing."""
    records = saved.good("forget", "--keep-last", "2", "--keep-tag", "t0", "-n", "--json").records
    decisions = [(one["keep"], one["reasons"]) for one in records[:-1]]
    assert decisions == [
        (True, ["last 1"]),
        (True, ["last 2"]),
        (False, []),
        (False, []),
        (True, ["tag t0"]),
    ]
    assert records[-1]["forgotten"] == 2
    explained = saved.good("retention", "explain", "--keep-last", "2", "--at", "2030-01-01")
    assert "3 of 5 snapshots would be forgotten at 2030-01-01" in explained.out
    assert len(ids(saved)) == 5
    assert not (saved.repository / "orders").exists()


def test_a_misspelt_tag_forgets_nothing(saved: Program) -> None:
    """A policy that keeps nothing of a source is refused, and --accept is named."""
    result = saved.run("forget", "--keep-tag", "tpyo")
    assert result.code == 6
    assert "no rule keeps anything" in result.err
    assert "--accept" in result.err
    assert len(ids(saved)) == 5


def test_the_configured_policy_brakes(saved: Program) -> None:
    """Unattended, a policy that would remove most stops; --accept lets it go on."""
    (saved.folder / "strongroom.toml").write_text(POLICY + "last = 1\n")
    result = saved.run("forget")
    assert result.code == 6
    assert "4 of 5 snapshots would go in one run" in result.err
    assert len(ids(saved)) == 5
    saved.good("forget", "--accept")
    assert len(ids(saved)) == 1


def test_retention_runs_after_a_backup(saved: Program) -> None:
    """What the configuration does not keep is forgotten by the next backup, and told."""
    (saved.folder / "strongroom.toml").write_text(POLICY + "last = 5\n")
    saved.make_files(own="5" * 5000)
    result = saved.good("backup", "./documents")
    assert "1 snapshot forgotten by [retention]" in result.out
    assert len(ids(saved)) == 5
    (saved.folder / "strongroom.toml").write_text(POLICY + "last = 1\n")
    result = saved.good("backup", "./documents")
    assert "warning: nothing was forgotten: " in result.err
    assert len(ids(saved)) == 6


@pytest.mark.parametrize("days", ["0", "many", "-1"])
def test_senseless_days_never_keep_nothing(saved: Program, days: str) -> None:
    """BACKUP_RETENTION_DAYS that means nothing is an error before a backup, naming the variable."""
    for command in (("backup", "./documents"), ("forget",)):
        result = saved.run(*command, env={"BACKUP_RETENTION_DAYS": days})
        assert result.code == 2
        assert "BACKUP_RETENTION_DAYS" in result.err
    assert len(ids(saved)) == 5


def test_the_last_good_one_stays(saved: Program) -> None:
    """All snapshots forgotten: the last good one stays in the repository, unless it may go."""
    last = ids(saved)[0]
    saved.good("forget", *(one[:8] for one in ids(saved)))
    assert ids(saved) == []
    result = saved.good("prune", "--grace", "0")
    assert f"{last[:8]} is forgotten and stays" in result.out
    assert "--allow-empty" in result.out
    saved.good("undelete", last[:8])
    saved.good("forget", "latest", "--allow-empty")
    saved.good("prune", "--grace", "0")
    assert ids(saved, "--forgotten") == []
    assert stored(saved) == 0


def test_allow_empty_counts_for_what_is_forgotten_already(saved: Program) -> None:
    """The hint that prune gives works as it is typed; and only for the snapshot it names."""
    last = ids(saved)[0]
    saved.good("forget", *(one[:8] for one in ids(saved)))
    assert f"strongroom forget {last[:8]} --allow-empty" in saved.good("prune", "--grace", "0").out
    saved.good("forget", last[:8], "--allow-empty")
    saved.good("prune", "--grace", "0")
    assert stored(saved) == 0


def test_what_is_held_stays(saved: Program) -> None:
    """A held snapshot is not forgotten by name or policy, and a release ends that."""
    oldest = ids(saved)[-1]
    saved.good("hold", oldest[:8], "--note", "for the audit")
    listed = saved.good("hold").out.splitlines()
    assert listed[1].startswith(oldest[:8])
    assert listed[1].endswith("for the audit")
    assert saved.run("forget", oldest[:8]).code == 6
    saved.good("forget", "--keep-last", "1")
    assert oldest in ids(saved)
    saved.good("prune", "--grace", "0")
    assert saved.good("verify", "--read-data").code == 0
    assert saved.good("hold", "--release", oldest[:8]).out.endswith("1 snapshot released\n")
    assert saved.good("hold").out == "nothing is held\n"
    saved.good("forget", "--keep-last", "1")
    assert oldest not in ids(saved)


def test_forget_and_prune_at_once(saved: Program) -> None:
    """--prune goes on with a collection; what was just forgotten is in its grace."""
    result = saved.good("forget", "--keep-last", "1", "--prune")
    assert "4 of 5 snapshots forgotten" in result.out
    assert "4 forgotten snapshots can still be brought back" in result.out


@pytest.mark.parametrize(
    ("arguments", "code", "why"),
    [
        (("forget",), 2, "nothing says what to forget"),
        (("forget", "latest", "--keep-last", "1"), 2, "not both"),
        (("forget", "--allow-empty", "--keep-last", "1"), 2, "named"),
        (("forget", "ffff"), 15, "no snapshot"),
        (("forget", "--keep-daily", "seven"), 2, "--keep-daily"),
        (("forget", "--keep-last", "0"), 2, "no rule"),
        (("forget", "--keep-last", "1", "--timezone", "Mars/Base"), 2, "--timezone"),
        (("undelete",), 2, "name snapshots"),
        (("undelete", "ffff"), 15, "among the forgotten"),
        (("hold", "--release"), 2, "name the snapshots"),
        (("hold", "--note", "x"), 2, "name them"),
        (("hold", "ffff"), 15, "no snapshot"),
        (("prune", "--grace", "7 dayz"), 2, "--grace"),
        (("prune", "--grace", "7"), 2, "--grace"),
        (("prune", "--max-unused", "5"), 2, "--max-unused"),
        (("prune", "--max-unused", "101%"), 2, "--max-unused"),
        (("prune", "--max-repack-size", "5 Gigs"), 2, "--max-repack-size"),
        (("retention", "explain", "--keep-last", "1", "--at", "soon"), 2, "--at"),
        (("retention", "explain"), 2, "nothing says"),
    ],
)
def test_what_cannot_be_meant(
    saved: Program, arguments: tuple[str, ...], code: int, why: str
) -> None:
    """What makes no sense is refused with a sentence that names it, and nothing changes."""
    result = saved.run(*arguments)
    assert (result.code, why in result.err) == (code, True), result
    assert len(result.err.splitlines()) == 1
    assert len(ids(saved)) == 5


def test_damage_stops_a_collection(saved: Program) -> None:
    """A commit that cannot be read is not absent: nothing is removed, exit 4, and it is named."""
    saved.good("forget", "--keep-last", "1")
    commit = next(saved.repository.glob("commits/*/*"))
    commit.chmod(0o600)
    data = commit.read_bytes()
    commit.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    shutil.rmtree(saved.home)
    saved.home.mkdir()
    size = stored(saved)
    result = saved.run("prune", "--grace", "0")
    assert result.code == 4
    assert commit.name in result.err
    assert stored(saved) == size


def test_a_reader_key_forgets_nothing(saved: Program, tmp_path: Path) -> None:
    """Whoever can only read is refused, exit 12, whatever is asked."""
    key = tmp_path / "reader"
    saved.good("key", "add", "--new-key-file", key, "--role", "reader")
    env: dict[str, str | None] = {"STRONGROOM_KEY_FILE": str(key)}
    for arguments in (("forget", "latest"), ("hold", "latest"), ("prune",), ("undelete", "ab")):
        result = saved.run(*arguments, env=env)
        assert result.code == 12, (arguments, result)
    assert len(ids(saved)) == 5


def test_copies_are_as_old_as_their_originals(saved: Program) -> None:
    """A policy applied to copies keeps what it keeps of the originals: the times go with them."""
    second, key = saved.folder / "second", saved.folder / "second-key"
    env: dict[str, str | None] = {
        "STRONGROOM_REPOSITORY": str(second),
        "STRONGROOM_KEY_FILE": str(key),
    }
    old_ns = 1_500_000_000_000_000_000
    for path in saved.repository.glob("commits/*/*"):
        os.utime(path, ns=(old_ns, old_ns))
    saved.good("init", env=env)
    saved.good("copy", "--to", second, "--to-key-file", key)
    records = saved.good("forget", "--keep-last", "2", "-n", "--json", env=env).records
    assert [(one["keep"], one["reasons"]) for one in records[:2]] == [
        (True, ["its time is not believed: " + records[0]["reasons"][0].partition(": ")[2]]),
        (True, ["its time is not believed: " + records[1]["reasons"][0].partition(": ")[2]]),
    ], "the store of the originals says another time than they"
    now = time.time()
    for age, name in enumerate(ids(saved)):
        (path,) = saved.repository.glob(f"commits/*/{name}")
        os.utime(path, (now - age, now - age))
    third = saved.folder / "third"
    env["STRONGROOM_REPOSITORY"] = str(third)
    saved.good("init", env=env)
    saved.good("copy", "--to", third, "--to-key-file", key)
    records = saved.good("forget", "--keep-last", "2", "-n", "--json", env=env).records
    assert [one["keep"] for one in records[:-1]] == [True, True, False, False, False]
