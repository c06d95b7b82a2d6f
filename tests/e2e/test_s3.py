"""A repository in a bucket, through the command line, as one on a disk."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sysconfig
import time
from pathlib import Path
from typing import Any

import pytest

from tests.cli.harness import COMMAND, Program
from tests.support.aws import AwsServer
from tests.support.compare_trees import compare_trees
from tests.support.s3 import clients_of, new_bucket

pytestmark = pytest.mark.spec("B1", "D3")


@pytest.fixture(name="data")
def _data(tmp_path: Path) -> Path:
    """A part of the standard library of this Python."""
    folder = tmp_path / "library"
    shutil.copytree(Path(sysconfig.get_paths()["stdlib"]) / "email", folder, symlinks=True)
    time.sleep(0.2)
    return folder


def program_in(folder: Path, server: AwsServer, bucket: str) -> Program:
    """Return a host whose repository is in a bucket, as its configuration says."""
    program = Program(folder)
    del program.environment["STRONGROOM_REPOSITORY"]
    program.environment |= server.variables
    del program.environment["AWS_ENDPOINT_URL"]
    (folder / "strongroom.toml").write_text(
        f'version = 1\n[repositories.main]\nurl = "s3://{bucket}/team/app"\n'
        f'aws = {{ endpoint = "{server.endpoint}" }}\n'
        f'[repositories.second]\nurl = "s3://{bucket}/second"\n'
        f'aws = {{ endpoint = "{server.endpoint}" }}\n'
    )
    return program


def bucket_of(program: Program) -> str:
    """Return the bucket that a host's configuration names."""
    return (program.folder / "strongroom.toml").read_text().split("s3://")[1].split("/")[0]


def objects_in(server: AwsServer, program: Program) -> set[str]:
    """Return the keys in a host's bucket."""
    found = clients_of(server.account).client("s3").list_objects_v2(Bucket=bucket_of(program))
    return {one["Key"] for one in found.get("Contents", [])}


def fetch(server: AwsServer, program: Program, folder: Path) -> Path:
    """Copy the bucket of a host into a folder, as any program for S3 does; its repository."""
    client = clients_of(server.account).client("s3")
    for key in objects_in(server, program):
        path = folder / key
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(client.get_object(Bucket=bucket_of(program), Key=key)["Body"].read())
    return folder / "team/app"


def test_every_verb(tmp_path: Path, moto: AwsServer, data: Path) -> None:
    """From init to prune, with a second repository to copy to; each says what it asked of the
    store, and what is in the bucket is a repository in a folder as well.
    """
    program = program_in(tmp_path, moto, new_bucket(moto))
    program.good("init")
    assert program.run("init").code == 6
    first = program.good("backup", data, "--json").record("summary")
    assert 0 < first["store_requests"] < 40
    again = program.good("backup", data, "--json").record("summary")
    assert again["bytes_read"] == 0, "of folders above, others may change the time"
    assert "requests" in program.good("backup", data).out
    program.good("restore", "latest", "--to", "out")
    assert compare_trees(data, tmp_path / "out" / data.relative_to("/")) == []
    assert "requests" in program.good("verify", "--read-data").out
    program.good("-r", "second", "init")
    program.good("copy", "--to", "second", "--to-key-file", program.key_file)
    assert program.good("-r", "second", "snapshots", "--json").records[-1]["snapshots"] == 3
    program.good("key", "add", "--recovery")
    program.good("forget", "--keep-last", "1")
    assert "requests" in program.good("prune", "--grace", "0s").out
    program.good("verify", "--read-data")
    assert len(program.good("key", "list", "--json").records) >= 3
    fetched = fetch(moto, program, tmp_path / "copy")
    program.good("-r", fetched, "restore", "latest", "--to", "again")
    assert compare_trees(data, tmp_path / "again" / data.relative_to("/")) == []


@pytest.mark.parametrize("server", ["moto", "localstack"])
def test_a_bucket_that_lets_nothing_go(
    tmp_path: Path, data: Path, server: str, request: pytest.FixtureRequest
) -> None:
    """With a default retention all works; what is pruned is hidden, and its bytes stay locked."""
    at: Any = request.getfixturevalue(server)
    program = program_in(tmp_path, at, new_bucket(at, locked=True))
    program.good("init")
    program.good("backup", data)
    before = objects_in(at, program)
    (data / "new").write_bytes(b"something else")
    shutil.rmtree(data / "mime")
    program.good("backup", data)
    program.good("forget", "--keep-last", "1")
    program.good("prune", "--grace", "0s")
    program.good("verify", "--read-data")
    gone = before - objects_in(at, program)
    assert gone
    client = clients_of(at.account).client("s3")
    versions = client.list_object_versions(Bucket=bucket_of(program))["Versions"]
    held = {one["Key"]: one["VersionId"] for one in versions if one["Key"] in gone}
    assert held.keys() == gone
    for key, version in held.items():
        with pytest.raises(client.exceptions.ClientError, match="AccessDenied"):
            client.delete_object(Bucket=bucket_of(program), Key=key, VersionId=version)


SERVERS = ["moto", pytest.param("localstack", marks=pytest.mark.slow)]


@pytest.mark.slow
@pytest.mark.parametrize("server", ["moto", "localstack"])
def test_hosts_at_once(
    tmp_path: Path, data: Path, server: str, request: pytest.FixtureRequest
) -> None:
    """Two back up while one collects: all commit, what was there stays, nothing is damaged."""
    at: Any = request.getfixturevalue(server)
    program = program_in(tmp_path, at, new_bucket(at))
    program.good("init")
    program.good("backup", data)
    for number in range(2):
        folder = data / f"of-{number}"
        folder.mkdir()
        (folder / "file").write_bytes(b"".join(one.to_bytes(4) for one in range(50_000)))
    commands = [["backup", str(data / f"of-{number}"), "-q"] for number in range(2)]
    commands.append(["prune", "--grace", "0s", "--wait", "1m", "-q"])
    running = [
        subprocess.Popen([*COMMAND, *command], cwd=tmp_path, env=program.environment)
        for command in commands
    ]
    codes = [one.wait(timeout=120) for one in running]
    assert codes[:2] == [0, 0]
    assert codes[2] in {0, 11}, "a collector that waits for others has an end"
    assert program.good("snapshots", "--json").records[-1]["snapshots"] == 3
    program.good("prune", "--grace", "0s")
    program.good("verify", "--read-data")
    program.good("restore", "latest", "--to", "out")


@pytest.mark.parametrize("server", SERVERS)
def test_a_backup_that_was_killed(
    tmp_path: Path, data: Path, server: str, request: pytest.FixtureRequest
) -> None:
    """The next one works, what was acknowledged is there, and nothing is damaged."""
    at: Any = request.getfixturevalue(server)
    program = program_in(tmp_path, at, new_bucket(at))
    program.good("init")
    program.good("backup", data)
    (data / "more").write_bytes(b"".join(number.to_bytes(4) for number in range(2_000_000)))
    before = objects_in(at, program)
    with subprocess.Popen(
        [*COMMAND, "backup", str(data), "-q"], cwd=tmp_path, env=program.environment
    ) as backup:
        while objects_in(at, program) == before and backup.poll() is None:
            time.sleep(0.01)
        backup.send_signal(signal.SIGKILL)
    assert any("/sessions/" in key for key in objects_in(at, program) - before)
    program.good("backup", data)
    program.good("restore", "latest", "--to", "out")
    assert compare_trees(data, tmp_path / "out" / data.relative_to("/")) == []
    program.good("verify", "--read-data")


def test_manifests_of_an_environment(tmp_path: Path, moto: AwsServer, data: Path) -> None:
    """Where the day's list is looked for, written anew with each backup; gone with the snapshot."""
    program = program_in(tmp_path, moto, new_bucket(moto))
    with (tmp_path / "strongroom.toml").open("a") as file:
        file.write(
            f'[sources.app]\ntype = "files"\npaths = ["{data}"]\n[environments.production]\n'
        )
    program.good("init")
    for _ in range(2):
        program.good("backup", "production")
    requests = program.good("backup", "production", "--json").record("summary")["store_requests"]
    folder = fetch(moto, program, tmp_path / "copy") / "production/full"
    (day,) = folder.glob("*/*/*/backup_manifest.json")
    listed = json.loads(day.read_text())["backups"]
    assert len(listed) == len(list(day.parent.glob("*/backup_manifest.json"))) == 3
    assert requests < 40
    program.good("forget", "--keep-last", "1")
    program.good("prune", "--grace", "0s")
    assert len([key for key in objects_in(moto, program) if "manifest" in key]) == 2
