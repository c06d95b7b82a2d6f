"""Streams through the command line, with real processes."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.cli.harness import COMMAND, Program

pytestmark = pytest.mark.spec("B11")


def test_a_command_through_the_command_line(program: Program) -> None:
    """Saved, dumped byte for byte, and the name and count are those of one file."""
    code = "import sys; sys.stdout.buffer.write(bytes(range(256)) * 20000)"
    result = program.good(
        *("backup", "--json", "--stdin-from-command", "--stdin-filename", "db/app.sql"),
        *("--", sys.executable, "-c", code),
    )
    summary = result.record("summary")
    assert (summary["total_files_processed"], summary["total_bytes_processed"]) == (1, 5_120_000)
    assert program.good("dump", "latest", "db/app.sql").raw == bytes(range(256)) * 20_000
    program.good("restore", "latest", "--to", "back")
    assert (program.folder / "back/db/app.sql").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(
    ("command", "code", "text"),
    [
        (["sh", "-c", "echo half; exit 7"], 1, "exit code 7"),
        (["sh", "-c", "echo half; kill -9 $$"], 1, "SIGKILL"),
        (["sh", "-c", "exit 0"], 1, "nothing came"),
        (["no such command"], 14, "does not start"),
    ],
)
def test_a_failed_command_through_the_command_line(
    program: Program, command: list[str], code: int, text: str
) -> None:
    """The exit code and one line say what happened; there is no snapshot."""
    result = program.run("backup", "--stdin-from-command", "--", *command)
    assert result.code == code
    assert text in result.err
    assert "no snapshots" in program.good("snapshots").out


def test_standard_input_through_the_command_line(program: Program) -> None:
    """What is piped in comes back."""
    done = subprocess.run(
        [*COMMAND, "backup", "--stdin", "--stdin-filename", "notes"],
        cwd=program.folder,
        env=program.environment,
        input=b"some notes\n",
        check=False,
        capture_output=True,
        timeout=60,
    )
    assert done.returncode == 0, done
    assert program.good("dump", "latest", "notes").raw == b"some notes\n"


@pytest.mark.parametrize(
    "line",
    [
        "backup --stdin --stdin-from-command -- true",
        "backup --stdin ./documents",
        "backup --stdin-from-command",
        "backup --stdin-filename x ./documents",
        "backup --stdin --exclude x",
        "backup --stdin --dry-run",
        "backup --stdin --stdin-filename ../x",
        "backup --stdin --stdin-filename /",
    ],
)
def test_what_does_not_go_together(program: Program, line: str) -> None:
    """Usage errors, before anything is read or started."""
    assert program.run(*line.split()).code == 2
    assert "no snapshots" in program.good("snapshots").out
