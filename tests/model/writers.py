"""Processes that put objects and commit: everybody but the collector.

Each process is a function from the store and its own memory to the steps it may take next.  A step
is one request.  A process that dies is one that never steps again, so dying needs no step.
"""

from collections.abc import Callable
from itertools import product
from typing import Literal, NamedTuple

from tests.model.rules import Rules
from tests.model.store_state import (
    Commit,
    Key,
    Order,
    Promise,
    Segment,
    Store,
    chunks_of,
    commit_of,
    delete,
    indexed_packs,
    is_forgotten,
    is_snapshot,
    killed,
    put_commit,
    put_order,
    put_pack,
    put_segment,
    put_session,
    tombed,
)


class WriterMemory(NamedTuple):
    """Where a writer stands, and what it remembers of its listings."""

    at: str
    absent: frozenset[Key] = frozenset()
    packs: frozenset[str] = frozenset()
    segments: frozenset[Segment] = frozenset()
    uploads: str = ""  # the chunks that it relies on nobody for
    again: bool = False


WriterStep = tuple[str, Store, WriterMemory]
END = WriterMemory("end")


class Writer:
    """A session that commits a snapshot: it relies on chunks that it may, and uploads the others.

    With `sends_twice` the reply to that request may be lost, and the request is sent once more,
    however late; the first one took effect.
    """

    def __init__(self, name: str, chunks: str, rules: Rules, *, sends_twice: str = "") -> None:
        self._name = name
        self._chunks = chunks
        self._rules = rules
        self._sends_twice = sends_twice
        self._look, self._put = _plan(rules)
        self._steps: dict[str, Callable[[Store, WriterMemory], list[WriterStep]]] = {
            "put session": self._put_session,
            "list gc": self._list_gc,
            "list packs": self._list_packs,
            "list index": self._list_index,
            "upload": self._upload,
            "put index": self._put_index,
            "COMMIT": self._commit,
            "delete its upload": self._delete_upload,
        }

    def start(self) -> WriterMemory:
        """Return the memory of a writer that has done nothing."""
        return WriterMemory(self._look[0])

    def steps(self, store: Store, memory: WriterMemory) -> list[WriterStep]:
        """Return the steps this writer may take."""
        if memory.at == "end":
            return []
        steps = self._steps[memory.at](store, memory)
        if memory.at == self._sends_twice and not memory.again:
            label, put, _ = steps[0]
            steps.append((f"{label}, reply lost", put, memory._replace(again=True)))
        return steps

    # Looking: what may be relied on

    def _looked(self, label: str, store: Store, memory: WriterMemory) -> list[WriterStep]:
        """Go on looking, or choose what to rely on: after that nothing that was read matters."""
        label = f"{self._name}: {label}"
        place = self._look.index(memory.at) + 1
        if place < len(self._look):
            return [(label, store, memory._replace(at=self._look[place]))]
        return [
            self._chosen(label, store, [pack for pack in choice if pack])
            for choice in product(*(self._may_rely_on(chunk, memory) for chunk in self._chunks))
        ]

    def _may_rely_on(self, chunk: str, memory: WriterMemory) -> list[str]:
        """Return the packs that may be relied on for a chunk; an empty name if there is none."""
        gone = memory.absent if self._rules.killed_is_absent else frozenset()
        packs = [
            pack
            for pack in sorted(indexed_packs(memory.segments, gone))
            if chunk in chunks_of(pack)
            and Key("pack", pack) not in memory.absent
            and (pack in memory.packs or not self._rules.listed_packs_only)
        ]
        return packs or [""]

    def _chosen(self, label: str, store: Store, packs: list[str]) -> WriterStep:
        found = {chunk for pack in packs for chunk in chunks_of(pack)}
        uploads = "".join(chunk for chunk in self._chunks if chunk not in found)
        if packs:
            label += f", relies on {' '.join(packs)}"
        after = WriterMemory(self._put[0] if uploads else "COMMIT", uploads=uploads)
        return label, store, after

    def _put_session(self, store: Store, memory: WriterMemory) -> list[WriterStep]:
        return self._looked("put session", put_session(store, self._name), memory)

    def _list_gc(self, store: Store, memory: WriterMemory) -> list[WriterStep]:
        absent: frozenset[Key] = frozenset()
        if self._rules.tombed_is_absent:
            absent |= tombed(store)
        if self._rules.killed_is_absent:
            absent |= killed(store)
        return self._looked("list gc", store, memory._replace(absent=absent))

    def _list_packs(self, store: Store, memory: WriterMemory) -> list[WriterStep]:
        listed = store.packs if self._rules.listed_packs_only else frozenset()
        return self._looked("list packs", store, memory._replace(packs=listed))

    def _list_index(self, store: Store, memory: WriterMemory) -> list[WriterStep]:
        return self._looked("list index", store, memory._replace(segments=store.segments))

    # Putting

    def _done(self, label: str, store: Store, memory: WriterMemory) -> list[WriterStep]:
        """Go on to the next put; one that uploads nothing has only its COMMIT to put."""
        place = self._put.index(memory.at) + 1
        last = place == len(self._put) or not memory.uploads
        after = END if last else WriterMemory(self._put[place], uploads=memory.uploads)
        return [(f"{self._name}: {label}{' again' if memory.again else ''}", store, after)]

    def _pack(self, memory: WriterMemory) -> str:
        return f"{self._name if self._rules.keys_used_once else 'P'}:{memory.uploads}"

    def _upload(self, store: Store, memory: WriterMemory) -> list[WriterStep]:
        pack = self._pack(memory)
        return self._done(f"upload {pack}", put_pack(store, pack), memory)

    def _put_index(self, store: Store, memory: WriterMemory) -> list[WriterStep]:
        segment = Segment("i" + self._name, frozenset([self._pack(memory)]))
        return self._done(f"put index {segment.name}", put_segment(store, segment), memory)

    def _commit(self, store: Store, memory: WriterMemory) -> list[WriterStep]:
        commit = Commit(self._name, "snapshot", chunks=self._chunks)
        put, accepted = put_commit(store, commit, overwrite=not self._rules.one_decision)
        if accepted:
            promise = Promise(self._name, self._chunks)
            return self._done("COMMIT", put._replace(promises=put.promises | {promise}), memory)
        found = commit_of(store.commits, self._name)
        fenced = found is not None and found.verb == "ABORT"
        tidies = fenced and memory.uploads and not self._rules.writers_delete_nothing
        after = memory._replace(at="delete its upload") if tidies else END
        return [(f"{self._name}: COMMIT refused", store, after)]

    def _delete_upload(self, store: Store, memory: WriterMemory) -> list[WriterStep]:
        pack = self._pack(memory)
        return [(f"{self._name}: delete {pack}", delete(store, Key("pack", pack)), END)]


def _plan(rules: Rules) -> tuple[list[str], list[str]]:
    """Return the order of what a writer looks at and of what it puts."""
    look = ["list gc", "list packs", "list index"]
    if not rules.gc_before_packs:
        look = ["list packs", "list gc", "list index"]
    if not rules.packs_before_index:
        packs, index = look.index("list packs"), look.index("list index")
        look[packs], look[index] = look[index], look[packs]
    look = ["put session", *look] if rules.session_before_gc else [*look, "put session"]
    put = ["upload", "put index", "COMMIT"]
    if not rules.index_before_commit:
        put = ["upload", "COMMIT", "put index"]
    return look, put


class SaverMemory(NamedTuple):
    """Where an un-forget or hold stands, and which orders it found."""

    at: str
    looked: bool = False
    orders: frozenset[Order] = frozenset()


SaverStep = tuple[str, Store, SaverMemory]


class Saver:
    """An un-forget, which cancels the forget orders of one snapshot, or a hold on it."""

    def __init__(
        self, name: str, verb: Literal["un-forget", "hold"], target: str, rules: Rules
    ) -> None:
        self._name = name
        self._verb = verb
        self._target = target
        self._rules = rules
        self._steps = {
            "look first": self._look_first,
            "put session": self._put_session,
            "list gc": self._list_gc,
            "look": self._look,
            "COMMIT": self._commit,
            "put order": self._put_order,
        }

    def start(self) -> SaverMemory:
        """Return the memory of one that has done nothing."""
        as_order = self._verb == "hold" and not self._rules.hold_is_commit
        early = as_order or not self._rules.target_after_gc
        return SaverMemory("look first" if early else "put session")

    def steps(self, store: Store, memory: SaverMemory) -> list[SaverStep]:
        """Return the steps it may take."""
        return [] if memory.at == "end" else self._steps[memory.at](store, memory)

    def _go(self, label: str, store: Store, memory: SaverMemory) -> list[SaverStep]:
        return [(f"{self._name}: {label}", store, memory)]

    def _look_first(self, store: Store, memory: SaverMemory) -> list[SaverStep]:
        """Look before the session: what two of the rules forbid."""
        if self._verb == "hold" and not self._rules.hold_is_commit:
            forgotten = is_forgotten(self._target, store.commits, store.orders)
            at = "put session" if forgotten else "put order"
            return self._go("read orders", store, SaverMemory(at))
        return self._look_then("put session", store, memory)

    def _look(self, store: Store, memory: SaverMemory) -> list[SaverStep]:
        return self._look_then("COMMIT", store, memory)

    def _look_then(self, at: str, store: Store, memory: SaverMemory) -> list[SaverStep]:
        orders = frozenset(
            order
            for order in store.orders
            if order.verb == "forget" and order.target == self._target
        )
        there = is_snapshot(store, self._target) or not self._rules.missing_target_refused
        found = there and (orders or self._verb == "hold")
        memory = memory._replace(at=at if found else "end", looked=True, orders=orders)
        return self._go(f"read orders and {self._target}", store, memory)

    def _put_session(self, store: Store, memory: SaverMemory) -> list[SaverStep]:
        put = put_session(store, self._name)
        return self._go("put session", put, memory._replace(at="list gc"))

    def _list_gc(self, store: Store, memory: SaverMemory) -> list[SaverStep]:
        target = Key("commit", self._target)
        if (self._rules.tombed_target_refused and target in tombed(store)) or (
            self._rules.killed_is_absent and target in killed(store)
        ):
            return self._go("list gc, refuses", store, memory._replace(at="end"))
        at = "COMMIT" if memory.looked else "look"
        return self._go("list gc", store, memory._replace(at=at))

    def _commit(self, store: Store, memory: SaverMemory) -> list[SaverStep]:
        if self._verb == "hold":
            commit = Commit(self._name, "hold", target=self._target)
        else:
            own_key = self._rules.unforget_is_commit
            key = self._name if own_key else self._name + " order"
            commit = Commit(key, "un-forget", target=self._target, cancels=memory.orders)
        put, accepted = put_commit(store, commit, overwrite=not self._rules.one_decision)
        label = f"COMMIT of the {self._verb}{'' if accepted else ' refused'}"
        return self._go(label, put, SaverMemory("end"))

    def _put_order(self, store: Store, _memory: SaverMemory) -> list[SaverStep]:
        put = put_order(store, Order("hold", self._target, self._name))
        return self._go("put order to hold", put, SaverMemory("end"))


class Forgetter:
    """Puts one order that forgets a snapshot, if it finds the snapshot; no session, no wait."""

    def __init__(self, name: str, target: str) -> None:
        self._name = name
        self._target = target

    def start(self) -> bool:
        """Return the memory of one that has not put its order."""
        return False

    def steps(self, store: Store, ordered: bool) -> list[tuple[str, Store, bool]]:  # noqa: FBT001
        """Return the one step, as long as it was not taken."""
        if ordered or not is_snapshot(store, self._target):
            return []
        put = put_order(store, Order("forget", self._target, self._name))
        return [(f"{self._name}: forget {self._target}", put, True)]


class GivesUp:
    """A session that copies a chunk into a new pack, indexes it and puts its own ABORT.

    So does a writer that fails cleanly, and so does a repack which is not part of a run.
    """

    def __init__(self, name: str, chunk: str) -> None:
        self._name = name
        self._pack = f"{name}:{chunk}"

    def start(self) -> int:
        """Return the number of steps taken."""
        return 0

    def steps(self, store: Store, taken: int) -> list[tuple[str, Store, int]]:
        """Return the next step of the five."""
        name, pack = self._name, self._pack
        segment = Segment("i" + name, frozenset([pack]))
        if taken == 0:
            label, put = "put session", put_session(store, name)
        elif taken == 1:
            label, put = "list gc", store
        elif taken == 2:
            label, put = f"upload {pack}", put_pack(store, pack)
        elif taken == 3:
            label, put = f"put index {segment.name}", put_segment(store, segment)
        elif taken == 4:
            label, put = "ABORT", put_commit(store, Commit(name, "ABORT"))[0]
        else:
            return []
        return [(f"{name}: {label}", put, taken + 1)]


class Decay:
    """Real damage: one index segment vanishes, and with it the places of the chunks in its packs.

    It happens only while those packs are there and not named by a kills.
    """

    def __init__(self, segment: str) -> None:
        self._segment = segment

    def start(self) -> bool:
        """Return the memory before the damage."""
        return False

    def steps(self, store: Store, happened: bool) -> list[tuple[str, Store, bool]]:  # noqa: FBT001
        """Return the one step, as long as it was not taken."""
        key = Key("segment", self._segment)
        lost = [segment for segment in store.segments if segment.name == self._segment]
        if happened or not lost or key in killed(store):
            return []
        chunks = {chunk for pack in lost[0].packs for chunk in chunks_of(pack)}
        damaged = delete(store, key)._replace(damaged=store.damaged | chunks)
        return [(f"segment {self._segment} is lost", damaged, True)]
