"""Hints of what is unusual about a backup."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from strongroom.operations.anomalies import Current, Earlier, anomalies
from strongroom.storage.memory import MemoryStore
from tests.support.kit import Kit

DAY_NS = 86_400 * 10**9
NOW_NS = 100 * DAY_NS


def _earlier(
    *sizes: int, files: int = 100, days_apart: int = 1, root: bytes = b""
) -> list[Earlier]:
    """Return a snapshot for each size, the last one ``days_apart`` before now."""
    count = len(sizes)
    return [
        Earlier(NOW_NS - (count - i) * days_apart * DAY_NS, root or b"%d" % i, files, size)
        for i, size in enumerate(sizes)
    ]


def _current(
    size: int, *, files: int = 100, root: bytes = b"now", changed: int = 0, added: int = 0
) -> Current:
    return Current(NOW_NS, root, files, size, changed, added)


def _kinds(earlier: Sequence[Earlier], current: Current) -> list[str]:
    return [one.kind for one in anomalies(earlier, current)]


@pytest.mark.parametrize("count", [0, 1, 2])
def test_nothing_is_said_of_the_first_backups(count: int) -> None:
    """With fewer than three earlier snapshots nothing is usual yet."""
    worst = _current(0, files=0, root=b"0", changed=100, added=1)
    assert _kinds(_earlier(*[1000] * count, days_apart=30, root=b"0"), worst) == []


@pytest.mark.parametrize(
    ("sizes", "size", "expected"),
    [
        ([1000, 1000, 1000], 499, ["smaller"]),
        ([1000, 1000, 1000], 500, []),
        ([1000, 1000, 1000], 5000, []),
        ([10, 1000, 1000, 1000], 499, ["smaller"]),
        ([1000, 1000, 400, 400, 400], 300, []),
        ([10**9] * 3 + [1000] * 10, 600, []),
        ([0, 0, 0], 0, []),
    ],
)
def test_half_as_large_as_usual(sizes: list[int], size: int, expected: list[str]) -> None:
    """Against the median of the last ten, so that one odd snapshot decides nothing."""
    assert _kinds(_earlier(*sizes), _current(size)) == expected


def test_half_as_many_files_as_usual() -> None:
    """Also where the few that are left are the large ones; told of once."""
    earlier = _earlier(1000, 1000, 1000)
    assert _kinds(earlier, _current(900, files=49)) == ["fewer_files"]
    assert _kinds(earlier, _current(100, files=49)) == ["smaller"]
    assert anomalies(earlier, _current(100))[0].text == "90% smaller than the last 3 usually"


def test_nothing_changed_for_two_weeks() -> None:
    """Counted from the first of the snapshots that are all the same."""
    same = _current(1000, root=b"same")
    rested = _earlier(1000, 1000, 1000, 1000, days_apart=4, root=b"same")
    assert _kinds(rested, same) == ["unchanged"]
    assert _kinds(rested[1:], same) == []
    assert _kinds(rested, _current(1000)) == []
    broken = [*rested[:2], rested[2]._replace(root=b"other"), rested[3]]
    assert _kinds(broken, same) == []


def test_most_files_rewritten() -> None:
    """More than half changed, and most of the bytes were nowhere before."""
    earlier = _earlier(1000, 1000, 1000)
    assert _kinds(earlier, _current(1000, changed=51, added=501)) == ["rewritten"]
    assert _kinds(earlier, _current(1000, changed=50, added=1000)) == []
    assert _kinds(earlier, _current(1000, changed=100, added=500)) == []  # new modes, not new bytes
    few = _earlier(1000, 1000, 1000, files=19)
    assert _kinds(few, _current(1000, files=19, changed=19, added=1000)) == []


def test_a_clock_that_went_back() -> None:
    """Snapshots from the future are no reason for a hint."""
    ahead = [Earlier(NOW_NS + i * 30 * DAY_NS, b"same", 1, 1) for i in range(3)]
    assert _kinds(ahead, _current(1, files=1, root=b"same")) == []


def test_a_backup_says_what_is_unusual(tmp_path: Path) -> None:
    """Through the engine: the history is that of the source, whatever others did meanwhile."""
    kit = Kit(MemoryStore(), tmp_path)
    kit.init()
    files = {b"f%d" % i: bytes([i]) * 1000 for i in range(40)}
    for _ in range(3):
        assert kit.backup(files).anomalies == ()
        assert kit.backup({b"x": b"1"}, "other").anomalies == ()
    few = dict(list(files.items())[:10])
    assert [one.kind for one in kit.backup(few).anomalies] == ["smaller"]
    assert kit.backup(files, "another").anomalies == ()
    other = {path: bytes([i + 100]) * 1000 for i, path in enumerate(files)}
    assert kit.backup(files).anomalies == ()
    result = kit.backup(other)
    assert [one.kind for one in result.anomalies] == ["rewritten"]
    assert result.changed == 40
    kit.clock.sleep(15 * 86_400)
    assert [one.kind for one in kit.backup(other).anomalies] == ["unchanged"]
