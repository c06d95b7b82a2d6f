"""Another region: a replica that S3 makes, the disaster, and copies between two regions."""

from __future__ import annotations

import json
import shutil
import sysconfig
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import pytest

from strongroom.aws.account import Account
from tests.cli.harness import NO_KEY, Program
from tests.support.aws import AwsServer
from tests.support.compare_trees import compare_trees
from tests.support.iam_calls import Guard
from tests.support.s3 import clients_of, new_bucket
from tests.support.s3_proxy import running_proxy

pytestmark = pytest.mark.spec("D8")

ELSEWHERE: Final = "eu-central-1"
READS_ALL: Final = {
    "Sid": "All",
    "Effect": "Allow",
    "Action": ["s3:ListBucket", "s3:GetObject"],
    "Resource": ["*"],
}


@pytest.fixture(name="data")
def _data(tmp_path: Path) -> Path:
    """A part of the standard library of this Python."""
    folder = tmp_path / "library"
    shutil.copytree(Path(sysconfig.get_paths()["stdlib"]) / "email", folder, symlinks=True)
    return folder


def bucket_in(server: AwsServer, region: str, name: str) -> None:
    """Make a bucket in a region."""
    client(server, region).create_bucket(
        Bucket=name, CreateBucketConfiguration={"LocationConstraint": region}
    )


def client(server: AwsServer, region: str, service: str = "s3") -> Any:  # noqa: ANN401 - boto3
    """Return a client in a region."""
    account = Account(region=region, endpoint=server.endpoint)
    return clients_of(account).client(service)


def keys_in(s3: Any, bucket: str) -> list[str]:  # noqa: ANN401 - boto3
    """Return the keys of a bucket."""
    return [one["Key"] for one in s3.list_objects_v2(Bucket=bucket).get("Contents", [])]


def replicate(source: Any, replica: Any, buckets: tuple[str, str], keys: Sequence[str]) -> None:  # noqa: ANN401
    """Do what S3 does: the same bytes by the same keys, with their metadata."""
    for key in keys:
        found = source.get_object(Bucket=buckets[0], Key=key)
        replica.put_object(
            Bucket=buckets[1], Key=key, Body=found["Body"].read(), Metadata=found["Metadata"]
        )


@pytest.fixture(name="guard")
def _guard(aws: AwsServer) -> Iterator[tuple[Guard, str]]:
    """Give what stands before the server, and its address."""
    with running_proxy(aws.endpoint) as proxy:
        yield Guard(proxy), proxy.endpoint


def without_keys(folder: Path, server: AwsServer, **variables: str) -> Program:
    """Return a host that has nothing but what AWS and the guide know."""
    folder.mkdir()
    program = Program(folder)
    for name in ("STRONGROOM_KEY_FILE", "STRONGROOM_REPOSITORY"):
        del program.environment[name]
    program.environment |= {**server.variables, **variables}
    return program


def lost_region(aws: AwsServer, host: Program, data: Path, keys: Sequence[str]) -> None:
    """Back up twice, let all arrive but the packs of the second backup, and lose the original."""
    here, there = client(aws, "eu-west-2"), client(aws, ELSEWHERE)
    host.good("init", "--kms", keys[0])
    host.good("key", "add", "--kms", keys[1])
    host.good("backup", data)
    first = keys_in(here, "original")
    (data / "new").write_bytes(b"too late" * 10_000)
    host.good("backup", data)
    newer = [key for key in keys_in(here, "original") if key not in first]
    arrived = [key for key in newer if not key.startswith("packs/")]
    replicate(here, there, ("original", "replica"), [*first, *arrived])
    for key in keys_in(here, "original"):
        here.delete_object(Bucket="original", Key=key)
    here.delete_bucket(Bucket="original")


def test_the_disaster(tmp_path: Path, aws: AwsServer, guard: tuple[Guard, str], data: Path) -> None:
    """The region is gone, with its bucket and its key of KMS. A new host with nothing but the
    guide's variables restores what had arrived, bit for bit, through the second key.
    """
    judge, endpoint = guard
    bucket_in(aws, "eu-west-2", "original")
    bucket_in(aws, ELSEWHERE, "replica")
    keys = [
        client(aws, region, "kms").create_key()["KeyMetadata"]["Arn"]
        for region in ("eu-west-2", ELSEWHERE)
    ]
    at = {"AWS_ENDPOINT_URL": endpoint}
    host = without_keys(tmp_path / "host", aws, **at, S3_BACKUP_BUCKET="original")
    saved = tmp_path / "saved"
    shutil.copytree(data, saved, symlinks=True)
    lost_region(aws, host, data, keys)
    variables = {**at, "AWS_REGION": ELSEWHERE, "S3_BACKUP_BUCKET": "replica"}
    new = without_keys(tmp_path / "new", aws, **variables)
    policy = json.loads(new.good("aws", "policy", "--role", "restore").out)
    (opens,) = [one for one in policy["Statement"] if "kms:Decrypt" in one["Action"]]
    assert sorted(opens["Resource"]) == sorted(keys)
    opens["Resource"] = [keys[1]]
    policy["Statement"].append(READS_ALL)
    with judge.role(policy):
        looked = new.run("store", "replica", "--source", "s3://original", "--json")
        assert looked.code == 5
        assert looked.record("summary")["source_seen"] is False
        whole = looked.record("replica")["id"]
        refused = new.run("restore", "latest", "--to", "back")
        assert refused.code == 4
        assert f"strongroom restore {whole[:8]}" in refused.err
        restored = new.good("restore", whole, "--to", "back")
    assert "another key opened the repository" in restored.err
    assert keys[0] in restored.err
    assert {call.resource for call in judge.refused} == {keys[0]}
    assert compare_trees(saved, tmp_path / "new/back" / data.relative_to("/")) == []


def test_with_a_configuration_the_variables_lead_to_the_replica(
    tmp_path: Path, aws: AwsServer, data: Path
) -> None:
    """The prefix and the keys of the configured repository, in the other bucket and region."""
    bucket_in(aws, "eu-west-2", "original")
    bucket_in(aws, ELSEWHERE, "replica")
    program = Program(tmp_path)
    program.environment |= aws.variables
    del program.environment["STRONGROOM_REPOSITORY"]
    del program.environment["STRONGROOM_KEY_FILE"]
    (tmp_path / "strongroom.toml").write_text(
        'version = 1\n[repositories.main]\nurl = "s3://original/team/app"\nkey_file = "key"\n'
        'aws = { region = "eu-west-2" }\n'
    )
    program.good("init")
    program.good("backup", data)
    here, there = client(aws, "eu-west-2"), client(aws, ELSEWHERE)
    replicate(here, there, ("original", "replica"), keys_in(here, "original"))
    for key in keys_in(here, "original"):
        here.delete_object(Bucket="original", Key=key)
    env = {"S3_BACKUP_BUCKET": "replica", "AWS_REGION": ELSEWHERE}
    assert program.run("restore", "latest", "--to", "out").code != 0
    program.good("store", "replica", env=env)
    program.good("restore", "latest", "--to", "out", env=env)
    assert compare_trees(data, tmp_path / "out" / data.relative_to("/")) == []


def test_a_variable_that_redirects_is_told_once(tmp_path: Path, aws: AwsServer, data: Path) -> None:
    """Whatever a command does, it says once that the repository is elsewhere, and because of what;
    nothing where somebody named the repository, or the variable is not there.
    """
    bucket_in(aws, "eu-west-2", "original")
    program = Program(tmp_path)
    program.environment |= aws.variables
    del program.environment["STRONGROOM_REPOSITORY"]
    variable = {"S3_BACKUP_BUCKET": "original"}
    words: list[tuple[str | Path, ...]] = [
        ("init",),
        ("backup", data),
        ("snapshots",),
        ("restore", "latest", "--to", "out"),
        ("store", "validate"),
        ("aws", "policy", "--role", "restore"),
        ("prune", "--grace", "0s"),
    ]
    for one in words:
        said = program.good(*one, env=variable).err
        assert said.count("S3_BACKUP_BUCKET") == 1, (one, said)
        assert "s3://original" in said
    found = program.good("snapshots", "--json", env=variable).records
    (notice,) = [one for one in found if one["message_type"] == "notice"]
    assert "S3_BACKUP_BUCKET" in notice["message"]
    assert "S3_BACKUP_BUCKET" not in program.good("config", "show", env=variable).err
    named = program.good("-r", "s3://original", "snapshots", env=variable)
    assert "S3_BACKUP_BUCKET" not in named.err


def worst_first(key: str) -> tuple[bool, bool, str]:
    """Sort what makes a snapshot visible before what makes it whole, and the index last."""
    return not key.startswith("commits/"), not key.startswith("packs/"), key


@pytest.mark.parametrize("server", ["moto", "localstack"])
def test_a_bucket_that_is_filled_in_the_worst_order(
    tmp_path: Path, data: Path, server: str, request: pytest.FixtureRequest
) -> None:
    """The commits before what they need: a restore of the latest ends with 0 where the look says
    that it is whole, and is refused before anything is written where it says that it is not.
    """
    at: Any = request.getfixturevalue(server)
    names = new_bucket(at), new_bucket(at)
    program = Program(tmp_path)
    program.environment |= at.variables
    program.environment["STRONGROOM_REPOSITORY"] = f"s3://{names[0]}"
    program.good("init")
    program.good("backup", data)
    (data / "new").write_bytes(b"more" * 100_000)
    program.good("backup", data)
    s3 = clients_of(at.account).client("s3")
    keys = keys_in(s3, names[0])
    first = [key for key in keys if key.startswith(("config", "slots/", "writers/"))]
    rest = sorted(set(keys).difference(first), key=worst_first)
    replicate(s3, s3, names, first)
    env = {"STRONGROOM_REPOSITORY": f"s3://{names[1]}"}
    seen = set()
    for number, key in enumerate(rest):
        replicate(s3, s3, names, [key])
        looked = program.run("store", "replica", "--json", env=env)
        found = [one for one in looked.records if one["message_type"] == "replica"]
        if not found:
            continue
        code = program.run("restore", "latest", "--to", f"out{number}", env=env).code
        newest_is_whole = found[0]["id"] is not None and not found[0]["waiting"]
        seen.add(newest_is_whole)
        assert (code == 0) is newest_is_whole
        assert (tmp_path / f"out{number}").exists() is newest_is_whole
    assert seen == {True, False}
    program.good("store", "replica", "--source", f"s3://{names[0]}", env=env)


def test_a_copy_into_another_region(
    tmp_path: Path, moto: AwsServer, localstack: AwsServer, data: Path
) -> None:
    """Two stores with endpoints, regions and keys of their own: it is incremental, and its lag is
    measured; what comes back from the copy alone is what was saved.
    """
    names = new_bucket(moto), f"far-{new_bucket(localstack)}"
    bucket_in(localstack, ELSEWHERE, names[1])
    program = Program(tmp_path)
    program.environment |= {
        name: text for name, text in moto.variables.items() if name != "AWS_ENDPOINT_URL"
    }
    del program.environment["STRONGROOM_REPOSITORY"]
    del program.environment["STRONGROOM_KEY_FILE"]
    (tmp_path / "strongroom.toml").write_text(
        f'version = 1\n[repositories.main]\nurl = "s3://{names[0]}/app"\nkey_file = "key"\n'
        f'aws = {{ endpoint = "{moto.endpoint}", region = "eu-west-2" }}\n'
        f'[repositories.far]\nurl = "s3://{names[1]}/app"\nkey_file = "far.key"\n'
        f'aws = {{ endpoint = "{localstack.endpoint}", region = "{ELSEWHERE}" }}\n'
    )
    program.good("init")
    program.good("-r", "far", "init")
    program.good("backup", data)
    look = ("-r", "far", "store", "replica", "--source", "main", "--json")
    waited = program.run(*look)
    assert waited.code == 5
    assert waited.record("waiting")["commit_missing"] is True
    first = program.good("copy", "--to", "far", "--json").record("summary")
    assert first["snapshots_copied"] == 1
    assert program.good(*look).record("summary")["replica_lag_seconds"] == 0
    (data / "new").write_bytes(b"more" * 1000)
    program.good("backup", data)
    assert program.run(*look).record("replica")["waiting"] == 1
    second = program.good("copy", "--to", "far", "--json").record("summary")
    assert (second["snapshots_copied"], second["snapshots_there"]) == (1, 1)
    assert second["data_added"] < first["data_added"] / 2
    again = program.good("copy", "--to", "far", "--json").record("summary")
    assert (again["snapshots_copied"], again["data_added"]) == (0, 0)
    program.good(*look)
    (tmp_path / "strongroom.toml").unlink()
    alone = {"AWS_ENDPOINT_URL": localstack.endpoint, "S3_BACKUP_BUCKET": names[1]}
    far = ("-r", f"s3://{names[1]}/app", "--key-file", "far.key")
    program.good(*far, "restore", "latest", "--to", "out", env={**NO_KEY, **alone})
    assert compare_trees(data, tmp_path / "out" / data.relative_to("/")) == []
