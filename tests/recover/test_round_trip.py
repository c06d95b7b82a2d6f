"""What the program backed up from the command line comes back bit for bit without it."""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path
from typing import Final

import pytest

from tests.cli.harness import Program
from tests.recover.harness import RECOVER, Result, run
from tests.support.compare_trees import compare_trees, describe
from tests.support.file_trees import deep_tree, every_kind, remove_deep_tree
from tests.support.noise import noise
from tests.support.other_user import open_folder

pytestmark = pytest.mark.spec("B10")

MIB: Final = 1 << 20
TEXT: Final = b"".join(b"line %09d\n" % number for number in range(300_000))


class Saved:
    """A repository with two snapshots of one awkward tree, one of an agent, and one of a command.

    ``first`` and ``second`` are copies of the tree as it was; ``keys`` are options by their name.
    """

    def __init__(self, program: Program) -> None:
        folder = program.folder
        self.program = program
        self.tree = folder / "tree"
        self.keys: dict[str, tuple[str | Path, ...]] = {
            "key file": ("--key-file", program.key_file),
            "passphrase": ("--passphrase-file", program.passphrase_file),
            "recovery key": ("--key-file", folder / "recovery key"),
            "reader": ("--key-file", folder / "reader"),
        }
        shown = program.good("init").out
        (recovery,) = re.findall(r"^ +([A-Z2-7-]{71})$", shown, re.MULTILINE)
        (folder / "recovery key").write_text(f"{recovery[:36].lower()}\n\n {recovery[36:]}\n")
        program.good("key", "add", "--new-passphrase-file", program.passphrase_file)
        program.good("key", "add", "--new-key-file", "reader", "--role", "reader")
        self._back_up()

    def _back_up(self) -> None:
        program = self.program
        every_kind(self.tree)
        (self.tree / "large").write_bytes(TEXT + noise(5 * MIB) + bytes(MIB) + TEXT)
        with (self.tree / "endless hole").open("wb") as file:
            file.seek(1 << 39)
            file.write(TEXT)
        program.good("backup", self.tree, "--tag", "one", "--tag", "two")
        self.first = self._copy("first")
        (self.tree / "large").write_bytes(TEXT[:MIB] + b"!" + TEXT[MIB:])
        shutil.rmtree(self.tree / "links")
        (self.tree / "added").mkdir()
        os.link(self.tree / "large", self.tree / "added" / "large too")
        program.good("backup", self.tree)
        self.second = self._copy("second")
        program.good("tag", "latest", "--add", "kept")
        program.good("tag", "latest~1", "--remove", "one")
        program.good("key", "export-agent", "--name", "web1", "--to", "web1.agent")
        agent = {"STRONGROOM_KEY_FILE": str(program.folder / "web1.agent")}
        program.good("backup", self.tree / "files", env=agent)
        program.good("backup", "--stdin-from-command", "--stdin-filename", "a/b", "--", "echo", "x")

    def _copy(self, name: str) -> Path:
        made = self.program.folder / name
        self.program.good("restore", "latest", "--to", made, "--verify")
        assert compare_trees(self.tree, made / str(self.tree)[1:]) == []
        return made

    def run(self, verb: str, *arguments: str | Path, key: str = "key file") -> Result:
        """Run the independent reader with one of the keys."""
        result = run(verb, self.program.repository, *arguments, *self.keys[key])
        assert (result.code, result.damage) == (0, []), result
        return result

    def ids(self) -> list[str]:
        """Return the ids of the snapshots, as the program lists them, oldest first."""
        records = self.program.good("snapshots", "--json").records
        return [one["id"] for one in records if one["message_type"] == "snapshot"][::-1]


@pytest.fixture(name="saved", scope="module")
def _saved(tmp_path_factory: pytest.TempPathFactory) -> Saved:
    return Saved(Program(tmp_path_factory.mktemp("saved")))


@pytest.mark.parametrize("key", ["key file", "passphrase", "recovery key", "reader"])
def test_every_kind_of_thing_comes_back_with_every_kind_of_key(
    saved: Saved, key: str, tmp_path: Path
) -> None:
    """Names of any bytes, links, devices, sockets, attributes, owners, modes, times, holes of half
    a terabyte; of the first and of the second snapshot.
    """
    for number, expected in enumerate([saved.first, saved.second]):
        target = tmp_path / f"{number}"
        saved.run("restore", saved.ids()[number], target, key=key)
        assert compare_trees(expected, target, ignore={"top"}) == []


def test_the_list_says_what_the_program_says(saved: Saved) -> None:
    """Time, host, paths, numbers, status, and the tags as they are after they were changed."""
    mine = saved.run("list", "--json").records
    records = saved.program.good("snapshots", "--json").records[-2::-1]
    for one, other in zip(mine, records, strict=True):
        assert one["time"] == other["time"][:19] + "+00:00"
        same = {"host": "hostname", "user": "username", "agent": "agent"}
        for name in ("id", "paths", "files", "bytes", "status", "tags", *same):
            assert one[name] == other[same.get(name, name)]
        assert not one["forgotten"]
    assert [one["tags"] for one in mine] == [["two"], ["kept"], [], []]
    lines = saved.run("list").out.splitlines()
    assert [line[:8] for line in lines] == [one["id"][:8] for one in mine]


def test_the_snapshots_of_an_agent_and_of_a_command_come_back(saved: Saved, tmp_path: Path) -> None:
    """What a command printed is a file."""
    _, _, agent, command = saved.ids()
    saved.run("restore", agent, tmp_path / "agent")
    restored = tmp_path / "agent" / str(saved.tree / "files")[1:]
    assert compare_trees(saved.tree / "files", restored) == []
    assert "web1" in str(saved.run("list", "--json").records[2])
    saved.run("restore", command, tmp_path / "command")
    assert (tmp_path / "command/a/b").read_text() == "x\n"


def test_everything_is_verified(saved: Saved) -> None:
    """All snapshots, or one with the packs that it needs."""
    everything = saved.run("verify").out
    one = saved.run("verify", saved.ids()[3]).out
    packs = [int(re.findall(r"(\d+) pack", text)[0]) for text in (everything, one)]
    assert packs[0] > packs[1] > 0


def test_a_part_is_restored_with_its_whole_path(saved: Saved, tmp_path: Path) -> None:
    """A directory with what is below it and above it, and nothing beside; or one file."""
    top = str(saved.tree)[1:]
    saved.run("restore", saved.ids()[0], tmp_path / "a", "--path", f"/{top}/attributes/")
    both = saved.first / top / "attributes", tmp_path / "a" / top / "attributes"
    assert compare_trees(*both) == []
    assert both[0].parent.stat().st_mtime_ns == both[1].parent.stat().st_mtime_ns
    assert [path.name for path in (tmp_path / "a" / top).iterdir()] == ["attributes"]
    saved.run("restore", saved.ids()[0], tmp_path / "b", "--path", f"{top}/links/c")
    assert (tmp_path / "b" / top / "links/c").read_text() == "shared"
    assert (tmp_path / "b" / top / "links/c").stat().st_nlink == 1


# Runs the program once, so that all is loaded that may lie where only root reads; then as nobody.
WITHOUT_RIGHTS: Final = """\
import os, runpy, sys
sys.argv, given = ["recover.py", "list", sys.argv[3], *sys.argv[-2:]], sys.argv[1:]
main = runpy.run_path(given[0])["main"]
if os.geteuid() == 0 and main() == 0:
    os.setgroups([])
    os.setgid(65534)
    os.setuid(65534)
sys.argv = given
sys.exit(main())
"""


def test_a_user_without_rights_gets_all_but_the_owners(saved: Saved) -> None:
    """Files of others come back as their own, without the bits that lend rights; that is told."""
    with open_folder() as folder:
        shutil.copytree(saved.program.repository, folder / "repository")
        shutil.copy(saved.program.key_file, folder / "key")
        for path in folder.rglob("*"):
            path.chmod(0o755)
        (folder / "made").mkdir()
        (folder / "made").chmod(0o777)
        arguments = ("restore", folder / "repository", saved.ids()[1], folder / "made/restored")
        part = ("--path", f"{saved.tree}/modes", "--key-file", folder / "key")
        command = ("-I", "-c", WITHOUT_RIGHTS, RECOVER)
        result = run(*arguments, *part, command=command)
        assert (result.code, result.damage) == (0, []), result
        modes = str(saved.tree)[1:] + "/modes"
        restored = folder / "made/restored" / modes
        assert compare_trees(saved.second / modes, restored, ignore={"owner", "mode"}) == []
        kept = 0o1777 if os.geteuid() == 0 else 0o7777
        expected = {name: one.mode & kept for name, one in describe(saved.second / modes).items()}
        assert {name: one.mode for name, one in describe(restored).items()} == expected
        assert ("owners: of " in result.err) == (os.geteuid() == 0)


def test_a_tree_without_end_costs_no_more_than_its_depth(program: Program, tmp_path: Path) -> None:
    """A thousand directories, one in the other, with a path longer than a system call takes."""
    name = b"d" * 100
    top = tmp_path / "deep"

    def leaf(fd: int) -> None:
        os.close(os.open("leaf", os.O_WRONLY | os.O_CREAT, dir_fd=fd))
        os.link("leaf", "leaf too", src_dir_fd=fd, dst_dir_fd=fd)

    deep_tree(top, 1000, name, leaf)
    program.good("backup", top)
    target = tmp_path / "restored"
    result = run("restore", program.repository, "latest", target, "--key-file", program.key_file)
    assert result.code == 0, result
    restored = target / str(top)[1:]
    assert compare_trees(top, restored) == []
    for made in (top, restored):
        remove_deep_tree(made, name)
