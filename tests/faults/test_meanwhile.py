"""Between any two requests of one command another one begins and ends, on another host."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path

import pytest

from strongroom.errors import BusyError, RefusedError
from strongroom.model.store import Store
from strongroom.storage.memory import MemoryStore
from strongroom.storage.wrappers.forwarding import Verb
from tests.faults.workloads import FIRST, SECOND, THIRD, Base, Files, make_base, undecided
from tests.support.faulty_store import Fault, FaultyStore
from tests.support.invariants import check_invariants
from tests.support.kit import Kit

pytestmark = pytest.mark.spec("B1", "B4")

LEAST_REQUESTS = 6  # fewer would mean that we do not look


class _Meanwhile:
    """``Faults``: no fault, but something else is done just before the n-th request."""

    def __init__(self, nth: int, act: Callable[[], None]) -> None:
        self._nth = nth
        self._act = act
        self.seen = 0

    def next(self, verb: Verb, key: str) -> Fault | None:
        """See ``Faults``."""
        del verb, key
        self.seen += 1
        if self.seen == self._nth:
            self._act()
        return None


@pytest.fixture(name="base", scope="module")
def _base(tmp_path_factory: pytest.TempPathFactory) -> Base:
    return make_base(tmp_path_factory.mktemp("base"), [FIRST, SECOND])


def _verify(kit: Kit, acknowledged: Mapping[str, Files]) -> dict[str, Files]:
    del acknowledged
    assert kit.verify().damage == []
    return {}


def _restore(kit: Kit, acknowledged: Mapping[str, Files]) -> dict[str, Files]:
    for snapshot_id, files in acknowledged.items():
        result, restored = kit.restore(snapshot_id)
        assert result.damaged == []
        assert restored == files
    return {}


def _list(kit: Kit, acknowledged: Mapping[str, Files]) -> dict[str, Files]:
    assert set(acknowledged) <= {snapshot.id for snapshot in kit.snapshots()}
    return {}


def _back_up(kit: Kit, acknowledged: Mapping[str, Files]) -> dict[str, Files]:
    del acknowledged
    result = kit.backup(SECOND)
    assert result.problems == []
    return {result.snapshot.id: SECOND}


@pytest.mark.parametrize("work", [_verify, _restore, _list, _back_up])
@pytest.mark.parametrize("knows", [True, False], ids=["host that knows", "new host"])
def test_a_backup_beside_it_harms_no_command(
    base: Base,
    work: Callable[[Kit, Mapping[str, Files]], dict[str, Files]],
    tmp_path: Path,
    *,
    knows: bool,
) -> None:
    """A whole backup, between any two requests, neither makes damage appear nor a command fail."""
    nth = 0
    while True:
        nth += 1
        folder = tmp_path / str(nth)
        folder.mkdir()
        store, state = base.again(folder)
        made: dict[str, Files] = {}

        def back_up(store: Store = store, made: dict[str, Files] = made) -> None:
            other = Kit(store, folder / "other")  # noqa: B023 - it is used before the next turn
            made[other.backup(THIRD).snapshot.id] = THIRD

        meanwhile = _Meanwhile(nth, back_up)
        kit = Kit(FaultyStore(store, meanwhile), state if knows else folder / "new")
        try:
            made |= work(kit, base.acknowledged)
            assert undecided(store) == set()
            check_invariants(Kit(store, kit.state_path), {**base.acknowledged, **made})
        except BaseException as error:
            error.add_note(f"REPRO: {work.__name__}, a backup before request {nth}")
            raise
        if meanwhile.seen < nth:
            break
    assert nth > LEAST_REQUESTS


@pytest.mark.spec("B2")
@pytest.mark.parametrize("work", [_verify, _restore, _list, _back_up])
@pytest.mark.parametrize("knows", [True, False], ids=["host that knows", "new host"])
def test_a_collection_beside_it_harms_no_command(
    work: Callable[[Kit, Mapping[str, Files]], dict[str, Files]],
    tmp_path: Path,
    *,
    knows: bool,
) -> None:
    """A whole collection, as far as it gets, between any two requests of a command: with packs
    written anew and old ones removed. No damage appears, and the command does not fail.
    """
    made = make_base(tmp_path, [FIRST, SECOND, THIRD])
    forgotten, *wanted = made.acknowledged
    nth = 0
    while True:
        nth += 1
        folder = tmp_path / str(nth)
        folder.mkdir()
        store, state = made.again(folder)
        acknowledged = {one: made.acknowledged[one] for one in wanted}
        Kit(store, state).forget(forgotten)

        def collect(store: Store = store, folder: Path = folder) -> None:
            with suppress(BusyError):
                Kit(store, folder / "collector").prune(max_unused=0)

        meanwhile = _Meanwhile(nth, collect)
        kit = Kit(FaultyStore(store, meanwhile), state if knows else folder / "new")
        try:
            acknowledged |= work(kit, acknowledged)
            check_invariants(Kit(store, kit.state_path), acknowledged)
        except BaseException as error:
            error.add_note(f"REPRO: {work.__name__}, a collection before request {nth}")
            raise
        if meanwhile.seen < nth:
            break
    assert nth > LEAST_REQUESTS


def test_two_inits_at_once_make_one_repository(tmp_path: Path) -> None:
    """An init between any two requests of another: one wins, the other is refused with exit 6, or
    both cannot be; what the loser left is not damage, and both hosts work with the winner.
    """
    nth = 0
    while True:
        nth += 1
        store = MemoryStore()
        hosts = [Kit(store, tmp_path / f"{nth} {number}") for number in range(2)]
        refused: list[int] = []

        def init(kit: Kit = hosts[1], refused: list[int] = refused) -> None:
            with suppress(RefusedError):
                kit.init()
                return
            refused.append(1)

        meanwhile = _Meanwhile(nth, init)
        try:
            Kit(FaultyStore(store, meanwhile), hosts[0].state_path).init()
        except RefusedError as error:
            assert error.code == 6
            refused.append(0)
        if meanwhile.seen < nth:
            break
        assert len(refused) == 1
        winner, loser = hosts[1 - refused[0]], hosts[refused[0]]
        made = winner.backup(FIRST).snapshot.id
        made_too = loser.backup(SECOND).snapshot.id
        check_invariants(winner, {made: FIRST, made_too: SECOND})
    assert nth > LEAST_REQUESTS // 2
