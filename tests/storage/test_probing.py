"""What is found out about a store before a repository relies on it."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path

import pytest

from strongroom.clock import ManualClock
from strongroom.errors import StoreError
from strongroom.model.store import ObjectInfo, Store
from strongroom.operations.probing import Probe, Verdict
from strongroom.storage.memory import MemoryStore
from strongroom.storage.s3 import S3Store
from strongroom.storage.wrappers.forwarding import ForwardingStore
from tests.cli.harness import Program
from tests.support.aws import CREDENTIALS
from tests.support.faulty_store import Fault, FaultyStore, Kind, Script
from tests.support.randomness import SeededRandomness
from tests.support.s3_stub import BUCKET, Stub, StubAccess, running_stub

pytestmark = pytest.mark.spec("B1", "D3")


@pytest.fixture(name="stub")
def _stub() -> Iterator[Stub]:
    with running_stub() as stub:
        yield stub


def in_stub(stub: Stub) -> S3Store:
    """Return a store in the stub's bucket."""
    return S3Store(BUCKET, "p", StubAccess(stub.endpoint), ManualClock(), SeededRandomness())


def probed(store: Store) -> dict[str, Verdict]:
    """Return what the quick probe finds, by check."""
    probe = Probe(store, ManualClock(), SeededRandomness())
    return {check.name: check.verdict for check in probe.quick()}


def test_a_sound_store_has_everything_and_keeps_nothing() -> None:
    """All checks are fine, the thorough ones too, and no object stays."""
    store = MemoryStore(clock=ManualClock())
    checks = list(Probe(store, ManualClock(), SeededRandomness()).thorough())
    assert {check.verdict for check in checks} == {Verdict.OK}
    assert len(checks) == 9
    assert list(store.list("")) == []


def test_a_bucket_that_ignores_preconditions(stub: Stub) -> None:
    """It says 200 to everybody: a repository in it would lose what the first one put."""
    assert set(probed(in_stub(stub)).values()) == {Verdict.OK}
    stub.ignores_conditions = True
    found = probed(in_stub(stub))
    assert found["put a key twice"] is Verdict.MISSING
    assert found["put at the same time"] is Verdict.MISSING
    assert stub.objects == {}


class OnePage(ForwardingStore):
    """Lists a page, and says nothing of the rest."""

    def list(self, prefix: str) -> Iterator[ObjectInfo]:
        return itertools.islice(super().list(prefix), 1000)


def test_a_store_that_lists_a_page_and_no_more() -> None:
    """It hides the rest without a word, which a prune would take for all there is."""
    probe = Probe(OnePage(MemoryStore(clock=ManualClock())), ManualClock(), SeededRandomness())
    (found,) = [check for check in probe.thorough() if check.verdict is Verdict.MISSING]
    assert found.name == "list more than a page"
    assert "1,001 objects shows 1,000" in found.text


@pytest.mark.parametrize(
    ("fault", "check"),
    [
        (Fault(Kind.MISSING_ENTRY), "list after a put"),
        (Fault(Kind.FLIPPED, prefix="probe/"), "put and get"),
        (Fault(Kind.TRUNCATED, frozenset({"get_range"})), "read a range"),
    ],
)
def test_a_store_that_lies(fault: Fault, check: str) -> None:
    """Each check sees what it is there for."""
    assert probed(FaultyStore(MemoryStore(), Script(fault)))[check] is Verdict.MISSING


def test_who_may_not_delete_is_warned() -> None:
    """An agent can back up; what the probe put stays, and it says where."""
    denied = Fault(Kind.ERROR_BEFORE, frozenset({"delete"}), times=99, error=StoreError)
    store = FaultyStore(MemoryStore(), Script(denied))
    checks = list(Probe(store, ManualClock(), SeededRandomness()).quick())
    assert checks[-1].verdict is Verdict.WARNING
    assert "stay below probe/" in checks[-1].text
    assert {check.verdict for check in checks[:-1]} == {Verdict.OK}


def test_init_refuses_a_bucket_that_ignores_preconditions(stub: Stub, tmp_path: Path) -> None:
    """Exit 6, and nothing is left there; ``store validate`` says the same, as a table and JSON."""
    stub.ignores_conditions = True
    program = Program(tmp_path)
    program.environment |= {
        **CREDENTIALS,
        "AWS_REGION": "eu-west-2",
        "AWS_ENDPOINT_URL": stub.endpoint,
        "STRONGROOM_REPOSITORY": f"s3://{BUCKET}/app",
    }
    result = program.run("init")
    assert result.code == 6
    assert "cannot hold a repository: put a key twice" in result.err
    assert stub.objects == {}
    assert not program.key_file.exists()
    result = program.run("store", "validate", f"s3://{BUCKET}/other", "--json")
    assert result.code == 6
    assert result.record("summary")["usable"] is False
    verdicts = {one["name"]: one["verdict"] for one in result.records[:-1]}
    assert verdicts["put a key twice"] == "missing"
    assert verdicts["read a range"] == "ok"
    stub.ignores_conditions = False
    program.good("init")
    table = program.good("store", "validate").out
    assert "put at the same time   ok" in table
    assert not any("probe/" in key for key in stub.objects if key.startswith("app/"))
