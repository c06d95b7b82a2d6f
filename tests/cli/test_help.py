"""Help, version and unforeseen errors."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from strongroom import __version__
from strongroom.cli.main import VERBS
from tests.cli.harness import Program

HEAVY = {"numpy", "cryptography", "rich", "pydantic", "msgspec", "zstandard", "blake3", "pathspec"}


@pytest.mark.parametrize("flag", ["--help", "--version", "-h"])
def test_help_loads_nothing_heavy(flag: str) -> None:
    """Help and version are printed before any library of the engine is loaded."""
    code = (
        "import sys\nfrom strongroom.cli.main import main\n"
        f"code = main([{flag!r}])\nprint(*sys.modules, file=sys.stderr)\nsys.exit(code)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    loaded = {name.partition(".")[0] for name in done.stderr.split()}
    assert loaded & HEAVY == set()
    assert "strongroom.app" not in done.stderr.split()


def test_the_help_of_every_verb_loads_nothing_heavy() -> None:
    """What a verb can be told is printed without any library that only its work needs."""
    code = (
        "import contextlib, io, sys\nimport click\n"
        "from strongroom.cli.main import VERBS, main, strongroom\n"
        "def commands(names, command):\n"
        "    yield names\n"
        "    if isinstance(command, click.Group):\n"
        "        for name in command.list_commands(None):\n"
        "            yield from commands([*names, name], command.get_command(None, name))\n"
        "for names in commands([], strongroom):\n"
        "    with contextlib.redirect_stdout(io.TextIOWrapper(io.BytesIO())) as out:\n"
        "        assert main([*names, '--help']) == 0, names\n"
        "    text = out.buffer.getvalue().decode()\n"
        "    assert ' '.join(['Usage: strongroom', *names]) in text\n"
        "    print(' '.join(names) or '-', *sys.modules)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    lines = done.stdout.splitlines()
    assert len(lines) > len(VERBS)
    for line in lines:
        loaded = set(line.split())
        assert {name.partition(".")[0] for name in loaded} & HEAVY == set(), line.split()[:2]
        assert "strongroom.app.opening" not in loaded


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_begins_its_help_with_two_examples(empty: Program, verb: str) -> None:
    """The help of a verb says what it does, and shows two commands, before its options."""
    text = empty.good(verb, "--help").out
    examples, options = text.index("Examples:"), text.index("Options:")
    assert examples < options
    assert len(re.findall(r"^ +strongroom ", text[examples:options], re.MULTILINE)) == 2
    assert verb in empty.good("--help").out


def test_no_verb(empty: Program) -> None:
    """Without a verb the help is printed on standard error, exit 2."""
    result = empty.run()
    assert result.code == 2
    assert "Verbs:" in result.err


def test_version(empty: Program) -> None:
    """The version is one line."""
    assert empty.good("--version").out == f"strongroom {__version__}\n"


def test_options_before_and_after_the_verb(program: Program) -> None:
    """A common option means the same before a verb and after it."""
    (program.folder / "elsewhere").mkdir()
    env = {"STRONGROOM_REPOSITORY": None}
    before = program.good("-r", "repository", "--json", "snapshots", env=env)
    after = program.good("snapshots", "-r", "repository", "--json", env=env)
    assert before.out == after.out
    assert program.good("-r", "repository", "snapshots", "-r", "repository", env=env).code == 0


def test_an_unforeseen_error(program: Program) -> None:
    """An error that nobody foresaw is one line; its traceback is in a file that is named."""
    program.make_files(a="1")
    code = (
        "import sys, unicodedata\n"
        "from strongroom.cli import main\nfrom strongroom.cli.verbs import backup\n"
        "def broken(**_): raise RuntimeError('a cog\\x1b is loose')\n"
        "backup.command.callback = broken\n"
        "sys.exit(main.main(sys.argv[1:]))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, "backup", "./documents"],
        cwd=program.folder,
        env=program.environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert line.startswith("error: unexpected RuntimeError: a cog\\x1b is loose.")
    (file,) = (program.state / "crashes").iterdir()
    assert str(file) in line
    assert "RuntimeError" in file.read_text()
    assert file.stat().st_mode & 0o077 == 0


def test_debug_shows_the_traceback(program: Program) -> None:
    """With --debug the traceback of any error is printed, and its code stays the same."""
    result = program.run("ls", "latest", "--debug")
    assert result.code == 15
    assert "Traceback" in result.err
    assert result.err.splitlines()[-1].startswith("error: ")


def test_a_command_has_one_thread_before_it_works(tmp_path: Path) -> None:
    """Loading all that a backup takes starts no thread: none spins, none takes memory."""
    script = (
        "import sys, os; from strongroom.cli.main import main; code = main(['--version']);"
        "import strongroom.app.backup; sys.exit(len(os.listdir('/proc/self/task')) - 1 or code)"
    )
    environment = {"PATH": os.environ["PATH"], "HOME": str(tmp_path)}
    done = subprocess.run([sys.executable, "-c", script], env=environment, check=False)
    assert done.returncode == 0
