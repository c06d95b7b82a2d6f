"""Damage to any object is found and named; what can be restored is restored, and no more."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pytest

from strongroom.operations.keys import add_key
from strongroom.repository.envelope import Kind
from strongroom.repository.records import SlotKind, SlotRole
from strongroom.repository.slots import Secret
from strongroom.repository.tagging import TagEdit, plan_tags, put_tags
from strongroom.storage.memory import MemoryStore
from tests.faults.damage import FIRST, SECOND, build, flipped
from tests.faults.workloads import objects_of, store_of
from tests.recover.harness import DAMAGED, DONE, NO_REPOSITORY, Recovery
from tests.support.kit import Kit
from tests.support.noise import noise
from tests.support.runs import put_done, put_removals

pytestmark = pytest.mark.spec("B7", "B10")

HEADER: Final = 188  # of a pack
KINDS: Final = (
    *("config of init", "slot 2 of init", "writer of init", "session of first"),
    *("heartbeat of first", "commit of first", "commit of failed", "index of first"),
    *("pack of first", "order of slot", "slot of slot", "order of tag"),
    *("tombs", "kills", "done"),
)


@dataclass(frozen=True)
class Base:
    """A repository: objects, a name for each key, and files by id of snapshot, oldest first."""

    objects: Mapping[str, bytes]
    names: Mapping[str, str]
    files: Mapping[str, Mapping[bytes, bytes]]

    def key(self, name: str) -> str:
        """Return the key that has this name."""
        (found,) = [key for key, other in self.names.items() if other == name]
        return found


@pytest.fixture(name="base", scope="module")
def _base(tmp_path_factory: pytest.TempPathFactory) -> Base:
    """What ``build`` makes, and orders and a collector run that took nothing."""
    folder = tmp_path_factory.mktemp("base")
    made = build(folder / "made")
    names = dict(made.names)
    kit = Kit(store_of(made.objects), folder / "made")

    def name_new(step: str) -> None:
        for key in objects_of(kit.store).keys() - names.keys():
            names[key] = f"{key.partition('/')[0].removesuffix('s')} of {step}"

    add_key(kit.open(), Secret(SlotKind.KEY_FILE, noise(32, "another")), SlotRole.READER)
    name_new("slot")
    repository = kit.open()
    listing = repository.list_snapshots()
    edit = TagEdit(frozenset({b"tagged"}))
    put_tags(repository, listing, plan_tags(listing.found, listing.additions, edit))
    name_new("tag")
    for kind in (Kind.TOMBS, Kind.KILLS):
        names[put_removals(kit, 1, kind)] = kind.name.lower()
    names[put_done(kit, 1)] = "done"
    return Base(objects_of(kit.store), names, made.acknowledged)


def damaged(recovery: Recovery, base: Base, changes: Mapping[str, bytes | None]) -> None:
    """Write the repository, with other bytes, or none, for some of its keys."""
    shutil.rmtree(recovery.repository, ignore_errors=True)
    changed = {**base.objects, **changes}
    recovery.put({key: value for key, value in changed.items() if value is not None})


def middle(value: bytes) -> bytes:
    """Change a bit in the middle."""
    return flipped(value, len(value) // 2, 3)


HOW: Final[dict[str, Callable[[bytes], bytes]]] = {
    "middle": middle,
    "truncated": lambda value: value[: len(value) * 2 // 3],
    "empty": lambda _value: b"",
}


def test_the_repository_is_in_order(base: Base, recovery: Recovery) -> None:
    """Before anything is damaged, nothing is found, although sessions broke off in it."""
    recovery.put(base.objects)
    assert "no damage found: 2 snapshots, 5 packs, every byte" in recovery.good("verify").out
    assert [one["tags"] for one in recovery.good("list", "--json").records] == [["tagged"]] * 2


@pytest.mark.parametrize("how", HOW)
@pytest.mark.parametrize("name", KINDS)
def test_damage_to_any_kind_of_object_is_found(
    base: Base, recovery: Recovery, name: str, how: str
) -> None:
    """Verify ends with 4 and names the object; of a config that may be of another program, 10."""
    key = base.key(name)
    damaged(recovery, base, {key: HOW[how](base.objects[key])})
    result = recovery.run("verify")
    assert result.code in ({DAMAGED, NO_REPOSITORY} if name == "config of init" else {DAMAGED})
    assert key in f"{result.out}{result.err}"


@pytest.mark.parametrize(
    "name",
    ["slot 2 of init", "writer of init", "commit of first", "pack of first", "index of first"],
)
def test_what_is_gone_is_missed(base: Base, recovery: Recovery, name: str) -> None:
    """Slots by config, writers and packs by commits, commits by others, the index by trees."""
    key = base.key(name)
    damaged(recovery, base, {key: None})
    result = recovery.run("verify")
    assert result.code == DAMAGED
    assert any(line.startswith((f"{key}: ", "index: ")) for line in result.damage)


def test_swapped_objects_are_found(base: Base, recovery: Recovery) -> None:
    """An object at the key of another of its kind is none."""
    one, other = base.key("pack of first"), base.key("pack of second")
    sessions = base.key("session of first"), base.key("session of second")
    swapped = {one: base.objects[other], other: base.objects[one]}
    swapped |= {sessions[0]: base.objects[sessions[1]]}
    damaged(recovery, base, swapped)
    result = recovery.run("verify")
    assert result.code == DAMAGED
    assert {line.partition(": ")[0] for line in result.damage} >= {one, other, sessions[0]}


def test_a_report_names_the_files_and_snapshots(base: Base, recovery: Recovery) -> None:
    """Each file that is hit, in each snapshot; the other files of the pack are not named."""
    key = base.key("pack of second")
    damaged(recovery, base, {key: flipped(base.objects[key], HEADER + 30, 0)})
    first, second = base.files
    hit = [line for line in recovery.run("verify").damage if line.startswith("snapshot ")]
    assert hit
    assert all(line.startswith(f"snapshot {second[:8]}: a/") for line in hit)
    assert recovery.run("verify", first).code == DONE
    assert recovery.run("verify", second).code == DAMAGED


def _gone(_value: bytes) -> None:
    return None


@pytest.mark.parametrize("how", [middle, HOW["truncated"], _gone], ids=["bit", "truncated", "gone"])
def test_without_the_index_everything_is_restored(
    base: Base, recovery: Recovery, how: Callable[[bytes], bytes | None]
) -> None:
    """The footers of the packs say the same; that they were read is told."""
    segments = {key: how(value) for key, value in base.objects.items() if key.startswith("index/")}
    damaged(recovery, base, segments)
    for snapshot, files in base.files.items():
        result, restored = recovery.restored(snapshot, snapshot)
        assert (result.code, restored) == (DONE, files)
        assert "index: names 5 of 5 packs nowhere; their own footers were read" in result.err
    assert recovery.run("verify").code == DAMAGED


def test_of_a_damaged_pack_the_rest_is_restored(kit: Kit, recovery: Recovery) -> None:
    """A file that is not whole has another name and holes where it is damaged, and is named."""
    size = 12 << 20
    files = {b"large": noise(size), b"a/small": b"small", b"z": b""}
    snapshot = kit.backup(files).snapshot.id
    recovery.copy(kit.store)
    (pack,) = recovery.repository.glob("packs/*/*")
    value = pack.read_bytes()
    pack.write_bytes(flipped(value, len(value) * 2 // 3, 0))
    result, restored = recovery.restored(snapshot)
    assert result.code == DAMAGED
    partial = restored.pop(b"large.partial")
    assert restored == {b"a/small": b"small", b"z": b""}
    blocks = range(0, size, 4096)
    lost = [at for at in blocks if partial[at : at + 4096] != files[b"large"][at : at + 4096]]
    assert len(partial) == size
    assert 256 << 10 <= 4096 * len(lost) <= 6 << 20
    assert not any(partial[at : at + 4096].strip(b"\0") for at in lost[1:-1])
    (told,) = [line for line in result.damage if line.startswith("large: ")]
    assert told.partition(" of ")[2].startswith(f"{size:,} bytes are lost, from byte ")
    assert (recovery.folder / "restored/large.partial").stat().st_blocks * 512 < size


def test_a_damaged_footer_costs_nothing_while_there_is_an_index(
    base: Base, recovery: Recovery
) -> None:
    """And where there is none, only what was in this pack."""
    key = base.key("pack of second")
    footer = {key: flipped(base.objects[key], len(base.objects[key]) - 30, 0)}
    damaged(recovery, base, footer)
    snapshot = list(base.files)[1]
    result, restored = recovery.restored(snapshot)
    assert (result.code, restored) == (DONE, SECOND)
    assert key in result.err
    damaged(recovery, base, footer | {base.key("index of second"): None})
    result, restored = recovery.restored(snapshot, "without")
    assert (result.code, restored) == (DAMAGED, {})
    assert recovery.restored(next(iter(base.files)), "first")[1] == FIRST


def test_another_pack_that_holds_a_chunk_is_asked(kit: Kit, recovery: Recovery) -> None:
    """A chunk that was stored twice survives the damage to one of its packs."""
    files = {b"twice": noise(5000)}
    kit.backup(files)
    hidden = {
        key: value for key, value in objects_of(kit.store).items() if key.startswith("index/")
    }
    packs = {key for key in objects_of(kit.store) if key.startswith("packs/")}
    for key in hidden:
        kit.store.delete(key)
    other = Kit(kit.store, recovery.folder / "other")
    snapshot = other.backup(files | {b"new": b"new"}).snapshot.id
    for key, value in hidden.items():
        kit.store.put(key, value)
    recovery.copy(kit.store)
    for key in packs:
        recovery.put({key: flipped(kit.store.get(key), HEADER + 40, 1)})
    result, restored = recovery.restored(snapshot)
    assert (result.code, restored) == (DONE, files | {b"new": b"new"})
    assert recovery.run("verify").code == DAMAGED


def test_a_partial_file_takes_the_name_of_no_other(kit: Kit, recovery: Recovery) -> None:
    """Where the snapshot holds a file of that name, both are there, and the whole one has it."""
    files = {b"x" * 250: noise(3000, "1"), b"b": noise(1 << 20, "2"), b"b.partial": b"whole"}
    kit.backup({path: files[path] for path in (b"x" * 250, b"b")})
    lost = {key for key in objects_of(kit.store) if key.startswith("packs/")}
    snapshot = kit.backup(files).snapshot.id
    recovery.copy(kit.store)
    for key in lost:
        recovery.put({key: flipped(kit.store.get(key), HEADER + 40, 1)})
        both = flipped((recovery.repository / key).read_bytes(), (1 << 20) + 300, 1)
        recovery.put({key: both})
    result, restored = recovery.restored(snapshot)
    assert result.code == DAMAGED
    assert restored[b"b.partial"] == b"whole"
    assert restored.keys() == {b"x" * 240 + b".partial", b"b.partial", b"b.partial+"}


def test_a_config_with_a_damaged_signature_still_opens(base: Base, recovery: Recovery) -> None:
    """The slot that opens is bound to what config says, and so vouches for it."""
    damaged(recovery, base, {"config": flipped(base.objects["config"], -1, 0)})
    snapshot, files = next(iter(base.files.items()))
    result, restored = recovery.restored(snapshot)
    assert (result.code, restored) == (DONE, files)
    assert [line.partition(": ")[0] for line in result.damage] == ["config"]


def test_snapshots_of_a_lost_writer_are_still_restored(base: Base, recovery: Recovery) -> None:
    """Who signed them cannot be proven, which is told; what they hold is."""
    damaged(recovery, base, {base.key("writer of init"): None})
    snapshot, files = next(iter(base.files.items()))
    result, restored = recovery.restored(snapshot)
    assert (result.code, restored) == (DONE, files)
    assert result.damage[0].startswith(base.key("writer of init"))


def test_a_damaged_slot_stops_no_other_key(base: Base, recovery: Recovery) -> None:
    """The recovery key opens what the key file does not open any more."""
    key = base.key("slot of init")
    damaged(recovery, base, {key: middle(base.objects[key])})
    refused = recovery.run("list")
    assert refused.code == 12
    assert refused.damage[0].startswith(f"{key}: ")
    other = Recovery(recovery.folder, Secret(SlotKind.KEY_FILE, noise(32, "another")))
    assert other.run("list").code == DAMAGED
    assert other.restored(next(iter(base.files)))[1] == FIRST


def test_the_latest_is_told_to_be_doubtful_where_a_commit_cannot_be_read(
    base: Base, recovery: Recovery
) -> None:
    """It may have been the latest."""
    key = base.key("commit of second")
    damaged(recovery, base, {key: middle(base.objects[key])})
    result, restored = recovery.restored("latest")
    assert (result.code, restored) == (DONE, FIRST)
    assert "latest: 1 commit(s) cannot be read, and one may be newer" in result.err
    assert recovery.run("list").code == DAMAGED


def test_a_repository_that_was_read_is_as_it_was(base: Base, recovery: Recovery) -> None:
    """Nothing is written into it, whatever is done."""
    recovery.put(base.objects)
    for path in recovery.repository.rglob("*"):
        path.chmod(0o555)
    recovery.good("list")
    recovery.good("verify")
    recovery.restored("latest")
    assert recovery.run("restore", "latest", recovery.repository / "below").code == 2
    store = MemoryStore()
    for path in recovery.repository.rglob("*"):
        if path.is_file():
            store.put(path.relative_to(recovery.repository).as_posix(), path.read_bytes())
    assert objects_of(store) == base.objects


def test_objects_that_cannot_be_read_are_damage(base: Base, recovery: Recovery) -> None:
    """A directory, a FIFO or a link to nowhere in the place of an object holds nobody up."""
    recovery.put(base.objects)
    keys = [base.key(name) for name in ("pack of first", "index of second", "commit of first")]
    for key in keys:
        (recovery.repository / key).unlink()
    (recovery.repository / keys[0]).symlink_to("nowhere")
    (recovery.repository / keys[1]).symlink_to("/dev/zero")
    Path.mkdir(recovery.repository / keys[2])
    result = recovery.run("verify")
    assert result.code == DAMAGED
    assert all(any(key in line for line in result.damage) for key in keys)
