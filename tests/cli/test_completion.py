"""Completion in the shell: from files of this host alone, and without the engine."""

from __future__ import annotations

import shutil
import subprocess
import sys

import pytest

from strongroom.cli.main import VERBS
from strongroom.repository.envelope import Kind, unwrap
from strongroom.repository.peek import HEAD_SIZE, snapshot_time
from strongroom.repository.records import Commit, read_body
from tests.cli.harness import NO_KEY, Program
from tests.cli.test_help import HEAVY

FILE = """\
version = 1
[repositories.main]
url = "{repository}"
[repositories.far]
url = "/far"
[sources.app]
type = "files"
paths = ["documents"]
[sources.etc]
broken =  5
"""


def completed(
    program: Program, line: str, env: dict[str, str | None] | None = None
) -> list[tuple[str, str]]:
    """Return (type, value) of what completes the last word of a line."""
    words = f"strongroom {line}".split(" ")
    asked: dict[str, str | None] = {
        **NO_KEY,
        "COMP_WORDS": " ".join(words),
        "COMP_CWORD": str(len(words) - 1),
        "_STRONGROOM_COMPLETE": "bash_complete",
        **(env or {}),
    }
    result = program.good(env=asked)
    assert result.err == ""
    pairs = [line.partition(",") for line in result.out.splitlines()]
    return [(kind, value) for kind, _, value in pairs]


def values(program: Program, line: str, env: dict[str, str | None] | None = None) -> list[str]:
    """Return what completes the last word of a line."""
    return [value for kind, value in completed(program, line, env) if kind == "plain"]


def test_verbs_and_options(empty: Program) -> None:
    """Verbs, their parts and their options are completed."""
    assert values(empty, "") == list(VERBS)
    assert values(empty, "sn") == ["snapshots"]
    assert values(empty, "config ") == ["check", "show"]
    assert values(empty, "find --ol") == ["--oldest"]
    assert values(empty, "restore --owner") == ["--owner-map"]
    assert values(empty, "restore --overwrite a") == ["always"]
    assert values(empty, "completion z") == ["zsh"]
    assert values(empty, "no-such-verb x") == []


def test_names_of_the_configuration(empty: Program) -> None:
    """Sources and repositories of the file are completed, whatever else is wrong with it."""
    (empty.folder / "strongroom.toml").write_text(FILE.format(repository=empty.repository))
    assert completed(empty, "backup ") == [("file", ""), ("plain", "app"), ("plain", "etc")]
    assert values(empty, "backup e") == ["app", "etc"]
    assert completed(empty, "-r ") == [("dir", ""), ("plain", "main"), ("plain", "far")]
    (empty.folder / "strongroom.toml").write_text("no toml")
    assert completed(empty, "backup ") == [("file", "")]
    assert completed(empty, "--key-file ") == [("file", "")]
    assert completed(empty, "restore latest --to ") == [("dir", "")]


@pytest.mark.parametrize("by_file", [False, True])
def test_snapshots_that_this_host_has_seen(program: Program, *, by_file: bool) -> None:
    """Snapshots come from the cache, the newest first; the repository may be out of reach."""
    program.make_files(a="1")
    for _ in range(3):
        program.good("backup", "./documents")
    listed = [one["short_id"] for one in program.good("snapshots", "--json").records[:-1]]
    program.repository.rename(program.folder / "elsewhere")
    program.key_file.unlink()
    env: dict[str, str | None] = {}
    if by_file:
        (program.folder / "strongroom.toml").write_text(FILE.format(repository=program.repository))
        env = {"STRONGROOM_REPOSITORY": None}
    for line in ("ls ", "dump ", "restore ", "verify ", "stats ", "find x -s ", "diff latest "):
        assert values(program, line, env) == ["latest", *listed]
    assert values(program, "ls " + listed[1][:7], env) == [listed[1]]
    assert values(program, "ls " + listed[1] + "?", env) == []
    assert completed(program, "diff --disk latest ", env) == [("file", "")]
    assert values(program, "-r /other ls ", env) == ["latest"]
    shutil.rmtree(program.cache)
    assert values(program, "ls ", env) == ["latest"]
    shutil.rmtree(program.state)
    assert values(program, "ls lat", env) == ["latest"]


def test_only_snapshots_are_completed(program: Program) -> None:
    """A session that was given up, and what is no commit, are no candidates."""
    program.make_files(a="1")
    program.good("backup", "./documents")
    program.good("snapshots")
    (commit,) = [path for path in (program.cache).rglob("commits/*/*") if path.is_file()]
    data = commit.read_bytes()
    body = read_body("a test", unwrap(data, Kind.COMMIT, "a test").body, Commit)
    other_name = ("ab" if commit.name.startswith("cd") else "cd") * 16  # no prefix of the real id
    assert snapshot_time(data[:HEAD_SIZE]) == body.committed_ns
    assert snapshot_time(data[: HEAD_SIZE - 1]) is None
    for at, value in ((29, 2), (30, 3)):  # an ABORT, a hold
        other = bytearray(data)
        other[at] = value
        assert snapshot_time(bytes(other)) is None
        commit.with_name(other_name).write_bytes(other)
        assert values(program, "ls " + other_name[:2]) == []
    commit.with_name(other_name).write_bytes(b"")
    commit.with_name("zz").write_bytes(data)
    assert len(values(program, "ls ")) == 2


def test_completion_loads_nothing_heavy(program: Program) -> None:
    """What a shell waits for at each key is answered without any library of the engine."""
    program.make_files(a="1")
    (program.folder / "strongroom.toml").write_text(FILE.format(repository=program.repository))
    code = (
        "import sys\nfrom strongroom.cli.main import main\n"
        "code = main([])\nprint(*sys.modules, file=sys.stderr)\nsys.exit(code)"
    )
    for words in ("strongroom ", "strongroom ls ", "strongroom backup ", "strongroom ls --"):
        env = {
            **program.environment,
            "COMP_WORDS": words,
            "COMP_CWORD": str(words.count(" ")),
            "_STRONGROOM_COMPLETE": "bash_complete",
        }
        done = subprocess.run(
            [sys.executable, "-c", code],
            cwd=program.folder,
            env=env,
            capture_output=True,
            text=True,
            check=True,
            timeout=60,
        )
        assert "plain," in done.stdout
        loaded = done.stderr.split()
        assert {name.partition(".")[0] for name in loaded} & HEAVY == set()
        assert "strongroom.app.opening" not in loaded
        assert len([name for name in loaded if name.startswith("strongroom")]) < 65


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_a_script_for_each_shell(empty: Program, shell: str) -> None:
    """The script names the program and asks it in the way of its shell."""
    script = empty.good("completion", shell).out
    assert "strongroom" in script
    assert f"_STRONGROOM_COMPLETE={shell}_complete" in script
    assert empty.run("completion", shell, "--json").code == 2
    assert empty.run("completion", "tcsh").code == 2


def test_bash_completes_with_it(empty: Program) -> None:
    """A real bash that reads the script completes a verb."""
    script = empty.good("completion", "bash").out
    (empty.folder / "script").write_text(script)
    (empty.folder / "strongroom").write_text(
        f'#!/bin/sh\nexec {sys.executable} -m strongroom.cli.main "$@"\n'
    )
    (empty.folder / "strongroom").chmod(0o755)
    program = (
        "source ./script\nCOMP_WORDS=(strongroom snap)\nCOMP_CWORD=1\n"
        '_strongroom_completion ./strongroom\nprintf "%s" "${COMPREPLY[*]}"'
    )
    done = subprocess.run(
        ["bash", "-c", program],
        cwd=empty.folder,
        env=empty.environment,
        check=True,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.stdout == "snapshots"
