"""Keys through the command line: listed, added, removed; kits that open what they say."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.harness import NO_KEY, Program
from tests.cli.test_terminal import ended, terminal

pytestmark = pytest.mark.spec("B3")

FRESH = {"STRONGROOM_REPOSITORY": None, "STRONGROOM_KEY_FILE": None}


def ids(program: Program) -> dict[str, str]:
    """Return kind and role of each key by its id."""
    records = program.good("key", "list", "--json").records
    keys = [one for one in records if one["message_type"] == "key"]
    return {one["id"]: f"{one['kind']} {one['role']}" for one in keys}


def test_keys_are_listed_with_the_one_that_opened(program: Program) -> None:
    """Id, kind, role, when it was made, and which one this command was opened with."""
    out = program.good("key", "list").out
    rows = out.splitlines()
    assert rows[0].split() == ["id", "kind", "role", "made"]
    assert re.fullmatch(r"[0-9a-f]{8}  key file  full  20\S+ \S+  opened now", rows[1])
    assert re.fullmatch(r"[0-9a-f]{8}  recovery  full  20\S+ \S+", rows[2])
    assert rows[3] == "2 keys, 0 agents"


def test_a_damaged_slot_is_listed_as_such(program: Program) -> None:
    """And the repository opens with another key, with a warning that names it."""
    recovery = next(key for key, what in ids(program).items() if "recovery" in what)
    path = program.repository / "slots" / recovery
    path.chmod(0o600)
    path.write_bytes(path.read_bytes()[:-1])
    result = program.good("key", "list")
    assert re.search(rf"^{recovery[:8]}  \?\s+\?.*damaged$", result.out, re.MULTILINE)
    assert "digest differs" in result.err


def test_a_passphrase_is_added_and_the_key_file_removed(program: Program) -> None:
    """The passphrase opens; then it removes the key file, which opens nothing more."""
    program.make_files(a="1")
    program.good("backup", "./documents")
    first = next(key for key, what in ids(program).items() if "key_file" in what)
    added = program.good("key", "add", "--new-passphrase-file", "passphrase")
    assert re.match(r"key [0-9a-f]{8} added: passphrase, full\n", added.out)
    assert program.run("key", "remove", first).code == 6
    removed = program.good("key", "remove", first[:8], env=program.by_passphrase)
    assert f"key {first[:8]} removed" in removed.out
    assert "whoever copied the repository before" in removed.out
    assert program.run("snapshots").code == 12
    program.good("restore", "latest", "--to", "back", env=program.by_passphrase)
    assert program.run("key", "remove", first, env=program.by_passphrase).code == 15
    program.good("verify", "--read-data", env=program.by_passphrase)


def test_a_key_file_that_does_not_exist_is_made(program: Program) -> None:
    """With mode 0600, and it opens the repository."""
    added = program.good("key", "add", "--new-key-file", "new-key", "--role", "reader")
    path = program.folder / "new-key"
    assert f"key file made: {path}" in added.out
    assert path.stat().st_mode & 0o777 == 0o600
    program.good("snapshots", env={"STRONGROOM_KEY_FILE": str(path)})


def test_a_recovery_key_is_shown_once_and_opens(program: Program) -> None:
    """It is printed by add alone, and works as a key file."""
    out = program.good("key", "add", "--recovery", "-q").out
    key = out.splitlines()[-1].strip()
    (program.folder / "recovery").write_text(key)
    (program.folder / "recovery").chmod(0o600)
    listed = program.good("key", "list", env={"STRONGROOM_KEY_FILE": "recovery"}).out
    assert key[:8] not in listed
    assert listed.count("recovery") == 2


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (("add",), 2, "--new-passphrase-file"),
        (("add", "--recovery", "--new-key-file", "x"), 2, "one key a time"),
        (("add", "--new-key-file", ""), 2, "is empty"),
        (("add", "--new-passphrase-file", "nowhere"), 2, "nowhere"),
        (("add", "--new-key-file", "key"), 6, "opens the repository already"),
        (("add", "--recovery", "--role", "king"), 2, "reader"),
        (("remove",), 2, "ID"),
        (("remove", "zz"), 15, "no key 'zz'"),
        (("remove", ""), 15, "no key ''"),
        (("export-agent", "--name", "web1"), 2, "--to"),
        (("export-agent", "--name", "a b", "--to", "x"), 6, "web1"),
        (("export-agent", "--name", "main", "--to", "x"), 6, "full-key hosts"),
        (("export-agent", "--name", "web1", "--to", "key"), 6, "exists already"),
        (("export-agent", "--name", "web1", "--to", "no/where"), 2, "the folder"),
        (("kit",), 2, "--new-recovery-key"),
        (("kit", "--new-recovery-key", "--to", "key"), 6, "exists already"),
        (("kit", "--new-recovery-key", "--to", "no/where"), 2, "the folder"),
        (("kit", "--verify", "x", "--to", "y"), 2, "give it alone"),
        (("kit", "--verify", "nowhere"), 2, "nowhere"),
        (("kit", "--verify", "key"), 2, "no recovery kit"),
        (("what",), 2, "what"),
    ],
)
def test_what_is_refused_changes_nothing(
    program: Program, arguments: tuple[str, ...], code: int, says: str
) -> None:
    """Each has its exit code and one line that says what to do; no object and no file is made."""
    before = {path: path.read_bytes() for path in _files(program)}
    result = program.run("key", *arguments)
    assert result.code == code, result
    assert says in result.err
    assert {path: path.read_bytes() for path in _files(program)} == before


def _files(program: Program) -> Iterator[Path]:
    for path in program.folder.rglob("*"):
        if path.is_file() and program.home not in path.parents:
            yield path


@pytest.mark.parametrize("verb", ["list", "add", "remove", "export-agent", "kit"])
def test_every_command_begins_its_help_with_two_examples(empty: Program, verb: str) -> None:
    """As that of a verb."""
    text = empty.good("key", verb, "--help").out
    examples, options = text.index("Examples:"), text.index("Options:")
    assert len(re.findall(r"^ +strongroom ", text[examples:options], re.MULTILINE)) == 2


def test_a_passphrase_is_asked_for_at_a_terminal(program: Program) -> None:
    """Without an option, twice, and not shown."""
    with terminal(program, "key", "add") as child:
        child.expect("passphrase of the new key: ")
        child.sendline("one thing")
        child.expect("the same again: ")
        child.sendline("one thing")
        child.expect("added: passphrase, full")
        assert ended(child)[0] == 0
    (program.folder / "typed").write_text("one thing\n")
    env = {**NO_KEY, "STRONGROOM_PASSPHRASE_FILE": "typed"}
    program.good("snapshots", env=env)


class TestKit:
    """The recovery kit."""

    @pytest.fixture(name="saved")
    def _saved(self, program: Program) -> Program:
        program.make_files(a="content", b="2")
        program.good("backup", "./documents")
        program.good("key", "kit", "--new-recovery-key", "--to", "kit.txt")
        return program

    def test_it_is_one_page_for_its_owner(self, saved: Program) -> None:
        """Mode 0600, short enough to print, with id, address, keys and recovery key."""
        path = saved.folder / "kit.txt"
        assert path.stat().st_mode & 0o777 == 0o600
        text = path.read_text()
        assert len(text.splitlines()) <= 50
        assert text.isascii()
        assert str(saved.repository) in text
        for key_id in ids(saved):
            assert key_id[:8] in text

    def test_its_commands_restore_on_a_fresh_machine(self, saved: Program) -> None:
        """Typed as they stand there, with a home that knows nothing, and nothing else given."""
        text = (saved.folder / "kit.txt").read_text()
        shown = text.partition("Recovery key\n")[2].partition("\n\n")[0]
        (saved.folder / "recovery-key").write_text(shown.lower())
        (saved.folder / "recovery-key").chmod(0o600)
        env = {**FRESH, "HOME": str(saved.folder / "fresh")}
        commands = re.findall(r"^ +(strongroom .*)$", text, re.MULTILINE)
        assert [shlex.split(command)[5] for command in commands] == [
            "snapshots",
            "restore",
            "verify",
        ]
        for command in commands:
            result = saved.spawn(*shlex.split(command)[1:], env=env)
            assert result.code == 0, result
        found = saved.folder / "restored" / str(saved.folder / "documents").lstrip("/")
        assert (found / "a").read_text() == "content"

    def test_verify_opens_the_repository_with_the_kit_alone(self, saved: Program) -> None:
        """On a machine without key and address; it says which, and what it read."""
        env = {**FRESH, "HOME": str(saved.folder / "fresh")}
        out = saved.good("key", "kit", "--verify", "kit.txt", env=env).out
        assert f"opens repository {ids_repository(saved)[:8]} at {saved.repository}" in out
        assert "it reads 1 snapshot" in out

    def test_a_moved_repository_is_found_where_it_is_named(self, saved: Program) -> None:
        """The address given counts, and that the kit says another one is told."""
        moved = saved.folder / "moved"
        saved.repository.rename(moved)
        assert saved.run("key", "kit", "--verify", "kit.txt", env=FRESH).code == 10
        result = saved.good("-r", moved, "key", "kit", "--verify", "kit.txt", env=FRESH)
        assert "names another place" in result.err

    def test_a_kit_that_opens_nothing_is_refused(self, saved: Program) -> None:
        """A mistyped key, a key that was removed, and the kit of another repository: exit 12."""
        text = (saved.folder / "kit.txt").read_text()
        at = text.index("Recovery key\n") + len("Recovery key\n  ")
        wrong = text[:at] + ("A" if text[at] != "A" else "B") + text[at + 1 :]
        (saved.folder / "wrong.txt").write_text(wrong)
        result = saved.run("key", "kit", "--verify", "wrong.txt", env=FRESH)
        assert result.code == 12
        assert "group 1" in result.err
        other = {"STRONGROOM_REPOSITORY": "other", "STRONGROOM_KEY_FILE": "other-key"}
        saved.good("init", env=other)
        assert saved.run("-r", "other", "key", "kit", "--verify", "kit.txt", env=FRESH).code == 12
        newest = list(ids(saved))[-1]
        saved.good("key", "remove", newest)
        assert saved.run("key", "kit", "--verify", "kit.txt", env=FRESH).code == 12

    def test_another_repository_that_the_key_opens_is_refused(self, saved: Program) -> None:
        """The id and the fingerprint must be those of the kit."""
        path = saved.folder / "kit.txt"
        text = path.read_text()
        repository = ids_repository(saved)
        for old, new in ((repository, "0" * 32), ("Fingerprint:  ", "Fingerprint:  0")):
            path.write_text(re.sub(rf"{old}([0-9a-f]*)[0-9a-f]?\n", rf"{new}\1\n", text, count=1))
            result = saved.run("key", "kit", "--verify", "kit.txt", env=FRESH)
            assert result.code in {2, 12}, result

    def test_the_recovery_key_that_opens_it_is_taken(self, saved: Program) -> None:
        """No key is added then, and the kit is printed if no file is named."""
        text = (saved.folder / "kit.txt").read_text()
        shown = text.partition("Recovery key\n")[2].partition("\n\n")[0]
        (saved.folder / "recovery-key").write_text(shown)
        (saved.folder / "recovery-key").chmod(0o600)
        before = ids(saved)
        out = saved.good("key", "kit", env={"STRONGROOM_KEY_FILE": "recovery-key"}).out
        assert shown in out
        assert ids(saved) == before
        (saved.folder / "printed.txt").write_text(out)
        saved.good("key", "kit", "--verify", "printed.txt", env=FRESH)

    def test_the_recovery_key_is_asked_for_at_a_terminal(self, empty: Program) -> None:
        """A wrong one is refused, exit 12; the one of init is taken."""
        key = empty.good("init", "--json").record("initialized")["recovery_key"]
        with terminal(empty, "key", "kit") as child:
            child.expect("recovery key of the repository: ")
            child.sendline("AAAA")
            assert ended(child)[0] == 12
        with terminal(empty, "key", "kit", "--to", "kit.txt") as child:
            child.expect("recovery key of the repository: ")
            child.sendline(key.lower())
            child.expect("recovery kit written")
            assert ended(child)[0] == 0
        assert key[:35] in (empty.folder / "kit.txt").read_text()
        assert "holds no snapshot" in empty.good("key", "kit", "--verify", "kit.txt").out


def ids_repository(program: Program) -> str:
    """Return the id of the repository, in hexadecimal, from the kit."""
    match = re.search(
        r"^Id: +([0-9a-f]{32})$", (program.folder / "kit.txt").read_text(), re.MULTILINE
    )
    assert match is not None
    return match[1]
