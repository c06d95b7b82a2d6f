"""Whole objects are cut, swapped, moved, replaced or removed: it is found, named and contained."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest

from strongroom.errors import KeyRefusedError, NoRepositoryError, RefusedError
from tests.faults.damage import Base, Damage, Judge, build, flipped
from tests.support.kit import SECRET

pytestmark = pytest.mark.spec("B7")

SIZES = (0, 1, 4, 27, 28, 91, 92)  # nothing; in the magic; around the header and the least object
TAIL = (64, 24, 1)  # without signature; without trailer; without the last byte

# What a store can lose without anybody being able to tell, by what the format says, and why no
# snapshot needs it.
UNNOTICED = {
    "session of first": "a decided session may be collected at any time",
    "heartbeat of first": "as its session",
    "session of failed": "as above",
    "session of second": "as above",
    "session of dead early": "nobody but its writer, who is dead, knew of it",
    "session of dead late": "as above",
    "pack of dead early": "no index names it",
    "index of dead late": "nobody but its writer knew of it; its pack is an orphan from then on",
    "index of failed": "as above",
    "commit of second": "no commit names the newest one; a host that saw it knows (see below)",
}
# What is missed by what it was for, so that a message can only say what is missing there.
MISSED_BY_OTHERS = {"index of first", "index of second"}


@pytest.fixture(name="base", scope="module")
def _base(tmp_path_factory: pytest.TempPathFactory) -> Base:
    return build(tmp_path_factory.mktemp("damage"))


@pytest.fixture(name="stranger", scope="module")
def _stranger(tmp_path_factory: pytest.TempPathFactory) -> Base:
    """Another repository that the same keys open, with the same files in it."""
    return build(tmp_path_factory.mktemp("stranger"))


@pytest.fixture(name="judge")
def _judge(base: Base, tmp_path: Path) -> Judge:
    return Judge(base, tmp_path)


def test_the_sound_repository_has_no_damage(base: Base, judge: Judge) -> None:
    """Orphans, dead sessions and aborted ones are not damage, and both snapshots are whole."""
    with judge.host(base.objects) as kit:
        assert kit.verify().damage == []
        judge.check_restores(kit, Damage("none", base.objects, ()))


def test_truncated_objects_are_found(base: Base, judge: Judge) -> None:
    """An object cut anywhere, down to nothing, is found and named."""
    for key, value in base.objects.items():
        lengths = {*SIZES, len(value) // 2, *(len(value) - cut for cut in TAIL)}
        for length in sorted(one for one in lengths if one < len(value)):
            changed = {**base.objects, key: value[:length]}
            judge.check(Damage(f"cut to {length} bytes", changed, (key,)))


def test_objects_with_something_appended_are_found(base: Base, judge: Judge) -> None:
    """An object with zeros, or itself, after its end is found and named."""
    for key, value in base.objects.items():
        for more in (b"\0", bytes(4096), value):
            judge.check(Damage(f"{len(more)} more", {**base.objects, key: value + more}, (key,)))


def test_swapped_objects_are_found(base: Base, judge: Judge) -> None:
    """Any two objects in each other's place are both found and named."""
    for one, other in itertools.combinations(base.objects, 2):
        swapped = {**base.objects, one: base.objects[other], other: base.objects[one]}
        judge.check(Damage("swapped", swapped, (one, other)))


def test_an_object_in_place_of_another_is_found(base: Base, judge: Judge) -> None:
    """An older or newer object of the same kind, put over another, is found and named."""
    for one, other in itertools.permutations(base.objects, 2):
        if one.partition("/")[0] == other.partition("/")[0]:
            judge.check(Damage("copied over", {**base.objects, one: base.objects[other]}, (one,)))


def test_objects_of_another_repository_are_found(base: Base, judge: Judge, stranger: Base) -> None:
    """An object of another repository with the same keys, over ours of its kind, is found."""
    for key, name in base.names.items():
        foreign = stranger.objects[stranger.key(name)]
        judge.check(Damage("foreign", {**base.objects, key: foreign}, (key,)))


def test_a_foreign_object_beside_ours_takes_nothing_away(
    base: Base, judge: Judge, stranger: Base
) -> None:
    """An object of another repository under its own key is told of, and every snapshot is whole."""
    for key, value in stranger.objects.items():
        if key in base.objects or key.startswith("sessions/"):
            continue
        changed = {**base.objects, key: value}
        with judge.host(changed) as kit:
            said = " ".join(f"{one.subject} {one.text}" for one in kit.verify().findings)
            assert key in said
            judge.check_restores(kit, Damage("added", changed, ()))


def test_a_duplicate_under_another_key_is_found(base: Base, judge: Judge) -> None:
    """A copy of an object under another key of its kind is told of, and takes nothing away."""
    for key, value in base.objects.items():
        other = key[:-1] + ("0" if key[-1] != "0" else "1")
        changed = {**base.objects, other: value}
        with judge.host(changed) as kit:
            said = " ".join(f"{one.subject} {one.text}" for one in kit.verify().findings)
            assert other in said, base.names[key]
            judge.check_restores(kit, Damage("duplicated", changed, ()))


def test_removed_objects_are_found(base: Base, judge: Judge) -> None:
    """A removed object is found and named, but for those in UNNOTICED, without which every
    snapshot is whole: verify says nothing about them, by design.
    """
    for key, name in base.names.items():
        left = {other: value for other, value in base.objects.items() if other != key}
        if name not in UNNOTICED:
            judge.check(Damage("removed", left, (key,)), by_name=name not in MISSED_BY_OTHERS)
            continue
        with judge.host(left) as kit:
            assert kit.verify().damage == [], name
            judge.check_restores(kit, Damage("removed", left, (key,)))


def test_a_missing_index_segment_is_told_by_snapshot_and_path(base: Base, judge: Judge) -> None:
    """Verify says which snapshots and files cannot be read, and that an index may be missing."""
    gone = base.key("index of second")
    with judge.host({k: v for k, v in base.objects.items() if k != gone}) as kit:
        (first, second) = base.acknowledged
        damage = kit.verify().damage
        assert {one.snapshot for one in damage} == {second[:8]}
        assert any("index" in one.text for one in damage)
        _result, files = kit.restore(first)
        assert files == base.acknowledged[first]


def test_a_lost_commit_is_found_by_whoever_saw_it(base: Base, judge: Judge) -> None:
    """A host that saw the newest commit refuses to go on without it, and verify names it; so does
    any host for a commit that a later one names.
    """
    for name in ("commit of second", "commit of first", "commit of failed"):
        gone = base.key(name)
        left = {key: value for key, value in base.objects.items() if key != gone}
        with judge.host(left, knows=True) as kit:
            assert gone in " ".join(one.text for one in kit.verify().damage)
            with pytest.raises(RefusedError) as caught:
                kit.snapshots()
            assert caught.value.code == 6
            with pytest.raises(RefusedError):
                kit.backup({b"a": b"a"})


def test_caches_do_not_hide_damage(base: Base, judge: Judge) -> None:
    """Verify on the host that has everything in its caches finds the damage as well."""
    for key, value in base.objects.items():
        changed = {**base.objects, key: flipped(value, len(value) // 2, 3)}
        judge.check(Damage("behind a cache", changed, (key,)), knows=True)


def test_one_damaged_slot_leaves_the_other(base: Base, judge: Judge) -> None:
    """A damaged slot is found by its digest, without its secret, and the other slot opens; only
    a person who has nothing but the secret of the damaged one is refused, with exit code 12.
    """
    keys = [base.key("slot of init"), base.key("slot 2 of init")]
    for key, secret, other in zip(keys, base.secrets, reversed(base.secrets), strict=True):
        value = base.objects[key]
        changed = {**base.objects, key: flipped(value, len(value) // 2, 3)}
        with judge.host(changed) as kit:
            kit.secrets = [other]
            (found,) = kit.verify().damage
            assert found.subject == key
            judge.check_restores(kit, Damage("slot", changed, (key,)))
            kit.secrets = [secret]
            with pytest.raises(KeyRefusedError) as caught:
                kit.open()
            assert caught.value.code == 12
            assert "could not be used" in caught.value.message


def test_without_config_or_slots_nothing_opens_and_nothing_is_changed(
    base: Base, judge: Judge
) -> None:
    """No config: exit 10. No slot: exit 12. Neither is a traceback, and neither writes."""
    slots = {key for key, name in base.names.items() if name.startswith("slot")}
    for gone, error, code in (
        ({base.key("config of init")}, NoRepositoryError, 10),
        (slots, KeyRefusedError, 12),
    ):
        left = {key: value for key, value in base.objects.items() if key not in gone}
        with judge.host(left) as kit:
            for work in (kit.verify, kit.snapshots, lambda: kit.backup({b"a": b"a"})):
                with pytest.raises(error) as caught:
                    work()
                assert caught.value.code == code
            assert {info.key for info in kit.store.list("")} == set(left)


def test_a_host_that_knew_another_repository_here_refuses(judge: Judge, stranger: Base) -> None:
    """Another repository at the same place, opened by the same key, is refused with exit 6."""
    with judge.host(stranger.objects, knows=True) as kit:
        kit.secrets = [SECRET]
        for work in (kit.snapshots, lambda: kit.backup({b"a": b"a"})):
            with pytest.raises(RefusedError) as caught:
                work()
            assert caught.value.code == 6
        assert {info.key for info in kit.store.list("")} == set(stranger.objects)
