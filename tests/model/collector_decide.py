"""Step 4 of a run: with everything listed again, decide, and put kills."""

from __future__ import annotations

from tests.model.collector_damage import Damage
from tests.model.collector_delete import Deleter
from tests.model.collector_memory import START, CollectorMemory, Self, Step, past, read
from tests.model.collector_wait import abort_beside, waits
from tests.model.domains import spared, stopped_by
from tests.model.marking import graces
from tests.model.store_reading import View, heads
from tests.model.store_state import Keys, Store, commit_key, names, put_run, run_key
from tests.model.trouble import report, troubles
from tests.model.verdict import decide


class Decider:
    """What one collector does from the last listing of step 4 to the put of kills."""

    def __init__(self, me: Self, deleter: Deleter, damage: Damage) -> None:
        self._me = me
        self._deleter = deleter
        self._damage = damage

    def decide(self, store: Store, memory: CollectorMemory) -> list[Step]:
        """List the index again, the last of the four listings, and decide."""
        view, rules = read(store, memory), self._me.rules
        before = past(store, memory, view, rules)
        label = f"{self._me.name}: list index again"
        tombs = memory.tombs
        if tombs is None:
            if run_key(memory.run, "tombs") in store.unreadable:
                return [(f"{label}, tombs {memory.run} cannot be read", store, START)]
            tombs = store.runs[memory.run - 1].tombs
        doubting = memory._replace(doubts="decide")
        trouble = report(troubles(view, before, rules))
        stopped = stopped_by(memory.reported)
        steps: list[Step] = []
        for dead in graces(view, before, rules):
            verdict = decide(tombs, view, before, dead, rules)
            missing = trouble | verdict.nowhere
            if not missing <= memory.reported:
                steps.append(self._damage.doubt(store, doubting, missing))
            else:
                kills = verdict.kills - spared(verdict.kills, stopped, view, rules)
                kills |= self._fenced(store, memory, view)
                after = memory.then("put kills")._replace(
                    sessions=memory.sessions, kills=kills, heads=self._heads(view, kills)
                )
                steps.append((f"{label}, decides {names(kills)}", store, after))
        return list(dict.fromkeys(steps))

    def _fenced(self, store: Store, memory: CollectorMemory, view: View) -> Keys:
        """Return the commit keys that are still free and have an ABORT beside them."""
        if "fence beside" not in self._me.does or not self._me.rules.kills_name_fenced:
            return frozenset()
        taken = {commit.session for commit in view.commits}
        sessions = waits(store, memory, self._me) - taken
        return frozenset(commit_key(s) for s in sessions if abort_beside(s) in taken)

    def _heads(self, view: View, kills: Keys) -> Keys:
        """Return the heads of what will be there when the run is done."""
        if "name heads" not in self._me.does or not self._me.rules.kills_name_heads:
            return frozenset()
        staying = [commit for commit in view.commits if commit_key(commit.session) not in kills]
        return heads(staying, view.orders)

    def put_kills(self, store: Store, memory: CollectorMemory) -> list[Step]:
        """Put kills, unless another collector was faster: then those rule."""
        assert memory.kills is not None
        label = f"{self._me.name}: put kills {memory.run}"
        run = store.runs[memory.run - 1]
        kills = memory.kills
        if run.kills is not None and self._me.rules.conditional_puts:
            label += " refused"
            if self._me.rules.first_kills_rule:
                if run_key(memory.run, "kills") in store.unreadable:
                    return [(label, store, START)]
                kills = run.kills
        else:
            store = put_run(store, memory.run, run._replace(kills=kills, heads=memory.heads))
        return [(label, store, self._deleter.begin(store, memory, kills))]
