"""Manifests: what they say, who else may be at work, and when they go."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

from strongroom.errors import RefusedError
from strongroom.operations.manifests import write_manifest
from strongroom.repository.manifests import drop_old_manifests, environments_of
from strongroom.storage.local import LocalStore
from strongroom.storage.memory import MemoryStore
from strongroom.system.posix import PosixFs
from strongroom.system.randomness import SystemRandomness
from tests.support.crash import SimulatedCrash
from tests.support.faulty_store import Fault, FaultyStore, Kind, Script
from tests.support.hooks import HookedStore
from tests.support.kit import Kit
from tests.support.manifests import listed_days, manifests, saved, saved_and_told

pytestmark = pytest.mark.spec("D3")
FILES = {b"secret name": b"content", b"other": b"more content"}
DAY = "production/full/2023/11/14"
LIST = f"{DAY}/backup_manifest.json"


@pytest.fixture(name="kit")
def _kit(tmp_path: Path) -> Kit:
    kit = Kit(MemoryStore(), tmp_path / "state")
    kit.init()
    return kit


def drop(kit: Kit) -> None:
    """Remove what is old, as ``prune`` does."""
    repository = kit.open()
    drop_old_manifests(repository, {"production", *environments_of(repository)})


def test_a_manifest_says_what_was_measured(kit: Kit) -> None:
    """Its counts are those of the snapshot, each object is there, with its size and hash."""
    result = saved_and_told(kit, FILES)
    ((key, said),) = manifests(kit.store).items()
    assert key == f"{DAY}/shop-production-full-20231114_221321/backup_manifest.json"
    assert (said["name"], said["id"]) == (
        "shop-production-full-20231114_221321",
        result.snapshot.id,
    )
    assert (said["status"], said["started"]) == ("complete", "2023-11-14T22:13:21.000000Z")
    assert (said["files"], said["bytes"], said["problems"]) == (2, 19, 0)
    assert (said["added_bytes"], said["stored_bytes"]) == (
        result.written.plain_bytes,
        result.written.stored_bytes,
    )
    assert [one["type"] for one in said["sources"]] == ["files"]
    for one in said["objects"]:
        data = kit.store.get(one["key"])
        assert (one["size"], one["sha256"]) == (len(data), hashlib.sha256(data).hexdigest())
    tops = {one["key"].split("/")[0] for one in said["objects"]}
    assert tops == {"packs", "index", "commits"}
    packs = [one["size"] for one in said["objects"] if one["key"].startswith("packs/")]
    assert sum(packs) == said["stored_bytes"]


def test_a_manifest_names_nothing_that_is_inside(kit: Kit) -> None:
    """No path, source, host, user, or hash of content."""
    result = saved_and_told(kit, FILES)
    text = b"".join(kit.store.get(key) for key in [LIST, *manifests(kit.store)])
    (source,) = result.snapshot.snapshot.sources
    hidden = [*FILES, source.name, b"web7", b"operator", source.root.hex().encode()]
    hidden += [hashlib.sha256(data).hexdigest().encode() for data in FILES.values()]
    assert [one for one in hidden if one in text] == []


def test_the_list_of_a_day_has_all_of_it(kit: Kit) -> None:
    """In order, and another day has its own; ``verify`` wonders about none of it."""
    for _ in range(3):
        saved_and_told(kit, FILES)
    kit.clock.sleep(86_400)
    saved_and_told(kit, FILES)
    keys = sorted(manifests(kit.store))
    assert listed_days(kit.store) == {
        LIST: keys[:3],
        "production/full/2023/11/15/backup_manifest.json": keys[3:],
    }
    found = kit.verify()
    assert found.findings == []


def test_backups_of_one_second_have_each_their_own(kit: Kit) -> None:
    """The second is told apart by its id, and each goes with its own snapshot."""
    first = saved_and_told(kit, FILES)
    second = saved_and_told(kit, FILES, 0)
    assert first.snapshot.snapshot.name == second.snapshot.snapshot.name
    ids = {key: said["id"] for key, said in manifests(kit.store).items()}
    assert sorted(ids.values()) == sorted([first.snapshot.id, second.snapshot.id])
    assert any(f"-{second.snapshot.short_id}/" in key for key in ids)
    assert listed_days(kit.store) == {LIST: sorted(ids)}
    kit.forget(first.snapshot.id)
    kit.prune()
    drop(kit)
    ((key, said),) = manifests(kit.store).items()
    assert said["id"] == second.snapshot.id
    assert listed_days(kit.store) == {LIST: [key]}


def test_what_is_written_twice_is_one(kit: Kit) -> None:
    """A request that arrived twice, or a command that is repeated, changes nothing."""
    result = saved_and_told(kit, FILES)
    before = {info.key: kit.store.get(info.key) for info in kit.store.list("production/")}
    write_manifest(kit.open(), result)
    assert {info.key: kit.store.get(info.key) for info in kit.store.list("production/")} == before


@pytest.mark.parametrize("verb", ["put", "list", "get", "delete"])
def test_another_host_at_any_moment_is_in_the_list(verb: str, tmp_path: Path) -> None:
    """Whatever request a second backup comes after: in the end the list has both."""
    struck: list[int] = []
    nth = 0
    while len(struck) == nth:
        nth += 1
        store = MemoryStore()
        one, other = Kit(store, tmp_path / f"a{nth}"), Kit(store, tmp_path / f"b{nth}")
        one.init()
        saved_and_told(one, FILES)
        other.clock.sleep(10)
        result = saved(one, FILES)

        def meanwhile(nth: int = nth, other: Kit = other) -> None:
            saved_and_told(other, FILES)
            struck.append(nth)

        hooked = HookedStore(store)
        hooked.after_nth(nth, verb, "production/", meanwhile)
        one.store = hooked
        write_manifest(one.open(), result)
        found = sorted(manifests(store))
        assert listed_days(store) == {LIST: found}, nth
        assert len(found) == 2 + (len(struck) == nth)
    assert struck


def test_manifests_go_with_their_snapshot_and_not_before(kit: Kit) -> None:
    """What is forgotten keeps its own until a collector took it; the list of an empty day goes."""
    old, new = saved_and_told(kit, FILES), saved_and_told(kit, FILES)
    kit.clock.sleep(86_400)
    latest = saved_and_told(kit, FILES)
    kit.forget(old.snapshot.id, new.snapshot.id)
    drop(kit)
    assert len(manifests(kit.store)) == 3
    kit.prune()
    drop(kit)
    ((key, said),) = manifests(kit.store).items()
    assert said["id"] == latest.snapshot.id
    assert list(listed_days(kit.store).values()) == [[key]]


def test_what_somebody_else_put_there_stays(kit: Kit) -> None:
    """Manifests of another program, or of another repository, are neither changed nor listed."""
    theirs = {
        f"{DAY}/theirs/backup_manifest.json": b'{"backup": "of another program"}\n',
        f"{DAY}/theirs/backup.tar.gz": b"archive",
        "production/full/2023/11/13/backup_manifest.json": b"\xff not even JSON",
    }
    for key, data in theirs.items():
        kit.store.put(key, data)
    result = saved_and_told(kit, FILES)
    (mine,) = [key for key, said in manifests(kit.store).items() if "id" in said]
    assert json.loads(kit.store.get(LIST))["backups"][0]["manifest"] == mine
    kit.forget(result.snapshot.id, allow_empty=True)
    kit.prune()
    drop(kit)
    left = {info.key: kit.store.get(info.key) for info in kit.store.list("production/")}
    assert left == theirs


@pytest.mark.parametrize(
    "theirs",
    [
        b'{"repository": "another", "backups": []}',
        b'{"x": ' + b"[" * 100_000,
        b'{"repository": "\xff"}',
        b"",
        b'{"name": "\\ud800"}',
    ],
    ids=["another", "deep", "binary", "empty", "surrogate"],
)
def test_a_list_that_is_not_ours_is_told_of_and_not_replaced(kit: Kit, theirs: bytes) -> None:
    """Whatever it is; the manifest is there all the same."""
    kit.store.put(LIST, theirs)
    with pytest.raises(RefusedError, match="nothing that this repository wrote"):
        saved_and_told(kit, FILES)
    assert kit.store.get(LIST) == theirs
    assert len(list(kit.store.list(f"{DAY}/"))) == 2


def test_a_removal_that_dies_is_done_by_the_next(tmp_path: Path) -> None:
    """At whatever request: nothing of a live snapshot goes, and nothing of a dead one stays."""
    made = Kit(MemoryStore(), tmp_path / "state")
    made.init()
    gone, stays = saved_and_told(made, FILES), saved_and_told(made, FILES)
    made.forget(gone.snapshot.id)
    made.prune()
    objects = {info.key: made.store.get(info.key) for info in made.store.list("")}
    nth = 0
    died = True
    while died:
        nth += 1
        store = MemoryStore()
        for key, value in objects.items():
            store.put(key, value)
        made.store = FaultyStore(store, Script(Fault(Kind.CRASH_BEFORE, nth=nth)))
        died = False
        try:
            drop(made)
        except SimulatedCrash:
            died = True
        made.store = store
        drop(made)
        assert [said["id"] for said in manifests(store).values()] == [stays.snapshot.id], nth
        assert listed_days(store) == {LIST: list(manifests(store))}, nth
    assert nth > 10


def test_a_folder_holds_them_too(tmp_path: Path) -> None:
    """Put, listed anew and removed on a disk as in memory."""
    folder = tmp_path / "repository"
    folder.mkdir()
    kit = Kit(LocalStore(PosixFs(), str(folder), SystemRandomness()), tmp_path / "state")
    kit.init()
    first, second = saved_and_told(kit, FILES), saved_and_told(kit, FILES)
    assert (folder / LIST).is_file()
    assert listed_days(kit.store) == {LIST: sorted(manifests(kit.store))}
    kit.forget(first.snapshot.id)
    kit.prune()
    drop(kit)
    assert [said["id"] for said in manifests(kit.store).values()] == [second.snapshot.id]
