"""``strongroom repair`` as a person runs it."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.cli.harness import NO_KEY, Program
from tests.support.mending import flipped
from tests.support.noise import noise

pytestmark = pytest.mark.spec("B8")


@pytest.fixture
def saved(program: Program) -> Program:
    """Save two snapshots."""
    program.make_files(a=noise(5000, "a"), b="b")
    program.good("backup", "./documents")
    program.settle()
    program.make_files(c=noise(4000, "c"))
    program.good("backup", "./documents")
    return program


def objects(repository: Path, pattern: str) -> list[Path]:
    """Return the objects below a prefix, sorted."""
    return sorted(path for path in repository.glob(pattern) if path.is_file())


def spoil(path: Path) -> None:
    """Change a bit of an object, as a bad disk does."""
    path.chmod(0o600)
    path.write_bytes(flipped(path.read_bytes()))


def restores(program: Program) -> None:
    """Check that the latest snapshot restores what was saved."""
    target = program.folder / "out"
    program.good("restore", "latest", "--to", target)
    saved = target / (program.folder / "documents").relative_to("/")
    assert {p.name: p.read_bytes() for p in saved.iterdir()} == {
        p.name: p.read_bytes() for p in (program.folder / "documents").iterdir()
    }


def test_nothing_to_do(saved: Program) -> None:
    """A sound repository: exit 0, in one line, and nothing is written."""
    before = sorted(saved.repository.rglob("*"))
    result = saved.good("repair", "--read-data")
    assert result.out == "no damage found: nothing to do\n"
    assert sorted(saved.repository.rglob("*")) == before


def test_a_damaged_repository_with_a_good_copy_comes_back(saved: Program) -> None:
    """Verify, a plan, a repair, a clean verify, a restore; from a folder with the same objects."""
    shutil.copytree(saved.repository, saved.folder / "replica")
    pack, other, *_ = objects(saved.repository, "packs/*/*")
    spoil(pack)
    other.unlink()
    spoil(objects(saved.repository, "index/*")[0])
    assert saved.run("verify", "--read-data").code == 4
    source = ("--from", "replica", "--from-key-file", "key")
    before = sorted(saved.repository.rglob("*"))
    dry = saved.run("repair", "--read-data", *source, "--dry-run")
    assert dry.code == 4
    assert "put back: packs/" in dry.out
    assert "nothing was changed" in dry.out
    assert sorted(saved.repository.rglob("*")) == before
    result = saved.good("repair", "--read-data", *source)
    assert "quarantine: packs/" in result.out
    assert "declare void: index/" in result.out
    assert "no damage is left" in result.out
    assert "no damage found" in saved.good("verify", "--read-data").out
    restores(saved)
    assert "nothing to do" in saved.good("repair", "--read-data", *source).out


def test_a_damaged_repository_comes_back_from_what_copy_made(saved: Program) -> None:
    """From another repository, with other keys, that holds the same snapshots."""
    saved.good("-r", "second", "init", "--key-file", "second.key", env=NO_KEY)
    saved.good("copy", "--to", "second", "--to-key-file", "second.key")
    for path in objects(saved.repository, "packs/*/*"):
        spoil(path)
    result = saved.good(
        "repair", "--read-data", "--from", "second", "--from-key-file", "second.key", "--json"
    )
    summary = result.record("summary")
    assert summary["num_errors_before"] > 0
    assert summary["num_errors"] == 0
    assert summary["chunks_written"] > 0
    saved.good("verify", "--read-data")
    restores(saved)


def test_what_is_lost_is_named(saved: Program) -> None:
    """Without a copy: exit 4, with each file and snapshot, and what to do next."""
    first = saved.good("snapshots", "--json").records[1]["id"]
    for path in objects(saved.repository, "packs/*/*"):
        path.unlink()
    result = saved.run("repair")
    assert result.code == 4
    assert "something is lost of 2 snapshots" in result.out
    assert "repair --from a good copy" in result.out
    records = saved.run("repair", "--json").records
    assert first[:8] in records[-1]["lost_snapshots"]
    assert {one["snapshot"] for one in records if one["message_type"] == "lost"} >= {first[:8]}
    saved.settle()
    saved.good("backup", "./documents")
    restores(saved)


def test_a_commit_is_given_up_by_name(saved: Program) -> None:
    """``verify`` and ``repair`` print the key that ``--void`` takes."""
    keys = [
        path
        for path in objects(saved.repository, "commits/*/*")
        if path.name == saved.good("snapshots", "--json").records[1]["id"]
    ]
    spoil(keys[0])
    key = keys[0].relative_to(saved.repository).as_posix()
    result = saved.run("repair")
    assert result.code == 4
    assert f"repair --void {key}" in result.out
    assert saved.good("repair", "--void", key).out.startswith(f"declare void: {key}")
    assert len(saved.good("snapshots", "--json").records) == 2


@pytest.mark.parametrize("remembers", [True, False])
def test_config_is_put_back(saved: Program, *, remembers: bool) -> None:
    """Where it is gone nothing opens; a replica that is proven to be one gives it back."""
    shutil.copytree(saved.repository, saved.folder / "replica")
    (saved.repository / "config").unlink()
    if not remembers:
        shutil.rmtree(saved.state)
    assert saved.run("repair").code == 10
    source = ("--from", "replica", "--from-key-file", "key")
    dry = saved.run("repair", *source, "-n")
    assert dry.code == 4
    assert "config is missing" in dry.err
    assert not (saved.repository / "config").exists()
    assert "put back" in saved.good("repair", *source).err
    saved.good("verify", "--read-data")


def test_config_of_another_repository_is_not_taken(saved: Program) -> None:
    """What is no replica gives no config, or the repository would open as another one."""
    saved.good("-r", "second", "init", "--key-file", "second.key", env=NO_KEY)
    (saved.repository / "config").unlink()
    result = saved.run("repair", "--from", "second", "--from-key-file", "second.key")
    assert result.code == 10
    assert not (saved.repository / "config").exists()


@pytest.mark.parametrize(
    ("arguments", "code", "why"),
    [
        (("--from-key-file", "key"), 2, "--from is not"),
        (("--from", "nowhere", "--from-key-file", "key"), 10, "nowhere"),
        (("--from", "repository"), 2, "--from-key-file"),
        (("--void", "config"), 2, "declare void"),
        (("--void", "orders/" + "ab" * 16), 6, "nobody misses it"),
    ],
)
def test_what_cannot_be_meant(
    saved: Program, arguments: tuple[str, ...], code: int, why: str
) -> None:
    """Each refusal says what is wrong, and nothing is written."""
    before = sorted(saved.repository.rglob("*"))
    result = saved.run("repair", *arguments)
    assert result.code == code, result
    assert why in result.err
    assert sorted(saved.repository.rglob("*")) == before
