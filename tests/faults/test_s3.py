"""A backup into a bucket, with a wrong answer at each of its requests, or none from then on."""

from __future__ import annotations

import itertools
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from strongroom.clock import ManualClock
from strongroom.errors import StoreError
from strongroom.storage.s3 import S3Store
from strongroom.storage.s3_client import Limits
from strongroom.storage.wrappers.retrying import RetryingStore
from strongroom.system.randomness import SystemRandomness
from tests.faults.workloads import FIRST, SECOND, Base, make_base
from tests.support.invariants import check_invariants
from tests.support.kit import Kit
from tests.support.s3_stub import BUCKET, Fault, Kind, Stub, StubAccess, running_stub

pytestmark = pytest.mark.spec("B1", "D3")

QUICK = Limits(connect=2, answer=2, request=2)
WRONG = {
    "stored, and the answer lost": Fault(Kind.SWALLOW),
    "stored, and told to have failed": Fault(Kind.FORGET, status=500),
    "not arrived": Fault(Kind.VANISH),
    "slow down": Fault(Kind.REFUSE, status=503, code="SlowDown"),
    "half an answer": Fault(Kind.CUT),
}
QUICKLY = "stored, and the answer lost"


@pytest.fixture(name="stub", scope="module")
def _stub() -> Iterator[Stub]:
    with running_stub() as stub:
        yield stub


@pytest.fixture(name="base", scope="module")
def _base(tmp_path_factory: pytest.TempPathFactory) -> Base:
    return make_base(tmp_path_factory.mktemp("base"), [FIRST], unfinished=False)


def host(stub: Stub, base: Base, folder: Path) -> Kit:
    """Return a host whose bucket holds the base again."""
    _, state = base.again(folder)
    stub.faults.clear()
    stub.requests.clear()
    stub.objects.clear()
    stub.objects.update({f"p/{key}": (value, {}) for key, value in base.objects.items()})
    randomness = SystemRandomness()
    store = S3Store(BUCKET, "p", StubAccess(stub.endpoint), ManualClock(), randomness, limits=QUICK)
    return Kit(RetryingStore(store, ManualClock(), randomness), state)


@pytest.mark.parametrize(
    "wrong",
    [name if name == QUICKLY else pytest.param(name, marks=pytest.mark.slow) for name in WRONG],
)
def test_one_wrong_answer_at_any_request(
    stub: Stub, base: Base, wrong: str, tmp_path: Path
) -> None:
    """The backup succeeds all the same, and everything that must hold does."""
    for nth in itertools.count():
        kit = host(stub, base, tmp_path)
        fault = replace(WRONG[wrong], skip=nth)
        stub.faults.append(fault)
        snapshot = kit.backup(SECOND).snapshot
        if fault.times:
            break
        check_invariants(kit, {**base.acknowledged, snapshot.id: SECOND})
    assert nth > 10


def test_no_answer_from_any_request_on(stub: Stub, base: Base, tmp_path: Path) -> None:
    """The backup fails with a store error; what was acknowledged stays, and the next one works."""
    for nth in itertools.count():
        kit = host(stub, base, tmp_path)
        fault = Fault(Kind.VANISH, skip=nth, times=sys.maxsize)
        stub.faults.append(fault)
        try:
            kit.backup(SECOND)
        except StoreError as error:
            assert error.code == 13
        else:
            break
        stub.faults.clear()
        if nth % 3 == 0:
            listed = {one.id for one in kit.snapshots()} - set(base.acknowledged)
            check_invariants(kit, base.acknowledged, listed)
    assert nth > 10
