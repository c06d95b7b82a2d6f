"""Which keys of a bucket a restore looks at: those that the snapshot would have, and no other."""

from __future__ import annotations

import pytest

from strongroom.model.snapshot import ListedSnapshot, Snapshot
from strongroom.operations.bucket_restore import Chosen
from strongroom.repository.tree import Root
from tests.support.forging import source_record

LISTED = ListedSnapshot("a" * 32, "", "", b"", Snapshot(b"", b"", b"", b"", b"", (), 0, 0, b"", ()))
SOURCE = source_record(Root(b"", 0, 0))

KEYS = [
    b"d",
    b"d/2023/a",
    b"d/2024",
    b"d/2024/",
    b"d/2024/a",
    b"d/2024/a/b",
    b"d/2024/ab",
    b"d/2024x",
    b"d/2025/a",
    b"e",
]


@pytest.mark.parametrize("prefix", [b"", b"p/", b"d/2024/", b"x"])
@pytest.mark.parametrize(
    ("within", "key", "expected"),
    [
        (b"", b"", KEYS),
        (b"", b"d/2024", [b"d/2024", b"d/2024/", b"d/2024/a", b"d/2024/a/b", b"d/2024/ab"]),
        (b"d/2024/", b"", [b"d/2024/", b"d/2024/a", b"d/2024/a/b", b"d/2024/ab"]),
        (b"d/2024/", b"d/", [b"d/2024/", b"d/2024/a", b"d/2024/a/b", b"d/2024/ab"]),
        (b"d/2024/", b"d", [b"d/2024/", b"d/2024/a", b"d/2024/a/b", b"d/2024/ab"]),
        (b"d/2024/", b"d/2024", [b"d/2024/", b"d/2024/a", b"d/2024/a/b", b"d/2024/ab"]),
        (b"d/2024/", b"d/2024/a", [b"d/2024/a", b"d/2024/a/b"]),
        (b"d/2024/", b"d/2023/", []),
        (b"d/2024/", b"d/2024x", []),
        (b"d/2024/a", b"", [b"d/2024/a", b"d/2024/a/b", b"d/2024/ab"]),
        (b"d/2024/a", b"d/2024/a", [b"d/2024/a", b"d/2024/a/b"]),
        (b"d/2024/a", b"d/", [b"d/2024/a", b"d/2024/a/b", b"d/2024/ab"]),
        (b"d/2024/a", b"d/2024/ab", [b"d/2024/ab"]),
    ],
)
def test_what_was_saved_and_asked_for(
    within: bytes, key: bytes, expected: list[bytes], prefix: bytes
) -> None:
    """A key is one of the snapshot's if it is within both; such keys begin with the scope."""
    chosen = Chosen(listed=LISTED, source=SOURCE, top=b"", key=key, within=within, prefix=prefix)
    found = [one for one in KEYS if chosen.has(prefix + one)]
    assert found == expected
    assert all((prefix + one).startswith(chosen.scope) for one in found)
    assert not prefix or not any(chosen.has(one) for one in (b"", b"q/d/2024/a", prefix[:-1]))
