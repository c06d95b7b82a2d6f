"""What a restore with --delete would remove."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from strongroom.app.selection import Selection
from strongroom.model.entry import Entry, sort_key
from strongroom.operations.restore_delete import Extras, Look, find_extras
from tests.support.entries import directory, file


def _look(*paths: str) -> Look:
    """Return a target with these paths; those that end in a slash are directories."""
    below: dict[bytes, dict[bytes, bool]] = {b"": {}}
    for text in paths:
        path = text.rstrip("/").encode()
        parent, _, name = path.rpartition(b"/")
        below[parent][name] = text.endswith("/")
        if text.endswith("/"):
            below[path] = {}

    def look(path: bytes) -> Sequence[tuple[bytes, bool]] | None:
        return sorted(below[path].items()) if path in below else None

    return look


def _tree(*paths: str) -> list[Entry]:
    made = [directory(path[:-1]) if path.endswith("/") else file(path) for path in paths]
    return sorted(made, key=lambda entry: sort_key(entry.path))


def _shown(extras: Extras) -> list[str]:
    return [extra.path.decode() + "/" * extra.is_directory for extra in extras]


def test_what_only_the_target_has_goes_with_all_below_it() -> None:
    """Each directory after what is in it; what the snapshot has stays."""
    look = _look("a/", "a/x", "a/y", "b", "c/", "c/d/", "c/d/e", "z")
    found = find_extras(_tree("a/", "a/x", "b", "m"), [b""], look)
    assert _shown(found) == ["a/y", "c/d/e", "c/d/", "c/", "z"]
    assert found.in_the_way == []


def test_only_below_the_restored_paths() -> None:
    """Beside what was saved, and above it, nothing goes."""
    look = _look("srv/", "srv/app/", "srv/app/old", "srv/other", "etc/", "etc/x")
    tree = _tree("srv/", "srv/app/", "srv/app/new")
    assert _shown(find_extras(tree, [b"srv/app"], look)) == ["srv/app/old"]
    assert _shown(find_extras(tree, [b"nowhere"], look)) == []


def test_a_restored_path_that_the_target_has_as_a_file() -> None:
    """There is nothing below it."""
    assert _shown(find_extras(_tree("a/", "a/x"), [b"a"], _look("a"))) == []


def test_a_directory_in_the_way_of_a_file_goes_first() -> None:
    """It must be gone before the file is written; a file in the way of a directory need not."""
    found = find_extras(_tree("a", "b/", "b/x"), [b""], _look("a/", "a/x", "b"))
    assert [extra.path for extra in found.in_the_way] == [b"a/x", b"a"]
    assert found.others == []


def test_what_is_excluded_stays_with_what_leads_to_it() -> None:
    """As --exclude and --include choose what is restored, they choose what is removed."""
    look = _look("a.tmp", "a.txt", "keep/", "keep/b.tmp", "keep/b.txt", "old/", "old/c.txt")
    excluding = Selection([b""], [], ["*.tmp"])
    found = find_extras([], [b""], look, excluding)
    assert _shown(found) == ["a.txt", "keep/b.txt", "old/c.txt", "old/"]
    including = Selection([b""], ["*.tmp"], [])
    assert _shown(find_extras([], [b""], look, including)) == ["a.tmp", "keep/b.tmp"]
    folder = Selection([b""], ["keep/"], [])
    found = find_extras(_tree("keep/", "keep/b.tmp"), [b""], look, folder)
    assert _shown(found) == ["keep/b.txt"]


def test_what_must_be_kept_stays() -> None:
    """The repository and the keys are not removed, wherever in the target they are."""
    look = _look("a/", "a/key", "a/x", "repository/", "repository/packs/", "z")
    keep = frozenset({b"repository", b"a/key"})
    assert _shown(find_extras([], [b""], look, keep=keep)) == ["a/x", "z"]


def test_what_cannot_be_looked_into_stays() -> None:
    """A directory that is on another file system, or unreadable, is no extra."""
    assert _shown(find_extras([], [b""], lambda path: None if path else [(b"m", True)])) == []


def test_depth_has_no_limit() -> None:
    """Ten thousand directories, one in the other, are found without recursion."""
    found = find_extras([], [b""], lambda path: [(b"d", True)] if len(path) < 20_000 else [])
    assert len(found) == 10_001


@given(
    ours=st.sets(st.sampled_from(["a", "b", "a/a", "a/b", "b/a", "b/b", "a/a/a"])),
    theirs=st.sets(st.sampled_from(["a", "b", "a/a", "a/b", "b/a", "b/b", "a/a/a"])),
)
def test_as_many_as_a_comparison_of_sets(ours: set[str], theirs: set[str]) -> None:
    """Whatever both hold, what goes is the difference."""

    def closed(paths: set[str]) -> dict[str, bool]:
        known: dict[str, bool] = {}
        for path in paths:
            parts = path.split("/")
            for depth in range(1, len(parts)):
                known["/".join(parts[:depth])] = True
            known.setdefault(path, False)
        return known

    mine, others = closed(ours), closed(theirs)
    look = _look(*(p + "/" * others[p] for p in sorted(others)))
    found = find_extras(_tree(*(p + "/" * mine[p] for p in mine)), [b""], look)
    gone = {extra.path.decode() for extra in found}
    in_the_way = {p for p in others if others[p] and p in mine and not mine[p]}
    assert gone == (set(others) - set(mine)) | in_the_way


@pytest.mark.parametrize("name", [b"a\n", b"\xff", b"x" * 255])
def test_names_of_any_bytes(name: bytes) -> None:
    """They go under the name that they have."""
    found = find_extras([], [b""], lambda _: [(name, False)])
    assert [extra.path for extra in found] == [name]
