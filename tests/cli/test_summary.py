"""What the summary of a backup counts, and how a scheduled one behaves."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from tests.cli.harness import Program


def test_new_changed_and_unchanged_are_counted_apart(program: Program) -> None:
    """In the summary, in JSON, and in a dry run."""
    documents = program.make_files(a="1", b="2", c="3")
    program.settle()
    first = program.good("backup", "./documents", "--json").record("summary")
    assert (first["entries_changed"], first["entries_unmodified"]) == (0, 0)
    assert first["entries_new"] == first["entries"]
    (documents / "b").write_text("changed")
    (documents / "b").chmod(0o600)
    os.utime(documents, ns=(0, 0))
    (documents / "c").unlink()
    (documents / "c").write_text("another")
    dry = program.good("backup", "./documents", "-n", "--json").record("summary")
    assert (dry["entries_new"], dry["entries_changed"] >= 3) == (0, True)
    (documents / "d").write_text("new")
    done = program.good("backup", "./documents", "--json").record("summary")
    assert done["entries_new"] == 1
    assert done["entries_changed"] >= 3
    total = done["entries_new"] + done["entries_changed"] + done["entries_unmodified"]
    assert total == done["entries"]


def test_what_is_unusual_is_told_and_changes_no_exit_code(program: Program) -> None:
    """A warning for people, a list for programs, exit 0."""
    documents = program.make_files({f"{number}": "x" * 1000 for number in range(30)})
    for _ in range(3):
        assert "unusual" not in program.good("backup", "./documents").err
    for number in range(20):
        (documents / f"{number}").unlink()
    done = program.good("backup", "./documents")
    assert "warning: unusual: 67% smaller than the last 3 usually" in done.err
    summary = program.good("backup", "./documents", "--json").record("summary")
    assert summary["anomalies"] == ["smaller"]


@pytest.mark.parametrize("level", ["1", "19"])
def test_a_level_of_compression(program: Program, level: str) -> None:
    """What was compressed at any level comes back; a harder one takes less room."""
    program.make_files(a="".join(f"{number} is a number\n" for number in range(50_000)))
    program.good("backup", "./documents", "--compression-level", level)
    assert "no damage" in program.good("verify", "--read-data").out
    assert program.run("backup", "./documents", "--compression-level", "20").code == 2


def test_nice_is_for_those_who_ask(program: Program) -> None:
    """With --nice the process has the lowest priority for processors and disks, else its own."""
    program.make_files(a="1")
    before = os.getpriority(os.PRIO_PROCESS, 0)
    code = (
        "import os, sys\nfrom strongroom.cli.main import main\n"
        "assert main(sys.argv[1:]) == 0\nprint('nice', os.getpriority(os.PRIO_PROCESS, 0))"
    )
    for option, nice in (((), before), (("--nice",), 19)):
        done = subprocess.run(
            [sys.executable, "-c", code, "backup", "-q", "./documents", *option],
            cwd=program.folder,
            env=program.environment,
            capture_output=True,
            text=True,
            check=True,
            timeout=60,
        )
        assert done.stdout == f"nice {nice}\n"


def test_nice_is_for_disks_too() -> None:
    """The kernel holds the last place of those that share a disk."""
    code = (
        "import ctypes\nfrom strongroom.system.priority import _NUMBERS, lower_priority\n"
        "import platform\nlower_priority()\nnumber = _NUMBERS.get(platform.machine())\n"
        "get = {251: 252, 30: 31}.get(number)\n"
        "print(ctypes.CDLL(None).syscall(get, 1, 0) if get else (2 << 13 | 7))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    assert int(done.stdout) == 2 << 13 | 7
