"""The collector: numbered runs, each of which any collector may finish.

A run is five steps of the design, here one request at a time:

1. list gc, commits, orders
2. list packs and index, mark, put tombs
3. list sessions, put waits, wait (and put ABORT for a session that is silent)
4. list commits, orders, packs and index again, put kills
5. delete what kills names, put done

When a session counts as silent is not modelled: any session may be fenced at any time.
"""

from collections.abc import Callable, Iterator
from typing import NamedTuple

from tests.model.marking import Mark, Past, decide, garbage, graces, marks, nowhere
from tests.model.rules import Rules
from tests.model.store_state import (
    DELETE_ORDER,
    NOTHING_READ,
    Commit,
    Key,
    Run,
    Segment,
    Store,
    View,
    chunks_of,
    commit_of,
    delete,
    indexed_packs,
    is_listed,
    killed,
    names,
    put_commit,
    put_pack,
    put_segment,
)

FIRST = ("list commits", "list orders", "list packs", "list index")
PACKS_FIRST = ("list packs", "list commits", "list orders", "list index")
AGAIN = " again"

BOUND_TO_BE_REFUSED = (
    *("commits_read_again", "orders_read_again", "packs_read_again", "index_read_again"),
    *("runs_in_turn", "first_tombs_rule", "first_waits_rule", "first_kills_rule"),
    *("sessions_after_tombs", "adopter_waits", "only_decision_ends_wait"),
    *("done_after_deletes", "damage_is_checked"),
)
"""With these rules a collector whose put will be refused goes on with what stands there."""


class CollectorMemory(NamedTuple):
    """Where a collector stands, and what it remembers."""

    at: str = "list gc"
    run: int = 0
    tombs: frozenset[Key] | None = None
    sessions: frozenset[str] | None = None
    view: View = NOTHING_READ
    trusts: frozenset[str] = frozenset()  # listings that it will not read again
    kills: frozenset[Key] | None = None
    todo: tuple[Key, ...] = ()
    new_segment: Segment | None = None
    nowhere: str = ""
    doubts: str = ""  # the step in which it found a chunk nowhere: "mark" or "decide"


Step = tuple[str, Store, CollectorMemory]
START = CollectorMemory()
END = CollectorMemory("end")


class Collector:
    """One collector, which takes run after run up to `last`."""

    def __init__(
        self,
        name: str,
        rules: Rules,
        *,
        last: int = 2,
        compacts: bool = False,
        repacks: bool = False,
        revenants: bool = False,
    ) -> None:
        """Say what it does besides; with `revenants` a deleted key may come back."""
        self._name = name
        self._rules = rules
        self._last = last
        self._compacts = compacts
        self._repacks = repacks
        self._revenants = revenants
        first = FIRST if rules.roots_before_packs else PACKS_FIRST
        again = FIRST if rules.roots_before_packs_again else PACKS_FIRST
        self._first_again = again[0] + AGAIN
        self._first_listing = first[0]
        self._after = dict(zip(first, first[1:], strict=False))
        self._after |= {
            a + AGAIN: b + AGAIN for a, b in zip(again, again[1:], strict=False)
        }
        self._skips = all(getattr(rules, rule) for rule in BOUND_TO_BE_REFUSED)
        self._steps: dict[str, Callable[[Store, CollectorMemory], list[Step]]] = {
            **dict.fromkeys(self._after, self._list),
            "list gc": self._list_gc,
            "list index": self._mark,
            "list gc before an alarm": self._list_gc_again,
            "put new pack": self._put_new_pack,
            "put new segment": self._put_new_segment,
            "delete repacked pack": self._delete_repacked,
            "put tombs": self._put_tombs,
            "list sessions": self._list_sessions,
            "put waits": self._put_waits,
            "wait": self._wait,
            "list index again": self._decide,
            "put kills": self._put_kills,
            "delete": self._delete,
            "put done": self._put_done,
            "end": self._end,
        }

    def start(self) -> CollectorMemory:
        """Return the memory of a collector that has read nothing."""
        return START

    def steps(self, store: Store, memory: CollectorMemory) -> list[Step]:
        """Return the steps this collector may take."""
        return self._steps[memory.at](store, memory)

    def catch_up(self, store: Store, memory: CollectorMemory) -> CollectorMemory:
        """Skip what is bound to be refused: its readings no longer matter.

        Without this every way to a put that is refused would be a state of its own.
        """
        run = memory.run
        if not self._skips or not 1 <= run <= len(store.runs):
            return memory
        there = store.runs[run - 1]
        at = memory.at
        if at in {*FIRST, "put tombs"} and not self._compacts and not self._repacks:
            at = "list sessions"
            memory = CollectorMemory(at, run)
        if at in {"list sessions", "put waits"} and there.waits is not None:
            at = "wait"
            memory = CollectorMemory(at, run)
        deciding = at in {"list sessions", "put waits", "wait", "put kills"} or AGAIN in at
        if deciding and there.kills is not None:
            at = "delete"
            memory = CollectorMemory(at, run, todo=self._todo(store, run, there.kills))
        if at == "delete" and there.done and not self._revenants:
            return START
        return memory

    # Steps 1 and 2

    def _go(self, label: str, store: Store, memory: CollectorMemory) -> Step:
        return f"{self._name}: {label}", store, memory

    def _end(self, _store: Store, _memory: CollectorMemory) -> list[Step]:
        return []

    def _list_gc(self, store: Store, _memory: CollectorMemory) -> list[Step]:
        """Start the next run, or adopt the one that is not done."""
        free = len(store.runs) + 1
        unfinished = (number for number, run in enumerate(store.runs, 1) if not run.done)
        number = next(unfinished, free) if self._rules.runs_in_turn else free
        if number > self._last:
            return []
        sessions = None if self._rules.sessions_after_tombs else store.sessions
        memory = CollectorMemory(self._first_listing, number, sessions=sessions)
        if number == free:
            return [self._go(f"list gc, starts run {number}", store, memory)]
        if not self._rules.unfinished_is_finished:
            return [self._go(f"list gc, leaves run {number}", store, END)]
        memory = self._adopt(store, memory)
        return [self._go(f"list gc, finishes run {number}", store, memory)]

    def _adopt(self, store: Store, memory: CollectorMemory) -> CollectorMemory:
        """Go on where the run stands."""
        run = self._run(store, memory.run)
        if run.kills is not None and self._rules.adopter_goes_on:
            todo = self._todo(store, memory.run, run.kills)
            return CollectorMemory("delete", memory.run, todo=todo)
        if not self._rules.adopter_waits:
            return memory._replace(at=self._first_again)
        if run.waits is not None and self._rules.adopter_goes_on:
            return CollectorMemory("wait", memory.run)
        return memory._replace(at="list sessions")

    def _read(self, store: Store, memory: CollectorMemory) -> View:
        """Return the view after one more listing."""
        listing = memory.at.removesuffix(AGAIN).removeprefix("list ")
        if memory.at.endswith(AGAIN) and listing in memory.trusts:
            return memory.view
        if listing == "commits":
            return memory.view._replace(commits=store.commits)
        if listing == "orders":
            return memory.view._replace(orders=store.orders)
        if listing == "packs":
            return memory.view._replace(packs=store.packs)
        return memory.view._replace(segments=store.segments)

    def _list(self, store: Store, memory: CollectorMemory) -> list[Step]:
        after = memory._replace(at=self._after[memory.at], view=self._read(store, memory))
        return [self._go(memory.at, store, after)]

    def _past(self, store: Store) -> Past:
        ended = killed(store)
        return Past(ended if self._rules.killed_is_absent else frozenset(), ended)

    def _mark(self, store: Store, memory: CollectorMemory) -> list[Step]:
        """List the index as the last of the four, and mark."""
        view, past = self._read(store, memory), self._past(store)
        steps: list[Step] = []
        seen = set()
        for dead in graces(view.commits, view.orders, self._rules):
            missing = nowhere(view, dead, past.gone)
            if missing and self._rules.damage_stops:
                steps.append(self._doubt(store, memory._replace(doubts="mark"), missing))
                continue
            for mark in marks(view, past, dead, self._rules):
                if mark.tombs not in seen:
                    seen.add(mark.tombs)
                    steps += self._plan(store, memory, view, dead, mark)
        return steps

    def _plan(
        self, store: Store, memory: CollectorMemory, view: View, dead: frozenset[str], mark: Mark
    ) -> Iterator[Step]:
        """Choose what to do with one way to mark: tombs at once, or after new objects."""
        trusted, trusts = self._trusted(view)
        memory = memory._replace(at="put tombs", tombs=mark.tombs, view=trusted, trusts=trusts)
        label = f"list index, marks {names(mark.tombs)}"
        yield self._go(label, store, memory if mark.tombs else END)
        past = self._past(store)
        if self._compacts and len(view.segments) > 1:
            merged = self._merged(view, past, memory.run)
            later = view._replace(segments=view.segments | {merged})
            tombs = garbage(later, past, mark.kept, dead, self._rules)
            memory = memory._replace(at="put new segment", new_segment=merged, tombs=tombs)
            yield self._go("list index, will compact", store, memory)
        for pack in sorted(mark.kept) if self._repacks else ():
            left = "".join(chunk for chunk in chunks_of(pack) if chunk in mark.needed)
            if left == chunks_of(pack):
                continue
            new = f"{self._name}{memory.run}:{left}"
            segment = Segment(f"i{self._name}{memory.run}", frozenset([new]))
            later = view._replace(packs=view.packs | {new}, segments=view.segments | {segment})
            tombs = garbage(later, past, mark.kept - {pack} | {new}, dead, self._rules)
            todo = () if self._rules.repacked_goes_by_kills else (Key("pack", pack),)
            at = "put new pack" if self._rules.repack_before_tombs else "put tombs"
            memory = memory._replace(at=at, new_segment=segment, tombs=tombs, todo=todo)
            yield self._go(f"list index, will repack {pack}", store, memory)

    def _trusted(self, view: View) -> tuple[View, frozenset[str]]:
        """Return what step 4 will not read again: nothing, unless a rule is taken away."""
        rules = self._rules
        trusts = set()
        if not rules.commits_read_again:
            trusts.add("commits")
        if not rules.orders_read_again:
            trusts.add("orders")
        if not rules.packs_read_again:
            trusts.add("packs")
        if not rules.index_read_again:
            trusts.add("index")
        trusted = View(
            packs=view.packs if "packs" in trusts else frozenset(),
            commits=view.commits if "commits" in trusts else frozenset(),
            orders=view.orders if "orders" in trusts else frozenset(),
            segments=view.segments if "index" in trusts else frozenset(),
        )
        return trusted, frozenset(trusts)

    def _merged(self, view: View, past: Past, run: int) -> Segment:
        """Return one segment in the place of all."""
        packs = indexed_packs(view.segments, past.gone)
        drop = {pack for pack in packs if Key("pack", pack) in past.ended}
        if not self._rules.merge_keeps_entries:
            drop |= packs - view.packs
        superseded = frozenset(segment.name for segment in view.segments)
        return Segment(f"m{self._name}{run}", frozenset(packs - drop), superseded)

    def _put_new_pack(self, store: Store, memory: CollectorMemory) -> list[Step]:
        assert memory.new_segment is not None
        (pack,) = memory.new_segment.packs
        put = put_pack(store, pack)
        return [self._go(f"put new pack {pack}", put, memory._replace(at="put new segment"))]

    def _put_new_segment(self, store: Store, memory: CollectorMemory) -> list[Step]:
        assert memory.new_segment is not None
        put = put_segment(store, memory.new_segment)
        label = f"put new segment {memory.new_segment.name}"
        memory = memory._replace(at="put tombs", new_segment=None)
        if not self._rules.repack_before_tombs and memory.tombs is None:
            memory = memory._replace(at="list sessions")
        if memory.todo:
            memory = memory._replace(at="delete repacked pack")
        return [self._go(label, put, memory)]

    def _delete_repacked(self, store: Store, memory: CollectorMemory) -> list[Step]:
        after = memory._replace(at="put tombs", todo=())
        return [self._go(f"delete {memory.todo[0].name}", delete(store, memory.todo[0]), after)]

    def _put_tombs(self, store: Store, memory: CollectorMemory) -> list[Step]:
        assert memory.tombs is not None
        number = memory.run if self._rules.runs_in_turn else len(store.runs) + 1
        first = number > len(store.runs)
        put = store._replace(runs=(*store.runs, Run(memory.tombs))) if first else store
        label = f"put tombs {number} {names(memory.tombs)}{'' if first else ' refused'}"
        after = CollectorMemory(
            "put new pack" if memory.new_segment else "list sessions",
            number,
            new_segment=memory.new_segment,
            tombs=None if self._rules.first_tombs_rule else memory.tombs,
            sessions=memory.sessions,
            view=memory.view,
            trusts=memory.trusts,
        )
        return [self._go(label, put, after)]

    # Damage

    def _doubt(self, store: Store, memory: CollectorMemory, chunk: str) -> Step:
        """A chunk is found nowhere: look at gc once more before saying so."""
        memory = memory._replace(nowhere=chunk)
        if not self._rules.damage_is_checked:
            return self._alarm(store, memory, memory.at)
        memory = memory._replace(at="list gc before an alarm")
        return self._go(f"{memory.at}, {chunk} is nowhere", store, memory)

    def _list_gc_again(self, store: Store, memory: CollectorMemory) -> list[Step]:
        runs, run = store.runs, memory.run
        marking = memory.doubts == "mark"
        moved_on = run <= len(runs) if marking else runs[run - 1].kills is not None
        if moved_on:
            return [self._go("list gc, the run has moved on", store, START)]
        return [self._alarm(store, memory, "list gc")]

    def _alarm(self, store: Store, memory: CollectorMemory, label: str) -> Step:
        said = store._replace(alarms=store.alarms | set(memory.nowhere))
        after = END
        if memory.doubts == "decide":
            after = CollectorMemory("put kills", memory.run, kills=frozenset())
        return self._go(f"{label}, alarm: {memory.nowhere} is nowhere", said, after)

    # Step 3

    def _run(self, store: Store, number: int) -> Run:
        return store.runs[number - 1]

    def _with_run(self, store: Store, number: int, run: Run) -> Store:
        return store._replace(runs=(*store.runs[: number - 1], run, *store.runs[number:]))

    def _list_sessions(self, store: Store, memory: CollectorMemory) -> list[Step]:
        sessions = store.sessions if memory.sessions is None else memory.sessions
        after = memory._replace(at="put waits", sessions=sessions)
        return [self._go("list sessions", store, after)]

    def _put_waits(self, store: Store, memory: CollectorMemory) -> list[Step]:
        assert memory.sessions is not None
        if not self._rules.first_waits_rule:
            return self._wait(store, memory._replace(at="wait"))
        run = self._run(store, memory.run)
        refused = run.waits is not None
        waiting = self._with_run(store, memory.run, run._replace(waits=memory.sessions))
        after = memory._replace(at="wait", sessions=None)
        label = f"put waits {memory.run} {{{' '.join(sorted(memory.sessions))}}}"
        return [self._go(label + refused * " refused", store if refused else waiting, after)]

    def _wait(self, store: Store, memory: CollectorMemory) -> list[Step]:
        """Fence a session that is open, or go on with step 4 if none is."""
        waits = self._run(store, memory.run).waits
        if not self._rules.first_waits_rule:
            waits = memory.sessions
        undecided = [
            session
            for session in sorted(waits or ())
            if commit_of(store.commits, session) is None
        ]
        steps = [
            self._go(f"fence {session}", put_commit(store, Commit(session, "ABORT"))[0], memory)
            for session in undecided
        ]
        if not undecided or not self._rules.only_decision_ends_wait:
            steps += self.steps(store, memory._replace(at=self._first_again, sessions=None))
        return steps

    # Step 4

    def _decide(self, store: Store, memory: CollectorMemory) -> list[Step]:
        """List the index as the last of the four, and decide."""
        view, past = self._read(store, memory), self._past(store)
        tombs = memory.tombs
        if tombs is None:
            tombs = self._run(store, memory.run).tombs
        steps = []
        for dead in graces(view.commits, view.orders, self._rules):
            verdict = decide(tombs, view, past, dead, self._rules)
            if verdict.nowhere:
                doubting = memory._replace(doubts="decide")
                steps.append(self._doubt(store, doubting, verdict.nowhere))
            elif verdict.kills is None:
                steps.append(self._go("list index again, stands still", store, END))
            else:
                after = CollectorMemory("put kills", memory.run, kills=verdict.kills)
                label = f"list index again, decides {names(verdict.kills)}"
                steps.append(self._go(label, store, after))
        return steps

    def _put_kills(self, store: Store, memory: CollectorMemory) -> list[Step]:
        run = self._run(store, memory.run)
        refused = run.kills is not None
        put = store
        if not refused:
            put = self._with_run(store, memory.run, run._replace(kills=memory.kills))
        kills = self._run(put, memory.run).kills if self._rules.first_kills_rule else memory.kills
        assert kills is not None
        at = "delete" if self._rules.done_after_deletes else "put done"
        after = CollectorMemory(at, memory.run, todo=self._todo(store, memory.run, kills))
        return [self._go(f"put kills {memory.run}{refused * ' refused'}", put, after)]

    # Step 5

    def _todo(self, store: Store, number: int, kills: frozenset[Key]) -> tuple[Key, ...]:
        """Return the deletes in their order: the index first, sessions last."""
        waits = self._run(store, number).waits or ()
        keys = kills | {Key("session", session) for session in waits}
        if not self._rules.abort_stays:
            keys |= {Key("commit", commit.session) for commit in store.commits if commit.verb == "ABORT" and commit.session in waits}
        order = DELETE_ORDER
        if not self._rules.index_deleted_first:
            order = ("pack", "segment", "commit", "session")
        if not self._rules.sessions_deleted_last:
            order = ("session", *order)
        return tuple(sorted(keys, key=lambda key: (order.index(key.kind), key.name)))

    def _delete(self, store: Store, memory: CollectorMemory) -> list[Step]:
        todo = memory.todo
        while todo and not self._revenants and not is_listed(store, todo[0]):
            todo = todo[1:]  # nothing is there and nothing comes back: no step
        if todo:
            label = f"delete {'session ' * (todo[0].kind == 'session')}{todo[0].name}"
            return [self._go(label, delete(store, todo[0]), memory._replace(todo=todo[1:]))]
        if self._rules.done_after_deletes:
            return self._put_done(store, CollectorMemory("put done", memory.run))
        return []

    def _put_done(self, store: Store, memory: CollectorMemory) -> list[Step]:
        run = self._run(store, memory.run)._replace(done=True)
        after = START if self._rules.done_after_deletes else memory._replace(at="delete")
        return [self._go(f"put done {memory.run}", self._with_run(store, memory.run, run), after)]
