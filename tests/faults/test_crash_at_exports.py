"""Making an agent stops at every single request to the store: there is one, or there is none."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from strongroom.errors import KeyRefusedError, StrongroomError
from strongroom.operations.keys import export_agent, list_keys
from strongroom.repository.agent import AgentNames
from tests.faults.test_crash_at_requests import DOCUMENTED, STOPS
from tests.faults.workloads import Base, make_base
from tests.support.agents import key_of
from tests.support.crash import SimulatedCrash
from tests.support.faulty_store import FaultyStore, Script
from tests.support.invariants import check_invariants
from tests.support.kit import Kit

pytestmark = pytest.mark.spec("B3")

FILES = {b"a": b"first"}


@pytest.fixture(name="base", scope="module")
def _base(tmp_path_factory: pytest.TempPathFactory) -> Base:
    return make_base(tmp_path_factory.mktemp("base"), [FILES])


class File:
    """The agent's file: what a crash leaves of it."""

    def __init__(self) -> None:
        self.texts: list[str] = []

    def keep(self, text: str) -> Callable[[], None]:
        """Write it; the result takes it away."""
        self.texts.append(text)
        return self.texts.clear


@pytest.mark.parametrize("stop", STOPS)
def test_an_export_stopped_at_any_request_makes_one_agent_or_none(
    base: Base, stop: str, tmp_path: Path
) -> None:
    """If success was told, the file backs up; after an error there is no file; a file that a crash
    left backs up or is refused with what to do. The repository is in order each time, and another
    agent can be made.
    """
    store, state = base.again(tmp_path)
    counted = FaultyStore(store, Script())
    export_agent(Kit(counted, state).open(), AgentNames("web1"), File().keep)
    for nth in range(1, sum(counted.requests.values()) + 1):
        try:
            _stop_export(base, stop, nth, tmp_path)
        except BaseException as error:
            error.add_note(f"REPRO: {stop}, request {nth}")
            raise


def _stop_export(base: Base, stop: str, nth: int, folder: Path) -> None:
    store, state = base.again(folder)
    file, done = File(), False
    faulty = FaultyStore(store, Script(*STOPS[stop](nth)))
    try:
        export_agent(Kit(faulty, state).open(), AgentNames("web1"), file.keep)
        done = True
    except StrongroomError as error:
        assert error.code in DOCUMENTED, error
        assert file.texts == [], "an error leaves no file"
    except SimulatedCrash:
        assert stop.startswith("dies")
    check_invariants(Kit(store, state), base.acknowledged)
    known = {agent.name for agent in list_keys(Kit(store, state).open()).agents}
    agent = Kit(store, folder / f"agent {stop} {nth}")
    agent.secrets = []
    if file.texts:
        agent.agent = key_of(file.texts[0])
        try:
            agent.backup(FILES)
        except KeyRefusedError as error:
            assert not done
            assert known == set()
            assert "export it again" in error.hint
    assert not done or known == {"web1"}
    other = File()
    export_agent(Kit(store, state).open(), AgentNames("web2"), other.keep)
    agent.agent = key_of(other.texts[0])
    agent.backup(FILES)
