"""Roles through the command line, on real trees: an agent's host and a restore host, from outside.

Each host has a home of its own, and of the repository only what its role gives.
"""

from __future__ import annotations

import json
import shutil
import sysconfig
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from tests.cli.harness import Program
from tests.support.compare_trees import compare_trees

pytestmark = pytest.mark.spec("B3")


@pytest.fixture(name="program")
def _program(tmp_path: Path) -> Program:
    program = Program(tmp_path)
    program.good("init")
    return program


@pytest.fixture(name="data")
def _data(tmp_path: Path) -> Path:
    """A part of the standard library of this Python."""
    folder = tmp_path / "library"
    shutil.copytree(Path(sysconfig.get_paths()["stdlib"]) / "email", folder, symlinks=True)
    time.sleep(0.2)
    return folder


def host(program: Program, name: str, key: Path) -> dict[str, str | None]:
    """Return the environment of a host that has nothing but a key."""
    home = program.folder / name
    home.mkdir()
    return {"HOME": str(home), "STRONGROOM_KEY_FILE": str(key)}


@pytest.fixture(name="agent")
def _agent(program: Program) -> dict[str, str | None]:
    """A host that has nothing but an agent file."""
    program.good("key", "export-agent", "--name", "web1", "--to", "web1.agent")
    return host(program, "web1", program.folder / "web1.agent")


@pytest.fixture(name="reader")
def _reader(program: Program) -> dict[str, str | None]:
    """A host that has nothing but a reader key."""
    program.good("key", "add", "--new-key-file", "reader-key", "--role", "reader")
    return host(program, "restore", program.folder / "reader-key")


READS = [
    ("snapshots",),
    ("ls", "latest"),
    ("dump", "latest", "/a"),
    ("restore", "latest", "--to", "back"),
    ("export", "latest", "--to", "back"),
    ("export", "latest", "--to", "-"),
    ("verify",),
    ("verify", "--read-data"),
    ("key", "list"),
    ("key", "kit"),
]
CHANGES = [
    ("key", "add", "--recovery"),
    ("key", "add", "--new-key-file", "made"),
    ("key", "remove", "00"),
    ("key", "export-agent", "--name", "x", "--to", "x.agent"),
    ("key", "kit", "--new-recovery-key"),
]


def test_an_agent_backs_up_a_real_tree_and_reads_nothing(
    program: Program, data: Path, agent: Mapping[str, str | None]
) -> None:
    """The second backup reads and stores nothing; after the loss of all local state it reads again
    and stores nothing; everything else is exit 12 and says what to do; a full key restores it all.
    """
    first = program.spawn("backup", data, "--json", env=agent).record("summary")
    assert first["status"] == "complete"
    second = program.spawn("backup", data, "--json", env=agent).record("summary")
    assert second["bytes_read"] == 0
    assert second["entries_unmodified"] >= second["entries"] - len(data.parents)
    shutil.rmtree(str(agent["HOME"]))
    third = program.spawn("backup", data, "--json", env=agent).record("summary")
    assert third["bytes_read"] == first["bytes_read"]
    assert third["data_added"] < 100_000
    for command in READS + CHANGES:
        result = program.run(*command, env=agent)
        assert result.code == 12, (command, result)
        assert "agent key 'web1'" in result.err
        assert result.out == ""
    assert not (program.folder / "back").exists()
    assert not (program.folder / "made").exists()
    program.good("restore", "latest", "--to", "back")
    assert compare_trees(data, program.folder / "back" / data.relative_to("/")) == []
    program.good("verify", "--read-data")


def test_what_an_agent_saved_is_listed_under_its_name(
    program: Program, data: Path, agent: Mapping[str, str | None]
) -> None:
    """Whatever host it says it is; the hosts with a full key have no such name."""
    program.good("backup", data, "--host", "db1", env=agent)
    program.good("backup", data)
    out = program.good("snapshots").out
    assert "agent" in out.splitlines()[0]
    records = program.good("snapshots", "--json").records[:2]
    assert [(one["agent"], one["hostname"] == "db1") for one in records] == [
        (None, False),
        ("web1", True),
    ]
    said = program.good("backup", data, env=agent).out
    assert "with a full or reader key: strongroom restore" in said


def test_an_agent_file_that_others_can_read_is_warned_of(
    program: Program, data: Path, agent: Mapping[str, str | None]
) -> None:
    """As any key file; with another key beside it, it is refused."""
    path = Path(str(agent["STRONGROOM_KEY_FILE"]))
    assert path.stat().st_mode & 0o777 == 0o600
    path.chmod(0o644)
    assert "other users can read" in program.good("backup", data, env=agent).err
    both = {**agent, "STRONGROOM_PASSPHRASE_FILE": str(program.passphrase_file)}
    assert program.run("backup", data, env=both).code == 2


def test_a_damaged_agent_file_and_one_of_another_repository(
    program: Program, data: Path, agent: Mapping[str, str | None]
) -> None:
    """Exit 12, and what to do."""
    other = {"STRONGROOM_REPOSITORY": "other", "STRONGROOM_KEY_FILE": "other-key"}
    program.good("init", env=other)
    result = program.run(
        "-r", "other", "backup", data, env={**agent, "STRONGROOM_REPOSITORY": None}
    )
    assert result.code == 12
    assert "is for repository" in result.err
    path = Path(str(agent["STRONGROOM_KEY_FILE"]))
    path.write_text(path.read_text().replace("KEY-----\n", "KEY-----\nAAAA", 1))
    result = program.run("backup", data, env=agent)
    assert result.code == 12
    assert "export-agent" in result.err


def test_an_agent_file_is_no_key_of_a_repository(
    program: Program, agent: Mapping[str, str | None]
) -> None:
    """Neither of a new one nor as another key; nothing is made."""
    made = program.run("-r", "new", "init", env={**agent, "STRONGROOM_REPOSITORY": None})
    assert made.code == 12
    assert "is an agent key" in made.err
    assert not (program.folder / "new").exists()
    added = program.run("key", "add", "--new-key-file", str(agent["STRONGROOM_KEY_FILE"]))
    assert added.code == 12
    assert "is an agent key" in added.err


def _seen(folder: Path) -> Iterator[tuple[str, int, int, int]]:
    for path in sorted([folder, *folder.rglob("*")]):
        status = path.stat()
        yield str(path), status.st_mode, status.st_size, status.st_mtime_ns


@pytest.mark.parametrize("role", ["reader", "full"])
def test_a_restore_host_works_on_a_store_that_nobody_can_write(
    program: Program, data: Path, role: str, reader: Mapping[str, str | None]
) -> None:
    """Without write permission on any folder of it: lists, prints, restores, verifies; no file of
    it is made, changed or touched; what would write is refused, and why.
    """
    program.good("backup", data)
    env = reader if role == "reader" else {}
    for path in program.repository.rglob("*"):
        path.chmod(0o555 if path.is_dir() else 0o444)
    program.repository.chmod(0o555)
    before = list(_seen(program.repository))
    try:
        for command in (
            ("snapshots",),
            ("ls", "latest"),
            ("dump", "latest", str(data / "message.py")),
            ("restore", "latest", "--to", "back"),
            ("verify", "--read-data"),
            ("key", "list"),
            ("snapshots",),
        ):
            result = program.spawn(*command, env=env, unprivileged=True)
            assert result.code == 0, (command, result)
            assert result.err == "", command
        assert compare_trees(data, program.folder / "back" / data.relative_to("/")) == []
        for refused in (("backup", str(data)), *CHANGES, ("init",)):
            result = program.spawn(*refused, env=env, unprivileged=True)
            assert result.code in ({12, 6} if role == "reader" else {13, 6, 15}), (refused, result)
            assert result.err.splitlines()[-1].startswith("error: ")
        assert list(_seen(program.repository)) == before
    finally:
        for path in [program.repository, *program.repository.rglob("*")]:
            if path.is_dir():
                path.chmod(0o755)


def test_a_reader_key_signs_nothing_and_says_why(
    program: Program, data: Path, reader: Mapping[str, str | None]
) -> None:
    """Everything that would store an object is exit 12 and names the role; none is stored."""
    program.good("backup", data)
    before = list(_seen(program.repository))
    for command in (("backup", str(data)), *CHANGES):
        result = program.run(*command, env=reader)
        assert result.code == 12, (command, result)
        assert "reader key" in result.err
        assert "full key" in result.err
    assert program.run("init", env=reader).code == 6
    assert list(_seen(program.repository)) == before


def test_a_forged_commit_is_named_by_verify_and_by_snapshots(
    program: Program, data: Path, agent: Mapping[str, str | None]
) -> None:
    """A commit of an agent copied to another key: exit 4 for verify, a warning for the others."""
    program.good("backup", data, env=agent)
    (old,) = program.repository.glob("commits/*/*")
    program.good("backup", data)
    forged = old.with_name("0" * 32)
    shutil.copy(old, forged)
    key = forged.relative_to(program.repository).as_posix()
    result = program.run("verify", "--json")
    assert result.code == 4
    found = [json.loads(line) for line in result.out.splitlines()]
    assert key in {one.get("object") for one in found if one["message_type"] == "finding"}
    for command in (("snapshots",), ("restore", "latest", "--to", "back"), ("backup", str(data))):
        result = program.good(*command)
        assert f"warning: {key} is damaged" in result.err
    assert "2 snapshots" not in program.good("snapshots").out
