"""``freshness`` of a repository: every source must have a complete snapshot that is recent."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.harness import Program

pytestmark = pytest.mark.spec("A8")


@pytest.fixture(name="program")
def _program(tmp_path: Path) -> Program:
    program = Program(tmp_path)
    program.good("init")
    return program


def test_nothing_was_saved(program: Program) -> None:
    """An empty repository is no backup."""
    result = program.run("freshness")
    assert (result.code, result.out) == (5, "ALERT: No backups found\n")


def test_each_source_counts(program: Program) -> None:
    """Recent snapshots are good; of two sources the one that is too old is named, with its path."""
    program.make_files(a="1")
    other = program.folder / "other"
    other.mkdir()
    program.good("backup", "./documents")
    program.good("backup", "./other", "--host", "web")
    good = program.good("freshness", "--max-age", "1h").out.splitlines()
    assert len(good) == 2
    assert f"good: {other}, " in good[1]
    result = program.run("freshness", "--max-age", "0", "--json")
    assert result.code == 5
    alerts = {record["saved"]: record["alert"] for record in result.records}
    assert alerts.keys() == {str(program.folder / "documents"), str(other)}
    assert "is older than 0.0 s" in alerts[str(other)]
    assert f"{other} of web" in alerts[str(other)]


def test_an_incomplete_snapshot_is_none(program: Program) -> None:
    """A source of which something could not be read has no good snapshot."""
    (program.make_files(a="1") / "secret").write_text("x")
    (program.folder / "documents/secret").chmod(0)
    assert program.spawn("backup", "./documents", unprivileged=True).code == 3
    result = program.run("freshness")
    assert result.code == 5
    assert result.out.startswith("ALERT: no complete snapshot of ")


def test_archives_are_meant_if_somebody_says_so(program: Program) -> None:
    """With a repository in the environment, ``--archives`` looks at the project all the same."""
    program.make_files(a="1")
    program.good("backup", "./documents")
    assert program.run("freshness", "--archives").out == "ALERT: No backups found\n"
    program.good("archive", "create", "--scope", "documents")
    assert program.good("freshness", "--archives").out.startswith("good: 2")
