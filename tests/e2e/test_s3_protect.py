"""``store protect``: what snapshots need is held, nothing is shortened, an attack is survived."""

from __future__ import annotations

import re
import shutil
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final
from urllib.parse import parse_qs, urlsplit

import pytest

from tests.cli.harness import Program
from tests.e2e.test_s3 import bucket_of, objects_in, program_in
from tests.e2e.test_s3_as_of import make_data
from tests.support.aws import AwsServer
from tests.support.compare_trees import compare_trees
from tests.support.s3 import clients_of, moment_now, new_bucket
from tests.support.s3_proxy import Request, running_proxy
from tests.support.wal import SYSTEM, numbered, segment

pytestmark = pytest.mark.spec("D3")

SERVERS: Final = ["moto", pytest.param("localstack", marks=pytest.mark.slow)]
_DATE: Final = re.compile(rb"<RetainUntilDate>([^<]+)</RetainUntilDate>")


def lockable(at: AwsServer) -> str:
    """Make a bucket with Object Lock, and no default."""
    bucket = new_bucket(at, locked=True)
    clients_of(at.account).client("s3").put_object_lock_configuration(
        Bucket=bucket, ObjectLockConfiguration={"ObjectLockEnabled": "Enabled"}
    )
    return bucket


def retentions(at: AwsServer, program: Program) -> dict[str, datetime | None]:
    """Return until when each object of the repository is held."""
    client, bucket = clients_of(at.account).client("s3"), bucket_of(program)
    found: dict[str, datetime | None] = {}
    for key in objects_in(at, program):
        head = client.head_object(Bucket=bucket, Key=key)
        found[key.removeprefix("team/app/")] = head.get("ObjectLockRetainUntilDate")
    return found


def kinds(keys: set[str]) -> set[str]:
    """Return the top folders of keys."""
    return {key.partition("/")[0] for key in keys}


def push_wal(program: Program) -> None:
    """Archive a segment of a cluster that has no base backup."""
    for folder in ("pg_wal", "global"):
        (program.folder / folder).mkdir()
    control = SYSTEM.to_bytes(8, sys.byteorder) + bytes(8)
    (program.folder / "global/pg_control").write_bytes(control)
    (program.folder / "pg_wal" / numbered(1).text).write_bytes(segment(numbered(1)))
    program.good("wal", "push", "--source", "db", f"pg_wal/{numbered(1).text}")


def through(program: Program, at: AwsServer, endpoint: str) -> None:
    """Let a host ask another endpoint from now on."""
    path = program.folder / "strongroom.toml"
    path.write_text(path.read_text().replace(at.endpoint, endpoint))


@pytest.mark.parametrize("server", SERVERS)
def test_what_is_needed_survives_whoever_may_delete_versions(
    tmp_path: Path, server: str, request: pytest.FixtureRequest
) -> None:
    """In a bucket without a default: after one run a thief who deletes every version of everything,
    but may not pass by a retention, leaves what reads, verifies and restores as of before.
    """
    at: Any = request.getfixturevalue(server)
    bucket = lockable(at)
    program = program_in(tmp_path, at, bucket)
    data = tmp_path / "library"
    data.mkdir()
    (data / "old").write_bytes(b"".join(number.to_bytes(5) for number in range(90_000)))
    program.good("init")
    program.good("backup", data)
    (data / "old").unlink()
    make_data(tmp_path)
    program.good("backup", data)
    program.good("forget", "latest~1")
    planned = program.good("store", "protect", "--for", "30d", "--grace", "0s", "-n", "--json")
    plan = planned.record("summary")
    assert set(retentions(at, program).values()) == {None}
    done = program.good("store", "protect", "--for", "30d", "--grace", "0s", "--json")
    summary = done.record("summary")
    assert summary["objects_extended"] == plan["objects_extended"] == summary["objects_needed"]
    assert summary["requests_extending"] == summary["objects_extended"]
    held = retentions(at, program)
    bare = {key for key, until in held.items() if until is None}
    assert kinds(bare) == {"sessions", "packs", "index"}
    month = datetime.now(UTC) + timedelta(days=30)
    assert all(abs(one - month) < timedelta(minutes=5) for one in held.values() if one is not None)
    moment = moment_now()
    client = clients_of(at.account).client("s3")
    refused = 0
    for one in client.list_object_versions(Bucket=bucket)["Versions"]:
        try:
            client.delete_object(Bucket=bucket, Key=one["Key"], VersionId=one["VersionId"])
        except client.exceptions.ClientError:
            refused += 1
        client.delete_object(Bucket=bucket, Key=one["Key"])
    assert refused == summary["objects_needed"]
    assert objects_in(at, program) == set()
    as_of = ("--as-of", moment)
    program.good("verify", "latest", "--read-data", *as_of)
    assert program.run("verify", *as_of).code == 4  # what was forgotten was not held
    program.good("restore", "latest", "--to", "out", *as_of)
    assert compare_trees(data, tmp_path / "out" / data.relative_to("/")) == []


def hide(at: AwsServer, bucket: str, *, over: str, markers: list[str]) -> None:
    """Do what whoever may put and delete, but no versions, can do: put junk over it, delete it."""
    client = clients_of(at.account).client("s3")
    client.put_object(Bucket=bucket, Key=over, Body=b"junk")
    for key in markers:
        client.delete_object(Bucket=bucket, Key=key)


@pytest.mark.parametrize("server", SERVERS)
@pytest.mark.parametrize("kind", ["packs", "index", "commits", "wal", "writers", "orders"])
def test_what_is_hidden_is_held_and_told(
    tmp_path: Path, server: str, kind: str, request: pytest.FixtureRequest
) -> None:
    """Whoever puts over objects, or deletes them, and waits for the retention of what they hid to
    end, does not have it: every version is held, each key is told of, and the exit code is 4. A
    prune is no attack.
    """
    at: Any = request.getfixturevalue(server)
    bucket = lockable(at)
    program = program_in(tmp_path, at, bucket)
    data = make_data(tmp_path)
    program.good("init")
    program.good("key", "add", "--new-key-file", program.folder / "second")
    push_wal(program)
    for number in range(2):
        (data / "new").write_bytes(bytes(f"{number}" * 100_000, "ascii"))
        program.good("backup", data)
    program.good("forget", "latest~1")
    program.good("prune", "--grace", "0s")
    words = ("store", "protect", "--for", "30d", "--json")
    sound = program.good(*words).record("summary")
    assert sound["objects_altered"] == 0
    moment = moment_now()
    keys = sorted(one for one in objects_in(at, program) if f"/{kind}/" in one)
    over, *markers = keys if len(keys) > 1 else [keys[0], keys[0]]
    if over in markers:
        markers = []
    hide(at, bucket, over=over, markers=markers)
    result = program.run(*words)
    assert result.code == 4, result
    told = {one["key"] for one in result.records if one["message_type"] == "error"}
    assert told == {key.removeprefix("team/app/") for key in (over, *markers)}
    assert result.record("summary")["objects_altered"] == len(told)
    client = clients_of(at.account).client("s3")
    versions = client.list_object_versions(Bucket=bucket)["Versions"]
    for one in versions:
        if one["Key"] in {over, *markers}:
            held = client.get_object_retention(
                Bucket=bucket, Key=one["Key"], VersionId=one["VersionId"]
            )
            assert held["Retention"]["Mode"] == "GOVERNANCE"
    assert "damage: " in program.run(*words[:-1]).err
    program.good("verify", "latest", "--read-data", "--as-of", moment)
    put_back(at, bucket, over, markers)
    program.good(*words)


def put_back(at: AwsServer, bucket: str, over: str, markers: list[str]) -> None:
    """Put the first version over the junk again, and take the delete markers away."""
    client = clients_of(at.account).client("s3")
    found = client.list_object_versions(Bucket=bucket)
    of_it = [one for one in found["Versions"] if one["Key"] == over]
    first = min(of_it, key=lambda one: (one["LastModified"], one["IsLatest"]))
    where = {"Bucket": bucket, "Key": over, "VersionId": first["VersionId"]}
    client.put_object(Bucket=bucket, Key=over, Body=client.get_object(**where)["Body"].read())
    for one in found["DeleteMarkers"]:
        if one["Key"] in markers:
            client.delete_object(Bucket=bucket, Key=one["Key"], VersionId=one["VersionId"])


@pytest.mark.parametrize("server", SERVERS)
def test_requests_never_shorten_and_are_few(
    tmp_path: Path, server: str, request: pytest.FixtureRequest
) -> None:
    """Every request to extend names a version and a date that is later than the one it had, none
    asks to pass by a retention; a second run asks about what is new, and WAL is held as well.
    """
    at: Any = request.getfixturevalue(server)
    program = program_in(tmp_path, at, new_bucket(at, locked=True))
    data = make_data(tmp_path)
    program.good("init")
    program.good("backup", data)
    push_wal(program)
    client = clients_of(at.account).client("s3")
    far = datetime(2199, 1, 1, tzinfo=UTC)
    pack = min(key for key in objects_in(at, program) if "/packs/" in key)
    client.put_object_retention(
        Bucket=bucket_of(program),
        Key=pack,
        Retention={"Mode": "GOVERNANCE", "RetainUntilDate": far},
    )
    before = retentions(at, program)
    puts: list[Request] = []
    with running_proxy(at.endpoint) as proxy:

        def judge(request: Request, status: int) -> None:
            if not status and "retention" in request.path and request.method == "PUT":
                puts.append(request)

        proxy.judge = judge
        through(program, at, proxy.endpoint)
        first = program.good("store", "protect", "--for", "14d", "--json").record("summary")
        assert first["requests_asking"] == first["objects_needed"] == first["objects_extended"] + 1
        assert len(puts) == first["objects_extended"]
        for put in puts:
            url = urlsplit(put.path)
            key = url.path.removeprefix(f"/{bucket_of(program)}/team/app/")
            assert parse_qs(url.query)["versionId"]
            (date,) = _DATE.findall(put.body)
            was = before[key]
            assert was is not None
            assert datetime.fromisoformat(date.decode()) > was
            assert not [name for name in put.headers if "bypass" in name]
        assert retentions(at, program)[pack.removeprefix("team/app/")] == far
        assert any("/wal/" in put.path for put in puts)
        puts.clear()
        (data / "more").write_text("more")
        program.good("backup", data)
        words = ("store", "protect", "--for", "14d", "--at-least", "13d", "--json")
        second = program.good(*words).record("summary")
        assert second["objects_known"] == first["objects_needed"]
        new = second["objects_needed"] - first["objects_needed"]
        assert second["requests_asking"] == new == len(puts) > 0


def test_compliance_wants_the_name_of_the_bucket(tmp_path: Path, localstack: AwsServer) -> None:
    """Without it nothing is extended (6); with it nobody can remove anything; what is held so is
    not extended in the other mode (3), which names each object.
    """
    bucket = lockable(localstack)
    program = program_in(tmp_path, localstack, bucket)
    program.good("init")
    program.good("backup", make_data(tmp_path))
    words = ("store", "protect", "--mode", "compliance", "--for")
    for more in ((), ("--confirm", "another")):
        result = program.run(*words, "1d", *more)
        assert (result.code, "--confirm bucket-" in result.err) == (6, True), result
    assert set(retentions(localstack, program).values()) == {None}
    program.good(*words, "1d", "--confirm", bucket)
    client = clients_of(localstack.account).client("s3")
    version = client.head_object(Bucket=bucket, Key="team/app/config")["VersionId"]
    with pytest.raises(client.exceptions.ClientError, match="AccessDenied"):
        client.delete_object(
            Bucket=bucket,
            Key="team/app/config",
            VersionId=version,
            BypassGovernanceRetention=True,
        )
    result = program.run("store", "protect", "--for", "9d", "--json")
    assert result.code == 3
    failed = [one["key"] for one in result.records if one["message_type"] == "error"]
    assert "config" in failed
    assert result.record("summary")["objects_failed"] == len(failed)
    assert "not extended: config: it is held in compliance mode" in (
        program.run("store", "protect", "--for", "9d").err
    )
    program.good(*words, "9d", "--confirm", bucket)


def test_what_nobody_can_read_makes_everything_needed(tmp_path: Path, moto: AwsServer) -> None:
    """Junk among the commits, which an agent can put, stops the collector, and not this: all of the
    repository is held, which is told, and the exit code is 4.
    """
    bucket = lockable(moto)
    program = program_in(tmp_path, moto, bucket)
    program.good("init")
    program.good("backup", make_data(tmp_path))
    commit = next(key for key in objects_in(moto, program) if "/commits/" in key)
    client = clients_of(moto.account).client("s3")
    client.put_object(Bucket=bucket, Key=commit[:-8] + "0" * 8, Body=b"junk")
    result = program.run("store", "protect", "--for", "2d")
    assert (result.code, "everything counts as needed" in result.out) == (4, True), result
    held = retentions(moto, program)
    assert kinds({key for key, until in held.items() if until is None}) == {"sessions"}


@pytest.mark.parametrize("kind", ["junk", "marker"])
def test_who_confirms_compliance_knows_whether_it_was_judged(
    tmp_path: Path, moto: AwsServer, kind: str
) -> None:
    """What nobody can take back is asked about when it is known that all of the repository, junk
    included, would be held; nothing is extended then.
    """
    bucket = lockable(moto)
    program = program_in(tmp_path, moto, bucket)
    program.good("init")
    program.good("backup", make_data(tmp_path))
    words = ("store", "protect", "--mode", "compliance", "--for", "1d")
    refused = program.run(*words)
    assert (refused.code, "cannot be judged" in refused.err) == (6, False)
    commit = next(key for key in objects_in(moto, program) if "/commits/" in key)
    client = clients_of(moto.account).client("s3")
    if kind == "junk":
        client.put_object(Bucket=bucket, Key=commit[:-8] + "0" * 8, Body=b"junk")
    else:
        client.delete_object(Bucket=bucket, Key=commit)
        shutil.rmtree(tmp_path / "home")  # a host that does not know that there was one
    refused = program.run(*words)
    assert (refused.code, "cannot be judged" in refused.err) == (6, True), refused
    assert set(retentions(moto, program).values()) == {None}


def test_where_nothing_can_be_held_it_is_refused(tmp_path: Path, moto: AwsServer) -> None:
    """A folder, a bucket without Object Lock, times that mean nothing."""
    plain = Program(tmp_path)
    plain.good("init")
    result = plain.run("store", "protect", "--for", "1d")
    assert (result.code, "no Object Lock" in result.err) == (2, True)
    folder = tmp_path / "host"
    folder.mkdir()
    program = program_in(folder, moto, new_bucket(moto))
    program.good("init")
    result = program.run("store", "protect", "--for", "1d")
    assert (result.code, "put-object-lock-configuration" in result.err) == (6, True)
    assert program.run("store", "protect", "--for", "40000d").code == 2
    assert program.run("store", "protect", "--for", "1d", "--at-least", "2d").code == 2
    assert program.run("store", "protect").code == 2
