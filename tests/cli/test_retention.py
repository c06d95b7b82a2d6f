"""What configured retention goes by: other hosts, earlier runs, earlier words of a person."""

from __future__ import annotations

import shutil

import pytest

from tests.cli.harness import Program
from tests.cli.test_forget import POLICY, ids

pytestmark = pytest.mark.spec("B6")


def backups(program: Program, count: int, *more: str) -> list[str]:
    """Back up so many times, each time something else; return their ids, oldest first."""
    for _ in range(count):
        program.make_files(own=f"{len(ids(program))}" * 5000)
        program.good("backup", "./documents", *more)
    return ids(program)[:count][::-1]


def configure(program: Program, rule: str = "") -> None:
    """Write a policy into the configuration, or take the configuration away."""
    path = program.folder / "strongroom.toml"
    if rule:
        path.write_text(f"{POLICY}{rule}\n")
    else:
        path.unlink()


def test_an_emptied_source_stops_retention_until_it_is_accepted(program: Program) -> None:
    """However many nights the folder is empty, what it held stays until a person says so."""
    configure(program, "last = 2")
    program.make_files({name: name * 1000 for name in "abc"})
    good = backups(program, 2)
    for path in (program.folder / "documents").iterdir():
        path.unlink()
    for _ in range(3):
        result = program.run("backup", "./documents")
        assert "warning: nothing was forgotten: the newest complete snapshot of " in result.err
        assert set(good) < set(ids(program))
    result = program.run("forget")
    assert result.code == 6
    assert "0 files, less than half of the 4 of " in result.err
    program.good("forget", "--accept")
    assert set(ids(program)).isdisjoint(good)
    assert "warning" not in program.run("backup", "./documents").err


def test_a_backup_judges_nothing_of_other_hosts_and_sources(program: Program) -> None:
    """Their own configuration may keep more: only a plain forget is for the whole repository."""
    others = backups(program, 4)
    configure(program, "last = 2")
    (program.folder / "pictures").mkdir()
    for arguments in (("./documents", "--host", "web1"), ("./pictures",)):
        result = program.good("backup", *arguments)
        assert "forgotten" not in result.out
        assert set(others) < set(ids(program))
    program.good("forget")
    assert [one for one in others if one in ids(program)] == others[2:]


def test_latest_is_nothing_that_is_forgotten(program: Program) -> None:
    """Also where forgotten ones are looked at: latest counts from the newest that is listed."""
    made = backups(program, 4)
    program.good("forget", made[0][:8], made[3][:8])
    result = program.good("forget", "latest", "--allow-empty")
    assert "1 of 1 snapshot forgotten" in result.out
    assert ids(program) == [made[1]]
    assert program.run("forget", "latest~1", "--allow-empty").code == 15


def test_what_was_forgotten_before_is_not_forgotten_again(program: Program) -> None:
    """It is said so, it is not counted, and no order is put about it but that it may go."""
    made = backups(program, 3)
    program.good("forget", made[0][:8])
    result = program.good("forget", made[0][:8], "latest", "--allow-empty")
    lines = result.out.splitlines()
    assert "1 of 2 snapshots forgotten" in lines
    assert "1 snapshot was forgotten before" in lines
    assert ids(program) == [made[1]]
    again = program.good("forget", made[0][:8], "--allow-empty", "--json").record("forgotten")
    assert (again["forgotten"], again["snapshots"]) == (0, 1)
    program.good("forget", "latest")
    program.good("prune", "--grace", "0")
    assert ids(program, "--forgotten") == [made[1]], "the others may go, the last good one not"


def test_a_crash_while_the_last_good_one_is_forgotten_leaves_the_safer_half(
    program: Program,
) -> None:
    """Of the two orders the one that lets the last good one go is put last."""
    (made,) = backups(program, 1)
    program.good("forget", made[:8], "--allow-empty")
    orders = list((program.repository / "orders").rglob("?" * 32))
    names = {path: path.name.encode() for path in orders}
    (later,) = (
        path
        for path in orders
        if any(names[other] in path.read_bytes() for other in orders if other != path)
    )
    later.unlink()
    shutil.rmtree(program.home)  # it was never there
    assert ids(program, "--forgotten") == [made]
    assert "the last good snapshot" in program.good("prune", "--grace", "0").out


def test_a_forget_by_name_is_no_run_of_retention(program: Program) -> None:
    """A policy that is applied for the first time brakes, whatever a person forgot before."""
    made = backups(program, 3)
    program.good("forget", made[1][:8])
    backups(program, 6)
    configure(program, "last = 1")
    result = program.run("forget")
    assert result.code == 6
    assert "7 of 8 snapshots would go in one run: " in result.err
    assert len(ids(program)) == 8


def test_a_forget_by_name_does_not_hide_what_came_since_the_last_run(program: Program) -> None:
    """As many as came since the policy ran may go, whatever a person forgot in between."""
    backups(program, 2)
    configure(program, "last = 1")
    program.good("forget")
    configure(program)
    program.good("forget", backups(program, 6)[0][:8])
    configure(program, "last = 1")
    assert "5 of 6 snapshots forgotten" in program.good("forget").out


def test_a_run_for_one_host_is_none_for_another(program: Program) -> None:
    """What a host's backup forgets of its own takes nothing from what came of the others."""
    backups(program, 1)
    backups(program, 2, "--host", "web1")
    configure(program, "last = 1")
    program.good("forget")
    configure(program)
    backups(program, 6, "--host", "web1")
    configure(program, "last = 1")
    assert "1 snapshot forgotten by" in program.good("backup", "./documents").out
    assert "6 of 8 snapshots forgotten" in program.good("forget").out


def test_copies_come_as_other_snapshots_do(program: Program) -> None:
    """A repository of copies has runs as well: as many as came since the last one may go."""
    second, key = program.folder / "second", program.folder / "second-key"
    env: dict[str, str | None] = {
        "STRONGROOM_REPOSITORY": str(second),
        "STRONGROOM_KEY_FILE": str(key),
    }
    copy = ("copy", "--to", str(second), "--to-key-file", str(key))
    program.good("init", env=env)
    backups(program, 2)
    program.good(*copy)
    configure(program, "last = 1")
    program.good("forget", env=env)
    configure(program)
    backups(program, 6)
    program.good(*copy)
    configure(program, "last = 1")
    assert "6 of 7 snapshots forgotten" in program.good("forget", env=env).out
