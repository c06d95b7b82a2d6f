"""``init --kms``, ``key add --kms``, ``key rotate`` and ``key revoke`` as a person runs them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.harness import Program
from tests.support.kms import ELSEWHERE, FakeKey, FakeKms, running_kms

pytestmark = [pytest.mark.spec("B3"), pytest.mark.spec("D3")]


@pytest.fixture(name="kms")
def _kms() -> Iterator[FakeKms]:
    with running_kms() as server:
        yield server


@pytest.fixture(name="key")
def _key(kms: FakeKms) -> FakeKey:
    key = kms.add("first")
    kms.point("backup", key)
    return key


@pytest.fixture(name="machine")
def _machine(empty: Program, kms: FakeKms) -> Program:
    """Return a machine with credentials for KMS, and without another key."""
    empty.environment |= kms.variables
    del empty.environment["STRONGROOM_KEY_FILE"]
    return empty


def test_a_repository_without_a_passphrase(machine: Program, kms: FakeKms, key: FakeKey) -> None:
    """Made by an alias, used without a word; disabled it is exit 12, and the recovery key opens."""
    machine.make_files(a="1")
    made = machine.good("init", "--kms", "alias/backup")
    assert "AWS KMS" in made.out
    recovery = machine.folder / "recovery"
    recovery.write_text(made.out.split("shown this once:\n")[1].split("\n")[0].strip())
    recovery.chmod(0o600)
    machine.good("backup", "./documents")
    listed = machine.good("key", "list")
    assert "KMS in eu-west-2" in listed.out
    assert key.arn in listed.out
    record = machine.good("key", "list", "--json").records[0]
    assert (record["kind"], record["kms_key"], record["region"]) == ("kms", key.arn, "eu-west-2")
    key.state = "Disabled"
    refused = machine.run("snapshots")
    assert refused.code == 12
    assert "aws kms enable-key --key-id first --region eu-west-2" in refused.err
    opened = {"STRONGROOM_KEY_FILE": str(recovery)}
    machine.good("restore", "latest", "--to", "back", env=opened)
    assert (machine.folder / "back").exists()
    kms.failing["eu-west-2"] = "KMSInternalException"
    assert machine.run("snapshots").code == 13


def test_a_profile_that_is_not_there(machine: Program, key: FakeKey) -> None:
    """It is named where KMS would have opened, and a passphrase does without."""
    machine.good("init", "--kms", key.arn)
    del machine.environment["AWS_ACCESS_KEY_ID"]
    refused = machine.run("snapshots", env={"AWS_PROFILE": "nobody"})
    assert refused.code == 2
    assert "it cannot be asked: " in refused.err
    assert "profile (nobody) could not be found" in refused.err


def test_a_second_region_and_another_key(machine: Program, kms: FakeKms, key: FakeKey) -> None:
    """Added, then the first is replaced; what alone decides is told once the recovery key goes."""
    machine.good("init", "--kms", key.arn)
    machine.good("key", "add", "--kms", kms.add("second", ELSEWHERE).arn)
    ids = [one["id"] for one in machine.good("key", "list", "--json").records if "kind" in one]
    replaced = machine.good("key", "rotate", "--kms-slot", ids[0][:8], "--kms", kms.add("new").arn)
    assert f"key {ids[0][:8]} opens nothing more" in replaced.out
    asked = machine.run("key", "remove", ids[1])
    assert asked.code == 6
    assert "Run 'strongroom key rotate'" in asked.err
    machine.good("key", "rotate")
    machine.good("key", "remove", ids[1])
    warned = machine.good("key", "list")
    assert "the AWS account 111122223333 alone decides" in warned.err


def test_a_key_in_the_configuration(machine: Program, kms: FakeKms, key: FakeKey) -> None:
    """``init`` takes it from there; with a key file beside it, that is tried first."""
    config = machine.folder / "strongroom.toml"
    del machine.environment["STRONGROOM_REPOSITORY"]
    config.write_text(f'version = 1\n[repositories.main]\nurl = "r"\nkms_key = "{key.arn}"\n')
    machine.good("init")
    assert machine.run("init", "--key-file", "k").code == 6
    kms.calls.clear()
    machine.good("snapshots")
    assert [call[0] for call in kms.calls] == ["Decrypt"]
    shown = machine.good("config", "show")
    assert key.arn in shown.out
    machine.good("config", "check")


def test_without_credentials_a_person_is_told(machine: Program, key: FakeKey) -> None:
    """Nothing hangs, and the message says what opens it."""
    machine.good("init", "--kms", key.arn)
    without = {"AWS_ACCESS_KEY_ID": None, "AWS_SECRET_ACCESS_KEY": None}
    refused = machine.run("snapshots", env=without)
    assert refused.code == 2
    assert "AWS KMS" in refused.err


def test_keys_are_rotated_and_an_agent_revoked(program: Program) -> None:
    """What was stored before and after is restored; the agent is refused with exit 12."""
    program.make_files(a="1")
    program.good("key", "export-agent", "--name", "web1", "--to", "web1.agent")
    agent = {"STRONGROOM_KEY_FILE": "web1.agent"}
    program.good("backup", "./documents", env=agent)
    rotated = program.good("key", "rotate")
    assert "key epoch 2 began; 2 keys" in rotated.out
    program.good("backup", "./documents", env=agent)
    revoked = program.good("key", "revoke", "web1", "--json").record("agent_revoked")
    assert (revoked["accepted"], revoked["late"]) == (2, [])
    assert "revoked" in program.good("key", "list").out
    refused = program.run("backup", "./documents", env=agent)
    assert refused.code == 12
    assert "was revoked" in refused.err
    program.good("verify", "--read-data")
    program.good("restore", "latest", "--to", "back")
    assert program.good("key", "list", "--json").record("summary")["epoch"] == 2


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (("key", "rotate", "--kms", "x"), 2, "--kms-slot"),
        (("key", "rotate", "--kms-slot", "x"), 2, "--kms"),
        (("key", "rotate", "--kms-slot", "zz", "--kms", "x"), 15, "no key 'zz'"),
        (("key", "add", "--kms", ""), 2, "empty"),
        (("key", "add", "--kms", "x", "--recovery"), 2, "one key a"),
        (("key", "revoke", "nobody"), 15, "no agent 'nobody'"),
        (("key", "revoke"), 2, "AGENT"),
        (("init", "--kms", ""), 2, "empty"),
        (("-r", "new", "init", "--kms", "x"), 2, "a new repository gets one of them"),
    ],
)
def test_what_cannot_be_meant(
    program: Program, arguments: tuple[str, ...], code: int, says: str
) -> None:
    """Each has its exit code, and changes nothing."""
    result = program.run(*arguments)
    assert result.code == code, result
    assert says in result.err
    assert not Path(program.folder / "new").exists()
