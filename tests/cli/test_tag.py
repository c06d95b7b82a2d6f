"""``strongroom tag`` as a person runs it."""

from __future__ import annotations

import pytest

from tests.cli.harness import Program

pytestmark = pytest.mark.spec("B1")


@pytest.fixture
def saved(program: Program) -> Program:
    """Save two snapshots; the first of another host, with a tag."""
    program.make_files(a="1")
    program.good("backup", "./documents", "--host", "web1", "--tag", "nightly")
    program.good("backup", "./documents")
    return program


def tags(program: Program) -> list[list[str]]:
    """Return the tags of each snapshot, the newest first."""
    return [one["tags"] for one in program.good("snapshots", "--json").records[:-1]]


def test_tags_change(saved: Program) -> None:
    """Tags are added, removed and set, and every verb goes by what they are now."""
    result = saved.good("tag", "latest", "--add", "keep", "--add", "b")
    assert result.out.splitlines()[0].endswith("  (none) -> b,keep")
    assert result.out.splitlines()[1] == "tags of 1 of 1 snapshot changed"
    saved.good("tag", "--host", "web1", "--remove", "nightly", "--add", "weekly")
    assert tags(saved) == [["b", "keep"], ["weekly"]]
    assert saved.good("snapshots", "--tag", "nightly").out == "no snapshots\n"
    assert saved.good("find", "a", "--tag", "keep", "-q").out.count("\n") == 1
    saved.good("tag", "--path", "./documents", "--set", "one")
    assert tags(saved) == [["one"], ["one"]]
    saved.good("tag", "--tag", "one", "--set", "")
    assert tags(saved) == [[], []]
    assert saved.good("tag", "latest", "--remove", "x").out.startswith("tags of 0 of 1")
    assert saved.good("verify").code == 0


def test_a_dry_run_changes_nothing(saved: Program) -> None:
    """What would change is said, and stays as it is."""
    records = saved.good("tag", "latest", "--add", "x", "-n", "--json").records
    assert [one["message_type"] for one in records] == ["changed", "summary"]
    assert (records[0]["tags_before"], records[0]["tags"]) == ([], ["x"])
    assert records[1]["dry_run"] is True
    assert tags(saved) == [[], ["nightly"]]
    assert not (saved.repository / "orders").exists()


@pytest.mark.parametrize(
    ("arguments", "code", "why"),
    [
        (("--add", "x"), 2, "name snapshots"),
        (("latest",), 2, "--add, --remove or --set"),
        (("latest", "--add", "x", "--set", "y"), 2, "--set says all"),
        (("latest", "--add", "x", "--remove", "x"), 2, "added and removed"),
        (("latest", "--add", ""), 2, "printable"),
        (("latest", "--set", "a\nb"), 2, "printable"),
        (("ffff", "--add", "x"), 15, "no snapshot"),
    ],
)
def test_what_cannot_be_meant(
    saved: Program, arguments: tuple[str, ...], code: int, why: str
) -> None:
    """A change of nothing or to nothing is exit 2, an unknown snapshot exit 15."""
    result = saved.run("tag", *arguments)
    assert result.code == code
    assert why in result.err
    assert tags(saved) == [[], ["nightly"]]
