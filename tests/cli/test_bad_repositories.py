"""Bad inputs: repositories that are not there, not ours, rolled back or damaged."""

from __future__ import annotations

import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.cli.harness import Program


@pytest.mark.parametrize(
    "command",
    [
        ("backup", "./documents"),
        ("backup", "./documents", "-n"),
        ("snapshots",),
        ("ls", "latest"),
        ("find", "a"),
        ("stats",),
        ("diff", "latest", "latest"),
        ("diff", "latest", "--disk"),
        ("dump", "latest", "/a"),
        ("restore", "latest", "--to", "back"),
        ("verify",),
    ],
)
def test_no_repository_there(empty: Program, command: tuple[str, ...]) -> None:
    """Without a repository every verb but init is exit 10, and nothing is made."""
    empty.key_file.write_text("never read")
    empty.make_files(a="1")
    result = empty.run(*command)
    assert result.code == 10
    assert "config not found" in result.err
    assert "strongroom init" in result.err
    assert not empty.repository.exists()
    assert not (empty.folder / "back").exists()


def test_no_repository_is_named(empty: Program) -> None:
    """Without any word of where the repository is, the ways to say it are named."""
    result = empty.run("snapshots", env={"STRONGROOM_REPOSITORY": None})
    assert result.code == 2
    assert "-r" in result.err
    assert "STRONGROOM_REPOSITORY" in result.err


@pytest.mark.parametrize("url", ["s3x://bucket/x", "file://elsewhere/x", "bad:thing"])
def test_address_of_no_store(empty: Program, url: str) -> None:
    """An address that no store has is exit 2, with the forms that there are."""
    result = empty.run("-r", url, "snapshots")
    assert result.code == 2
    assert url in result.err


def test_init_where_a_repository_is(program: Program) -> None:
    """Init never replaces a repository, and asks for no key before it says so."""
    before = sorted(program.repository.rglob("*"))
    result = program.run("init", env={"STRONGROOM_KEY_FILE": str(program.folder / "new")})
    assert result.code == 6
    assert "already exists" in result.err
    assert sorted(program.repository.rglob("*")) == before
    assert not (program.folder / "new").exists()


def test_two_inits_at_once(empty: Program) -> None:
    """Of two inits at one place one makes the repository, and the other is refused."""
    empty.repository.mkdir()
    env = empty.by_passphrase
    with ThreadPoolExecutor() as threads:
        runs = [threads.submit(empty.spawn, "init", env=env) for _ in range(3)]
    codes = sorted(run.result().code for run in runs)
    assert codes == [0, 6, 6]
    empty.good("snapshots", env=env)
    empty.good("verify", env=env)


def test_init_where_something_else_is(empty: Program) -> None:
    """Init does not spread a repository over a folder that is used for something else."""
    empty.make_files(a="1")
    result = empty.run("-r", "documents", "init")
    assert result.code == 6
    assert "not empty" in result.err
    assert not empty.key_file.exists()


def test_init_after_one_that_was_interrupted(program: Program) -> None:
    """What an init left that did not come to its end is no obstacle."""
    (program.repository / "config").unlink()
    program.good("init")
    program.good("snapshots")


def test_init_says_that_it_replaces_what_the_host_knew(program: Program) -> None:
    """A new repository at a known place replaces what was remembered, and says so."""
    shutil.rmtree(program.repository)
    again = program.good("init")
    assert "this host knew repository" in again.out
    program.good("snapshots")
    shutil.rmtree(program.repository)
    assert len(program.good("init", "--json").record("initialized")["replaced"]) == 32


def test_another_repository_at_a_known_place(program: Program) -> None:
    """Any verb but init refuses another repository, before it asks for a key."""
    program.make_files(a="1")
    program.good("backup", "./documents")
    program.good("-r", "other", "init")
    shutil.rmtree(program.repository)
    shutil.move(program.folder / "other", program.repository)
    for command in (("snapshots",), ("backup", "./documents"), ("backup", "./documents", "-n")):
        result = program.run(*command, env={"STRONGROOM_KEY_FILE": None})
        assert result.code == 6
        assert "this host knows" in result.err


def test_config_with_a_changed_bit(program: Program) -> None:
    """A config that is not what was signed is damage, never a wrong key."""
    config = program.repository / "config"
    data = bytearray(config.read_bytes())
    data[60] ^= 1
    config.chmod(0o600)
    config.write_bytes(data)
    for verb in ("snapshots", "verify"):
        result = program.run(verb)
        assert result.code in {4, 6}
        assert "config" in result.err or "this host knows" in result.err


def test_format_of_a_newer_release(program: Program) -> None:
    """A format that this release cannot read is exit 10, for reading as well."""
    config = program.repository / "config"
    data = bytearray(config.read_bytes())
    data[4:6] = (7).to_bytes(2, "big")
    config.chmod(0o600)
    config.write_bytes(data)
    result = program.run("snapshots")
    assert result.code == 10
    assert "format version 7" in result.err


def test_repository_that_was_rolled_back(program: Program) -> None:
    """A commit that this host has seen and that is gone is refused; verify calls it damage."""
    program.make_files(a="1")
    program.good("backup", "./documents")
    before = {path for path in (program.repository / "commits").rglob("*") if path.is_file()}
    program.good("backup", "./documents")
    (newest,) = {p for p in (program.repository / "commits").rglob("*") if p.is_file()} - before
    newest.unlink()
    for command in (("snapshots",), ("backup", "./documents"), ("restore", "latest", "--to", "x")):
        result = program.run(*command)
        assert result.code == 6
        assert "gone" in result.err
    assert not (program.folder / "x").exists()
    checked = program.run("verify")
    assert checked.code == 4
    assert newest.name in checked.out


def test_pack_that_is_damaged(program: Program) -> None:
    """A restore brings back all that is sound, names the rest, and never a wrong byte."""
    documents = program.make_files(sound="sound")
    program.good("backup", "./documents")
    packs = set(_packs(program.repository))
    (documents / "lost").write_text("lost " * 1000)
    (documents / "also lost").write_bytes(bytes(range(256)) * 20_000)
    program.good("backup", "./documents")
    (new,) = set(_packs(program.repository)) - packs
    _flip(new)
    result = program.run("restore", f"latest:{documents}", "--to", "back", "--json")
    if result.code == 4 and not (program.folder / "back").exists():
        return  # the tree itself was in the part that is damaged
    assert result.code == 4
    assert (program.folder / "back/sound").read_text() == "sound"
    for path in (program.folder / "back").iterdir():
        assert path.read_bytes() == (documents / path.name).read_bytes()
    checked = program.run("verify", "--read-data", "--json")
    assert checked.code == 4
    findings = [one for one in checked.records if one["message_type"] == "finding"]
    assert any(new.name in one["object"] for one in findings)
    assert checked.record("summary")["num_errors"] >= 1


def test_pack_that_is_gone(program: Program) -> None:
    """A missing pack is exit 4 for restore, dump and verify, with its name or the file's."""
    documents = program.make_files(a="1")
    program.good("backup", "./documents")
    for pack in _packs(program.repository):
        pack.unlink()
    for command in (
        ("restore", "latest", "--to", "back"),
        ("dump", "latest", f"{documents}/a"),
        ("ls", "latest"),
        ("verify",),
    ):
        result = program.run(*command)
        assert result.code == 4, result
        assert "missing" in result.err + result.out
        assert "Traceback" not in result.err


def _packs(repository: Path) -> list[Path]:
    return [path for path in (repository / "packs").rglob("*") if path.is_file()]


def _flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[200] ^= 1
    path.chmod(0o600)
    path.write_bytes(data)
