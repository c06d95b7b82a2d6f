"""Step 2 of a run, request by request: mark, and put what the run begins with."""

from __future__ import annotations

from collections.abc import Iterator

from tests.model.collector_damage import Damage
from tests.model.collector_memory import (
    END,
    LISTINGS,
    CollectorMemory,
    Self,
    Step,
    past,
    read,
    trusting,
)
from tests.model.domains import spared, stopped_by
from tests.model.marking import Past, Plan, compaction, garbage, graces, marks, nowhere, repacks
from tests.model.store_reading import View
from tests.model.store_state import (
    Key,
    Keys,
    Run,
    Segment,
    Store,
    commit_of,
    delete,
    names,
    put_pack,
    put_run,
    put_segment,
)
from tests.model.trouble import report, troubles
from tests.model.wal import needs


class Marker:
    """What one collector does from the last listing before tombs to the put of tombs."""

    def __init__(self, me: Self, damage: Damage) -> None:
        self._name = me.name
        self._rules = me.rules
        self._compacts = "compact" in me.does
        self._repacks = "repack" in me.does
        self._damage = damage

    def mark(self, store: Store, memory: CollectorMemory) -> list[Step]:
        """List the index, the last of the four listings, and mark."""
        view = read(store, memory)
        before = past(store, memory, view, self._rules)
        trouble = report(troubles(view, before, self._rules))
        steps: list[Step] = []
        seen = set()
        for dead in graces(view, before, self._rules):
            missing = trouble
            if self._rules.damage_stops:
                missing |= nowhere(view, before, dead)
            if not missing <= memory.reported:
                steps.append(self._damage.doubt(store, memory._replace(doubts="mark"), missing))
                continue
            stopped = stopped_by(memory.reported)
            for plan in self._plans(view, before, dead, memory.run):
                tombs = plan.tombs - spared(plan.tombs, stopped, view, self._rules)
                tombs -= self._protected(store, tombs)
                if plan.new_segment is not None or tombs not in seen:
                    seen.add(tombs)
                    steps.append(self._planned(store, memory, view, plan._replace(tombs=tombs)))
        return list(dict.fromkeys(steps))

    def _protected(self, store: Store, tombs: Keys) -> Keys:
        """Return the WAL that open sessions protect by positions, or for lack of one: not needed.

        And a session whose writer is dead would protect it for ever, if there is nothing else to
        begin a run for, in which it would be fenced.
        """
        wal = frozenset(key for key in tombs if key.kind == "wal")
        if not wal or self._rules.waits_protect_wal:
            return frozenset()
        begun = dict(store.positions)
        starts = [begun.get(s, "") for s in store.sessions if not commit_of(store.commits, s)]
        return frozenset(
            key for key in wal if any(not start or needs(start, key.name) for start in starts)
        )

    def _plans(self, view: View, before: Past, dead: frozenset[str], number: int) -> Iterator[Plan]:
        rules, name = self._rules, f"{self._name}{number}"
        for mark in marks(view, before, dead):
            tombs = garbage(view, before, mark.kept, dead, rules)
            yield Plan("marks", tombs)
            if self._compacts and len(view.segments) > 1:
                yield compaction(name, view, before, mark, dead, rules)
            if self._repacks:
                yield from repacks(name, view, before, mark, dead, rules)

    def _planned(self, store: Store, memory: CollectorMemory, view: View, plan: Plan) -> Step:
        label = f"{self._name}: list index, {plan.label}"
        if plan.new_segment is None:
            label += f" {names(plan.tombs)}"
        if plan.new_segment is None and not plan.tombs:
            return label, store, END
        trusts = [name for name in LISTINGS if not getattr(self._rules, f"{name}_read_again")]
        memory = trusting(memory, view, trusts)._replace(plan=plan)
        if plan.new_segment is None or self._is_late(plan):
            at = "put tombs"
        else:
            at = "put new pack" if plan.repacked else "put new segment"
        return label, store, memory._replace(at=at)

    def _is_late(self, plan: Plan) -> bool:
        """Tell whether a repack puts its new pack after tombs: what a rule forbids."""
        return bool(plan.repacked) and not self._rules.repack_before_tombs

    def put_new_pack(self, store: Store, memory: CollectorMemory) -> list[Step]:
        """Put the pack of a repack."""
        _, segment = _planned_segment(memory)
        (pack,) = segment.packs
        after = memory._replace(at="put new segment")
        return [(f"{self._name}: put new pack {pack}", put_pack(store, pack), after)]

    def put_new_segment(self, store: Store, memory: CollectorMemory) -> list[Step]:
        """Put the segment of a repack or compaction."""
        plan, segment = _planned_segment(memory)
        after = memory._replace(at="put tombs")
        if self._is_late(plan):
            after = memory._replace(at="list sessions", plan=None)
        elif plan.repacked and not self._rules.repacked_goes_by_kills:
            after = memory._replace(at="delete repacked pack")
        label = f"{self._name}: put new segment {segment.name}"
        return [(label, put_segment(store, segment), after)]

    def delete_repacked(self, store: Store, memory: CollectorMemory) -> list[Step]:
        """Delete the old pack at once: what a rule forbids."""
        plan, _ = _planned_segment(memory)
        deleted = delete(store, Key("pack", plan.repacked))
        return [(f"{self._name}: delete {plan.repacked}", deleted, memory._replace(at="put tombs"))]

    def put_tombs(self, store: Store, memory: CollectorMemory) -> list[Step]:
        """Put tombs, unless another collector has begun the run."""
        plan = memory.plan
        assert plan is not None
        number = memory.run if self._rules.runs_in_turn else len(store.runs) + 1
        first = number > len(store.runs)
        if first:
            put = store._replace(runs=(*store.runs, Run(plan.tombs)))
        else:
            put = self._put_over(store, number, plan.tombs)
        late = self._is_late(plan)
        memory = memory._replace(
            at="put new pack" if late else "list sessions",
            run=number,
            plan=plan if late else None,
            tombs=None if self._rules.first_tombs_rule else plan.tombs,
        )
        label = f"{self._name}: put tombs {number} {names(plan.tombs)}"
        refused = not first and self._rules.conditional_puts
        return [(f"{label} refused" if refused else label, put, memory)]

    def _put_over(self, store: Store, number: int, tombs: Keys) -> Store:
        """Put tombs where others stand: without conditional puts they are replaced."""
        if self._rules.conditional_puts:
            return store
        return put_run(store, number, store.runs[number - 1]._replace(tombs=tombs))


def _planned_segment(memory: CollectorMemory) -> tuple[Plan, Segment]:
    assert memory.plan is not None
    assert memory.plan.new_segment is not None
    return memory.plan, memory.plan.new_segment
