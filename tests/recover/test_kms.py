"""The independent reader with a key of KMS, in later epochs, and with a revoked agent."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from strongroom.aws.kms import Kms
from strongroom.operations.keys import add_key, revoke_agent, rotate_keys
from strongroom.repository.kmsslot import KmsSecret
from strongroom.repository.records import SlotKind, SlotRole
from strongroom.repository.slots import Secret
from tests.recover.harness import DONE, KEY_REFUSED, RECOVER, Recovery, Result
from tests.support.agents import agent_host
from tests.support.aws import CREDENTIALS
from tests.support.kit import Kit
from tests.support.kms import ELSEWHERE, FakeKms, running_kms
from tests.support.noise import noise

pytestmark = pytest.mark.spec("B10")

BEFORE = {b"a": b"before"}
AFTER = {b"a": b"after", b"b": noise(3000, "after")}
READER = Secret(SlotKind.KEY_FILE, noise(32, "reader"))

# What the reader calls: as the aws command does it, by the library that it is made of.
AWS: Final = """\
#!{python}
import argparse, base64, json, sys
import boto3, botocore.exceptions
parser = argparse.ArgumentParser()
parser.add_argument("words", nargs=2)
for name in ("region", "key-id", "ciphertext-blob", "encryption-context", "query", "output"):
    parser.add_argument("--" + name, required=True)
given = parser.parse_args()
assert given.words == ["kms", "decrypt"] and (given.query, given.output) == ("Plaintext", "text")
assert given.ciphertext_blob.startswith("fileb://")
client = boto3.client("kms", region_name=given.region, endpoint_url="{endpoint}")
try:
    answer = client.decrypt(
        KeyId=given.key_id,
        CiphertextBlob=open(given.ciphertext_blob[8:], "rb").read(),
        EncryptionContext=json.loads(given.encryption_context),
    )
except botocore.exceptions.ClientError as error:
    print("\\n" + str(error), file=sys.stderr)
    sys.exit(254)
print(base64.b64encode(answer["Plaintext"]).decode())
"""


@pytest.fixture(name="kms")
def _kms(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeKms]:
    for name, value in CREDENTIALS.items():
        monkeypatch.setenv(name, value)
    with running_kms() as server:
        yield server


def reads(recovery: Recovery, kms: FakeKms, *arguments: str | Path, aws: bool = True) -> Result:
    """Run the reader with KMS, with an ``aws`` command on the path or without one."""
    folder = recovery.folder / ("bin" if aws else "empty")
    folder.mkdir(exist_ok=True)
    if aws:
        program = folder / "aws"
        program.write_text(AWS.format(python=sys.executable, endpoint=kms.endpoint))
        program.chmod(0o755)
    verb, *more = arguments
    done = subprocess.run(
        [sys.executable, "-I", RECOVER, verb, recovery.repository, *more, "--kms"],
        capture_output=True,
        check=False,
        text=True,
        timeout=120,
        env={**CREDENTIALS, "PATH": str(folder), "LC_ALL": "C.UTF-8"},
    )
    assert "Traceback" not in done.stderr, done.stderr
    return Result(done.returncode, done.stdout, done.stderr)


def test_a_key_of_kms_opens_it_by_the_aws_command(
    kit: Kit, recovery: Recovery, kms: FakeKms
) -> None:
    """The second slot, as the first one's key is disabled, which is told; everything is read."""
    first, second = kms.add("first"), kms.add("second", ELSEWHERE)
    for key in (first, second):
        add_key(kit.open(), KmsSecret(Kms(kms.account, attempts=1), key.arn), SlotRole.READER)
        kit.clock.sleep(60)
    snapshot = kit.backup(AFTER).snapshot
    recovery.copy(kit.store)
    first.state = "Disabled"
    done = reads(recovery, kms, "restore", snapshot.id, recovery.folder / "restored")
    assert done.code == DONE, done
    assert (recovery.folder / "restored" / "b").read_bytes() == AFTER[b"b"]
    assert "DisabledException" in done.err
    second.state = "Disabled"
    refused = reads(recovery, kms, "list")
    assert refused.code == KEY_REFUSED
    assert refused.err.count("DisabledException") == 2
    away = reads(recovery, kms, "list", aws=False)
    assert away.code == KEY_REFUSED
    assert "recovery key" in away.err


def test_epochs_and_revocations_are_read(kit: Kit, recovery: Recovery, tmp_path: Path) -> None:
    """A key of before the rotations reads all epochs; what came of a revoked agent is forgotten,
    and what was accepted is not; verify finds nothing.
    """
    agent = agent_host(kit, tmp_path)
    early = agent.backup(BEFORE).snapshot.id
    opened = agent.open()
    agent.open = lambda: opened  # type: ignore[method-assign]
    rotate_keys(kit.open())
    rotate_keys(kit.open())
    add_key(kit.open(), READER, SlotRole.READER)
    after = kit.backup(AFTER).snapshot.id
    revoke_agent(kit.open(), "web1")
    late = agent.backup(AFTER).snapshot.id
    recovery.copy(kit.store)
    (tmp_path / "later").mkdir()
    later_key = Recovery(tmp_path / "later", READER).copy(kit.store)
    for one in (recovery, later_key):
        shown = one.good("list", "--json", "--all").records
        assert {record["id"]: record["forgotten"] for record in shown} == {
            early: False, after: False, late: True,
        }  # fmt: skip
        assert one.restored(after)[1] == AFTER
        assert one.restored(early, "early")[1] == BEFORE
        one.good("verify")


def test_the_context_that_is_sent_is_that_of_the_page(
    kit: Kit, recovery: Recovery, kms: FakeKms
) -> None:
    """The reader makes it anew from the ids, and does not take what the slot says."""
    add_key(kit.open(), KmsSecret(Kms(kms.account, attempts=1), kms.add("one").arn), SlotRole.FULL)
    recovery.copy(kit.store)
    kms.calls.clear()
    assert reads(recovery, kms, "list").code == DONE
    ((operation, _, context),) = kms.calls
    assert operation == "Decrypt"
    assert sorted(context) == ["app", "purpose", "repository", "slot"]
    assert json.dumps(context).count(kit.open().id.hex()) == 1
    assert (recovery.repository / "slots" / context["slot"]).exists()
