"""Commits whose signature holds and whose sealed part nobody can open: they can be given up."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from strongroom.errors import DamageError, RefusedError
from strongroom.model.snapshot import Snapshot
from strongroom.operations.forget import keep
from strongroom.repository import layout
from strongroom.repository.canonical import encode
from strongroom.repository.collection.collect import Collected, CollectLimits, Collector
from strongroom.repository.commits import seal_record
from strongroom.repository.envelope import Kind, unwrap, wrap
from strongroom.repository.records import COMMIT, Commit, Purpose, Saving, read_body
from strongroom.repository.repair.repairplan import Step
from tests.support.agents import agent_host
from tests.support.kit import Kit
from tests.support.mending import copy_of, files_of, mended, notes, spoil
from tests.support.noise import noise

pytestmark = pytest.mark.spec("B8")

FILES = {b"a": b"1", b"b": noise(5000, "b")}
RECORD = Snapshot(b"", b"", b"files", b"db1", b"root", (), 0, 0, b"p", ())
SAYING = Saving(b"host", b"user", b"program", b"note")


def collect(kit: Kit) -> Collected:
    """Collect once, without any grace."""
    limits = CollectLimits(
        grace_ns=0, silent_ns=3600 * 10**9, wait_seconds=1, max_unused=0.0, max_repack_bytes=None
    )
    kit.clock.sleep(7200)
    return Collector(kit.open(), limits).run()


def put_unopenable(host: Kit, seed: str = "evil", epoch: int | None = None) -> str:
    """Commit, with a real key of this host, a snapshot whose sealed part is zeros; its key.

    ``epoch``: the key epoch that it claims, by default the one there is.
    """
    repository = host.open()
    identity = repository.keyring.writer()
    key = layout.commit(identity.id, noise(layout.ID_SIZE, seed))
    keys = repository.keyring.begin_session(host.randomness)
    salt = noise(32, "salt")
    commitment, sealed = seal_record(RECORD, keys, key, salt)
    body = Commit(
        COMMIT, Purpose.BACKUP, host.clock.now_ns(), keys.domain.domain_id, epoch or keys.epoch,
        (), b"",
        (), keys.sealed, salt, commitment, bytes(len(sealed)),
    )  # fmt: skip
    host.store.put(key, wrap(Kind.COMMIT, repository.id, key, encode(body), identity.sign))
    return key


def make_unopenable(kit: Kit, key: str) -> None:
    """Sign a commit of a full key anew, with zeros for its sealed part."""
    repository = kit.open()
    body = read_body(key, unwrap(kit.store.get(key), Kind.COMMIT, key).body, Commit)
    body = msgspec.structs.replace(body, sealed=bytes(len(body.sealed)))
    identity = repository.keyring.writer()
    spoil(kit, key, wrap(Kind.COMMIT, repository.id, key, encode(body), identity.sign))


@pytest.mark.parametrize("by_agent", [True, False])
def test_what_does_not_open_can_be_given_up(kit: Kit, tmp_path: Path, *, by_agent: bool) -> None:
    """A commit that is signed and does not open stops collectors only until a person names it;
    then nobody counts it, nothing is damaged, and what was saved by others is all there.
    """
    kit.backup(FILES)
    key = put_unopenable(agent_host(kit, tmp_path) if by_agent else kit)
    with pytest.raises(DamageError, match=f"cannot collect: {key}") as refused:
        collect(kit)
    assert "strongroom repair" in refused.value.hint
    (left,) = mended(kit).plan.actions
    assert (left.step, left.key) == (Step.LEFT, key)
    assert f"--void {key}" in left.reason
    result = mended(kit, void=[key])
    assert result.left.damage == []
    assert key in notes(result)
    assert key not in {one.key for one in kit.open().read_history().decisions}
    assert kit.open().list_snapshots().unreadable == 0
    collect(kit)
    collect(kit)
    assert kit.verify().damage == []
    assert files_of(kit) == [FILES]
    kit.backup({b"a": b"2"})


def test_an_epoch_that_there_is_not_is_damage_of_that_commit(kit: Kit, tmp_path: Path) -> None:
    """Who stole the key of an agent takes no listing, restore or repair away with it."""
    snapshot = kit.backup(FILES).snapshot
    key = put_unopenable(agent_host(kit, tmp_path), epoch=999)
    assert [listed.id for listed in kit.snapshots()] == [snapshot.id]
    assert kit.restore(snapshot.id)[1] == FILES
    assert key in {finding.subject for finding in kit.verify().damage}
    assert mended(kit, void=[key]).left.damage == []
    assert collect(kit).commits == 0


def test_only_the_bytes_that_do_not_open_are_void(kit: Kit, tmp_path: Path) -> None:
    """The order has the digest of what was there, so another commit at that key counts."""
    snapshot = kit.backup(FILES).snapshot
    good = kit.store.get(snapshot.key)
    make_unopenable(kit, snapshot.key)
    other = Kit(kit.store, tmp_path / "other")  # one that remembers no other bytes
    other.secrets = kit.secrets
    assert mended(other, void=[snapshot.key]).left.damage == []
    assert other.snapshots() == []
    spoil(other, snapshot.key, good)
    third = Kit(kit.store, tmp_path / "third")
    third.secrets = kit.secrets
    assert files_of(third) == [FILES]


def test_a_hold_that_does_not_open_can_be_given_up(kit: Kit) -> None:
    """It keeps its snapshot until then, for what it is about is not sealed; then no more."""
    snapshot = kit.backup(FILES).snapshot
    keep(kit.open(), [snapshot], SAYING)
    (hold,) = kit.open().read_history().standing.holds
    make_unopenable(kit, hold.key)
    assert kit.open().read_history().standing.held == {snapshot.key}
    assert mended(kit, void=[hold.key]).left.damage == []
    assert kit.open().read_history().standing.held == frozenset()
    assert files_of(kit) == [FILES]


def test_what_opens_is_never_given_up(kit: Kit, tmp_path: Path) -> None:
    """Neither a snapshot of an agent or of a full key nor a hold, beside one that does not open."""
    agent = agent_host(kit, tmp_path)
    theirs, own = agent.backup(FILES).snapshot, kit.backup(FILES).snapshot
    keep(kit.open(), [own], SAYING)
    (hold,) = kit.open().read_history().standing.holds
    bad = put_unopenable(agent)
    for key in (theirs.key, own.key, hold.key):
        with pytest.raises(RefusedError, match="it can be read"):
            mended(kit, void=[bad, key])
    assert kit.open().read_history().standing.voids == frozenset()


def test_with_a_copy_the_snapshot_is_committed_again(kit: Kit, tmp_path: Path) -> None:
    """What a commit held before somebody replaced it comes back from where it was copied to."""
    snapshot = kit.backup(FILES).snapshot
    kit.backup({b"a": b"2"})
    copy = copy_of(kit, tmp_path / "copy")
    make_unopenable(kit, snapshot.key)
    fresh = Kit(kit.store, tmp_path / "fresh")
    fresh.secrets = kit.secrets
    result = mended(fresh, copy, void=[snapshot.key])
    assert result.left.damage == []
    assert sorted(map(len, files_of(fresh))) == [1, 2]
