"""Stores and processes that are searched together."""

from collections.abc import Callable, Iterator
from typing import NamedTuple

from tests.model.collector import Collector
from tests.model.explore import Process
from tests.model.rules import Rules
from tests.model.store_state import Commit, Order, Promise, Segment, Store
from tests.model.writers import Decay, Forgetter, GivesUp, Saver, Writer


def store(packs: str = "P:c", live: str = "", dead: str = "") -> Store:
    """Return a store with indexed packs, live snapshots and forgotten ones.

    ``live="Sc Td"`` are snapshots S and T that need the chunks c and d.
    """
    snapshots = [(word[0], word[1:]) for word in (live + " " + dead).split()]
    return Store(
        packs=frozenset(packs.split()),
        segments=frozenset(Segment("i" + pack[0], frozenset([pack])) for pack in packs.split()),
        sessions=frozenset(),
        commits=frozenset(Commit(name, "snapshot", chunks) for name, chunks in snapshots),
        orders=frozenset(Order("forget", word[0], "F0") for word in dead.split()),
        runs=(),
        promises=frozenset(Promise(name, chunks) for name, chunks in snapshots),
    )


class Configuration(NamedTuple):
    """A store and the processes in it; `alike`: its two collectors differ only in name."""

    store: Store
    processes: Callable[[Rules], list[Process]]
    alike: bool = False


CONFIGURATIONS: dict[str, Configuration] = {
 'W': Configuration(store(dead='Sc'), lambda R: [Writer('X','c',R), Collector('G',R)]),
 'W2': Configuration(store(dead='Sc'), lambda R: [Writer('X','c',R), Collector('G',R), Collector('H',R)], True),
 'WW': Configuration(store(''), lambda R: [Writer('X','c',R), Writer('Y','c',R), Collector('G',R)]),
 'WW2': Configuration(store(dead='Sc'), lambda R: [Writer('X','c',R), Writer('Y','c',R), Collector('G',R), Collector('H',R)], True),
 'WD': Configuration(store(dead='Sc'), lambda R: [Writer('X','c',R), Writer('Y','d',R), Collector('G',R,last=1)]),
 'U2': Configuration(store(dead='Sc'), lambda R: [Writer('X','c',R), Saver('U','un-forget','S',R), Collector('G',R), Collector('H',R)], True),
 'US': Configuration(store(live='Tc',dead='Sc'), lambda R: [Writer('X','d',R), Saver('U','un-forget','S',R), Collector('G',R), Collector('H',R)], True),
 'UX': Configuration(store(''), lambda R: [Writer('X','c',R), Forgetter('F','X'),Saver('U','un-forget','X',R),Saver('K','hold','X',R), Collector('G',R,last=1), Collector('H',R,last=1)], True),
 'H2': Configuration(store(live='Sc'), lambda R: [Writer('X','c',R), Forgetter('F','S'),Saver('K','hold','S',R), Collector('G',R), Collector('H',R)], True),
 'R2': Configuration(store('P:cd',live='Sc'), lambda R: [Writer('X','d',R), Collector('G',R,repacks=True), Collector('H',R,repacks=True)]),
 'RS': Configuration(store('P:cd',live='Sc'), lambda R: [Writer('X','d',R), GivesUp('Q','c'), Collector('G',R), Collector('H',R)], True),
 'M2': Configuration(store('P:c O:z',live='Sc'), lambda R: [Writer('X','z',R), Collector('G',R,compacts=True), Collector('H',R)]),
 'MM': Configuration(store('P:c O:z',live='Sc'), lambda R: [Writer('X','z',R), Collector('G',R,last=1,compacts=True), Collector('H',R,last=1,compacts=True)]),
 'MR': Configuration(store('P:cd',live='Td',dead='Sc'), lambda R: [Saver('U','un-forget','S',R), Collector('G',R,last=1,compacts=True,repacks=True), Collector('H',R,last=1,compacts=True,repacks=True)]),
 'Z2': Configuration(store(''), lambda R: [Writer('X','c',R,sends_twice='upload'), Writer('Y','c',R), Collector('G',R,revenants=True), Collector('H',R,revenants=True)], True),
 'ZI': Configuration(store(''), lambda R: [Writer('X','c',R,sends_twice='put index'), Writer('Y','c',R), Collector('G',R,last=1,revenants=True), Collector('H',R,last=1,revenants=True)], True),
 'ZC': Configuration(store(''), lambda R: [Writer('X','c',R,sends_twice='COMMIT'), Forgetter('F','X'), Saver('U','un-forget','X',R), Collector('G',R,last=1,revenants=True), Collector('H',R,last=1,revenants=True)], True),

 'D1': Configuration(store(live='Sc'), lambda R: [Decay('iP'), Writer('X','c',R), Collector('G',R)]),
 'D2': Configuration(store(live='Sc'), lambda R: [Decay('iP'), Writer('X','c',R), Collector('G',R), Collector('H',R)], True),
 'DT': Configuration(store(live='Tc',dead='Sc'), lambda R: [Decay('iP'), Writer('X','c',R), Collector('G',R), Collector('H',R)], True),
 'DD': Configuration(store(dead='Sc'), lambda R: [Decay('iP'), Writer('X','c',R), Collector('G',R), Collector('H',R)], True),
 'B2': Configuration(store(dead='Sc'), lambda R: [Writer('X','cd',R), Collector('G',R), Collector('H',R)], True),
 'BB': Configuration(store('P:c O:d',dead='Sc Td'), lambda R: [Writer('X','cd',R), Collector('G',R), Collector('H',R)], True),
 'BM': Configuration(store('P:c O:d',live='Sc',dead='Td'), lambda R: [Writer('X','cd',R), Collector('G',R,compacts=True), Collector('H',R)]),
 'UU': Configuration(store(dead='Sc'), lambda R: [Saver('U','un-forget','S',R), Forgetter('F','S'), Saver('V','un-forget','S',R), Collector('G',R), Collector('H',R)], True),
}
