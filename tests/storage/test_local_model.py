"""A local store, used in any order, answers as the store in memory does."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from strongroom.errors import StrongroomError
from strongroom.storage.local import LocalStore
from strongroom.storage.memory import MemoryStore
from strongroom.system.posix import PosixFs
from strongroom.system.randomness import SystemRandomness
from tests.storage.conformance import sizes

KEYS = st.sampled_from(["config", "a/x", "a/y", "a/b/x", "a/b-c/x", "a/b.c", "a-b/x", "z/z/z/z"])
PREFIXES = st.sampled_from(["", "a/", "a/b/", "a/b-c/", "a-b/", "z/z/", "q/"])


class TwoStores(RuleBasedStateMachine):
    """The same requests to a LocalStore and to a MemoryStore."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp())
        self.memory = MemoryStore(str(self.folder / "store"))
        self.local = self.opened()
        self.local.create_root()

    def opened(self) -> LocalStore:
        """Return a new store on the same folder."""
        return LocalStore(PosixFs(), str(self.folder / "store"), SystemRandomness())

    def teardown(self) -> None:
        """Leave nothing behind."""
        self.local.close()
        shutil.rmtree(self.folder)

    def same(self, verb: str, *arguments: object) -> None:
        """Ask both, and compare what they return or raise."""
        answers: list[object] = []
        for store in (self.memory, self.local):
            try:
                answers.append(getattr(store, verb)(*arguments))
            except StrongroomError as error:
                answers.append((type(error), error.message))
        assert answers[0] == answers[1]

    @rule(key=KEYS, value=st.binary(max_size=50))
    def put(self, key: str, value: bytes) -> None:
        """New keys and taken ones."""
        self.same("put", key, value)

    @rule(key=KEYS)
    def delete(self, key: str) -> None:
        """Keys that are there and others."""
        self.same("delete", key)

    @rule(key=KEYS)
    def get(self, key: str) -> None:
        """Keys that are there and others."""
        self.same("get", key)
        self.same("size", key)

    @rule(key=KEYS, offset=st.integers(0, 60), length=st.integers(0, 60))
    def get_range(self, key: str, offset: int, length: int) -> None:
        """Ranges inside and outside."""
        self.same("get_range", key, offset, length)

    @rule(prefix=PREFIXES)
    def sync(self, prefix: str) -> None:
        """Nothing to be seen."""
        self.same("sync", [prefix])

    @rule()
    def reopen(self) -> None:
        """Another process, or the same one with its descriptors closed."""
        self.local.close()
        self.local = self.opened()

    @rule(prefix=PREFIXES)
    def listing(self, prefix: str) -> None:
        """Any prefix."""
        assert sizes(self.local, prefix) == sizes(self.memory, prefix)

    @invariant()
    def all_is_listed(self) -> None:
        """Both list the same objects at any time."""
        assert sizes(self.local) == sizes(self.memory)


@pytest.mark.spec("B1")
def test_a_local_store_is_a_memory_store_that_lasts() -> None:
    """Answers, errors and their messages are the same for any series of requests."""
    run_state_machine_as_test(TwoStores, settings=settings(max_examples=60, stateful_step_count=40))
