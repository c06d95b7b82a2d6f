"""After a prune in a bucket that keeps versions: what is hidden, and until when it is held."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import pytest

from strongroom.aws.bucketrules import DAY_NS, fewest_days
from strongroom.aws.versions import History, Version
from strongroom.operations.holding import add_up, hidden_version, to_ask
from tests.cli.harness import Program
from tests.e2e.test_s3 import objects_in, program_in
from tests.support.aws import AwsServer
from tests.support.iam_calls import Guard
from tests.support.s3 import clients_of, new_bucket
from tests.support.s3_proxy import Reply, running_proxy

pytestmark = pytest.mark.spec("D3")

RULE: Final[dict[str, Any]] = {
    "ID": "end",
    "Status": "Enabled",
    "Filter": {"Prefix": "team/"},
    "NoncurrentVersionExpiration": {"NoncurrentDays": 30},
}


def backed_up_twice(folder: Path, server: AwsServer, bucket: str) -> Program:
    """Return a host that has forgotten the first of two snapshots, which share nothing."""
    program = program_in(folder, server, bucket)
    data = program.make_files(one=b"".join(number.to_bytes(4) for number in range(100_000)))
    program.good("init")
    program.good("backup", data)
    (data / "one").write_bytes(b"something else")
    time.sleep(1)  # the bucket says in whole seconds which of the two is the last
    program.good("backup", data)
    program.good("forget", "--keep-last", "1")
    return program


def summary(program: Program, **env: str) -> dict[str, Any]:
    """Prune; the summary."""
    return program.good("prune", "--grace", "0s", "--json", env=env).record("summary")


@pytest.mark.parametrize("server", ["moto", "localstack"])
def test_what_a_lock_holds_is_told_with_its_date(
    tmp_path: Path, server: str, request: pytest.FixtureRequest
) -> None:
    """As many bytes as the bucket still has, held for the default of a day, or for longer where
    one object says so; a rule of the lifecycle is told.
    """
    at: Any = request.getfixturevalue(server)
    bucket = new_bucket(at, locked=True)
    program = backed_up_twice(tmp_path, at, bucket)
    client = clients_of(at.account).client("s3")
    client.put_bucket_lifecycle_configuration(
        Bucket=bucket, LifecycleConfiguration={"Rules": [RULE]}
    )
    before = objects_in(at, program)
    (pack,) = [
        one
        for one in client.list_objects_v2(Bucket=bucket)["Contents"]
        if "/packs/" in one["Key"] and one["Size"] > 50_000
    ]
    until = datetime.now(UTC).replace(microsecond=0, year=2199)
    client.put_object_retention(
        Bucket=bucket,
        Key=pack["Key"],
        Retention={"Mode": "GOVERNANCE", "RetainUntilDate": until},
    )
    found = summary(program)
    gone = before - objects_in(at, program)
    listed = client.list_object_versions(Bucket=bucket)["Versions"]
    there = {one["Key"]: one["Size"] for one in listed if one["Key"] in gone}
    assert there.keys() == gone
    assert found["objects_hidden"] == len(gone)
    assert found["bytes_hidden"] == found["bytes_held"] == sum(there.values())
    assert datetime.fromisoformat(found["held_until"]) == until
    assert found["held_exactly"] is True
    assert found["removed_after_days"] == 30
    assert found["not_known"] == []
    assert found["store_requests"] < 80


@pytest.mark.parametrize(
    ("status", "code", "known"),
    [(404, "NoSuchVersion", True), (403, "AccessDenied", False)],
    ids=["gone", "denied"],
)
def test_one_answer_that_is_missing_forgets_no_other(
    tmp_path: Path, moto: AwsServer, status: int, code: str, *, known: bool
) -> None:
    """A version that is removed while it is asked about is not hidden any more; one that may not be
    asked about is named, and counts by the default. All others are held for as long as they said.
    """
    bucket = new_bucket(moto, locked=True)
    program = backed_up_twice(tmp_path, moto, bucket)
    client = clients_of(moto.account).client("s3")
    far = datetime.now(UTC).replace(microsecond=0, year=2199)
    for one in client.list_objects_v2(Bucket=bucket)["Contents"]:
        client.put_object_retention(
            Bucket=bucket,
            Key=one["Key"],
            Retention={"Mode": "GOVERNANCE", "RetainUntilDate": far},
        )
    asked: list[str] = []

    def meddle(_method: str, path: str) -> Reply | None:
        if "retention" not in path:
            return None
        asked.append(path)
        answer = f"<Error><Code>{code}</Code></Error>".encode()
        return (status, answer) if path == asked[0] else None

    with running_proxy(moto.endpoint) as proxy:
        path = program.folder / "strongroom.toml"
        path.write_text(path.read_text().replace(moto.endpoint, proxy.endpoint))
        proxy.meddle = meddle
        found = summary(program)
    assert len(set(asked)) > 1
    assert found["objects_hidden"] == len(set(asked)) - known
    assert found["bytes_held"] == found["bytes_hidden"] > 0
    assert datetime.fromisoformat(found["held_until"]) == far
    assert found["held_exactly"] is known
    assert [code in one for one in found["not_known"]] == ([] if known else [True])


def test_people_are_told_what_stays_and_what_ends_it(tmp_path: Path, moto: AwsServer) -> None:
    """With versions and no lock nothing is held, and without a rule it stays for ever; where no
    versions are kept it is freed, and nothing more is asked.
    """
    kept = new_bucket(moto)
    clients_of(moto.account).client("s3").put_bucket_versioning(
        Bucket=kept, VersioningConfiguration={"Status": "Enabled"}
    )
    program = backed_up_twice(tmp_path, moto, kept)
    said = program.good("prune", "--grace", "0s").out
    assert "are hidden and still there" in said
    assert "no rule of the bucket's lifecycle removes them" in said
    assert "freed" not in said
    assert "held until" not in said
    again = program.good("prune", "--grace", "0s").out
    assert "hidden" not in again
    folder = tmp_path / "plain"
    folder.mkdir()
    plain = backed_up_twice(folder, moto, new_bucket(moto))
    said = plain.good("prune", "--grace", "0s").out
    assert "freed" in said
    assert "versions" not in said


def test_a_prune_that_may_not_ask_is_done_and_says_what_is_not_known(
    tmp_path: Path, moto: AwsServer
) -> None:
    """It removes what it removes, and names what it could not ask."""
    program = backed_up_twice(tmp_path, moto, new_bucket(moto, locked=True))
    statement = {
        "Sid": "Old",
        "Effect": "Allow",
        "Action": ["s3:ListBucket", "s3:GetObject", "s3:PutObject", "s3:DeleteObject"],
        "Resource": ["*"],
    }
    with running_proxy(moto.endpoint) as proxy:
        path = tmp_path / "strongroom.toml"
        path.write_text(path.read_text().replace(moto.endpoint, proxy.endpoint))
        guard = Guard(proxy)
        with guard.role({"Version": "2012-10-17", "Statement": [statement]}):
            result = program.good("prune", "--grace", "0s")
    assert "removed: " in result.out
    assert "not known: whether the bucket keeps versions" in result.out
    assert "AccessDenied" in result.out
    assert {one.action for one in guard.refused} == {
        "s3:GetBucketVersioning",
        "s3:ListBucketVersions",
    }


def test_the_rules_of_a_lifecycle_that_count() -> None:
    """An enabled one that covers the packs, whatever tags or sizes, and keeps no newer versions."""
    key = "team/app/packs/"

    def days(**changes: Any) -> int | None:  # noqa: ANN401 - parts of a rule
        return fewest_days([{**RULE, **changes}], key)

    assert days() == 30
    assert days(Filter={}) == 30
    assert days(Filter={"And": {"Prefix": "team/app/", "Tags": []}}) is None
    assert days(Filter={"Prefix": "team/application"}) is None
    assert days(Filter={"ObjectSizeGreaterThan": 5}) is None
    assert days(Status="Disabled") is None
    assert days(NoncurrentVersionExpiration={}) is None
    newer = {"NoncurrentDays": 3, "NewerNoncurrentVersions": 1}
    assert days(NoncurrentVersionExpiration=newer) is None
    old_style = {key: RULE[key] for key in ("Status", "NoncurrentVersionExpiration")}
    assert fewest_days([{**old_style, "Prefix": ""}, RULE], key) == 30
    sooner = {**RULE, "NoncurrentVersionExpiration": {"NoncurrentDays": 7}}
    assert fewest_days([RULE, sooner], key) == 7
    assert fewest_days([], key) is None


def test_what_is_asked_and_added_up() -> None:
    """Those that were put last are asked first; what is over by now is hidden and not held."""
    now = time.time_ns()
    old, new = (
        Version(name, "1", 10, now - age * DAY_NS, deleted=False)
        for name, age in (("old", 20), ("new", 2))
    )
    assert to_ask([old, new], 1) == [new]
    found = add_up([old, new], lambda one: one.stored_ns + 7 * DAY_NS, now)
    assert (found.objects, found.bytes, found.held) == (2, 20, 10)
    assert found.until_ns == new.stored_ns + 7 * DAY_NS
    marker = Version("new", "2", 0, now, deleted=True)
    assert hidden_version(History("new", [marker, new])) == new
    assert hidden_version(History("new", [new])) is None
    assert hidden_version(History("new", [marker])) is None
