"""Every key has a name of its own in a folder, and the name gives the key back."""

from __future__ import annotations

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from strongroom.model.entry import Entry, EntryKind, sort_key
from strongroom.operations.objects_as_files import Names, as_files, key_of
from tests.support.buckets import ODD_KEYS

PIECES = st.sampled_from([b"", b".", b"..", b"a", b"b", b"a%d", b"%", b"%+", b"\0", b"k" * 201])
KEYS = st.lists(PIECES, min_size=1, max_size=5).map(b"/".join).filter(bool)


def names_of(keys: set[bytes]) -> dict[bytes, bytes]:
    """Return the names of keys, by key."""
    names = Names()
    return {key: names.name(key) for key in sorted(keys)}


@given(st.sets(KEYS | st.binary(min_size=1, max_size=500), max_size=30))
def test_names_are_paths_that_say_their_keys(keys: set[bytes]) -> None:
    """None leads out, none is a folder of another, and none is too long."""
    found = names_of(keys)
    assert {key: key_of(name) for key, name in found.items()} == {key: key for key in keys}
    paths = set(found.values())
    for path in paths:
        pieces = path.split(b"/")
        assert not {b"", b".", b".."} & set(pieces)
        assert b"\0" not in path
        assert all(len(piece) <= 255 for piece in pieces)
        assert not any(b"/".join(pieces[:count]) in paths for count in range(1, len(pieces)))


def test_most_keys_are_paths_already() -> None:
    """They keep their names."""
    keys = {b"a/b.txt", "\u65e5/\u672c".encode(), b"x y/+&=.z", b".hidden/..b"}
    assert names_of(keys) == {key: key for key in keys}


def test_entries_come_in_the_order_of_paths_below_their_folders() -> None:
    """A restore takes them in no other order; only objects have what S3 said of them."""
    top = b"s3/x/objects/"
    keys = sorted(key.encode() for key in ODD_KEYS)
    empty = Entry(b"", EntryKind.FILE, 0o600, 0, 0, b"", b"", 0, 0, xattrs=((b"s3.etag", b"e"),))
    entries = [msgspec.structs.replace(empty, path=top + key) for key in keys]
    below = list(as_files([entries], top.removesuffix(b"/"), b"s3/x/objects"))
    assert all(entry.path.startswith(top) for entry in below)
    found = list(as_files([entries], b"", b""))
    order = [sort_key(entry.path) for entry in found]
    assert order == sorted(set(order))
    folders = {entry.path for entry in found if entry.kind == EntryKind.DIRECTORY}
    for entry in found:
        parent = entry.path.rpartition(b"/")[0]
        assert not parent or parent in folders
        assert bool(entry.xattrs) == (entry.kind == EntryKind.FILE)
    files = [entry for entry in found if entry.kind == EntryKind.FILE]
    assert sorted(key_of(entry.path) for entry in files) == [top + key for key in keys]
