"""A life of a repository, drawn at random and compared with a model: which snapshots there must be,
and what is in them. Hosts and an agent back up, crash, forget, keep, collect and restore.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
)

from strongroom.errors import BusyError, FencedError, NotFoundError, RefusedError
from strongroom.repository.saving import Saved
from tests.support.agents import agent_host
from tests.support.crash import SimulatedCrash
from tests.support.faulty_store import Fault, FaultyStore, Kind, Script
from tests.support.invariants import Files, check_invariants, check_nothing_left
from tests.support.kit import DAY_NS, Kit, timed_kit
from tests.support.noise import noise

HOSTS: Final = ("a", "b", "agent")
FULL: Final = st.sampled_from(HOSTS[:2])
NUMBERS: Final = st.integers(0, 5)
CRASHES: Final = (Kind.CRASH_BEFORE, Kind.CRASH_AFTER, Kind.ERROR_BEFORE, Kind.ERROR_AFTER)


@dataclass
class Known:
    """What the model knows of a snapshot.

    ``since_ns``: when its grace began, by the store's clock; None while it is wanted. ``may_go``:
    a collection was allowed to begin to remove it.
    """

    files: Files
    since_ns: int | None = None
    may_go: bool = False


class Life(RuleBasedStateMachine):
    """The rules."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(prefix="strongroom-life-"))
        first = timed_kit(self.folder / "a")
        self.store, self.clock = first.store, first.clock
        agent = agent_host(first, self.folder)
        self.kits = {"a": first, "b": Kit(self.store, self.folder / "b"), "agent": agent}
        self.known: dict[str, Known] = {}
        self.holds: list[Saved] = []
        self.files: dict[bytes, bytes] = {}
        self.fault: Fault | None = None
        self.about: set[str] = set()
        self.saving: Files = {}

    def teardown(self) -> None:
        """Look at everything once more, and collect until nothing is left."""
        try:
            self._judge()
        finally:
            shutil.rmtree(self.folder)

    def _judge(self) -> None:
        judge = Kit(self.store, self.folder / "judge")
        judge.clock = self.clock
        wanted = {one: known.files for one, known in self.known.items() if known.since_ns is None}
        kept = {
            one: known.files
            for one, known in self.known.items()
            if known.since_ns is not None and not known.may_go
        }
        check_invariants(judge, wanted, forgotten=kept)
        check_nothing_left(judge)
        for one, files in wanted.items():
            assert judge.restore(one)[1] == dict(files)
        assert judge.verify().damage == []

    # -- what happens

    def _do(self, host: str, act: Callable[[Kit], object]) -> bool:
        """Do something on a host, with what is to go wrong; whether it told success."""
        kit = self.kits[host]
        fault, self.fault = self.fault, None
        kit.store = FaultyStore(self.store, Script(*([fault] if fault else [])))
        now_ns = self.clock.now_ns()
        skew = kit.clock.now_ns() - now_ns
        try:
            act(kit)
        except (BusyError, FencedError):
            return False
        except SimulatedCrash:
            return False
        except Exception as error:
            if fault is None or getattr(error, "code", 0) not in {1, 13}:
                raise
            return False
        finally:
            kit.store = self.store
            passed = kit.clock.now_ns() - now_ns - skew
            if kit.clock is not self.clock and passed > 0:
                self.clock.sleep(passed / 1e9)
            self._look()
        return True

    def _look(self) -> None:
        """See which snapshots are wanted now, as far as nobody told."""
        listing = self.kits["a"].listing()
        found = {one.id for one in listing.found}
        forgotten = {one.id for one in listing.forgotten}
        for one, known in self.known.items():
            if one in found:
                assert known.since_ns is None or one in self.about, "it came back by itself"
                known.since_ns = None
                known.may_go = False
            elif one in forgotten:
                assert known.since_ns is not None or one in self.about, "it was forgotten by itself"
                if known.since_ns is None:
                    known.since_ns = self.clock.now_ns()
            else:
                assert known.may_go, "a snapshot is gone"
        for one in found | forgotten:
            self.known.setdefault(one, Known(dict(self.saving)))
        self.about = set()

    @rule(name=NUMBERS, content=NUMBERS)
    def edit(self, name: int, content: int) -> None:
        """A file gets a content, which other files may have as well."""
        self.files[b"f%d" % name] = noise(400, f"content {content}")

    @rule(name=NUMBERS)
    def unlink(self, name: int) -> None:
        """A file goes."""
        self.files.pop(b"f%d" % name, None)

    @rule(kind=st.sampled_from(CRASHES), nth=st.integers(1, 80))
    def crash_next(self, kind: Kind, nth: int) -> None:
        """The next command ends at one of its requests."""
        self.fault = Fault(kind, nth=nth)

    @rule(host=st.sampled_from(HOSTS))
    def back_up(self, host: str) -> None:
        """A host saves the files."""
        self.saving = dict(self.files)
        made: list[str] = []
        if self._do(host, lambda kit: made.append(kit.backup(self.saving).snapshot.id)):
            assert made[0] in self.known, "what was acknowledged is not listed"

    def _pick(self, number: int, *, gone: bool = False) -> str:
        there = [one for one, known in self.known.items() if gone or not known.may_go]
        return sorted(there)[number % len(there)] if there else ""

    @precondition(lambda self: self.known)
    @rule(host=FULL, number=NUMBERS, allow_empty=st.booleans())
    def forget(self, host: str, number: int, *, allow_empty: bool) -> None:
        """A snapshot is not wanted any more."""
        one = self._pick(number)
        self.about = {one}
        if one and self._do(host, lambda kit: kit.forget(one, allow_empty=allow_empty)):
            held = any(one in saved.snapshots[0] for saved in self.holds)
            assert held or self.known[one].since_ns is not None

    @precondition(lambda self: self.known)
    @rule(host=FULL, number=NUMBERS)
    def hold(self, host: str, number: int) -> None:
        """A snapshot is kept; what a collector began to remove is refused."""
        one = self._pick(number, gone=True)
        self.about = {one}
        refused = False

        def act(kit: Kit) -> None:
            nonlocal refused
            try:
                self.holds.append(kit.hold(one))
            except (RefusedError, NotFoundError):
                assert self.known[one].may_go
                refused = True

        if self._do(host, act):
            assert refused or self.known[one].since_ns is None

    @precondition(lambda self: self.holds)
    @rule(host=FULL, number=NUMBERS)
    def release(self, host: str, number: int) -> None:
        """A hold ends."""
        saved = self.holds[number % len(self.holds)]
        self.about = {key.rpartition("/")[2] for key in saved.snapshots}
        self._do(host, lambda kit: kit.release(saved))

    @precondition(lambda self: self.known)
    @rule(host=FULL, number=NUMBERS)
    def undelete(self, host: str, number: int) -> None:
        """A snapshot is wanted again."""
        one = self._pick(number, gone=True)
        was_forgotten = self.known[one].since_ns is not None
        self.about = {one}
        refused = False

        def act(kit: Kit) -> None:
            nonlocal refused
            try:
                kit.undelete(one)
            except (RefusedError, NotFoundError):
                assert self.known[one].may_go or not was_forgotten
                refused = True

        if self._do(host, act):
            assert refused or self.known[one].since_ns is None

    @rule(host=FULL, grace=st.sampled_from([0, 0, 7]), unused=st.sampled_from([0, 0.05, 1]))
    def prune(self, host: str, grace: int, unused: float) -> None:
        """A collection, which may find somebody at work."""
        for known in self.known.values():
            since = known.since_ns
            if since is not None and self.clock.now_ns() - since >= (grace - 1) * DAY_NS:
                known.may_go = True
        self._do(host, lambda kit: kit.prune(grace_ns=grace * DAY_NS, max_unused=unused))

    @rule(days=st.sampled_from([0.5, 2, 8]))
    def time_passes(self, days: float) -> None:
        """Days pass at the store."""
        self.clock.sleep(days * 86_400)

    @rule(host=st.sampled_from(HOSTS[1:]), years=st.sampled_from([-20, 20]))
    def clock_jumps(self, host: str, years: int) -> None:
        """A host's clock is wrong all at once."""
        self.kits[host].clock.sleep(years * 365 * 86_400)

    @rule(host=st.sampled_from(HOSTS))
    def wipe(self, host: str) -> None:
        """A host loses all it knew."""
        shutil.rmtree(self.kits[host].state_path, ignore_errors=True)

    @precondition(lambda self: self.known)
    @rule(host=FULL, number=NUMBERS)
    def restore(self, host: str, number: int) -> None:
        """What must be there restores bit for bit."""
        one = self._pick(number)
        if one:
            result, files = self.kits[host].restore(one)
            assert result.damaged == []
            assert files == dict(self.known[one].files)

    @rule(host=FULL)
    def verify(self, host: str) -> None:
        """There is no damage, unless a collector is in the middle of removing what is expired."""
        assert self.kits[host].verify().damage == []

    @invariant()
    def nothing_is_gone(self) -> None:
        """Whatever must be there is listed."""
        self._look()
