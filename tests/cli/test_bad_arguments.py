"""Bad inputs: arguments, paths, snapshots, targets, streams and surroundings."""

from __future__ import annotations

import ctypes
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from strongroom.errors import NotFoundError
from strongroom.model.snapshot import ListedSnapshot, Snapshot
from strongroom.operations.listing import find_snapshot
from tests.cli.harness import COMMAND, Program

_MNT_DETACH = 2


@pytest.mark.parametrize(
    ("command", "said"),
    [
        ("backup ./x --exclude-larger-than 5Gigs", "100M"),
        ("backup ./x --exclude-larger-than 0", "1 or more"),
        ("backup ./x --exclude-larger-than -1", "100M"),
        ("backup ./x --exclude-larger-than 1e9", "100M"),
        ("verify --read-data-subset 0%", "10%"),
        ("verify --read-data-subset 101%", "10%"),
        ("verify --read-data-subset 3/2", "2/7"),
        ("verify --read-data-subset lots", "5G"),
        ("verify --read-data --read-data-subset 5%", "--read-data-subset"),
        ("restore latest --to x --overwrite perhaps", "'always', 'if-changed', 'never'"),
        ("restore latest --to x --dry-run --no-confirm", "--dry-run"),
        ("restore latest", "--to"),
        ("restore latest more --to x", "more"),
        ("restore latest:../x --to x", "'..'"),
        ("dump latest", "one path"),
        ("dump latest:/a /b", "one path"),
        ("ls latest:/a /b", "twice"),
        ("ls", "SNAP"),
        ("snapshots --frobnicate", "--frobnicate"),
        ("snapshots extra", "extra"),
        ("-r a snapshots -r b", "given twice"),
        ("snapshot", "Did you mean 'snapshots'?"),
        ("backup ./x --tag", "--tag"),
        ("backup ./documents -e [a", "--exclude"),
        ("backup ./documents --exclude-file nowhere", "nowhere"),
        ("backup documents", "'./documents'"),
        ("backup", "strongroom.toml"),
        ("--config nowhere.toml snapshots", "nowhere.toml"),
        ("restore latest: --to ''", "--to"),
    ],
)
def test_arguments_that_cannot_be_meant(program: Program, command: str, said: str) -> None:
    """A mistake in the arguments is exit 2, names the argument, and says what would be right."""
    program.make_files(a="1")
    result = program.run(*command.replace("''", "\0").replace("\0", "").split(" "))
    assert result.code == 2, result
    assert said in result.err
    assert result.err.startswith("error: ")
    assert result.out == ""


def test_a_configuration_that_does_not_hold(program: Program) -> None:
    """Every error of the file is listed, on the terminal and as JSON, before anything is done."""
    (program.folder / "strongroom.toml").write_text("version = 1\nprojects = 2\n[source]\n")
    result = program.run("snapshots")
    assert result.code == 2
    assert result.err.splitlines() == [
        f"error: {program.folder}/strongroom.toml has 2 errors.",
        "  line 2: projects: not a known key; did you mean 'project'?",
        "  line 3: source: not a known key; did you mean 'sources'?",
    ]
    assert len(program.run("snapshots", "--json").exit_error["details"]) == 2


@pytest.mark.parametrize("tag", ["", "two\nlines", "x" * 300, "\x1b[31m"])
def test_tags_that_nobody_could_type(program: Program, tag: str) -> None:
    """Tags and host names are short printable texts; the message shows none of its escapes."""
    result = program.run("backup", "./documents", "--tag", tag)
    assert result.code == 2
    assert "\x1b" not in result.err


def test_a_source_that_is_missing_among_others(program: Program) -> None:
    """One missing path of several: the rest is saved, exit 3, and the path is named."""
    program.make_files(a="1")
    result = program.run("backup", "./documents", "./nowhere")
    assert result.code == 3
    assert f"{program.folder}/nowhere: does not exist" in result.err
    assert "incomplete" in result.out
    record = program.run("backup", "./documents", "./nowhere", "--json").record("error")
    assert record["item"] == f"{program.folder}/nowhere"
    assert record["missing"] is True
    assert "incomplete" in program.good("snapshots").out


def test_a_source_of_which_nothing_is_there(program: Program) -> None:
    """If nothing that was asked for is there, nothing is committed: exit 14."""
    result = program.run("backup", "./nowhere")
    assert result.code == 14
    assert "nowhere" in result.err
    assert "no snapshots" in program.good("snapshots").out


def test_files_that_cannot_be_read(program: Program) -> None:
    """Unreadable files are listed, the first ten of them, and the snapshot says so: exit 3."""
    documents = program.make_files(good="1", more={f"bad{n:02}": "2" for n in range(12)})
    for path in documents.glob("bad*"):
        path.chmod(0)
    result = program.spawn("backup", "./documents", unprivileged=True)
    assert result.code == 3, result
    lines = result.err.splitlines()
    assert f"{documents}/bad00: permission denied" in lines
    assert sum(": permission denied" in line for line in lines) == 10
    assert "and 2 more" in result.err
    assert "12 entries not saved" in result.out
    found = program.good("snapshots", "--json").record("snapshot")
    assert found["status"] == "incomplete"
    assert found["problems"] == 12


@pytest.mark.parametrize(
    ("snapshot", "said"),
    [
        ("ffff", "no snapshot 'ffff'"),
        ("latest~9", "latest~9"),
        ("nonsense", "no snapshot 'nonsense'"),
        ("", "no snapshot"),
    ],
)
def test_snapshots_that_do_not_exist(program: Program, snapshot: str, said: str) -> None:
    """An unknown snapshot is exit 15 for every verb that takes one, and nothing is made."""
    program.make_files(a="1")
    program.good("backup", "./documents")
    for command in (
        ("ls", snapshot),
        ("dump", snapshot, "/a"),
        ("restore", snapshot, "--to", "x"),
    ):
        result = program.run(*command)
        assert result.code == 15
        assert said in result.err
        assert "strongroom snapshots" in result.err
    assert not (program.folder / "x").exists()


def test_latest_of_nothing(program: Program) -> None:
    """Latest, where there is no snapshot yet, is exit 15."""
    assert program.run("ls", "latest").code == 15


def test_the_beginning_of_two_ids() -> None:
    """An ambiguous beginning lists the candidates; one digit more says which is meant."""
    nothing = Snapshot(b"", b"", b"", b"", b"", (), 0, 0, b"", ())
    ids = ("4f00" * 8, "4f01" * 8, "5000" * 8)
    listed = [ListedSnapshot(one, "", "", b"", nothing) for one in ids]
    with pytest.raises(NotFoundError, match="'4f' matches 2 snapshots: 4f004f00, 4f014f01"):
        find_snapshot(listed, "4f")
    assert find_snapshot(listed, "4f01") is listed[1]


def test_a_path_that_is_not_in_the_snapshot(program: Program) -> None:
    """An unknown path is exit 15, and a restore of it makes nothing."""
    documents = program.make_files(a="1")
    program.good("backup", "./documents")
    for command in (
        ("ls", "latest", f"{documents}/b"),
        ("dump", "latest", f"{documents}/b"),
        ("restore", f"latest:{documents}/b", "--to", "x"),
    ):
        assert program.run(*command).code == 15
    assert not (program.folder / "x").exists()
    assert program.run("dump", "latest", documents).code == 2


@pytest.mark.parametrize("place", ["documents", "documents/a", "repository", "repository/x", "/"])
def test_targets_that_are_refused(program: Program, place: str) -> None:
    """No restore into a folder in use, a file, the repository or the root: exit 6, a way out."""
    program.make_files(a="1")
    program.good("backup", "./documents")
    before = sorted(program.folder.rglob("*"))
    result = program.run("restore", "latest", "--to", place)
    assert result.code == 6
    assert sorted(program.folder.rglob("*")) == before
    if place == "documents":
        assert "--into-existing" in result.err
        assert "no undo" in result.err


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """Mount a file system of one MiB."""
    folder = tmp_path / "small"
    folder.mkdir()
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.mount(b"none", os.fsencode(folder), b"tmpfs", 0, b"size=1m") != 0:
        pytest.skip("only root can mount a file system")
    yield folder
    libc.umount2(os.fsencode(folder), _MNT_DETACH)


def test_a_target_without_room(program: Program, small_disk: Path) -> None:
    """A restore that cannot fit says so, with both numbers, before it writes anything."""
    program.make_files(big=os.urandom(3_000_000))
    program.good("backup", "./documents")
    result = program.run("restore", "latest", "--to", small_disk)
    assert result.code == 6
    assert "bytes free" in result.err
    assert list(small_disk.iterdir()) == []


def test_a_repository_without_room(empty: Program, small_disk: Path) -> None:
    """A full repository is exit 1: nothing is committed, and what was there is good."""
    there = small_disk / "repository"
    env = {"STRONGROOM_REPOSITORY": str(there)}
    empty.good("init", env=env)
    documents = empty.make_files(a="1")
    empty.good("backup", "./documents", env=env)
    (documents / "big").write_bytes(os.urandom(3_000_000))
    result = empty.run("backup", "./documents", env=env)
    assert result.code == 1
    assert "no space left" in result.err
    assert len(empty.good("snapshots", "--json", env=env).records) == 2
    empty.good("verify", "--read-data", env=env)


def test_cache_and_state_without_room(program: Program, small_disk: Path) -> None:
    """A full cache folder and state folder cost speed, a warning, and nothing else."""
    program.make_files(a="1")
    (small_disk / "filler").write_bytes(bytes((1 << 20) - 8192))
    env = {
        "STRONGROOM_CACHE_DIR": str(small_disk / "cache"),
        "STRONGROOM_STATE_DIR": str(small_disk / "state"),
    }
    program.good("backup", "./documents", env=env)
    result = program.good("backup", "./documents", env=env)
    assert "saved" in result.out
    assert "warning" in result.err
    program.good("verify", "--read-data", env=env)


def test_a_home_that_cannot_be_written(program: Program) -> None:
    """With a read-only home everything works; a warning says that nothing is remembered."""
    program.make_files(a="1")
    home = program.folder / "readonly"
    home.mkdir(mode=0o500)
    env = {"HOME": str(home)}
    saved = program.spawn("backup", "./documents", env=env, unprivileged=True)
    assert saved.code == 0, saved
    assert "nothing is remembered" in saved.err
    assert saved.err.count("nothing is remembered") == 1
    assert program.spawn("snapshots", env=env, unprivileged=True).code == 0
    assert list(home.iterdir()) == []


def test_a_home_that_belongs_to_somebody_else(program: Program) -> None:
    """With a home that this user may not even look into, everything works too."""
    program.make_files(a="1")
    home = program.folder / "private"
    home.mkdir()
    (home / ".local").mkdir()
    home.chmod(0)
    saved = program.spawn("backup", "./documents", env={"HOME": str(home)}, unprivileged=True)
    home.chmod(0o700)
    assert saved.code == 0, saved


@pytest.mark.parametrize(
    "env",
    [{"LANG": "C", "LC_ALL": "C"}, {"LC_ALL": "POSIX", "PYTHONUTF8": "0"}, {"HOME": None}],
    ids=["C", "ascii", "no-home"],
)
def test_poor_surroundings(program: Program, env: dict[str, str | None]) -> None:
    """Without a locale or a home, names of any bytes are saved and listed."""
    documents = program.make_files(a="1")
    (documents / "Zürich").write_text("2")
    env = {**env, "STRONGROOM_STATE_DIR": str(program.state)}
    env["STRONGROOM_CACHE_DIR"] = str(program.cache)
    assert program.spawn("backup", "./documents", env=env).code == 0
    listed = program.spawn("ls", "latest", env=env)
    assert listed.code == 0
    assert b"rich" in listed.raw
    assert "Traceback" not in listed.err


def test_what_is_made_is_private_whatever_the_umask(empty: Program) -> None:
    """With umask 000, the repository, the caches and the state are for their owner alone."""
    before = os.umask(0)
    try:
        empty.good("init")
        empty.make_files(a="1")
        empty.good("backup", "./documents")
    finally:
        os.umask(before)
    for top in (empty.repository, empty.state, empty.cache):
        for path in (top, *top.rglob("*")):
            assert path.stat().st_mode & 0o077 == 0, path


@pytest.mark.parametrize("command", [("ls", "latest"), ("snapshots", "--json"), ("dump", "latest")])
def test_a_reader_that_goes_away(program: Program, command: tuple[str, ...]) -> None:
    """``| head`` ends a listing without a word, with the code of a closed pipe."""
    documents = program.make_files(big=bytes(4_000_000))
    for number in range(400):
        (documents / f"{'a long name for a file that is empty':_<150}{number}").touch()
    program.good("backup", "./documents")
    if command[0] == "dump":
        command = (*command, f"{documents}/big")
    if command[0] == "snapshots":
        for _ in range(2):
            program.good("backup", "./documents")
    read, write = os.pipe()
    os.close(read)
    result = program.spawn(*command, stdout=write)
    os.close(write)
    assert result.code == 141
    assert result.err == ""


def test_a_backup_goes_on_without_its_reader(program: Program) -> None:
    """Work is not stopped by a closed pipe: the snapshot is there, and the code is its own."""
    program.make_files(a="1")
    read, write = os.pipe()
    os.close(read)
    for arguments in (("backup", "./documents"), ("backup", "./documents", "--json")):
        result = program.spawn(*arguments, stdout=write)
        assert result.code == 0, result
        assert "Traceback" not in result.err
    os.close(write)
    assert len(program.good("snapshots", "--json").records) == 3


def test_closed_standard_streams(program: Program) -> None:
    """With all standard streams closed, no file of ours takes their numbers."""
    program.make_files(a="1")
    done = subprocess.run(
        ["sh", "-c", 'exec "$@" <&- >&- 2>&-', "sh", *COMMAND, "backup", "./documents"],
        cwd=program.folder,
        env=program.environment,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0
    program.good("verify", "--read-data")


def test_a_full_standard_output(program: Program) -> None:
    """Where the output has no room, a listing fails in one line, a backup is made all the same."""
    program.make_files(a="1")
    with Path("/dev/full").open("wb") as full:
        saved = program.spawn("backup", "./documents", stdout=full)
        listed = program.spawn("ls", "latest", stdout=full)
    assert saved.code == 0
    assert "cannot write the output" in saved.err
    assert listed.code == 1
    assert len(listed.err.splitlines()) == 1
