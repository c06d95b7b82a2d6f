"""Repositories made by somebody hostile who holds a key: nothing is written outside the target."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

import msgspec
import pytest

from strongroom.model.entry import EXTENT, HOLE, Entry, EntryKind
from strongroom.repository.canonical import encode
from strongroom.repository.tree import Leaf, Root
from tests.recover.harness import DAMAGED, DONE, INCOMPLETE, Recovery, Result
from tests.support.compare_trees import Seen, describe
from tests.support.entries import directory, names_in, symlink, thing
from tests.support.forging import begun, commit, save, source_record
from tests.support.kit import Kit
from tests.support.limits import limited
from tests.support.tree_shapes import BAD, GOOD, Forger, Shape

pytestmark = pytest.mark.spec("B10")

DATA: Final = b"data"


class Hostile:
    """Commits trees with any entries, and restores them among things that must stay."""

    def __init__(self, kit: Kit, recovery: Recovery) -> None:
        self._recovery = recovery
        self.session = begun(kit)
        self._kit = kit
        (self.chunk,) = save(self.session, [DATA])
        self.top = recovery.folder / "top"
        (self.top / "victim").mkdir(parents=True)
        (self.top / "victim/file").write_text("untouched")
        (self.top / "secret").write_text("untouched")
        self.target = self.top / "target"

    def file(self, path: bytes, **change: object) -> Entry:
        """Return a file that holds DATA."""
        entry = msgspec.structs.replace(
            thing(path, EntryKind.FILE), size=len(DATA), content=EXTENT.pack(self.chunk, len(DATA))
        )
        return msgspec.structs.replace(entry, **change)

    def restore(self, *entries: Entry) -> Result:
        """Commit entries in this order, restore them, and see that nothing else changed."""
        root = self.session.writer.save_tree(encode(Leaf(0, entries)))
        commit(self.session, source_record(Root(root, 1, len(entries))))
        self._recovery.copy(self._kit.store)
        before = self._surroundings()
        result = self._recovery.run("restore", "latest", self.target)
        assert self._surroundings() == before
        return result

    def inside(self) -> set[str]:
        """Return the paths in the target."""
        return names_in(self.target)

    def _surroundings(self) -> dict[bytes, Seen]:
        inside = b"target/"
        seen = describe(self.top)
        return {p: s for p, s in seen.items() if p not in {b"", b"target"} and inside not in p}


@pytest.fixture(name="hostile")
def _hostile(kit: Kit, recovery: Recovery) -> Hostile:
    return Hostile(kit, recovery)


BAD_PATHS: Final[Sequence[bytes]] = (
    *(b"", b".", b"..", b"/etc/hostile", b"//x", b"../victim/file", b"m/../../victim/file"),
    *(b"m/..", b"m/./x", b"m//x", b"m/", b"../../../../../../tmp/hostile", b"m\0n", b"m/\0", b"\0"),
    *(b"m/" + b"n" * 65_536, b"m/" * (1 << 19) + b"n"),
)


@pytest.mark.parametrize("kind", [1, 2, 3, 4])
def test_paths_that_lead_outside_are_refused(hostile: Hostile, kind: int) -> None:
    """Whatever the entry is; each is named, and the entries around them are restored."""
    bad = [
        msgspec.structs.replace(hostile.file(path), kind=kind, target=b"/etc/passwd")
        for path in BAD_PATHS
    ]
    result = hostile.restore(directory("a"), hostile.file(b"a/b"), *bad, hostile.file(b"z"))
    assert result.code == DAMAGED
    assert hostile.inside() == {"a", "a/b", "z"}
    told = [line for line in result.damage if "an entry is refused: its path leads" in line]
    assert len(told) == len(BAD_PATHS) - 1  # the two longest


@pytest.mark.parametrize("to", [b"../victim", b"/", b".", b"a", b"/proc/self/cwd"])
def test_nothing_goes_through_a_link(hostile: Hostile, to: bytes) -> None:
    """Files, directories and links below a link are refused; the link itself is harmless."""
    result = hostile.restore(
        directory("a"),
        symlink("link", to),
        hostile.file(b"link/file"),
        symlink("link/other", b"x"),
        directory("link/sub"),
        hostile.file(b"link/sub/deeper"),
        hostile.file(b"z"),
    )
    assert result.code == INCOMPLETE
    assert hostile.inside() == {"a", "link", "z"}
    told = ["link/file", "link/other", "link/sub", "link/sub/deeper"]
    assert result.err == "".join(f"{path}: Not a directory\n" for path in told)


@pytest.mark.parametrize("kind", [EntryKind.FILE, EntryKind.FIFO, EntryKind.SOCKET])
def test_nothing_is_below_what_is_no_directory(hostile: Hostile, kind: EntryKind) -> None:
    """Files and pipes have nothing in them."""
    result = hostile.restore(
        thing("m", kind), hostile.file(b"m/x"), directory("m/y"), hostile.file(b"n")
    )
    assert result.code == INCOMPLETE
    assert hostile.inside() == {"m", "n"}


def test_no_entry_takes_the_place_of_another(hostile: Hostile) -> None:
    """What stands twice, or out of order, is refused, whatever came first."""
    result = hostile.restore(
        directory("a"),
        symlink("a", b"../victim"),
        hostile.file(b"a/file"),
        hostile.file(b"b"),
        symlink("b", b"/"),
        hostile.file(b"a/late"),
        hostile.file(b"c"),
    )
    assert result.code == DAMAGED
    assert hostile.inside() == {"a", "a/file", "b", "c"}
    assert (hostile.target / "b").read_bytes() == DATA
    assert sum("it stands twice, or out of order" in line for line in result.damage) == 3


@pytest.mark.parametrize(
    "link", [b"/etc/passwd", b"../secret", b"nowhere", b"z later", b"a", b"sym"]
)
def test_what_a_link_names_is_never_opened(hostile: Hostile, link: bytes) -> None:
    """It is only the name of a group; the first of a group brings its own content."""
    result = hostile.restore(
        directory("a"),
        hostile.file(b"m", link=link),
        symlink("sym", b"../secret"),
        hostile.file(b"z later"),
    )
    assert result.code == DONE
    assert (hostile.target / "m").read_bytes() == DATA
    assert (hostile.target / "m").stat().st_nlink == 1


def test_a_hard_link_to_a_symbolic_link_is_none_to_what_it_leads_to(hostile: Hostile) -> None:
    """Two names of the link are made, and nothing outside gets a name."""
    one = msgspec.structs.replace(symlink("one", b"../secret"), link=b"one")
    two = msgspec.structs.replace(symlink("two", b"../secret"), link=b"one")
    result = hostile.restore(one, hostile.file(b"three", link=b"one"), two)
    assert result.code == DONE
    assert (hostile.target / "one").lstat().st_nlink == 2
    assert (hostile.target / "two").is_symlink()
    assert (hostile.target / "three").read_bytes() == DATA
    assert (hostile.top / "secret").stat().st_nlink == 1


@pytest.mark.parametrize(
    "change",
    [
        {"mtime_ns": (1 << 63) - 1},
        {"mtime_ns": 1 - (1 << 63)},
        {"uid": 1 << 40},
        {"gid": (1 << 64) - 1},
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
    ids=lambda change: str(change)[:30],
)
def test_values_that_no_system_knows(hostile: Hostile, change: dict[str, object]) -> None:
    """The content is restored, and what cannot be set is told of."""
    bad = msgspec.structs.replace(directory("d"), **change)
    result = hostile.restore(
        bad, hostile.file(b"d/x"), hostile.file(b"m", **change), hostile.file(b"z")
    )
    assert result.code in {DONE, INCOMPLETE}
    assert (result.code == DONE) == (result.err == "")
    for name in ("d", "m"):
        (hostile.target / name).chmod(0o700)
    assert hostile.inside() == {"d", "d/x", "m", "z"}
    assert (hostile.target / "m").read_bytes() == DATA


@pytest.mark.parametrize(
    "bad",
    [
        *(symlink("m", target) for target in (b"", b"a\0b", b"x" * 5000)),
        *(thing("m", kind) for kind in (0, 10, 99, 1 << 40)),
        thing(b"m" * 256, EntryKind.FIFO),
        directory(b"m" * 256),
        directory("m", 0o10000),
        msgspec.structs.replace(thing("m", EntryKind.CHARACTER_DEVICE), rdev=(1 << 40, 1 << 40)),
    ],
    ids=lambda entry: str(entry)[:60],
)
def test_entries_that_no_system_can_make(hostile: Hostile, bad: Entry) -> None:
    """They are told of, and the others are restored."""
    result = hostile.restore(hostile.file(b"a"), bad, hostile.file(b"z"))
    assert result.code in {DAMAGED, INCOMPLETE}
    assert hostile.inside() == {"a", "z"}


def test_a_path_of_a_million_components_costs_little(hostile: Hostile) -> None:
    """Directories that no entry makes are made up to a bound."""
    result = hostile.restore(hostile.file(b"/".join([b"a"] * 500_000)), hostile.file(b"b/c/d/e"))
    assert result.code == INCOMPLETE
    assert "refused: the directories that lead to it are missing" in result.err
    assert (hostile.target / "b/c/d/e").read_bytes() == DATA
    assert "/".join(["a"] * 602) not in hostile.inside()


def test_contents_that_are_not_what_the_entry_says(hostile: Hostile) -> None:
    """Of another size, of no whole extents, of a tree's chunk, deeper than any, or of nothing."""
    tree = hostile.session.writer.save_tree(EXTENT.pack(hostile.chunk, len(DATA)))
    files = {
        "a size": hostile.file(b"a size", size=5),
        "b no extents": hostile.file(b"b no extents", content=b"x" * 41),
        "c tree": hostile.file(b"c tree", content=EXTENT.pack(tree, 40), size=40),
        "d data": hostile.file(b"d data", depth=1),
        "e list": hostile.file(b"e list", content=EXTENT.pack(tree, 5), depth=1, size=5),
        "f deep": hostile.file(b"f deep", content=EXTENT.pack(tree, 4), depth=9),
        "g length": hostile.file(b"g length", content=EXTENT.pack(hostile.chunk, 5), size=5),
        "h size": hostile.file(b"h size", size=0),
        "i huge": hostile.file(b"i huge", content=EXTENT.pack(HOLE, 1 << 62) * 2, size=1 << 63),
    }
    good = hostile.file(b"z list", content=EXTENT.pack(tree, 4), depth=1)
    result = hostile.restore(*files.values(), good)
    assert result.code == DAMAGED
    assert hostile.inside() & files.keys() == set()
    assert (hostile.target / "z list").read_bytes() == DATA
    assert all(f"{name}: " in result.err for name in list(files)[:8])


@pytest.mark.parametrize("shape", GOOD.values(), ids=GOOD)
def test_trees_that_keep_to_the_rules_are_good(kit: Kit, recovery: Recovery, shape: Shape) -> None:
    """Made by hand, node by node."""
    forger = Forger(kit)
    forger.commit(*shape(forger))
    recovery.copy(kit.store).good("verify")


@pytest.mark.parametrize("shape", BAD.values(), ids=BAD)
def test_trees_that_break_a_rule_are_damage(kit: Kit, recovery: Recovery, shape: Shape) -> None:
    """In every snapshot that has them, also where a good tree shares their parts."""
    forger = Forger(kit)
    parts = [(b"a", forger.leaf(b"a", b"b"), 2), (b"c", forger.leaf(b"c"), 1)]
    good = forger.commit(forger.branch(1, *parts), 2, 3)
    bad = [Forger(kit) for _ in range(2)]
    ids = {forger.commit(*shape(forger)).short_id for forger in bad}
    result = recovery.copy(kit.store).run("verify")
    assert result.code == DAMAGED
    hit = {line.split()[1].rstrip(":") for line in result.damage if line.startswith("snapshot ")}
    assert ids <= hit
    assert good.short_id not in hit


def test_a_repository_of_endless_links_is_no_trap(recovery: Recovery, kit: Kit) -> None:
    """Directories that lead into themselves are listed to an end."""
    snapshot = kit.backup({b"a": b"1"}).snapshot.id
    recovery.copy(kit.store)
    (recovery.repository / "packs/00").mkdir(exist_ok=True)
    (recovery.repository / "packs/00/again").symlink_to("..")
    with limited(megabytes=512, seconds=60):
        assert recovery.restored(snapshot)[1] == {b"a": b"1"}


def test_the_target_may_not_hold_anything(recovery: Recovery, kit: Kit, tmp_path: Path) -> None:
    """Nothing is restored over something; a file in its place, or a link to one, is no folder."""
    kit.backup({b"a": b"1"})
    recovery.copy(kit.store)
    full = tmp_path / "full"
    full.mkdir()
    (full / "mine").write_text("mine")
    (tmp_path / "link").symlink_to(full / "mine")
    for target in (full, full / "mine", tmp_path / "link", recovery.repository / "packs"):
        assert recovery.run("restore", "latest", target).code == 2
    assert names_in(full) == {"mine"}
