"""The command line of the independent reader: keys, names, exit codes, and what it says."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest

from strongroom.crypto.keytext import key_to_text
from strongroom.repository.tree import Root
from tests.recover.harness import (
    DONE,
    INCOMPLETE,
    KEY_REFUSED,
    NO_REPOSITORY,
    NOT_FOUND,
    RECOVER,
    USAGE,
    Recovery,
    Result,
    objects_below,
    run,
)
from tests.support.forging import begun, commit, source_record
from tests.support.kit import SECRET, Kit
from tests.support.noise import noise

pytestmark = pytest.mark.spec("B10")


@pytest.fixture(name="saved")
def _saved(kit: Kit, recovery: Recovery) -> Recovery:
    """A repository with one snapshot."""
    kit.backup({b"a/b": b"1", b"a/c": b"2", b"z": b"3"})
    return recovery.copy(kit.store)


@pytest.mark.parametrize("arguments", [[], ["list"], ["verify"], ["restore"]])
def test_help_explains_itself(arguments: list[str]) -> None:
    """With examples; each verb names its options."""
    result = run(*arguments, "--help")
    assert result.code == DONE
    if not arguments:
        assert result.out.count("python recover.py ") >= 6
        assert "pip install cryptography blake3 zstandard" in result.out
        assert "12 key refused" in result.out
    else:
        assert "--key-file F" in result.out


@pytest.mark.parametrize(
    "arguments",
    [
        (),
        ("list",),
        ("list", "repository"),
        ("list", "repository", "--key-file", "a", "--passphrase-file", "b"),
        ("restore", "repository", "latest", "--key-file", "a"),
        ("remove", "repository", "--key-file", "a"),
    ],
)
def test_what_is_no_command_is_refused(arguments: tuple[str, ...]) -> None:
    """With a usage line."""
    result = run(*arguments)
    assert result.code == USAGE
    assert result.err.startswith("usage: recover.py")


def refused(result: Result, text: str) -> None:
    """A key is refused, with these words and nothing on standard output."""
    assert (result.code, result.out) == (KEY_REFUSED, "")
    assert text in result.err


def test_wrong_keys_are_refused(saved: Recovery, tmp_path: Path) -> None:
    """Of a good form and of none; and where they cannot be read."""
    wrong = tmp_path / "wrong"

    def given(content: bytes, option: str = "--key-file") -> Result:
        wrong.write_bytes(content)
        return run("list", saved.repository, option, wrong)

    text = key_to_text(SECRET.value)
    refused(given(key_to_text(noise(32)).encode()), "the key opens none of the ")
    refused(given(b"horse", "--passphrase-file"), "the key opens none of the 0 slots of its kind")
    refused(given(b""), "holds no key: group 1 is mistyped")
    refused(given(text[:-9].encode()), "holds no key: group 8 is mistyped")
    refused(given(text.encode() + b"AAAA"), "holds no key: there is more in it")
    swapped = "-".join((text[9:17], text[:8], text[18:]))
    refused(given(swapped.encode()), "holds no key: group 1 is mistyped")
    refused(given(b"\xff\x00" * 40), "holds no key: group 1 is mistyped")
    wrong.unlink()
    refused(run("list", saved.repository, "--key-file", wrong), "No such file or directory")
    refused(run("list", saved.repository, "--key-file", tmp_path), "Is a directory")


@pytest.mark.parametrize("place", range(0, 71, 5))
def test_a_mistyped_character_is_found(saved: Recovery, tmp_path: Path, place: int) -> None:
    """Its group is named, so that it can be looked at again."""
    text = key_to_text(SECRET.value)
    letter = "A" if text[place] != "A" else "B"
    (tmp_path / "typed").write_text(text[:place] + letter + text[place + 1 :])
    result = run("list", saved.repository, "--key-file", tmp_path / "typed")
    if text[place] == "-":
        assert result.code == KEY_REFUSED
    else:
        refused(result, f"group {place // 9 + 1} is mistyped")


def test_a_key_may_be_typed_as_people_do(saved: Recovery, tmp_path: Path) -> None:
    """Small letters, no dashes, and new lines where they please."""
    text = key_to_text(SECRET.value).lower()
    (tmp_path / "typed").write_text(f"\n {text[:20]}\n\t{text[20:].replace('-', ' ')}\r\n\n")
    assert run("list", saved.repository, "--key-file", tmp_path / "typed").code == DONE


def test_where_no_repository_is_nothing_is_read(saved: Recovery, tmp_path: Path) -> None:
    """A folder without one, no folder, and a repository of a version that is yet to come."""
    for path in (tmp_path, tmp_path / "nowhere", saved.key_file):
        result = run("list", path, "--key-file", saved.key_file)
        assert result.code == NO_REPOSITORY
        assert "it has no file 'config'" in result.err
    config = (saved.repository / "config").read_bytes()
    saved.put({"config": config[:4] + b"\x00\x02" + config[6:]})
    result = saved.run("verify")
    assert result.code == NO_REPOSITORY
    assert "the repository has format version 2, and this program reads 0 and 1" in result.err


def test_snapshots_and_paths_that_are_not_there(saved: Recovery, tmp_path: Path) -> None:
    """Nothing is made in the target; of a path, at most the directories above it."""
    for name in ("ffff", "latest~1", "", "LATEST"):
        assert saved.run("restore", name, tmp_path / "target").code == NOT_FOUND
        assert not (tmp_path / "target").exists()
    assert saved.run("verify", "ffff").code == NOT_FOUND
    for path in ("b", "a/b/c", "nowhere/at/all", "/"):
        target = tmp_path / f"target {path.replace('/', '-')}"
        result = saved.run("restore", "latest", target, "--path", path)
        assert result.code == (DONE if path == "/" else NOT_FOUND)
        assert len(objects_below(target)) == (3 if path == "/" else 0)


def test_several_snapshots_of_one_beginning_are_not_guessed(kit: Kit, recovery: Recovery) -> None:
    """Their ids are named."""
    made = [kit.backup({b"a": b"%d" % number}).snapshot.id for number in range(17)]
    recovery.copy(kit.store)
    digit = next(one[0] for one in made if sum(other[0] == one[0] for other in made) > 1)
    result = recovery.run("restore", digit, recovery.folder / "target")
    assert result.code == NOT_FOUND
    assert f"'{digit}' fits several snapshots: " in result.err


def test_names_that_act_on_a_terminal_are_escaped(kit: Kit, recovery: Recovery) -> None:
    """In the list, in reports and in errors."""
    snapshot = kit.backup({b"\x1b[31mred\n\xff": b"x" * 100}).snapshot.id
    recovery.copy(kit.store)
    for path in recovery.repository.glob("packs/*/*"):
        path.write_bytes(b"")
    result, _ = recovery.restored(snapshot)
    verified = recovery.run("verify")
    told = result.err + result.out + verified.out + verified.err
    assert "\x1b" not in told
    assert told.isascii()


def test_an_incomplete_snapshot_is_told_of(kit: Kit, recovery: Recovery) -> None:
    """It is restored as far as it goes, which is no fault of the restore."""
    commit(begun(kit), source_record(Root(b"", 0, 0), status=1))
    result, restored = recovery.copy(kit.store).restored("latest")
    assert (result.code, restored) == (DONE, {})
    assert "was incomplete when it was made" in result.err
    assert recovery.good("list", "--json").records[0]["status"] == "incomplete"


# Runs the program where no file may have a byte.
WITHOUT_ROOM: Final = """\
import resource, runpy, signal, sys
sys.argv = sys.argv[1:]
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
sys.exit(runpy.run_path(sys.argv[0])["main"]())
"""


def test_what_cannot_be_written_is_told_of(saved: Recovery) -> None:
    """No file that is not whole has the name of one that is."""
    target = saved.folder / "target"
    arguments = ("restore", saved.repository, "latest", target, "--key-file", saved.key_file)
    result = run(*arguments, command=("-I", "-c", WITHOUT_ROOM, RECOVER))
    assert result.code == INCOMPLETE
    assert "a/b: is not whole: File too large" in result.err
    assert objects_below(target).keys() == {"a/b.partial", "a/c.partial", "z.partial"}


def test_a_reader_that_goes_away_is_no_error_of_the_list(saved: Recovery) -> None:
    """As ``head`` does: nothing is said."""
    arguments = ("-I", RECOVER, "list", saved.repository, "--key-file", saved.key_file)
    with subprocess.Popen(
        [sys.executable, *map(str, arguments)], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        assert process.stderr.read() == b""
        assert process.wait() == 1
