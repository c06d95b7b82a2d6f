"""A revoked agent: what it had committed stays, what it commits later does not count."""

from __future__ import annotations

from pathlib import Path

import pytest

from strongroom.errors import KeyRefusedError, NotFoundError, RefusedError
from strongroom.operations.keys import export_agent, list_keys, revoke_agent
from strongroom.repository import layout
from strongroom.repository.agent import AgentNames
from strongroom.repository.commits import Decision
from strongroom.repository.envelope import Kind, unwrap
from strongroom.repository.keyrecords import Revocation
from strongroom.repository.records import (
    Abort,
    AbortReason,
    Head,
    OrderKind,
    read_body,
)
from strongroom.repository.revoking import revoke
from strongroom.repository.saving import unforget
from strongroom.repository.session import BackupSession
from tests.support.agents import agent_host
from tests.support.hooks import HookedStore
from tests.support.invariants import check_invariants
from tests.support.kit import DAY_NS, SAYING, Kit, timed_kit

pytestmark = pytest.mark.spec("B3")

EARLY = {b"a": b"early"}
LATE = {b"a": b"late"}


class Thief:
    """Who has an agent's key, and a host that opened the repository before it was revoked."""

    def __init__(self, host: Kit) -> None:
        self._host = host
        self._opened = host.open()
        host.open = lambda: self._opened  # type: ignore[method-assign]

    def commit(self) -> str:
        """Back up as if nothing had happened; return the id of the snapshot."""
        return self._host.backup(LATE).snapshot.id


def listed(kit: Kit) -> tuple[set[str], set[str]]:
    """Return the ids of the snapshots that count, and of those that are forgotten."""
    listing = kit.listing()
    return {one.id for one in listing.found}, {one.id for one in listing.forgotten}


def test_what_was_there_counts_and_what_comes_later_does_not(kit: Kit, tmp_path: Path) -> None:
    """The early one is restored; the late one is forgotten, and taken back in by name."""
    agent = agent_host(kit, tmp_path)
    early = agent.backup(EARLY).snapshot.id
    thief = Thief(agent)
    done = revoke_agent(kit.open(), "web1")
    assert (done.accepted, done.late, done.before) == (1, (), False)
    late = thief.commit()
    assert listed(kit) == ({early}, {late})
    assert kit.verify().damage == []
    again = revoke_agent(kit.open(), done.writer_id.hex()[:8])
    assert (again.accepted, again.late, again.before) == (1, (), True)
    assert listed(kit) == ({early}, {late})
    (agent_info,) = list_keys(kit.open()).agents
    assert agent_info.revoked


def test_the_agent_is_told(kit: Kit, tmp_path: Path) -> None:
    """Its next command is refused before anything is stored."""
    agent = agent_host(kit, tmp_path)
    agent.backup(EARLY)
    revoke_agent(kit.open(), "web1")
    before = {info.key for info in kit.store.list("")}
    with pytest.raises(KeyRefusedError, match="was revoked") as refused:
        agent.backup(LATE)
    assert refused.value.code == 12
    assert {info.key for info in kit.store.list("")} == before


def test_a_late_one_can_be_taken_back_in(kit: Kit, tmp_path: Path) -> None:
    """By the same un-forget as any other; then it stays through a collection."""
    agent = agent_host(kit, tmp_path)
    thief = Thief(agent)
    revoke_agent(kit.open(), "web1")
    late = thief.commit()
    (forgotten,) = kit.listing().forgotten
    unforget(kit.open(), [forgotten.key], SAYING)
    assert listed(kit) == ({late}, set())
    kit.prune()
    check_invariants(kit, {late: LATE})


def test_a_late_one_goes_after_the_grace_and_no_good_one_with_it(tmp_path: Path) -> None:
    """It is not the last good one of its source, and what was accepted stays."""
    kit = timed_kit(tmp_path / "main")
    agent = agent_host(kit, tmp_path)
    agent.clock = kit.clock
    early = agent.backup(EARLY).snapshot.id
    thief = Thief(agent)
    revoke_agent(kit.open(), "web1")
    late = thief.commit()
    kit.prune(grace_ns=7 * DAY_NS)
    assert listed(kit) == ({early}, {late})
    kit.clock.sleep(8 * 86400)
    kit.prune(grace_ns=7 * DAY_NS)
    assert listed(kit) == ({early}, set())
    check_invariants(kit, {early: EARLY})


def test_its_open_session_is_given_up_at_once(tmp_path: Path) -> None:
    """A collector waits for nobody who was revoked; the reason stands in the ABORT."""
    kit = timed_kit(tmp_path / "main")
    agent = agent_host(kit, tmp_path)
    agent.clock = kit.clock
    kept = kit.backup(EARLY).snapshot.id
    gone = kit.backup(LATE).snapshot.id
    BackupSession(agent.open()).begin()
    revoke_agent(kit.open(), "web1")
    kit.forget(gone)
    kit.prune()
    (decision,) = [
        info.key
        for info in kit.store.list(layout.COMMITS)
        if (layout.commit_ids(info.key) or (b"",))[0] != kit.open().keyring.writer().id
    ]
    envelope = unwrap(kit.store.get(decision), Kind.COMMIT, decision)
    assert read_body(decision, envelope.body, Abort).reason == AbortReason.REVOKED
    assert listed(kit) == ({kept}, set())


def test_one_that_comes_at_the_same_moment_is_told_of(kit: Kit, tmp_path: Path) -> None:
    """Between the look at what is there and the order: it does not count, and is named."""
    agent = agent_host(kit, tmp_path)
    thief = Thief(agent)
    hooked = HookedStore(kit.store)
    kit.store = hooked
    hooked.before("put", "orders/", thief.commit)
    done = revoke_agent(kit.open(), "web1")
    assert done.accepted == 0
    assert len(done.late) == 1


def test_another_object_under_an_accepted_key_does_not_count(kit: Kit, tmp_path: Path) -> None:
    """What is accepted is known by its digest: who can delete cannot put another in its place."""
    agent = agent_host(kit, tmp_path)
    agent.backup(EARLY)
    thief = Thief(agent)
    revoke_agent(kit.open(), "web1")
    thief.commit()
    history = kit.open().read_history()
    (good, late) = sorted(
        (one for one in history.decisions),
        key=lambda one: one.commit.committed_ns if one.commit else 0,
    )
    swapped = Decision(good.key, late.sha256, late.commit, by_agent=True)
    standing = type(history.standing)([swapped], history.orders)
    assert standing.is_forgotten(good.key)
    assert not type(history.standing)([good], history.orders).is_forgotten(good.key)


def test_two_revocations_accept_what_either_does(kit: Kit, tmp_path: Path) -> None:
    """In whatever order they are read: two hosts that revoke at once lose nothing."""
    agent = agent_host(kit, tmp_path)
    first, second = agent.backup(EARLY).snapshot.id, agent.backup(LATE).snapshot.id
    history = kit.open().read_history()
    writer = (layout.commit_ids(history.decisions[0].key) or (b"",))[0]
    for decision in history.decisions:
        kit.order(OrderKind.REVOKE, Revocation(writer, (Head(decision.key, decision.sha256),)))
    assert listed(kit) == ({first, second}, set())


def test_what_cannot_be_revoked(kit: Kit, tmp_path: Path) -> None:
    """The writer of the full-key hosts, nobody, two at once; and by an agent."""
    agent = agent_host(kit, tmp_path)
    with pytest.raises(RefusedError, match="full-key hosts"):
        revoke(kit.open(), kit.open().keyring.writer().id)
    for text in ("main", "nobody", "z"):
        with pytest.raises(NotFoundError, match="web1"):
            revoke_agent(kit.open(), text)
    with pytest.raises(KeyRefusedError):
        revoke_agent(agent.open(), "web1")
    with pytest.raises(RefusedError, match="already"):
        export_agent(kit.open(), AgentNames("web1"), lambda _text: lambda: None)
    assert list(kit.store.list(layout.ORDERS)) == []


@pytest.mark.parametrize("what", ["writer", "digest", "order", "foreign"])
def test_an_order_that_revokes_nothing_is_damage(kit: Kit, what: str) -> None:
    """It names a writer and commits of that writer alone, sorted, with digests."""
    writer, other = bytes(16), bytes(15) + b"\1"
    keys = [layout.commit(writer, bytes(15) + bytes([n])) for n in (1, 2)]
    bad = {
        "writer": Revocation(b"short", ()),
        "digest": Revocation(writer, (Head(keys[0], b""),)),
        "order": Revocation(writer, (Head(keys[1], bytes(32)), Head(keys[0], bytes(32)))),
        "foreign": Revocation(other, (Head(keys[0], bytes(32)),)),
    }
    order = kit.order(OrderKind.REVOKE, bad[what])
    assert [one.subject for one in kit.verify().damage] == [order.key]
