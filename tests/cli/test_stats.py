"""``strongroom stats`` as a person runs it."""

from __future__ import annotations

import pytest

from tests.cli.harness import Program

pytestmark = pytest.mark.spec("B1")


def test_the_numbers(program: Program) -> None:
    """What is restored, what is different, what is stored, by source and by snapshot."""
    program.make_files(a="x" * 100_000, b="x" * 100_000, c="y")
    program.good("backup", "./documents", "--tag", "one")
    program.good("backup", "./documents", "--host", "other")
    out = program.good("stats").out
    assert "restore size     400.0 kB in 6 files" in out
    assert "different files  100.0 kB in 2 files" in out
    assert str(program.folder / "documents") in out
    summary = program.good("stats", "--json").record("summary")
    assert summary["restore_size"] == 400_002
    assert summary["different_files"] == 2
    assert summary["deduplication"] > 3.5
    assert summary["compression"] > 10
    files = [path for path in program.repository.rglob("*") if path.is_file()]
    assert summary["repository_size"] == sum(path.stat().st_size for path in files)
    assert summary["stored"] < summary["repository_size"]
    records = program.good("stats", "latest", "--host", "other", "--json").records
    assert [one["message_type"] for one in records] == ["source", "growth", "summary"]
    assert records[-1]["restore_size"] == 200_001
    assert program.good("stats", "--tag", "nothing").out == "no snapshots\n"


def test_the_latest_snapshots_are_shown(program: Program) -> None:
    """Of many snapshots the newest twenty are shown to people, the newest first."""
    program.make_files(a="1")
    for _ in range(22):
        program.good("backup", "./documents")
    lines = program.good("stats").out.splitlines()
    newest = program.good("snapshots").out.splitlines()[1][:8]
    head = next(i for i, line in enumerate(lines) if line.startswith("snapshot "))
    assert lines[head + 1].startswith(newest)
    assert len(lines) == head + 22
    assert lines[-1].startswith("… and 2 older")


def test_damage_makes_the_numbers_too_small(program: Program) -> None:
    """Where something is damaged the exit code is 4, and it is said."""
    program.make_files(a="1")
    program.good("backup", "./documents")
    for pack in (program.repository / "packs").rglob("*"):
        if pack.is_file():
            pack.unlink()
    result = program.run("stats")
    assert result.code == 4
    assert "a part of its tree cannot be" in result.err
