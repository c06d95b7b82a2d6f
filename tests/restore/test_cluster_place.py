"""Directories of a cluster change places wholly or not at all, wherever that is cut."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest

from strongroom.errors import RefusedError
from strongroom.model.fs import Fs
from strongroom.restore.cluster.place import (
    Move,
    Swap,
    durable,
    is_half_done,
    settle,
    staged_beside,
)
from strongroom.system.posix import PosixFs
from tests.support.crash import SimulatedCrash
from tests.support.faulty_fs import FsFault, faulty_fs

pytestmark = pytest.mark.spec("C7")


def _made(top: Path) -> tuple[Path, list[Move]]:
    """Make an old data directory with two tablespaces, one of them new, and what was restored."""
    data = top / "data"
    moves = []
    for place, old in ((top / "s1/PG", True), (top / "s2/PG", False), (data, True)):
        place.parent.mkdir(parents=True, exist_ok=True)
        staged = staged_beside(place)
        staged.mkdir()
        (staged / "what").write_text("new")
        if old:
            place.mkdir()
            (place / "what").write_text("old")
        moves.append(Move(str(staged), str(place), f"{place}.before" if old else ""))
    return data, moves


def _state(top: Path) -> dict[str, str]:
    return {
        str(path.parent.relative_to(top)): path.read_text() for path in sorted(top.rglob("what"))
    }


OLD = {"data": "old", "s1/PG": "old"}
NEW = {"data": "new", "s1/PG": "new", "s2/PG": "new", "data.before": "old", "s1/PG.before": "old"}


def _swap(fs: Fs, top: Path) -> Path:
    data, moves = _made(top)
    Swap(fs, data, moves).carry_out()
    return data


def test_everything_takes_its_place(tmp_path: Path) -> None:
    """What was there is beside it, and taking it back leaves nothing of what was restored."""
    data, moves = _made(tmp_path)
    swap = Swap(PosixFs(), data, moves)
    swap.carry_out()
    assert _state(tmp_path) == NEW
    swap.take_back()
    assert _state(tmp_path) == OLD
    assert not is_half_done(data)


def _mutations(top: Path) -> int:
    fs, counted = faulty_fs(PosixFs())
    _swap(fs, top)
    return counted.mutations


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_crash_at_every_step(tmp_path: Path, when: str) -> None:
    """The old one is there always, and what runs next finds one or the other, whole."""
    for nth in range(1, _mutations(tmp_path / "count") + 1):
        top = tmp_path / f"{when}{nth}"
        fs, _ = faulty_fs(PosixFs(), FsFault("crash", nth, when=when))  # type: ignore[arg-type]
        with pytest.raises(SimulatedCrash):
            _swap(fs, top)
        assert "old" in {text for path, text in _state(top).items() if path.startswith("data")}
        put_back = settle(PosixFs(), top / "data")
        state = _state(top)
        if not put_back and "data.strongroom-recovering" in state:  # before the journal was there
            state = {path: text for path, text in state.items() if "recovering" not in path}
        assert state in (OLD, NEW), nth
        assert not is_half_done(top / "data")
        assert settle(PosixFs(), top / "data") is False


def test_a_crash_while_it_is_taken_back(tmp_path: Path) -> None:
    """Taking back is cut too, and the next attempt ends it."""
    for nth in range(1, 20):
        top = tmp_path / str(nth)
        broken, _ = faulty_fs(PosixFs(), FsFault("crash", 9))
        with pytest.raises(SimulatedCrash):
            _swap(broken, top)
        fs, _ = faulty_fs(PosixFs(), FsFault("crash", nth))
        try:
            settle(fs, top / "data")
        except SimulatedCrash:
            settle(PosixFs(), top / "data")
        state = {path: text for path, text in _state(top).items() if "recovering" not in path}
        assert state == OLD, nth


def test_an_error_at_every_step(tmp_path: Path) -> None:
    """Whatever the disk says, everything is as it was, and it is said."""
    for nth in range(1, _mutations(tmp_path / "count") + 1):
        top = tmp_path / str(nth)
        fs, _ = faulty_fs(PosixFs(), FsFault("error", nth, number=errno.EIO))
        with pytest.raises(RefusedError, match="as it was"):
            _swap(fs, top)
        assert _state(top) == OLD, nth


def test_what_was_done_wholly_stays(tmp_path: Path) -> None:
    """A recovery that was killed after the renames: somebody may have gone on with the new one."""
    data = _swap(PosixFs(), tmp_path)
    assert is_half_done(data)
    assert settle(PosixFs(), data) is False
    assert _state(tmp_path) == NEW


@pytest.mark.parametrize("name", ["data.before", "s1/PG.before", "s2/PG"])
def test_a_name_that_is_taken(tmp_path: Path, name: str) -> None:
    """Nothing is changed, and what has the name is not taken for what was moved aside."""
    data, moves = _made(tmp_path)
    (tmp_path / name).mkdir(parents=True)
    (tmp_path / name / "what").write_text("somebody else's")
    before = _state(tmp_path)
    with pytest.raises(RefusedError, match="exists already"):
        Swap(PosixFs(), data, moves).carry_out()
    assert _state(tmp_path) == before
    assert not is_half_done(data)


def test_what_is_written_meanwhile_is_made_durable_by_who_was_there_before(tmp_path: Path) -> None:
    """An error of the disk is told to descriptors that were open; what failed is made nothing."""
    fs, faults = faulty_fs(PosixFs())
    with durable(fs, tmp_path):
        fs.mkdir(bytes(tmp_path / "a"), 0o700)
    assert [call.what for call in faults.trace] == ["open", "mkdir", "syncfs", "close"]
    fs, faults = faulty_fs(PosixFs())
    with pytest.raises(RefusedError), durable(fs, tmp_path):
        raise RefusedError("no")
    assert [call.what for call in faults.trace] == ["open", "close"]
    fs, faults = faulty_fs(PosixFs(), FsFault("error", 1, frozenset({"syncfs"}), number=errno.EIO))
    with pytest.raises(OSError, match="Input/output error"), durable(fs, tmp_path):
        pass
    assert faults.trace[-1].what == "close"
