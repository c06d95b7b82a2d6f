"""An archive in a bucket: the same files, put once, read back, and nothing half."""

from __future__ import annotations

import hashlib
import io
import os
import subprocess
import sys
from pathlib import Path

import pytest

from strongroom.aws.bucketfiles import BucketFiles
from strongroom.aws.clients import Clients
from strongroom.errors import ObjectExistsError, StoreError
from tests.archives.project import Project, files_of, tree_of
from tests.support.aws import AwsServer
from tests.support.s3 import new_bucket

pytestmark = pytest.mark.spec("A12")


@pytest.fixture(name="bucket")
def _bucket(moto: AwsServer) -> str:
    return new_bucket(moto)


@pytest.fixture(name="project")
def _project(tmp_path: Path, moto: AwsServer) -> Project:
    project = Project(tmp_path)
    project.program.environment |= moto.variables
    return project


def files_in(server: AwsServer, bucket: str) -> dict[str, bytes]:
    """Return everything in a bucket, by key."""
    client = server.client("s3")
    return {
        one["Key"]: client.get_object(Bucket=bucket, Key=one["Key"])["Body"].read()
        for one in client.list_objects_v2(Bucket=bucket).get("Contents", [])
    }


def test_a_copy_in_a_bucket(project: Project, moto: AwsServer, bucket: str) -> None:
    """``--to s3://``: with all that it builds on; fetched again, it restores the project."""
    base = project.made()
    (project.folder / "lib/code").write_text("changed")
    result = project.cli("archive", "incremental", "--to", f"s3://{bucket}/box/")
    assert f"copied to s3://{bucket}/box" in result.out
    (last,) = project.names() - {base}
    wanted = {
        f"box/{name}/{file}": data
        for name in (base, last)
        for file, data in files_of(project.backup / name).items()
    }
    found = files_in(moto, bucket)
    assert found == wanted
    fetched = project.base / "fetched"
    for key, data in found.items():
        path = fetched / key.removeprefix("box/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    project.cli("archive", "restore", last, "--folder", fetched, "--to", project.base / "out")
    assert tree_of(project.base / "out") == project.state()


def test_remote_of_the_guide(project: Project, moto: AwsServer, bucket: str) -> None:
    """``backup-system.sh remote s3://bucket/`` makes one and copies it."""
    project.cli("shims", "install", "scripts")
    variables = {**moto.variables, "HOME": str(project.program.home)}
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    subprocess.run(
        ["./scripts/backup-system.sh", "remote", f"s3://{bucket}/"],
        cwd=project.folder,
        env={**variables, "PATH": path},
        check=True,
        timeout=120,
    )
    (one,) = project.names()
    assert f"{one}/backup-metadata.json" in files_in(moto, bucket)


def test_another_archive_of_the_same_id(project: Project, moto: AwsServer, bucket: str) -> None:
    """Of another project: exit 6, and nothing of it changes."""
    url = f"s3://{bucket}/box"
    project.cli("archive", "create", "--to", url)
    (one,) = project.names()
    key = f"box/{one}/backup-metadata.json"
    before = files_in(moto, bucket)
    client = moto.client("s3")
    other = before[key].replace(bytes(project.folder), b"/somewhere/else")
    client.put_object(Bucket=bucket, Key=key, Body=other)
    (project.folder / "lib/code").write_text("changed")
    result = project.cli("archive", "incremental", "--to", url, code=6)
    assert f"another archive {one}" in result.err
    assert files_in(moto, bucket) == {**before, key: other}


def test_where_there_is_no_bucket(project: Project) -> None:
    """Exit 13; the archive was made, and stays."""
    result = project.cli("archive", "create", "--to", "s3://nowhere-at-all/x", code=13)
    assert "NoSuchBucket" in result.err
    assert len(project.names()) == 1


def test_a_large_file_goes_in_parts(moto: AwsServer, bucket: str) -> None:
    """It is put once like a small one, comes back, and a part that fails leaves nothing."""
    part = 5 << 20  # S3 takes no smaller ones but the last
    files = BucketFiles(Clients(moto.account), bucket, "box", part=part)
    data = os.urandom(2 * part + 5)
    size = len(data)
    moved: list[int] = []
    files.put("large", io.BytesIO(data), size, moved.append)
    assert sum(moved) == size
    assert len(moved) == 3
    assert files.digest("large") == hashlib.sha256(data).hexdigest()
    with pytest.raises(ObjectExistsError):
        files.put("large", io.BytesIO(data), size, moved.append)
    with pytest.raises(StoreError, match="shorter"):
        files.put("cut", io.BytesIO(data[:-9]), size, moved.append)
    client = moto.client("s3")
    assert not client.list_multipart_uploads(Bucket=bucket).get("Uploads")
    assert files.get("cut", 10) is None
    assert files.get("large", 4) == data[:4]
    files.remove("large")
    assert files.get("large", 4) is None
