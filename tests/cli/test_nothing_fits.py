"""A choice among snapshots that nothing fits is said, and is no success."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.cli.harness import NO_KEY, Program

pytestmark = pytest.mark.spec("B6")


@pytest.fixture(name="saved")
def _saved(program: Program) -> Program:
    """Save two snapshots, the first of them forgotten, beside an empty second repository."""
    program.good("-r", program.folder / "second", "init", "--key-file", "second.key", env=NO_KEY)
    for number in range(2):
        program.make_files(own=f"{number}" * 5000)
        program.good("backup", "./documents", "--host", "web1", "--tag", f"t{number}")
    program.good("forget", "latest~1")
    return program


COPY = ("copy", "--to", "second", "--to-key-file", "second.key")


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (("hold", "--tag", "nosuch"), "no snapshot with tag nosuch"),
        (("hold", "--host", "a", "--host", "b"), "no snapshot of host a or b"),
        (("hold", "--tag", "t1", "--host", "a"), "no snapshot with tag t1, of host a"),
        (("hold", "--tag", "t0"), "no snapshot with tag t0"),
        (("hold", "--release", "--tag", "nosuch"), "no snapshot with tag nosuch"),
        (("undelete", "--host", "nosuch"), "no snapshot of host nosuch among the forgotten ones"),
        (("undelete", "--tag", "t1"), "no snapshot with tag t1 among the forgotten ones"),
        ((*COPY, "--tag", "nosuch"), "no snapshot with tag nosuch"),
        ((*COPY, "--path", "/nosuch"), "no snapshot that saved /nosuch"),
    ],
)
@pytest.mark.parametrize("more", [(), ("-n",)], ids=["done", "dry"])
def test_what_nothing_fits_is_exit_15(
    saved: Program, arguments: tuple[str, ...], why: str, more: tuple[str, ...]
) -> None:
    """It says what was looked for, and nothing is written."""
    places = (saved.repository, saved.folder / "second")
    before = [sorted(place.rglob("*")) for place in places]
    result = saved.run(*arguments, *more)
    assert result.code == 15, result
    assert why in result.err
    assert [sorted(place.rglob("*")) for place in places] == before


def test_what_is_held_by_nothing_is_said_when_it_is_released(saved: Program) -> None:
    """The state that was asked for holds already, so that is exit 0, and each is named."""
    saved.good("undelete", "--tag", "t0")
    saved.good("hold", "--tag", "t0")
    result = saved.good("hold", "--release", "--host", "web1")
    assert [line.split()[-2:] for line in result.out.splitlines() if "not held" in line] == [
        ["not", "held"]
    ]
    assert result.out.endswith("1 snapshot released\n")
    result = saved.good("hold", "--release", "latest")
    assert "is not held" in result.out
    assert result.out.endswith("0 snapshots released\n")
    skipped = saved.good("hold", "--release", "latest", "--json").record("skipped")
    assert skipped["reason"] == "not held"


def test_a_copy_of_all_of_nothing_is_done(program: Program) -> None:
    """Where nothing was said of the snapshots, an empty repository is copied as it is."""
    program.good("-r", program.folder / "second", "init", "--key-file", "second.key", env=NO_KEY)
    assert "0 snapshots copied" in program.good(*COPY).out


def test_what_fits_may_be_among_what_cannot_be_read(saved: Program) -> None:
    """Then a copy does not say that there is none: the damage is said, with its own exit code."""
    shutil.rmtree(saved.cache)
    for path in Path(saved.repository / "commits").glob("*/*"):
        path.chmod(0o600)
        path.write_bytes(b"rubbish")
    result = saved.run(*COPY, "--tag", "t1")
    assert result.code == 4, result
