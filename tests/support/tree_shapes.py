"""Trees made by hand, node by node: some keep to the rules, each of the others breaks one."""

from __future__ import annotations

from collections.abc import Callable

from strongroom.model.snapshot import ListedSnapshot
from strongroom.repository.canonical import encode
from strongroom.repository.tree import Branch, Child, Leaf, Root
from tests.support.fakes import file_entry
from tests.support.forging import begun, commit, source_record
from tests.support.kit import Kit


class Forger:
    """Commits trees made by hand."""

    def __init__(self, kit: Kit) -> None:
        self.kit = kit
        self.session = begun(kit)

    def leaf(self, *names: bytes) -> bytes:
        """Store a leaf of empty files."""
        entries = tuple(file_entry(name, 0) for name in names)
        return self.session.writer.save_tree(encode(Leaf(0, entries)))

    def branch(self, level: int, *children: tuple[bytes, bytes, int]) -> bytes:
        """Store a branch."""
        made = Branch(level, tuple(Child(*child) for child in children))
        return self.session.writer.save_tree(encode(made))

    def commit(self, root: bytes, levels: int, count: int) -> ListedSnapshot:
        """Commit a snapshot with this tree."""
        return commit(self.session, source_record(Root(root, levels, count)))


Shape = Callable[[Forger], tuple[bytes, int, int]]

GOOD: dict[str, Shape] = {
    "one leaf": lambda f: (f.leaf(b"a", b"b"), 1, 2),
    "two leaves": lambda f: (
        f.branch(1, (b"a", f.leaf(b"a", b"b"), 2), (b"c", f.leaf(b"c"), 1)), 2, 3,
    ),
    "one leaf twice below": lambda f: (
        f.branch(2, (b"a", f.branch(1, (b"a", f.leaf(b"a"), 1)), 1)), 3, 1,
    ),
}  # fmt: skip

BAD: dict[str, Shape] = {
    "counts": lambda f: (f.leaf(b"a", b"b"), 1, 3),
    "order in a leaf": lambda f: (f.leaf(b"b", b"a"), 1, 2),
    "order of leaves": lambda f: (
        f.branch(1, (b"c", f.leaf(b"c"), 1), (b"a", f.leaf(b"a", b"b"), 2)), 2, 3,
    ),
    "leaves that overlap": lambda f: (
        f.branch(1, (b"a", f.leaf(b"a", b"c"), 2), (b"b", f.leaf(b"b"), 1)), 2, 3,
    ),
    "a leaf twice": lambda f: (
        f.branch(1, (b"a", f.leaf(b"a"), 1), (b"a", f.leaf(b"a"), 1)), 2, 2,
    ),
    "first path": lambda f: (f.branch(1, (b"0", f.leaf(b"a"), 1)), 2, 1),
    "first path above": lambda f: (
        f.branch(2, (b"0", f.branch(1, (b"a", f.leaf(b"a"), 1)), 1)), 3, 1,
    ),
    "count of a child": lambda f: (
        f.branch(1, (b"a", f.leaf(b"a", b"b"), 1), (b"c", f.leaf(b"c"), 2)), 2, 3,
    ),
    "a leaf for a branch": lambda f: (f.leaf(b"a"), 2, 1),
    "a branch for a leaf": lambda f: (f.branch(1, (b"a", f.leaf(b"a"), 1)), 1, 1),
    "no path": lambda f: (f.leaf(b"a", b"b/../c"), 1, 2),
    "a missing node": lambda f: (f.branch(1, (b"a", bytes(32), 1)), 2, 1),
}  # fmt: skip
