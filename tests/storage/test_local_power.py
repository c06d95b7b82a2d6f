"""The store in a folder, when the power fails after any call."""

from __future__ import annotations

import os
from contextlib import closing
from pathlib import Path
from typing import Final, NamedTuple

import pytest

from strongroom.errors import ObjectExistsError
from strongroom.storage.local import LocalStore
from strongroom.system.posix import PosixFs
from strongroom.system.randomness import SystemRandomness
from tests.storage.local_stores import RUNGS, faulty_local_store, local_store
from tests.support.faulty_fs import Call, faulty_fs
from tests.support.power_loss import durable_after

pytestmark = pytest.mark.spec("B1")

VALUES: Final = {
    "config": b"c" * 10,
    "packs/ab/one": b"1" * 3000,
    "packs/ab/two": b"2" * 1000,
    "packs/cd/three": b"",
    "commits/main/four": b"4",
}


class Run(NamedTuple):
    """The calls of a series of puts, and after how many of them each put had returned."""

    calls: list[Call]
    returned: dict[str, int]


def recorded(root: Path, rung: str, most_written: int | None) -> Run:
    """Put every value, into folders of which some exist, and return what was called."""
    (root / "packs" / "cd").mkdir(parents=True)
    (root / "commits").mkdir()
    store, faulty = faulty_local_store(root, lacks=RUNGS[rung], most_written=most_written)
    returned = {}
    with closing(store):
        for key, value in VALUES.items():
            store.put(key, value)
            returned[key] = len(faulty.trace)
    return Run(faulty.trace, returned)


@pytest.fixture(
    name="run", params=[(rung, most) for rung in RUNGS for most in (None, 900)], ids=str
)
def _run(request: pytest.FixtureRequest, tmp_path: Path) -> Run:
    return recorded(tmp_path / "store", *request.param)


def objects(found: dict[bytes, bytes]) -> dict[str, bytes]:
    """Return what is an object and no temporary file."""
    return {
        path.decode(): value
        for path, value in found.items()
        if not path.rpartition(b"/")[2].startswith(b".tmp-")
    }


def test_what_was_acknowledged_survives(run: Run) -> None:
    """After any call from the return of a put on, a power cut leaves its object, whole.

    Also below folders that somebody else made and may not have made durable.
    """
    for key, returned in run.returned.items():
        for end in range(returned, len(run.calls) + 1):
            certain = objects(durable_after(run.calls[:end]).certain)
            assert certain.get(key) == VALUES[key], f"{key} after call {end}"


def test_no_object_is_ever_torn(run: Run) -> None:
    """Whatever call is the last, and whichever names come through: every object is whole."""
    for end in range(len(run.calls) + 1):
        for key, value in objects(durable_after(run.calls[:end]).possible).items():
            assert value == VALUES[key], f"{key} after call {end}: {run.calls[end - 1]}"


def test_a_finished_put_leaves_nothing_else(run: Run) -> None:
    """Between puts a power cut leaves no temporary file."""
    for end in run.returned.values():
        assert not [path for path in durable_after(run.calls[:end]).certain if b".tmp-" in path]


@pytest.mark.parametrize("rung", RUNGS)
def test_a_key_that_is_taken_survives_too(tmp_path: Path, rung: str) -> None:
    """ObjectExistsError says that there is an object: after it, a power cut leaves that object.

    Here another process has just put it, and neither its name nor its folders are durable.
    """
    root = tmp_path / "store"
    with closing(local_store(root)) as other:
        other.put("packs/ab/one", b"other")
    store, faulty = faulty_local_store(root, lacks=RUNGS[rung])
    with closing(store), pytest.raises(ObjectExistsError):
        store.put("packs/ab/one", b"mine")
    assert synced_folders(faulty.trace) == ["", "packs", "packs/ab"]


@pytest.mark.parametrize(
    ("prefixes", "expected"),
    [
        (["packs/"], {"", "packs", "packs/ab", "packs/cd"}),
        (["packs/ab/"], {"", "packs", "packs/ab"}),
        (["packs/", "index/"], {"", "packs", "packs/ab", "packs/cd", "index"}),
        ([""], {"", "packs", "packs/ab", "packs/cd", "index", "commits", "commits/main"}),
        (["none/"], set()),
        ([], set()),
    ],
)
def test_sync_reaches_every_folder(tmp_path: Path, prefixes: list[str], expected: set[str]) -> None:
    """``sync`` makes durable each folder below the prefixes and each one above, once."""
    root = tmp_path / "store"
    with closing(local_store(root)) as other:
        for key in ("packs/ab/one", "packs/cd/two", "index/three", "commits/main/four"):
            other.put(key, b"x")
    store, faulty = faulty_local_store(root)
    with closing(store):
        store.sync(prefixes)
    synced = synced_folders(faulty.trace)
    assert len(synced) == len(expected)
    assert set(synced) == expected


def test_a_new_root_survives(tmp_path: Path) -> None:
    """Each folder that ``create_root`` makes is synced into the one above before the next."""
    fs, faulty = faulty_fs(PosixFs())
    with closing(LocalStore(fs, str(tmp_path / "a" / "b" / "c"), SystemRandomness())) as store:
        store.create_root()
    steps = [call for call in faulty.trace if call.what in {"mkdir", "fsync"}]
    assert [call.what for call in steps] == ["mkdir", "fsync"] * 3
    for made, synced in zip(steps[::2], steps[1::2], strict=True):
        assert made.named["dir_fd"] == synced.arguments[0]


def test_a_delete_survives(tmp_path: Path) -> None:
    """The fsync of the folder follows the unlink."""
    root = tmp_path / "store"
    with closing(local_store(root)) as other:
        other.put("packs/ab/one", b"x")
    store, faulty = faulty_local_store(root)
    with closing(store):
        store.delete("packs/ab/one")
    done = [call.what for call in faulty.trace]
    assert done.index("unlink") < done.index("fsync")
    assert synced_folders(faulty.trace) == ["packs/ab"]


def synced_folders(calls: list[Call]) -> list[str]:
    """Return the path of the folder of each fsync, in order; files are left out."""
    paths: dict[int, str | None] = {}
    synced = []
    for call in calls:
        if call.what == "open":
            above = call.named.get("dir_fd")
            name = os.fsdecode(call.arguments[0])
            paths[call.result] = "" if above is None else f"{paths[above]}/{name}".strip("/")
        elif call.what in {"create", "create_unnamed"}:
            paths[call.result] = None
        elif call.what == "fsync":
            synced.append(paths[call.arguments[0]])
    return [path for path in synced if path is not None]
