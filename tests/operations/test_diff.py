"""Comparing snapshots: every difference once, in order, without reading what is shared."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from strongroom.errors import NotFoundError
from strongroom.model.entry import EXTENT, HOLE, Entry, EntryKind, sort_key
from strongroom.model.snapshot import ListedSnapshot, SourceRecord
from strongroom.operations.changes import DiffResult, change_of
from strongroom.operations.comparing import above, overlap
from strongroom.operations.diff import diff
from strongroom.repository.tree import Root
from strongroom.storage.memory import MemoryStore
from tests.support.fakes import MemorySource, file_entry
from tests.support.forging import commit_tree, source_record
from tests.support.kit import Kit
from tests.support.tree_shapes import Forger

pytestmark = pytest.mark.spec("B1")

Told = list[tuple[str, bytes]]


def differences(
    kit: Kit, old: ListedSnapshot, new: ListedSnapshot, top: bytes = b""
) -> tuple[Told, DiffResult]:
    """Compare; what is told, as letters and paths."""
    told: Told = []
    result = diff(
        kit.open(), old, new, top, lambda c: told.append((c.modifier.value, c.entry.path))
    )
    return told, result


def expected(old: Mapping[bytes, bytes], new: Mapping[bytes, bytes]) -> Told:
    """Compare two sets of files in the plainest way."""
    return [
        ("+" if path not in old else "-" if path not in new else "M", path)
        for path in sorted({*old, *new}, key=sort_key)
        if old.get(path) != new.get(path)
    ]


def many(count: int) -> dict[bytes, bytes]:
    """Return files in folders."""
    return {b"d%02d/%05d" % (n // 300, n): b"%d" % (n % 7) for n in range(count)}


names = st.lists(st.sampled_from([b"a", b"b", b"a.b", b"a-", b"\xff"]), min_size=1, max_size=3)
files = st.dictionaries(
    names.map(b"/".join), st.sampled_from([b"", b"1", b"22", b"33"]), max_size=30
)


@pytest.fixture(scope="module")
def shared_kit(tmp_path_factory: pytest.TempPathFactory) -> Kit:
    """A repository for many examples."""
    kit = Kit(MemoryStore(), tmp_path_factory.mktemp("state"))
    kit.init()
    return kit


@settings(max_examples=25, deadline=None)
@given(old=files, new=files)
def test_every_difference_is_told(
    shared_kit: Kit, old: dict[bytes, bytes], new: dict[bytes, bytes]
) -> None:
    """Any two sets of files differ in what the plainest comparison finds, in the same order."""
    first, second = (shared_kit.backup(one).snapshot for one in (old, new))
    told, result = differences(shared_kit, first, second)
    assert told == expected(old, new)
    assert result.added.files == sum(letter == "+" for letter, _ in told)
    assert result.removed.bytes == sum(len(old[path]) for letter, path in told if letter == "-")
    assert result.changed == sum(letter == "M" for letter, _ in told)


@pytest.mark.parametrize("top", [b"d03", b"d03/00950", b"d08"])
def test_a_part_can_be_compared(kit: Kit, top: bytes) -> None:
    """With a path only what is at or below it is told; what neither has is exit 15."""
    old = many(3000)
    new = {path: data + b"!" for path, data in old.items() if not path.startswith(b"d08")}
    first, second = (kit.backup(one).snapshot for one in (old, new))
    told, _ = differences(kit, first, second, top)
    assert told == [(m, p) for m, p in expected(old, new) if p == top or p.startswith(top + b"/")]
    assert told
    with pytest.raises(NotFoundError):
        differences(kit, first, second, b"d0")
    assert differences(kit, first, first, top)[0] == []


def saved(kit: Kit, *sources: tuple[str, dict[bytes, bytes]]) -> ListedSnapshot:
    """Back up sources, each with the paths of its files' first folders."""
    return kit.backup_source(*(MemorySource(data, name) for name, data in sources)).snapshot


def test_sources_are_compared_by_path(kit: Kit) -> None:
    """It does not matter which source has a path, and one in two sources is there once."""
    a, b = {b"a/1": b"x", b"a/2": b"y"}, {b"b/1": b"z"}
    together = saved(kit, ("all", {**a, **b}))
    apart = saved(kit, ("a", a), ("b", b))
    assert differences(kit, together, apart)[0] == []
    twice = saved(kit, ("a", a), ("b", {**b, b"a/2": b"y"}))
    assert differences(kit, twice, apart)[0] == []
    assert differences(kit, twice, saved(kit, ("a", a)))[0] == [("-", b"b/1")]
    assert differences(kit, saved(kit, ("b", b)), twice)[0] == [("+", b"a/1"), ("+", b"a/2")]


def record(*paths: bytes) -> SourceRecord:
    """Return a source of these paths."""
    empty = source_record(Root(b"", 0, 0))
    return msgspec.structs.replace(empty, paths=paths)


@pytest.mark.parametrize(
    ("sources", "overlaps"),
    [
        ([record(b"/a"), record(b"/b")], False),
        ([record(b"/a", b"/a/b")], False),
        ([record(b"/a"), record(b"/a/b")], True),
        ([record(b"/a", b"/a/b"), record(b"/a/c")], True),
        ([record(b"/a/b"), record(b"/a-b"), record(b"/a.c")], False),
        ([record(b"/"), record(b"/x")], True),
        ([record(b"/x"), record(b"/x")], True),
        ([], False),
    ],
)
def test_overlapping_sources_are_known(sources: list[SourceRecord], *, overlaps: bool) -> None:
    """Sources overlap if one saved something that another saved too."""
    assert overlap(sources) == overlaps


def test_folders_above() -> None:
    """Each folder above what was saved, once."""
    assert above([record(b"/a/b/c", b"/a/d"), record(b"/e")]) == [b"a", b"a/b"]


def test_a_damaged_part_is_not_taken_for_a_difference(kit: Kit) -> None:
    """What could not be read is said, and what the other side has there is not told as new."""
    forger = Forger(kit)
    parts = [
        (b"a", forger.leaf(b"a"), 1),
        (b"m", bytes(31) + b"\1", 2),
        (b"t", forger.leaf(b"t"), 1),
    ]
    bad = forger.commit(forger.branch(1, *parts), 2, 4)
    good = commit_tree(kit, [file_entry(path, 0) for path in (b"a", b"b", b"m", b"q", b"u")])
    told, result = differences(kit, bad, good)
    assert told == [("+", b"b"), ("-", b"t"), ("+", b"u")]
    assert [(f.snapshot, f.path) for f in result.damaged] == [(bad.short_id, b"m")]
    told, result = differences(kit, good, bad)
    assert told == [("-", b"b"), ("+", b"t"), ("-", b"u")]
    assert len(result.damaged) == 1


def test_snapshots_of_other_domains_are_compared_by_their_bytes(kit: Kit) -> None:
    """Where ids of chunks have nothing to do with each other, files are read."""
    old = {b"a": b"12345", b"b": b"same", b"c": b"x"}
    first, second = kit.backup(old).snapshot, kit.backup({**old, b"a": b"54321"}).snapshot
    elsewhere = msgspec.structs.replace(second, domain=b"another domain..")
    assert differences(kit, first, elsewhere)[0] == [("M", b"a")]
    entries = [msgspec.structs.replace(file_entry(path, 9), content=b"") for path in (b"a", b"c")]
    bad = msgspec.structs.replace(commit_tree(kit, entries), domain=b"another domain..")
    entries = [msgspec.structs.replace(entry, content=EXTENT.pack(HOLE, 9)) for entry in entries]
    told, result = differences(kit, commit_tree(kit, entries), bad)
    assert told == []
    assert [(f.snapshot, f.path) for f in result.damaged] == [
        (bad.short_id, b"a"), (bad.short_id, b"c"),
    ]  # fmt: skip


ENTRY = file_entry(b"a", 3)


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({}, None),
        ({"flags": 3}, None),
        ({"mode": 0o600}, ("U", ("mode",))),
        ({"uid": 0}, ("U", ("owner",))),
        ({"group": b"x"}, ("U", ("owner",))),
        ({"mtime_ns": 0}, ("U", ("times",))),
        ({"xattrs": ((b"user.x", b"1"),)}, ("U", ("xattrs",))),
        ({"link": b"0"}, ("U", ("links",))),
        ({"mode": 0, "mtime_ns": 1, "gid": 5}, ("U", ("mode", "owner", "times"))),
        ({"size": 4}, ("M", ())),
        ({"content": b"x", "mtime_ns": 1}, ("M", ("times",))),
        ({"kind": EntryKind.SYMLINK, "target": b"x", "size": 0}, ("U", ("type",))),
    ],
    ids=str,
)
def test_what_is_different_is_named(
    changed: dict[str, object], told: tuple[str, tuple[str, ...]] | None
) -> None:
    """Content, or the metadata that is different, or nothing."""

    def same(one: Entry, two: Entry) -> bool:
        return one.content == two.content

    change = change_of(ENTRY, msgspec.structs.replace(ENTRY, **changed), same)
    assert (change and (change.modifier.value, change.aspects)) == told


@pytest.mark.parametrize("changed", [{"target": b"y"}, {"rdev": (1, 2)}])
def test_where_a_link_leads_is_its_content(changed: dict[str, object]) -> None:
    """A link that leads elsewhere, or another device, is a change of content."""
    link = msgspec.structs.replace(ENTRY, kind=EntryKind.SYMLINK, target=b"x", size=0)
    change = change_of(link, msgspec.structs.replace(link, **changed), lambda *_: True)
    assert change is not None
    assert change.modifier.value == "M"
