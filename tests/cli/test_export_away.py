"""An archive in a bucket: exported to there, and imported from there."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.harness import Program
from tests.support.aws import AwsServer
from tests.support.s3 import new_bucket

pytestmark = pytest.mark.spec("B9")


@pytest.fixture(name="program")
def _program(tmp_path: Path, moto: AwsServer) -> Program:
    program = Program(tmp_path)
    program.environment |= moto.variables
    (tmp_path / "tree/below").mkdir(parents=True)
    (tmp_path / "tree/below/file").write_bytes(b"x" * 3_000_000)
    (tmp_path / "tree/link").symlink_to("below/file")
    program.good("init")
    program.good("backup", "./tree")
    return program


@pytest.fixture(name="bucket")
def _bucket(moto: AwsServer) -> str:
    return new_bucket(moto)


def listed(program: Program) -> list[dict[str, object]]:
    """Return everything that ``ls`` knows of the latest snapshot."""
    records = program.good("ls", "latest", "--json").records
    return [one for one in records if one["message_type"] == "node"]


def test_there_and_back(program: Program, moto: AwsServer, bucket: str) -> None:
    """By its id, as the latest, and by the file of the archive; nothing of it stays here."""
    done = program.good("export", "latest", "--to", f"s3://{bucket}/box", "--json")
    summary = done.record("summary")
    assert summary["folder"] == f"s3://{bucket}/box"
    name = str(summary["id"])
    keys = {one["Key"] for one in moto.client("s3").list_objects_v2(Bucket=bucket)["Contents"]}
    assert f"box/{name}/{summary['archive']}" in keys
    assert all(key.startswith(f"box/{name}/") for key in keys)
    before = listed(program)
    for what in (name, "latest"):
        program.good("import", f"s3://{bucket}/box/{what}")
        assert listed(program) == before
    program.good("import", f"s3://{bucket}/box/{name}/{summary['archive']}")
    assert {one["path"] for one in listed(program)} == {one["path"] for one in before}
    scratch = [path.name for path in program.folder.rglob("strongroom-scratch-*")]
    assert scratch == []


def test_twice_is_once(program: Program, moto: AwsServer, bucket: str) -> None:
    """An archive that is there is never replaced by another one of its name: exit code 6."""
    place = f"s3://{bucket}"
    program.good("export", "latest", "--to", place)
    objects = moto.client("s3").list_objects_v2(Bucket=bucket)["Contents"]
    for words in ((), ("--format", "zstd")):
        assert program.run("export", "latest", "--to", place, *words).code == 6
    assert moto.client("s3").list_objects_v2(Bucket=bucket)["Contents"] == objects


def test_nothing_is_there(program: Program, bucket: str) -> None:
    """An archive, a file or a bucket that does not exist: which one, and exit code 15 or 2."""
    for what in ("latest", "20200101_000000", "none.tar.gz"):
        missing = program.run("import", f"s3://{bucket}/box/{what}")
        assert missing.code == 15, missing
        assert f"s3://{bucket}/box" in missing.err
    assert program.run("import", f"s3://{bucket}").code == 2
    assert program.run("export", "latest", "--to", "s3://none-such/x").code != 0


def test_a_damaged_one(program: Program, moto: AwsServer, bucket: str) -> None:
    """Bytes that changed in the bucket are found, and no snapshot is made: exit code 4."""
    done = program.good("export", "latest", "--to", f"s3://{bucket}", "--json").record("summary")
    key = f"{done['id']}/{done['archive']}"
    client = moto.client("s3")
    data = bytearray(client.get_object(Bucket=bucket, Key=key)["Body"].read())
    data[len(data) // 2] ^= 1
    client.put_object(Bucket=bucket, Key=key, Body=bytes(data))
    count = len(program.good("snapshots", "--json").records)
    assert program.run("import", f"s3://{bucket}/{done['id']}").code == 4
    assert len(program.good("snapshots", "--json").records) == count
