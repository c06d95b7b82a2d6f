"""A repository of which everything was deleted reads as it was before, and can be copied away."""

from __future__ import annotations

import shutil
import time
from pathlib import Path
from typing import Any, Final, NamedTuple

import pytest

from tests.cli.harness import Program
from tests.e2e.test_s3 import bucket_of, objects_in, program_in
from tests.support.aws import AwsServer
from tests.support.compare_trees import compare_trees
from tests.support.s3 import clients_of, moment_now, new_bucket

pytestmark = pytest.mark.spec("D3")

SERVERS: Final = ["moto", pytest.param("localstack", marks=pytest.mark.slow)]
_SECOND: Final = 1.0


class Attacked(NamedTuple):
    """A host, the server, what was backed up, and a moment before everything was deleted."""

    program: Program
    at: AwsServer
    data: Path
    moment: str


def make_data(folder: Path) -> Path:
    """Make a tree with a large file, small ones, and one with a name that is no text."""
    data = folder / "library"
    (data / "deep/er").mkdir(parents=True)
    (data / "large").write_bytes(b"".join(number.to_bytes(4) for number in range(200_000)))
    (data / "deep/er/one").write_text("1")
    (data / "deep/two").write_bytes(bytes(range(256)))
    return data


def delete_everything(at: AwsServer, program: Program) -> int:
    """Delete each object as whoever has stolen the credentials of a maintainer can."""
    client = clients_of(at.account).client("s3")
    keys = objects_in(at, program)
    for key in keys:
        client.delete_object(Bucket=bucket_of(program), Key=key)
    assert objects_in(at, program) == set()
    return len(keys)


@pytest.fixture(name="attacked", params=SERVERS)
def _attacked(tmp_path: Path, request: pytest.FixtureRequest) -> Attacked:
    at: Any = request.getfixturevalue(request.param)
    bucket = new_bucket(at)
    versions(at, bucket, "Enabled")
    program = program_in(tmp_path, at, bucket)
    data = make_data(tmp_path)
    program.good("init")
    program.good("backup", data)
    (data / "new").write_text("of the second backup")
    program.good("backup", data)
    moment = moment_now()
    assert delete_everything(at, program) > 5
    return Attacked(program, at, data, moment)


def versions(at: AwsServer, bucket: str, status: str) -> None:
    """Turn versions on, or off."""
    clients_of(at.account).client("s3").put_bucket_versioning(
        Bucket=bucket, VersioningConfiguration={"Status": status}
    )


def state_of(program: Program) -> dict[str, bytes]:
    """Return every file of what the host remembers."""
    files = (path for path in program.state.rglob("*") if path.is_file())
    return {str(path): path.read_bytes() for path in files}


def test_everything_reads_as_it_was_before_it_was_deleted(attacked: Attacked) -> None:
    """Each verb that reads does, verify finds nothing wrong, a copy restores bit for bit, also
    with its own key; the host's memory, which misses what is gone, neither hinders nor changes.
    """
    program, at, data, moment = attacked
    gone = program.run("snapshots")
    assert gone.code == 10
    assert "this host knows repository" in gone.err
    assert "--as-of" in gone.err
    remembered = state_of(program)
    assert remembered
    as_of = ("--as-of", moment)
    listed = program.good("snapshots", "--json", *as_of).records
    assert listed[-1]["snapshots"] == 2
    assert "new" in program.good("ls", "latest", data, *as_of).out
    assert str(data / "new") in program.good("find", "new", *as_of).out
    assert program.good("dump", "latest", data / "deep/er/one", *as_of).out == "1"
    assert "new" in program.good("diff", "latest~1", "latest", *as_of).out
    assert program.good("stats", *as_of).out
    found = program.good("verify", "--read-data", "--json", *as_of)
    assert [one for one in found.records if one["message_type"] == "error"] == []
    program.good("restore", "latest", "--to", "out", *as_of)
    assert compare_trees(data, program.folder / "out" / data.relative_to("/")) == []
    assert state_of(program) == remembered
    program.good("-r", "second", "init")
    copied = program.good("copy", "--to", "second", "--to-key-file", program.key_file, *as_of)
    assert "2 snapshots copied" in copied.out
    program.good("-r", "second", "restore", "latest", "--to", "again")
    assert compare_trees(data, program.folder / "again" / data.relative_to("/")) == []
    program.good("-r", "second", "verify", "--read-data")
    assert not any(key.startswith("team/") for key in objects_in(at, program))


def test_an_environment_and_an_archive_of_before(tmp_path: Path, moto: AwsServer) -> None:
    """A snapshot is found by its name, and the latest is that of then; so is what is exported."""
    bucket = new_bucket(moto)
    versions(moto, bucket, "Enabled")
    program = program_in(tmp_path, moto, bucket)
    data = make_data(tmp_path)
    with (tmp_path / "strongroom.toml").open("a") as file:
        file.write(
            f'[sources.app]\ntype = "files"\npaths = ["{data}"]\n'
            '[environments.production]\nrepositories = ["main"]\n'
        )
    program.good("init")
    program.good("backup", "production")
    name = program.good("snapshots", "--json").records[0]["name"]
    moment = moment_now()
    (data / "deep/er/one").write_text("2")
    program.good("backup", "production")
    delete_everything(moto, program)
    as_of = ("--as-of", moment)
    program.good("restore", name, "--to", "out", *as_of)
    assert (tmp_path / "out" / data.relative_to("/") / "deep/er/one").read_text() == "1"
    program.good("export", "latest", "--to", "archives", *as_of)
    assert list((tmp_path / "archives").rglob("*.tar*"))


@pytest.mark.parametrize("past_first", [True, False], ids=["past first", "now first"])
@pytest.mark.parametrize("server", SERVERS)
def test_each_time_shows_its_own_bytes(
    tmp_path: Path, server: str, request: pytest.FixtureRequest, *, past_first: bool
) -> None:
    """Junk that somebody put over a commit is there from then on, and not before, whatever this
    host read of it and when, with the same caches.
    """
    at: Any = request.getfixturevalue(server)
    bucket = new_bucket(at)
    versions(at, bucket, "Enabled")
    program = program_in(tmp_path, at, bucket)
    program.good("init")
    program.good("backup", make_data(tmp_path))
    good = ("snapshots", "--as-of", moment_now())
    shutil.rmtree(program.folder / "home/.cache")
    if not past_first:
        program.good("snapshots")
    commit = next(key for key in objects_in(at, program) if "/commits/" in key)
    clients_of(at.account).client("s3").put_object(Bucket=bucket, Key=commit, Body=b"junk")
    bad = ("snapshots", "--as-of", moment_now())
    for words in (good, bad, good, bad) if past_first else (bad, good, bad, good):
        said = program.run(*words).err
        assert ("is damaged" in said) is (words == bad), (words, said)
    if past_first:
        assert "is damaged" in program.run("snapshots").err


def test_without_the_folders_of_this_host(attacked: Attacked) -> None:
    """Neither cache nor state is needed: a new machine reads as of then as well."""
    program, _, data, moment = attacked
    shutil.rmtree(program.state)
    shutil.rmtree(program.cache)
    program.good("restore", "latest", "--to", "out", "--as-of", moment)
    assert compare_trees(data, program.folder / "out" / data.relative_to("/")) == []


def test_a_prune_by_mistake_is_read_through(tmp_path: Path, moto: AwsServer) -> None:
    """A snapshot that was forgotten and collected is there as of before, and the present one is not
    changed by looking; an object that was overwritten counts as it was.
    """
    bucket = new_bucket(moto)
    versions(moto, bucket, "Enabled")
    program = program_in(tmp_path, moto, bucket)
    data = make_data(tmp_path)
    program.good("init")
    program.good("backup", data)
    (data / "large").write_bytes(b"other")
    program.good("backup", data)
    moment = moment_now()
    program.good("forget", "--keep-last", "1")
    program.good("prune", "--grace", "0s")
    client = clients_of(moto.account).client("s3")
    pack = min(key for key in objects_in(moto, program) if "/packs/" in key)
    client.put_object(Bucket=bucket, Key=pack, Body=b"nonsense")
    assert program.good("snapshots", "--json").records[-1]["snapshots"] == 1
    remembered = state_of(program)
    as_of = ("--as-of", moment)
    assert program.good("snapshots", "--json", *as_of).records[-1]["snapshots"] == 2
    program.good("verify", "--read-data", *as_of)
    program.good("restore", "latest~1", "--to", "out", *as_of)
    restored = tmp_path / "out" / data.relative_to("/") / "large"
    assert len(restored.read_bytes()) == 800_000
    assert state_of(program) == remembered
    assert program.run("verify", "--read-data").code == 4


def test_what_cannot_be_read_as_of_a_time_is_refused_with_the_way_out(
    tmp_path: Path, moto: AwsServer
) -> None:
    """A folder, a bucket without versions, a time that is not over, and one before the beginning,
    or after the end, of the repository.
    """
    plain = Program(tmp_path)
    plain.good("init")
    result = plain.run("snapshots", "--as-of", "1d")
    assert (result.code, "keeps no versions" in result.err) == (2, True)
    assert plain.run("snapshots", "--as-of", "yesterday").code == 2
    other = tmp_path / "other"
    other.mkdir()
    program = program_in(other, moto, new_bucket(moto))
    program.good("init")
    result = program.run("snapshots", "--as-of", "0s")
    assert (result.code, "put-bucket-versioning" in result.err) == (6, True)
    versions(moto, bucket_of(program), "Enabled")
    program.good("-r", "second", "init")
    result = program.run("snapshots", "--as-of", "2999-01-01")
    assert (result.code, "not over" in result.err) == (2, True)
    result = program.run("-r", "second", "snapshots", "--as-of", "1h")
    assert (result.code, "it is there since" in result.err) == (10, True)
    env = {"AWS_ENDPOINT_URL": moto.endpoint}
    none = f"s3://{bucket_of(program)}/none"
    result = program.run("-r", none, "snapshots", "--as-of", "0s", env=env)
    assert result.code == 10
    time.sleep(_SECOND)
    delete_everything(moto, program)
    time.sleep(_SECOND)
    result = program.run("-r", "second", "snapshots", "--as-of", "0s")
    assert (result.code, "and was deleted at" in result.err) == (10, True)


def test_no_verb_that_stores_takes_a_time(tmp_path: Path) -> None:
    """The past is read only, and not by accident written beside."""
    program = Program(tmp_path)
    for verb in ("backup", "prune", "forget", "repair"):
        result = program.run(verb, "--as-of", "0s")
        assert (result.code, "--as-of" in result.err) == (2, True), result
