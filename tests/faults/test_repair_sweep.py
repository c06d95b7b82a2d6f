"""Every object of a repository is damaged in every way, and repaired with and without a copy."""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from strongroom.errors import StrongroomError
from strongroom.repository import layout
from strongroom.repository.localfiles import LocalFiles
from strongroom.repository.repair.repairplan import Step
from strongroom.storage.memory import MemoryStore
from strongroom.system.posix import PosixFs
from tests.faults.damage import NOWHERE, Base, Damage, Judge, build
from tests.faults.workloads import objects_of, store_of
from tests.support.agents import agent_host
from tests.support.kit import Kit
from tests.support.mending import copied, copy_of, files_of, flipped, mended, replica_of
from tests.support.mending import spoil as spoil_object

pytestmark = pytest.mark.spec("B8")

Spoil = Callable[[bytes], bytes | None]
SPOILS: Mapping[str, Spoil] = {
    "a bit flipped": flipped,
    "truncated": lambda data: data[: len(data) // 2],
    "empty": lambda _: b"",
    "deleted": lambda _: None,
}


@pytest.fixture(name="base", scope="module")
def _base(tmp_path_factory: pytest.TempPathFactory) -> Base:
    return build(tmp_path_factory.mktemp("base"))


@pytest.fixture(name="copy", scope="module")
def _copy(base: Base, tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, bytes]:
    folder = tmp_path_factory.mktemp("copy")
    return objects_of(copy_of(host(base, base.objects, folder / "a"), folder / "b").store)


_numbers = itertools.count()


def host(base: Base, objects: Mapping[str, bytes], folder: Path) -> Kit:
    """Return a host that never saw the repository, and caches nothing."""
    kit = Kit(store_of(objects), folder / f"host{next(_numbers)}")
    kit.secrets = list(base.secrets)
    kit.cache = LocalFiles(PosixFs(), NOWHERE, kit.randomness)
    kit.clock.sleep(100_000)
    return kit


def spoilt(base: Base, names: tuple[str, ...], spoil: Spoil) -> Damage:
    """Return the repository with these objects damaged."""
    keys = tuple(base.key(name) for name in names)
    objects = {k: v for k, v in base.objects.items() if k not in keys}
    for key in keys:
        data = spoil(base.objects[key])
        if data is not None:
            objects[key] = data
    return Damage(f"{names}", objects, keys)


def whole(base: Base, kit: Kit, names: object) -> None:
    """Check that the repository is as if nothing had happened."""
    found = kit.verify()
    assert found.damage == [], names
    wanted = sorted(map(sorted, (files.items() for files in base.acknowledged.values())))
    assert sorted(map(sorted, (files.items() for files in files_of(kit)))) == wanted, names
    (largest,) = (f for f in base.acknowledged.values() if b"a/new" in f)
    backup = kit.backup(largest, "damage")
    assert backup.problems == []
    assert backup.written.plain_bytes < 20_000, "something was stored that is there"


def kinds(base: Base, *wanted: str) -> list[str]:
    """Return the names of objects of these kinds."""
    return [name for name in base.names.values() if name.split(" ")[0] in wanted]


@pytest.mark.parametrize("spoil", SPOILS)
def test_packs_and_index_come_back_from_a_replica(base: Base, spoil: str, tmp_path: Path) -> None:
    """Whichever is damaged, the repository is whole after one repair."""
    for name in kinds(base, "pack", "index"):
        damage = spoilt(base, (name,), SPOILS[spoil])
        kit = host(base, damage.objects, tmp_path)
        assert mended(kit, host(base, base.objects, tmp_path)).left.damage == [], name
        whole(base, kit, name)


@pytest.mark.parametrize("spoil", SPOILS)
def test_packs_and_index_come_back_from_a_copy(
    base: Base, copy: Mapping[str, bytes], spoil: str, tmp_path: Path
) -> None:
    """A repository with other keys and other ids has the same bytes, and they are enough."""
    for name in kinds(base, "pack", "index"):
        damage = spoilt(base, (name,), SPOILS[spoil])
        kit = host(base, damage.objects, tmp_path)
        other = host(base, copy, tmp_path)
        other.secrets = Kit(store_of({}), tmp_path).secrets
        assert mended(kit, other).left.damage == [], name
        whole(base, kit, name)


@pytest.mark.parametrize("spoil", SPOILS)
def test_an_index_needs_no_copy(base: Base, spoil: str, tmp_path: Path) -> None:
    """One segment, or all of them: the packs say what they hold."""
    segments = kinds(base, "index")
    for names in [*((name,) for name in segments), tuple(segments)]:
        damage = spoilt(base, names, SPOILS[spoil])
        kit = host(base, damage.objects, tmp_path)
        assert mended(kit).left.damage == [], names
        whole(base, kit, names)


@pytest.mark.parametrize("spoil", SPOILS)
def test_without_a_copy_nothing_gets_worse(base: Base, spoil: str, tmp_path: Path) -> None:
    """Whatever is damaged: a repair says what remains, hurts nothing that was whole, and a second
    one finds nothing more to do than the first one left.
    """
    judge = Judge(base, tmp_path)
    for name in base.names.values():
        damage = spoilt(base, (name,), SPOILS[spoil])
        kit = host(base, damage.objects, tmp_path)
        if name == "config of init":
            with pytest.raises(StrongroomError, match="config") as refused:
                mended(kit)
            assert refused.value.code in {4, 10}
            continue
        result = mended(kit)
        judge.check_restores(kit, damage)
        left = {one.subject for one in result.left.damage}
        assert mended(kit).left.damage == result.left.damage, name
        unmissed = name == "commit of second" and spoil == "deleted"  # no head names it
        repaired = name.split(" ")[0] == "index" or not base.needed[base.key(name)] or unmissed
        said = {action.key for action in result.plan.actions if action.step is Step.LEFT}
        assert repaired or left, name
        assert {one for one in left if not one.startswith("snapshot ")} == said, name


@pytest.mark.parametrize("spoil", SPOILS)
def test_commits_come_back_from_a_replica(base: Base, spoil: str, tmp_path: Path) -> None:
    """A commit that is gone is put back; one that is damaged is committed again, and counts as
    absent once a person names it.
    """
    for name in kinds(base, "commit"):
        damage = spoilt(base, (name,), SPOILS[spoil])
        kit = host(base, damage.objects, tmp_path)
        replica = host(base, base.objects, tmp_path)
        result = mended(kit, replica)
        if damage.keys[0] in damage.objects:
            assert [one.subject for one in result.left.damage] == list(damage.keys)
            result = mended(kit, replica, void=damage.keys)
        assert result.left.damage == [], name
        whole(base, kit, name)


@pytest.mark.parametrize("spoil", SPOILS)
def test_commits_come_back_from_a_copy(
    base: Base, copy: Mapping[str, bytes], spoil: str, tmp_path: Path
) -> None:
    """As a new commit of the same snapshot, known as the same by where it was first made."""
    for name in ("commit of first", "commit of second"):
        damage = spoilt(base, (name,), SPOILS[spoil])
        kit = host(base, damage.objects, tmp_path)
        other = host(base, copy, tmp_path)
        other.secrets = Kit(store_of({}), tmp_path).secrets
        if name == "commit of second" and damage.keys[0] not in damage.objects:
            continue  # nobody names the last commit, so nobody misses it: see the replica's
        result = mended(kit, other, void=damage.keys)
        assert result.left.damage == [], name
        whole(base, kit, name)
        standing = kit.open().read_history().standing
        assert damage.keys[0] in {one.key for one in standing.copies.values()}
        assert mended(kit, other).plan.actions == ()


def test_slots_and_writers_come_back_from_a_replica(base: Base, tmp_path: Path) -> None:
    """Where one is gone, its bytes are proven by what names them."""
    for name in kinds(base, "slot", "writer"):
        damage = spoilt(base, (name,), SPOILS["deleted"])
        kit = host(base, damage.objects, tmp_path)
        assert mended(kit, host(base, base.objects, tmp_path)).left.damage == [], name
        assert objects_of(kit.store)[damage.keys[0]] == base.objects[damage.keys[0]]


@pytest.mark.parametrize("spoil", SPOILS)
def test_several_at_once(base: Base, copy: Mapping[str, bytes], spoil: str, tmp_path: Path) -> None:
    """All packs, or all packs and all of the index: a replica and a copy both make it whole."""
    packs, segments = kinds(base, "pack"), kinds(base, "index")
    for names in (tuple(packs), (*packs, *segments)):
        damage = spoilt(base, names, SPOILS[spoil])
        for objects in (base.objects, copy):
            kit = host(base, damage.objects, tmp_path)
            other = host(base, objects, tmp_path)
            if objects is copy:
                other.secrets = Kit(store_of({}), tmp_path).secrets
            assert mended(kit, other).left.damage == [], names
            whole(base, kit, names)


def test_a_damaged_replica_gives_what_it_has_and_nothing_wrong(base: Base, tmp_path: Path) -> None:
    """Both are damaged, in different packs: together they are whole; in the same: that is said."""
    first, second = "pack of first", "pack of second"
    damage = spoilt(base, (first,), flipped)
    kit = host(base, damage.objects, tmp_path)
    other = host(base, spoilt(base, (second,), flipped).objects, tmp_path)
    assert mended(kit, other).left.damage == []
    whole(base, kit, first)
    deleted = spoilt(base, (first,), SPOILS["deleted"])
    kit = host(base, deleted.objects, tmp_path)
    result = mended(kit, host(base, damage.objects, tmp_path))
    named = {one.snapshot for one in result.left.damage}
    assert named
    assert named <= {one[:8] for one in base.acknowledged}
    Judge(base, tmp_path).check_restores(kit, deleted)


@pytest.mark.parametrize("seed", range(24))
def test_any_damage_to_many_objects_comes_back(
    base: Base, copy: Mapping[str, bytes], seed: int, tmp_path: Path
) -> None:
    """Half of all packs, segments and commits are damaged, each in its own way; a replica and a
    copy make the repository whole, once a person names the commits that cannot be read.
    """
    draw = random.Random(seed)
    names = [n for n in kinds(base, "pack", "index", "commit") if draw.random() < 0.5]
    objects = dict(base.objects)
    for name in names:
        key = base.key(name)
        data = SPOILS[draw.choice(list(SPOILS))](objects.pop(key))
        if data is not None:
            objects[key] = data
    for source in (base.objects, copy):
        kit, other = host(base, objects, tmp_path), host(base, source, tmp_path)
        if source is copy:
            other.secrets = Kit(store_of({}), tmp_path).secrets
        sick = [base.key(name) for name in names if name.startswith("commit")]
        missed = {finding.subject for finding in kit.verify().damage}
        void = [key for key in sick if key in missed and (key in objects or source is copy)]
        unmissed = [key for key in sick if key not in missed]
        result = mended(kit, other, void=void)
        assert result.left.damage == [], names
        if source is copy and unmissed:  # nobody knows of them: 'copy' brings them back
            assert copied(other, kit).failed == []
        whole(base, kit, names)


def test_commits_of_an_agent_count_again_when_its_writer_is_back(tmp_path: Path) -> None:
    """They could not be checked while it was gone; they are not committed a second time."""
    kit = Kit(MemoryStore(), tmp_path / "kit")
    kit.init()
    made = agent_host(kit, tmp_path).backup({b"a": b"1"}).snapshot
    replica = replica_of(kit, tmp_path / "replica")
    key = layout.writer(bytes.fromhex(made.writer))
    spoil_object(kit, key, None)
    assert mended(kit).left.damage
    assert mended(kit, replica).left.damage == []
    assert [listed.id for listed in kit.snapshots()] == [made.id]
