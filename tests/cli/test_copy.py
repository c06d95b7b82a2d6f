"""``strongroom copy`` as a person runs it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.harness import NO_KEY, Program
from tests.support.compare_trees import compare_trees
from tests.support.file_trees import every_kind

pytestmark = pytest.mark.spec("B8")


@pytest.fixture(name="second")
def _second(program: Program) -> Path:
    """Make another repository, with a key of its own."""
    second = program.folder / "second"
    program.good("-r", second, "init", "--key-file", "second.key", env=NO_KEY)
    return second


def to(second: Path) -> tuple[str | Path, ...]:
    """Return the options that name the second repository."""
    return ("--to", second, "--to-key-file", "second.key")


def test_an_awkward_tree_comes_back_from_a_copy(program: Program, second: Path) -> None:
    """Every kind of file, links, holes, attributes: restored from the copy as from the source."""
    tree = program.folder / "tree"
    every_kind(tree)
    (tree / "large").write_bytes(bytes(range(256)) * 20_000)
    program.good("backup", tree)
    result = program.good("copy", *to(second))
    assert "1 snapshot copied to" in result.out
    for place, key in ((program.repository, "key"), (second, "second.key")):
        target = program.folder / f"from {place.name}"
        opened = ("-r", place, "--key-file", key)
        program.good(*opened, "restore", "latest", "--to", target, "--verify", env=NO_KEY)
        assert compare_trees(tree, target / tree.relative_to("/")) == []
    opened = ("-r", second, "--key-file", "second.key")
    program.good(*opened, "verify", "--read-data", env=NO_KEY)


def test_a_choice_and_a_second_run(program: Program, second: Path) -> None:
    """Only what is chosen is copied; with its tags; and nothing a second time."""
    program.make_files(a="1")
    program.good("backup", "./documents", "--host", "web1", "--tag", "nightly")
    program.good("backup", "./documents")
    program.good("tag", "--host", "web1", "--add", "kept")
    dry = program.good("copy", *to(second), "--host", "web1", "-n", "--json").records
    assert [one["message_type"] for one in dry] == ["wanted", "summary"]
    assert (dry[-1]["snapshots_wanted"], dry[-1]["snapshots_copied"]) == (1, 0)
    program.good("copy", *to(second), "--host", "web1")
    opened = ("-r", second, "--key-file", "second.key")
    (there,) = program.good(*opened, "snapshots", "--json", env=NO_KEY).records[:-1]
    assert (there["tags"], there["hostname"]) == (["nightly", "kept"], "web1")
    records = program.good("copy", *to(second), "--json").records
    assert [one["message_type"] for one in records if one["message_type"] != "status"] == [
        "skipped",
        "copied",
        "summary",
    ]
    again = program.good("copy", *to(second))
    assert "0 snapshots copied" in again.out
    assert "2 already there" in again.out


def test_a_name_of_the_configuration_is_a_destination(program: Program, second: Path) -> None:
    """``--to NAME`` takes place and key from strongroom.toml."""
    (program.folder / "strongroom.toml").write_text(
        f'version = 1\n[repositories.second]\nurl = "{second}"\nkey_file = "second.key"\n'
    )
    program.make_files(a="1")
    program.good("backup", "./documents")
    assert "1 snapshot copied" in program.good("copy", "--to", "second").out


def test_damage_is_exit_4_and_names_the_file(program: Program, second: Path) -> None:
    """What cannot be read is not copied, and everything else is."""
    program.make_files(a="1")
    program.good("backup", "./documents")
    before = set(program.repository.glob("packs/*/*"))
    program.make_files(b="2" * 5000)
    program.settle()
    program.good("backup", "./documents")
    (pack,) = set(program.repository.glob("packs/*/*")) - before
    pack.unlink()
    result = program.run("copy", *to(second))
    assert result.code == 4
    assert "1 snapshot copied" in result.out
    assert "1 snapshot not copied, because of damage" in result.out
    assert "was not copied: packs/" in result.err


@pytest.mark.parametrize(
    ("arguments", "code", "why"),
    [
        ((), 2, "--to"),
        (("--to", "second"), 2, "--to-key-file"),
        (("--to", "nowhere", "--to-key-file", "second.key"), 10, "nowhere"),
        (("--to", "second", "--to-key-file", "key"), 12, "opens none"),
        (("--to", "repository", "--to-key-file", "key"), 2, "same repository"),
        (("--to", "second", "--to-key-file", ""), 2, "value"),
        (("--to", "second", "--to-key-file", "second.key", "ffff"), 15, "no snapshot"),
    ],
)
def test_what_cannot_be_meant(
    program: Program, second: Path, arguments: tuple[str, ...], code: int, why: str
) -> None:
    """Each refusal says what is missing, and nothing is written."""
    program.make_files(a="1")
    program.good("backup", "./documents")
    before = sorted(second.rglob("*"))
    result = program.run("copy", *arguments)
    assert result.code == code, result
    assert why in result.err
    assert sorted(second.rglob("*")) == before
