"""Which snapshots are meant by names, tags, hosts and paths."""

from __future__ import annotations

import pytest

from strongroom.errors import NotFoundError
from strongroom.model.snapshot import Counts, ListedSnapshot, Snapshot, SourceRecord, Stream
from strongroom.operations.choosing import Choice, choose

pytestmark = pytest.mark.spec("B1")


def listed(digit: str, host: bytes, path: bytes, *tags: bytes) -> ListedSnapshot:
    """Return a snapshot of one path."""
    source = SourceRecord(b"", b"files", 1, (path,), b"", 0, 0, b"", Counts(), Stream())
    snapshot = Snapshot(b"", b"", b"", host, b"", tags, 0, 0, b"", (source,))
    return ListedSnapshot(digit * 32, "", "", b"", snapshot)


A = listed("a", b"one", b"/srv/app", b"nightly")
B = listed("b", b"two", b"/srv", b"nightly", b"kept")
C = listed("c", b"one", b"/", b"weekly")


@pytest.mark.parametrize(
    ("choice", "found"),
    [
        (Choice(), [A, B, C]),
        (Choice(tags=[b"nightly"]), [A, B]),
        (Choice(tags=[b"kept", b"weekly"]), [B, C]),
        (Choice(tags=[b"night"]), []),
        (Choice(hosts=[b"one"]), [A, C]),
        (Choice(hosts=[b"one"], tags=[b"nightly"]), [A]),
        (Choice(paths=[b"/srv/app/x"]), [A, B, C]),
        (Choice(paths=[b"/srv/app/../app"]), [A, B, C]),
        (Choice(paths=[b"/srv/apple"]), [B, C]),
        (Choice(paths=[b"/etc"]), [C]),
        (Choice(names=["latest"]), [C]),
        (Choice(names=["latest"], hosts=[b"two"]), [B]),
        (Choice(names=["cc", "aa", "latest"]), [A, C]),
    ],
)
def test_choices(choice: Choice, found: list[ListedSnapshot]) -> None:
    """Of each kind one is enough, every kind must fit, and names are looked up among the rest."""
    assert choose([A, B, C], choice) == found


@pytest.mark.parametrize("choice", [Choice(names=["ff"]), Choice(names=["bb"], hosts=[b"one"])])
def test_a_name_that_none_has(choice: Choice) -> None:
    """A name is an error where nothing fits it; a filter is not."""
    with pytest.raises(NotFoundError):
        choose([A, B, C], choice)
