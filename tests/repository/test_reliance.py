"""What a writer may rely on: packs that are listed, indexed, not tombed and never killed."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from strongroom.crypto.primitives import label, sha256
from strongroom.errors import NoRepositoryError
from strongroom.model.events import Notice
from strongroom.repository import layout
from strongroom.repository.canonical import encode
from strongroom.repository.envelope import Kind, wrap
from strongroom.repository.keyring import DomainKeys, WriterKeys, domain_id
from strongroom.repository.records import IndexBody, IndexedPack, OrderBody, OrderKind, Voided
from tests.support.kit import Kit
from tests.support.noise import noise
from tests.support.runs import pack_ids, put_done, put_removals, segment_ids
from tests.support.segments import listed_pack, sealed_segment

pytestmark = pytest.mark.spec("B2")

FILES = {b"a": noise(1000, "a"), b"b/c": noise(2000, "b")}
FOREIGN = WriterKeys(noise(32, "nobody"))


@pytest.fixture
def used(kit: Kit) -> Kit:
    """A host that has backed up once."""
    kit.backup(FILES)
    return kit


def stored_again(kit: Kit) -> bool:
    """Whether a backup of the same files stores their bytes again; it must restore in any case."""
    result = kit.backup(FILES)
    assert result.problems == []
    _, restored = kit.restore(result.snapshot.id)
    assert restored == FILES
    assert result.written.chunks in {0, 3}
    return result.written.chunks == 3


def warnings(kit: Kit) -> list[str]:
    """Return the warnings of a host."""
    return [event.text for event in kit.events if isinstance(event, Notice)]


def test_what_is_stored_is_relied_on(used: Kit) -> None:
    """Without collector runs, nothing is stored twice, even if everything is read again."""
    for info in used.state_path.rglob("walks/*"):
        info.unlink()
    result = used.backup(FILES)
    assert (result.written.chunks, result.tallies[0].new) == (0, 2)
    assert warnings(used) == []


@pytest.mark.parametrize("kind", [Kind.TOMBS, Kind.KILLS])
def test_what_an_unfinished_run_names_is_stored_again(used: Kit, kind: Kind) -> None:
    """Packs in tombs or kills of a run without an end are absent, listed or not."""
    put_removals(used, 1, kind, packs=pack_ids(used))
    assert stored_again(used)
    assert not stored_again(used)


def test_what_any_run_killed_is_absent_for_ever(used: Kit) -> None:
    """A kill counts after its run ended, and after others ended as well."""
    put_removals(used, 1, Kind.KILLS, packs=pack_ids(used))
    put_done(used, 1)
    put_removals(used, 2, Kind.KILLS)
    put_done(used, 2)
    assert stored_again(used)


def test_tombs_of_an_ended_run_do_not_count(used: Kit) -> None:
    """What a run tombed and did not kill is relied on again when the run is done."""
    put_removals(used, 1, Kind.TOMBS, packs=pack_ids(used), index=segment_ids(used))
    put_removals(used, 1, Kind.KILLS)
    put_done(used, 1)
    assert not stored_again(used)


@pytest.mark.parametrize("kind", [Kind.TOMBS, Kind.KILLS])
def test_a_segment_that_a_run_names_is_not_relied_on(used: Kit, kind: Kind) -> None:
    """Packs that only an absent segment lists are stored again."""
    put_removals(used, 1, kind, index=segment_ids(used))
    assert stored_again(used)


def test_a_segment_that_an_order_declared_void_is_not_relied_on(used: Kit) -> None:
    """It may be sound, or be damaged: what it alone lists is stored again, and nobody is warned."""
    (segment,) = segment_ids(used)
    key = layout.index_segment(segment)
    used.order(OrderKind.VOID, (Voided(key, sha256(used.store.get(key))),))
    assert stored_again(used)
    assert warnings(used) == []


def test_a_pack_that_is_not_listed_is_not_relied_on(used: Kit) -> None:
    """An index entry whose pack is gone helps nobody."""
    for pack_id in pack_ids(used):
        used.store.delete(layout.pack(pack_id))
    assert stored_again(used)


def test_a_forged_end_does_not_end_a_run(used: Kit) -> None:
    """A done that admin did not sign leaves the tombs in force, and is told of."""
    put_removals(used, 1, Kind.TOMBS, packs=pack_ids(used))
    key = put_done(used, 1, signer=FOREIGN)
    assert stored_again(used)
    assert any(key in text for text in warnings(used))


def test_with_a_forged_end_alone_nothing_is_relied_on(used: Kit) -> None:
    """What cannot be verified below gc/ makes a writer rely on nothing, and say so."""
    key = put_done(used, 1, signer=FOREIGN)
    assert stored_again(used)
    assert any(key in text for text in warnings(used))


def unsigned(kit: Kit, kind: Kind) -> str:
    """Put tombs or kills that somebody else signed."""
    return put_removals(kit, 1, kind, signer=FOREIGN)


def garbage(kit: Kit, kind: Kind) -> str:
    """Put bytes that are no object."""
    key = layout.run_object(1, kind.name.lower())
    kit.store.put(key, b"garbage")
    return key


def misplaced(kit: Kit, kind: Kind) -> str:
    """Put the object of another run at this key."""
    other = put_removals(kit, 2, kind)
    key = layout.run_object(1, kind.name.lower())
    kit.store.put(key, kit.store.get(other))
    return key


def ragged(kit: Kit, kind: Kind) -> str:
    """Put names that are not whole ids."""
    return put_removals(kit, 1, kind, packs=[b"short"])


@pytest.mark.parametrize("kind", [Kind.TOMBS, Kind.KILLS])
@pytest.mark.parametrize("spoil", [unsigned, garbage, misplaced, ragged])
def test_unreadable_runs_make_a_writer_rely_on_nothing(
    used: Kit, spoil: Callable[[Kit, Kind], str], kind: Kind
) -> None:
    """Tombs or kills that do not verify: everything is stored again, with a warning each time."""
    key = spoil(used, kind)
    assert stored_again(used)
    assert any(key in text and "does not rely on it" in text for text in warnings(used))
    assert stored_again(used)


@pytest.mark.parametrize("key", ["gc/1/tombs", "gc/00000001/other", "gc/00000001", "gc/x"])
def test_a_key_that_no_run_has_is_not_understood(used: Kit, key: str) -> None:
    """Something else below gc/ may mean anything: nothing is relied on."""
    used.store.put(key, b"")
    assert stored_again(used)


def test_a_damaged_segment_is_not_relied_on(used: Kit) -> None:
    """A segment whose bytes changed is told of; what it listed is stored again."""
    for info in list(used.store.list(layout.INDEX)):
        data = used.store.get(info.key)
        used.store.delete(info.key)
        used.store.put(info.key, data[:-1] + bytes([data[-1] ^ 1]))
    shutil.rmtree(used.state_path / "cache", ignore_errors=True)
    assert stored_again(used)
    assert any("index/" in text for text in warnings(used))


def superseding(kit: Kit, signer: WriterKeys, domain: DomainKeys | None = None) -> str:
    """Put a segment that lists nothing and supersedes all others; return its key."""
    domain = domain or kit.open().keyring.own_domain
    names = b"".join(segment_ids(kit))
    message = label("supersedes", domain.repository_id, domain.domain_id, encode([(), names]))
    data = sealed_segment(IndexBody((), names, signer.sign(message)), domain)
    key = layout.index_segment(sha256(data))
    kit.store.put(key, data)
    return key


def test_a_segment_supersedes_with_the_signature_of_admin(used: Kit) -> None:
    """What a segment of admin replaces is not used any more."""
    superseding(used, used.open().keyring.admin_signer())
    assert stored_again(used)
    assert warnings(used) == []


@pytest.mark.parametrize("signer", [FOREIGN, None], ids=["somebody", "the writer"])
def test_a_segment_supersedes_nothing_without_the_signature_of_admin(
    used: Kit, signer: WriterKeys | None
) -> None:
    """Signed by anyone else it is damage: told of, and what it names stays in use."""
    key = superseding(used, signer or used.open().keyring.writer())
    assert not stored_again(used)
    assert any(key in text and "signature of admin" in text for text in warnings(used))


def test_a_segment_supersedes_in_its_own_domain_only(used: Kit) -> None:
    """A segment of another domain, whoever signed it, takes nothing from this one."""
    keyring = used.open().keyring
    other = keyring.domain(domain_id(keyring.repository_id, b"other"))
    superseding(used, keyring.admin_signer(), other)
    assert not stored_again(used)
    assert used.verify().damage == []


def test_a_segment_of_another_domain_is_not_relied_on(kit: Kit) -> None:
    """Chunks that the index of another domain lists are stored in ours."""
    kit.backup(FILES)
    pack = listed_pack(kit)
    (info,) = kit.store.list(layout.INDEX)
    kit.store.delete(info.key)
    keyring = kit.open().keyring
    other = keyring.domain(domain_id(keyring.repository_id, b"other"))
    data = sealed_segment(IndexBody((pack,), b"", b""), other)
    kit.store.put(layout.index_segment(sha256(data)), data)
    assert stored_again(kit)


def test_a_segment_that_lists_an_unlisted_pack_lends_only_the_others(used: Kit) -> None:
    """Of a segment with a pack that is gone, the packs that are there are still relied on."""
    pack = listed_pack(used)
    gone = IndexedPack(
        noise(32, "gone"), pack.size, pack.frames, noise(len(pack.ids)), pack.lengths
    )
    for info in list(used.store.list(layout.INDEX)):
        used.store.delete(info.key)
    data = sealed_segment(IndexBody((gone, pack), b"", b""), used.open().keyring.own_domain)
    used.store.put(layout.index_segment(sha256(data)), data)
    assert not stored_again(used)


def test_an_order_of_an_unknown_kind_is_refused(used: Kit) -> None:
    """It belongs to a newer version: nothing is read or written."""
    repository = used.open()
    key = f"orders/{'0' * 32}"
    body = encode(OrderBody(200, 0, (), b"", b""))
    admin = repository.keyring.admin_signer()
    used.store.put(key, wrap(Kind.ORDER, repository.id, key, body, admin.sign))
    before = [info.key for info in used.store.list("")]
    for act in (lambda: used.backup(FILES), used.snapshots, used.verify):
        with pytest.raises(NoRepositoryError, match="kind 200") as refused:
            act()
        assert refused.value.code == 10
    assert [info.key for info in used.store.list("")] == before


@pytest.mark.parametrize("data", [b"", b"whatever", b"x" * 300])
def test_an_order_that_admin_did_not_sign_is_damage_and_stops_nothing(
    used: Kit, data: bytes
) -> None:
    """Whoever can put objects cannot stop backups and restores by putting rubbish there."""
    key = f"orders/{'0' * 32}"
    used.store.put(key, data)
    saved = used.backup(FILES).snapshot.id
    assert saved in {snapshot.id for snapshot in used.snapshots()}
    assert [finding.subject for finding in used.verify().damage] == [key]


def test_a_host_without_state_relies_on_the_same(used: Kit, tmp_path: Path) -> None:
    """Another host with the same key stores nothing again; cache and last walk are no condition."""
    other = Kit(used.store, tmp_path / "other")
    assert not stored_again(other)
