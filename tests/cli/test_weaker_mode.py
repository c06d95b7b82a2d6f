"""A bucket that has no conditional puts holds a repository, if its owner says so."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from strongroom.clock import ManualClock
from strongroom.crypto.keytext import text_to_key
from strongroom.repository.records import SlotKind
from strongroom.repository.slots import Secret
from strongroom.storage.s3 import S3Store
from tests.cli.harness import Program
from tests.recover.harness import run as recover
from tests.support.aws import CREDENTIALS
from tests.support.forging import begun
from tests.support.kit import Kit
from tests.support.randomness import SeededRandomness
from tests.support.s3_stub import BUCKET, Stub, StubAccess, running_stub

pytestmark = pytest.mark.spec("B1", "D3")


@pytest.fixture(name="stub", params=["ignores", "refuses"])
def _stub(request: pytest.FixtureRequest) -> Iterator[Stub]:
    with running_stub() as stub:
        stub.ignores_conditions = request.param == "ignores"
        stub.refuses_conditions = request.param == "refuses"
        yield stub


@pytest.fixture(name="program")
def _program(stub: Stub, tmp_path: Path) -> Program:
    program = Program(tmp_path)
    program.environment |= {
        **CREDENTIALS,
        "AWS_REGION": "eu-west-2",
        "AWS_ENDPOINT_URL": stub.endpoint,
        "STRONGROOM_REPOSITORY": f"s3://{BUCKET}/app",
    }
    (tmp_path / "tree").mkdir()
    (tmp_path / "tree/file").write_text("a")
    return program


def test_it_is_refused_without_a_word_of_its_owner(program: Program, stub: Stub) -> None:
    """Exit 6, nothing stays, and it says how to have it all the same, as ``store validate``."""
    refused = program.run("init")
    assert refused.code == 6
    assert "--weaker-mode" in refused.err
    assert stub.objects == {}
    assert not program.key_file.exists()
    said = program.run("store", "validate")
    assert said.code == 6
    assert "--weaker-mode" in said.out
    assert program.run("store", "validate", "--json").record("summary")["weaker"] is True


def test_it_does_everything(program: Program, stub: Stub, tmp_path: Path) -> None:
    """Backup, prune and restore; every command knows the mode; the independent reader reads it."""
    made = program.good("init", "--weaker-mode", "--json").record("initialized")
    assert made["mode"] == "weaker"
    program.good("backup", "./tree")
    (tmp_path / "tree/file").write_text("b")
    program.good("backup", "./tree")
    program.good("forget", "latest~1")
    done = program.good("prune", "--grace", "0s", "--json").record("summary")
    assert done["commits_removed"] == 1
    program.good("restore", "latest", "--to", "out")
    assert [one.read_text() for one in (tmp_path / "out").rglob("file")] == ["b"]
    program.good("verify", "--read-data")
    copy = tmp_path / "copy"
    for key, (data, _) in stub.objects.items():
        path = copy / key.removeprefix("app/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    found = recover("list", copy, "--key-file", program.key_file)
    assert found.code == 0, found
    program.good("snapshots", "-r", copy)


def test_a_session_that_nobody_ends(program: Program, stub: Stub, tmp_path: Path) -> None:
    """A prune waits for it (exit 11), names it, and gives it up when it is told to."""
    program.good("init", "--weaker-mode")
    program.good("backup", "./tree")
    store = S3Store(BUCKET, "app", StubAccess(stub.endpoint), ManualClock(), SeededRandomness())
    store.go_without_conditions()
    other = Kit(store, tmp_path / "other")
    other.secrets = [Secret(SlotKind.KEY_FILE, text_to_key(program.key_file.read_text()))]
    name = begun(other).id.hex()[:8]
    program.good("backup", "./tree")
    program.good("forget", "latest~1")
    busy = program.run("prune", "--grace", "0s", "--wait", "0s")
    assert busy.code == 11
    assert f"prune --dead {name}" in busy.err
    assert program.run("prune", "--dead", "beef", "--grace", "0s").code == 15
    assert program.run("prune", "--dead", name, "--dry-run").code == 2
    done = program.good("prune", "--dead", name, "--grace", "0s", "--json")
    assert done.record("summary")["commits_removed"] == 1


def test_a_store_that_decides_is_used_as_such(program: Program, stub: Stub) -> None:
    """Who would take less gets what there is."""
    stub.ignores_conditions = stub.refuses_conditions = False
    made = program.good("init", "--weaker-mode", "--json").record("initialized")
    assert made["mode"] == "full"
