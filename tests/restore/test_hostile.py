"""A tree made by somebody hostile writes nothing outside the target, and costs no other entry."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from strongroom.model.entry import Entry, EntryKind
from strongroom.model.source import Problem
from tests.support.compare_trees import Seen, describe
from tests.support.entries import directory, file, fill, restore, symlink, thing
from tests.support.memory_backup import files_target

OUTSIDE = b"/dev/null/outside"


class Guarded:
    """A target with surroundings that must stay as they are."""

    def __init__(self, top: Path) -> None:
        self.top = top
        (top / "victim").mkdir(parents=True)
        (top / "victim" / "file").write_text("untouched")
        (top / "secret").write_text("untouched")
        self.path = top / "target"
        self.path.mkdir()
        self._before = self._surroundings()
        self.problems: list[Problem] = []

    def restore(self, *entries: Entry) -> list[Problem]:
        """Restore, and see that the surroundings did not change."""
        target = files_target(self.path, self.problems)
        restore(target, *entries)
        self.check()
        return self.problems

    def check(self) -> None:
        """See that nothing but the target changed."""
        assert self._surroundings() == self._before

    def _surroundings(self) -> dict[bytes, Seen]:
        seen: dict[bytes, Seen] = {}
        for path in sorted(self.top.iterdir()):
            if path != self.path:
                inside = describe(path)
                seen |= {os.fsencode(path.name) + b"/" + name: one for name, one in inside.items()}
        return seen

    def inside(self) -> set[str]:
        """Return the paths in the target."""
        return {os.fsdecode(path) for path in describe(self.path) if path}


@pytest.fixture
def guarded(tmp_path: Path) -> Iterator[Guarded]:
    """Give a target, and look at its surroundings once more at the end."""
    made = Guarded(tmp_path)
    yield made
    made.check()


@pytest.mark.parametrize(
    "path",
    [
        b"",
        b".",
        b"..",
        b"/etc/hostile",
        b"//x",
        b"../victim/file",
        b"m/../../victim/file",
        b"m/..",
        b"m/./x",
        b"m//x",
        b"m/",
        b"../../../../../../../../tmp/hostile",
        b"m\0n",
        b"m/\0",
        b"\0",
    ],
)
def test_paths_that_lead_outside_are_refused(guarded: Guarded, path: bytes) -> None:
    """Whatever kind the entry is of; the entries around it are restored."""
    for kind in (EntryKind.DIRECTORY, EntryKind.FILE, EntryKind.SYMLINK, EntryKind.FIFO):
        target = files_target(guarded.path / f"{kind:d}", guarded.problems)
        bad = msgspec.structs.replace(thing(path, kind), target=b"/etc/passwd")
        restore(target, directory("a"), file("a/b"), bad, file("z"))
        assert target.refused == 1
        assert guarded.problems.pop().cause.startswith("refused: ")
        assert guarded.problems == []
        guarded.check()
        names = {str(p.relative_to(guarded.path)) for p in guarded.path.rglob("*")}
        assert {f"{kind:d}/a/b", f"{kind:d}/z"} <= names


@pytest.mark.parametrize("to", [b"../victim", b"/", b".", b"a", b"/proc/self/cwd"])
def test_nothing_goes_through_a_link(guarded: Guarded, to: bytes) -> None:
    """Files, directories and links below a link are refused; the link itself is harmless."""
    problems = guarded.restore(
        directory("a"),
        symlink("link", to),
        file("link/file"),
        symlink("link/other", b"x"),
        directory("link/sub"),
        file("link/sub/deeper"),
        file("z"),
    )
    assert guarded.inside() == {"a", "link", "z"}
    cause = "refused: it lies below something that is no directory"
    assert [problem.cause for problem in problems] == [cause] * 4


@pytest.mark.parametrize("kind", [EntryKind.FILE, EntryKind.FIFO, EntryKind.SOCKET])
def test_nothing_is_below_what_is_no_directory(guarded: Guarded, kind: EntryKind) -> None:
    """Also where the file itself is yet to be written."""
    problems = guarded.restore(thing("m", kind), file("m/x"), file("m/y/z"), file("n"))
    assert guarded.inside() == {"m", "n"}
    assert len(problems) == 2


def test_a_link_cannot_take_the_place_of_a_directory(guarded: Guarded) -> None:
    """A second entry of the same name is refused, whatever came first."""
    problems = guarded.restore(
        directory("a"), symlink("a", b"../victim"), file("a/file"), file("b"), symlink("b", b"/")
    )
    assert guarded.inside() == {"a", "a/file", "b"}
    assert [problem.cause for problem in problems] == ["refused: named twice"] * 2


def test_entries_out_of_order_are_refused(guarded: Guarded) -> None:
    """A directory cannot come back after it was left, nor a file before it."""
    problems = guarded.restore(
        directory("b"), file("b/x"), file("c"), file("b/y"), file("a"), file("d")
    )
    assert guarded.inside() == {"b", "b/x", "c", "d"}
    assert [problem.cause for problem in problems] == ["refused: out of order"] * 2


@pytest.mark.parametrize(
    "link", [b"/etc/passwd", b"../secret", b"nowhere", b"z later", b"", b"a", b"sym"]
)
def test_what_a_link_names_is_never_opened(guarded: Guarded, link: bytes) -> None:
    """It is only a key: a group outside, later, or of something else brings its own content."""
    entries = [directory("a"), file("m", link=link), symlink("sym", b"../secret"), file("z later")]
    problems = guarded.restore(*entries)
    assert (guarded.path / "m").read_bytes() == b"data"
    assert (guarded.path / "m").stat().st_nlink == 1
    assert problems == []


def test_a_hard_link_to_a_symbolic_link_is_none_to_what_it_leads_to(guarded: Guarded) -> None:
    """Two names of the link are made, and nothing outside gets a name."""
    one = msgspec.structs.replace(symlink("one", b"../secret"), link=b"one")
    two = msgspec.structs.replace(symlink("two", b"../secret"), link=b"one")
    problems = guarded.restore(one, file("three", link=b"one"), two)
    assert (guarded.path / "two").is_symlink()
    assert (guarded.path / "one").lstat().st_nlink == 2
    assert (guarded.top / "secret").stat().st_nlink == 1
    assert (guarded.path / "three").read_bytes() == b"data"
    assert [problem.missing for problem in problems] == [False]


@pytest.mark.parametrize(
    "change",
    [
        {"mtime_ns": 1 << 63},
        {"mtime_ns": -(1 << 63)},
        {"mtime_ns": (1 << 64) - 1},
        {"uid": 1 << 40},
        {"gid": -1},
        {"uid": (1 << 32) - 1},
        {"mode": 1 << 40},
        {"mode": -1},
        {"user": b"\xff" * 100_000},
        {"xattrs": ((b"", b""),)},
        {"xattrs": ((b"user.a\0b", b"x"),)},
        {"xattrs": ((b"nonsense", b"x"),)},
        {"xattrs": ((b"user." + b"x" * 1000, b"x"),)},
        {"xattrs": ((b"user.large", bytes(1 << 20)),)},
        {"xattrs": ((b"system.posix_acl_access", b"garbage"),)},
        {"flags": 1 << 40},
        {"rdev": (1 << 40, 1 << 40)},
        {"target": b"ignored"},
    ],
)
def test_values_that_no_system_knows(guarded: Guarded, change: dict[str, object]) -> None:
    """The content is restored; what cannot be set is said, and no other entry suffers."""
    bad = msgspec.structs.replace(file("m"), **change)
    bad_directory = msgspec.structs.replace(directory("d"), **change)
    problems = guarded.restore(bad_directory, file("d/x"), bad, file("z"))
    for name in ("d", "m"):
        (guarded.path / name).chmod(0o700)
    assert guarded.inside() == {"d", "d/x", "m", "z"}
    assert (guarded.path / "m").read_bytes() == b"data"
    assert not any(problem.missing for problem in problems)


@pytest.mark.parametrize(
    "bad",
    [
        symlink("m", b""),
        symlink("m", b"a\0b"),
        symlink("m", b"x" * 5000),
        file(b"n" * 256),
        directory(b"n" * 256),
        thing("m", 0),
        thing("m", 99),
        thing("m", -1),
        thing("m", 1 << 40),
        msgspec.structs.replace(thing("m", EntryKind.CHARACTER_DEVICE), rdev=(1 << 40, 1 << 40)),
        msgspec.structs.replace(thing("m", EntryKind.BLOCK_DEVICE), rdev=(-1, 5)),
    ],
)
def test_entries_that_no_system_can_make(guarded: Guarded, bad: Entry) -> None:
    """Each is a problem of its own."""
    problems = guarded.restore(file("a"), bad, file("z"))
    assert {"a", "z"} == guarded.inside()
    assert [(problem.path, problem.missing) for problem in problems] == [(bad.path, True)]


@pytest.mark.parametrize("size", [0, 3, 5, 1 << 62, (1 << 63) + 5, -1])
def test_small_files_of_another_size_than_they_say(guarded: Guarded, size: int) -> None:
    """They are refused: entry and content do not belong together."""
    lying = msgspec.structs.replace(file("m"), size=size)
    target = files_target(guarded.path, guarded.problems)
    target.place([lying])
    assert target.write([(lying, b"data")]) == 0
    target.finish()
    assert guarded.inside() == set()
    assert guarded.problems[0].cause.startswith("refused: it should hold ")


@pytest.mark.parametrize("size", [1 << 62, (1 << 63) + 5, -5])
def test_large_files_of_impossible_sizes(guarded: Guarded, size: int) -> None:
    """They cannot be finished; nothing stays of them."""
    lying = msgspec.structs.replace(file("m"), size=size)
    target = files_target(guarded.path, guarded.problems)
    target.place([lying])
    opened = target.open(lying)
    assert opened is not None
    opened.write(0, b"data")
    opened.finish()
    target.finish()
    assert guarded.inside() == set()
    assert [problem.path for problem in guarded.problems] == [b"m"]


def test_pieces_beyond_the_end_are_refused(guarded: Guarded) -> None:
    """A file never becomes larger than its entry says."""
    entry = file("m", b"0123456789")
    for offset, data in ((8, b"xyz"), (1 << 62, b"x"), (-1, b"x")):
        target = files_target(guarded.path, guarded.problems)
        target.place([entry])
        opened = target.open(entry)
        assert opened is not None
        opened.write(offset, data)
        opened.finish()
        target.finish()
    assert guarded.inside() == set()
    assert len(guarded.problems) == 3


def test_a_path_of_a_million_components_costs_little(guarded: Guarded) -> None:
    """Directories that no entry makes are made up to a bound."""
    problems = guarded.restore(file(b"/".join([b"a"] * 500_000)), file("b/c/d/e"))
    assert guarded.inside() == {"b", "b/c", "b/c/d", "b/c/d/e"}
    assert [p.cause for p in problems] == ["refused: the directories that lead to it are missing"]


def test_names_that_differ_in_case_or_form_stay_apart(guarded: Guarded) -> None:
    """On a file system that keeps them apart, as ours do."""
    names = ["A", "a", "e\u0301", "\u00e9"]
    assert guarded.restore(*(file(name) for name in sorted(names))) == []
    assert guarded.inside() == set(names)


def test_a_name_that_the_file_system_takes_for_another(guarded: Guarded) -> None:
    """Where two names are one, the second is reported, and the first stays."""
    second = (file("a"), directory("a"), symlink("a", b"x"), thing("a", EntryKind.FIFO))
    for number, entry in enumerate(second):
        path = guarded.path / f"{number}"
        target = files_target(path, guarded.problems)
        (path / "a").write_text("taken")
        fill(target, target.place([directory("A"), file("A/x"), entry]))
        target.finish()
        assert (path / "a").read_text() == "taken"
        assert guarded.problems == [Problem(b"a", "exists already")]
        guarded.problems.clear()


_PARTS = st.sampled_from([b"a", b"b", b"link", b"..", b".", b"", b"\0", b"victim", b"target"])
_PATHS = st.lists(_PARTS, min_size=1, max_size=4).map(b"/".join) | st.binary(max_size=6)
_TARGETS = st.sampled_from([b"../victim", b"/", b"..", b"a", b"link", b"../victim/file", b""])
_ENTRIES = st.builds(
    Entry,
    path=_PATHS,
    kind=st.integers(0, 9),
    mode=st.integers(0, 0o7777).map(lambda mode: mode | 0o700),
    uid=st.just(os.geteuid()),
    gid=st.just(os.getegid()),
    user=st.just(b""),
    group=st.just(b""),
    mtime_ns=st.integers(-(1 << 62), 1 << 62),
    size=st.just(0),
    target=_TARGETS,
    link=_PATHS | st.just(b""),
    rdev=st.just((1, 3)),
)


@settings(max_examples=150)
@given(entries=st.lists(_ENTRIES, max_size=12), in_order=st.booleans(), replace=st.booleans())
def test_any_entries_at_all(entries: list[Entry], *, in_order: bool, replace: bool) -> None:
    """Nothing outside changes, nothing is raised, and each entry is there or has a problem."""
    if in_order:
        entries = sorted(entries, key=lambda entry: entry.path.replace(b"/", b"\0"))
    with tempfile.TemporaryDirectory() as name:
        guarded = Guarded(Path(name) / "top")
        target = files_target(
            guarded.path, guarded.problems, overwrite="always" if replace else None
        )
        restore(target, *entries)
        guarded.check()
        there = describe(guarded.path)
        problems = {problem.path for problem in guarded.problems if problem.missing}
        for entry in entries:
            assert entry.path in there or entry.path in problems
