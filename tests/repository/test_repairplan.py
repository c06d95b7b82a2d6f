"""From facts to a plan: what is done about what, and what is left to a person."""

from __future__ import annotations

import pytest

from strongroom.repository import layout
from strongroom.repository.findings import Finding, Severity
from strongroom.repository.repair.repairplan import Facts, Step, plan_repair

pytestmark = pytest.mark.spec("B8")

PACK, OTHER = bytes(31) + b"\1", bytes(31) + b"\2"
SEGMENT = layout.index_segment(bytes(32))
COMMIT = layout.commit(bytes(16), bytes(16))
ORDER = layout.order(bytes(16))


def facts(**given: object) -> Facts:
    """Return facts, none but these."""
    none: dict[str, object] = {
        "bad_packs": {},
        "missing_packs": {},
        "bad_segments": {},
        "put_back": {},
    }
    return Facts(**{**none, **given})  # type: ignore[arg-type]


def damaged(key: str, *, missing: bool = False) -> Finding:
    """Return a finding about an object."""
    return Finding(Severity.DAMAGE, key, f"{key} is damaged", missing=missing)


def done(one: Facts) -> list[tuple[Step, str]]:
    """Return what the plan for these facts does to what."""
    return [(action.step, action.key) for action in plan_repair(one).actions]


def test_nothing_is_done_about_nothing() -> None:
    """No facts, no actions."""
    plan = plan_repair(facts())
    assert plan.actions == ()
    assert not plan.does_something


def test_each_fact_has_its_action() -> None:
    """In the order in which they are carried out: what is needed before what declares."""
    everything = facts(
        blind=["gc/00000001/kills"],
        put_back={layout.pack(OTHER): "a pack that is missing"},
        listed_again=[PACK],
        chunks=3,
        bad_packs={PACK: "bad"},
        bad_segments={SEGMENT: "bad"},
        void=[ORDER],
        commit_again=[COMMIT],
    )
    assert done(everything) == [
        (Step.END_RUN, "gc/00000001/kills"),
        (Step.PUT_BACK, layout.pack(OTHER)),
        (Step.LIST, layout.pack(PACK)),
        (Step.WRITE, ""),
        (Step.QUARANTINE, layout.pack(PACK)),
        (Step.VOID, SEGMENT),
        (Step.VOID, ORDER),
        (Step.COMMIT, COMMIT),
    ]


def test_packs_that_come_back_or_are_in_quarantine_are_not_put_there() -> None:
    """A pack is in quarantine once, and not if it is good again."""
    assert done(facts(missing_packs={PACK: "gone"})) == [(Step.QUARANTINE, layout.pack(PACK))]
    back = {layout.pack(PACK): "a pack that is missing"}
    assert done(facts(missing_packs={PACK: "gone"}, put_back=back)) == [
        (Step.PUT_BACK, layout.pack(PACK))
    ]
    assert done(facts(bad_packs={PACK: "bad"}, quarantined=frozenset([PACK]))) == []


@pytest.mark.parametrize(
    ("key", "advice"),
    [
        (COMMIT, "--void commits/"),
        (ORDER, "--void orders/"),
        ("orders/", "repair --from"),
        ("gc/00000001/kills", "--void gc/00000001/kills"),
        ("gc/00000001/done", "--void gc/00000001/done"),
        ("gc/00000001/tombs", "strongroom copy"),
        ("sessions/a/b", "prune"),
        ("slots/a", "key remove"),
        ("writers/a", "repair --from"),
        ("config", "repair --from"),
    ],
)
def test_what_a_person_must_do_is_said(key: str, advice: str) -> None:
    """Never is one of these declared void by itself."""
    (action,) = plan_repair(facts(damage=[damaged(key), damaged(key)])).actions
    assert (action.step, action.key) == (Step.LEFT, key)
    assert advice in action.reason
    assert not plan_repair(facts(damage=[damaged(key)])).does_something


def test_what_is_handled_is_not_left() -> None:
    """What is put back, named or ended needs no advice; losses of snapshots are said elsewhere."""
    of_a_snapshot = Finding(Severity.DAMAGE, "snapshot ab", "lost", "ab", b"path")
    for one in (
        facts(damage=[damaged(ORDER, missing=True)], put_back={ORDER: "missing"}),
        facts(damage=[damaged(ORDER)], void=[ORDER]),
        facts(damage=[damaged("gc/00000001/tombs")], blind=["gc/00000001/kills"]),
        facts(damage=[of_a_snapshot, damaged(layout.pack(PACK))]),
    ):
        assert Step.LEFT not in [step for step, _ in done(one)]


def test_a_commit_that_is_made_again_is_named_afterwards() -> None:
    """It is declared void by a person, once the snapshot is back."""
    plan = plan_repair(facts(damage=[damaged(COMMIT)], commit_again=[COMMIT]))
    assert [action.step for action in plan.actions] == [Step.COMMIT, Step.LEFT]
    assert "when its snapshot is back" in plan.actions[1].reason
