"""What stands in the way of a backup of documents is said, and nothing is lost by it."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from tests.cli.harness import NO_KEY, Program
from tests.support import object_stub
from tests.support.buckets import Client, fill
from tests.support.s3_proxy import Proxy, Reply

DENIED = b"<Error><Code>AccessDenied</Code><Message>Access Denied</Message></Error>"


@pytest.mark.spec("D1")
def test_a_bucket_that_lost_most_is_refused(program: Program, s3: Client) -> None:
    """A wrong bucket or policy looks like this; the next good run goes on as if nothing was."""
    keys = [f"{number:03}" for number in range(50)]
    fill(s3, "docs", keys)
    program.good("backup", "documents")
    for key in keys[:30]:
        s3.delete_object(Bucket="docs", Key=key)
    refused = program.run("backup", "documents")
    assert refused.code == 6
    assert "--allow-vanished" in refused.err
    for key in keys[30:]:
        s3.delete_object(Bucket="docs", Key=key)
    assert program.run("backup", "documents").code == 6
    assert len([r for r in program.good("snapshots", "--json").records if "time" in r]) == 1
    (program.state / "repositories").rename(program.state / "lost")  # what this host remembers
    assert program.run("backup", "documents").code == 6
    program.good("backup", "documents", "--allow-vanished")
    assert "objects/" not in program.good("ls", "latest").out


def test_no_such_bucket_and_no_access(program: Program, s3: Client, proxy: Proxy) -> None:
    """Both are a source that cannot be reached."""
    fill(s3, "docs", ["a"])
    proxy.meddle = lambda _method, path: (403, DENIED) if "list-type" in path else None
    denied = program.run("backup", "documents")
    assert (denied.code, "AccessDenied" in denied.err) == (14, True)
    proxy.meddle = lambda _method, _path: None
    text = (program.folder / "strongroom.toml").read_text()
    (program.folder / "strongroom.toml").write_text(text.replace("docs", "nowhere"))
    missing = program.run("backup", "documents")
    assert (missing.code, "no bucket called 'nowhere'" in missing.err) == (14, True)
    assert not [r for r in program.good("snapshots", "--json").records if "time" in r]


@pytest.mark.usefixtures("s3")
def test_a_profile_that_is_not_there(program: Program) -> None:
    """It is a matter of the configuration (exit code 2), and says what to do."""
    program.environment["AWS_PROFILE"] = "nobody"
    refused = program.run("backup", "documents")
    assert refused.code == 2
    assert "profile (nobody) could not be found" in refused.err
    assert "aws configure list-profiles" in refused.err


@pytest.mark.spec("D1")
def test_an_object_that_changes_between_listing_and_reading(
    program: Program, s3: Client, proxy: Proxy
) -> None:
    """It is read as it is then, marked, and read again by the next run; one that goes is told."""
    fill(s3, "docs", ["a", "b", "c"])

    def meddle(method: str, path: str) -> Reply | None:
        if method == "GET" and path.startswith("/docs/c"):
            proxy.meddle = lambda _method, _path: None
            s3.put_object(Bucket="docs", Key="b", Body=b"changed")
            s3.delete_object(Bucket="docs", Key="c")
        if method == "GET" and path.startswith("/docs/b"):
            s3.put_object(Bucket="docs", Key="b", Body=b"changed")
        return None

    proxy.meddle = meddle
    done = program.run("backup", "documents")
    assert (done.code, "deleted while" in done.out + done.err) == (3, True)
    assert program.good("dump", "latest", "/s3/documents/objects/b").raw == b"changed"
    proxy.meddle = lambda _method, _path: None
    proxy.forget()
    program.good("backup", "documents")
    assert set(proxy.objects("GET", "docs")) == {"GET /docs/b"}


def test_archived_objects_are_told_and_kept_once_saved(program: Program, s3: Client) -> None:
    """One that cannot be read makes the backup incomplete; one that was saved before stays."""
    s3.put_object(Bucket="docs", Key="new", Body=b"x")
    s3.put_object(Bucket="docs", Key="cold", Body=b"y", StorageClass="GLACIER")
    done = program.run("backup", "documents")
    assert (done.code, "archived (GLACIER)" in done.out + done.err) == (3, True)
    assert "cold" not in program.good("ls", "latest").out


def test_tags_that_may_not_be_read(program: Program, s3: Client, proxy: Proxy) -> None:
    """The backup is incomplete until they may; ``tags = false`` does without."""
    fill(s3, "docs", ["a", "b"])
    proxy.meddle = lambda _method, path: (403, DENIED) if "tagging" in path else None
    done = program.run("backup", "documents")
    assert (done.code, "tags" in done.out + done.err) == (3, True)
    assert program.run("backup", "documents").code == 3
    proxy.meddle = lambda _method, _path: None
    program.good("backup", "documents")
    proxy.meddle = lambda _method, path: (403, DENIED) if "tagging" in path else None
    text = (program.folder / "strongroom.toml").read_text()
    (program.folder / "strongroom.toml").write_text(f"{text}tags = false\nconfiguration = false\n")
    program.good("backup", "documents")


def test_tags_of_one_object_that_may_not_be_read(
    program: Program, s3: Client, proxy: Proxy
) -> None:
    """It is told, and asked for again, also after the tags of many others could be read.

    S3 says how many tags an object has only to whoever may read them.
    """
    fill(s3, "docs", [f"{number:02}" for number in range(60)])
    proxy.meddle = lambda _method, path: (403, DENIED) if path.startswith("/docs/55?tag") else None
    done = program.run("backup", "documents", "--json")
    assert done.code == 3
    told = [one["item"] for one in done.records if one["message_type"] == "error"]
    assert told == ["/s3/documents/objects/55"]
    assert len(proxy.objects("GET", "docs")) == 2 * 60  # an object, and its tags
    proxy.meddle = lambda _method, _path: None
    proxy.forget()
    program.good("backup", "documents")
    assert set(proxy.objects("GET", "docs")) == {"GET /docs/55"}


def test_nobody_waits_for_a_bucket_without_a_key(program: Program, tmp_path: Path) -> None:
    """A wrong passphrase is told at once, though the bucket is looked for meanwhile."""
    wrong = tmp_path / "wrong"
    wrong.write_text("not this one\n")
    wrong.chmod(0o600)
    stub = object_stub.ObjectStub()
    stub.answer = lambda _seen: object_stub.Reply(b"", stalls=True)
    with object_stub.running_objects(stub):
        environment = {"AWS_ENDPOINT_URL": stub.endpoint, "STRONGROOM_PASSPHRASE_FILE": str(wrong)}
        began = time.monotonic()
        refused = program.spawn("backup", "documents", env={**NO_KEY, **environment})
        assert time.monotonic() - began < 30  # of the 60 seconds that are waited for an answer
    assert refused.code == 12
    assert "passphrase" in refused.err


def test_environments_have_their_buckets(program: Program, s3: Client) -> None:
    """``backup production documents`` saves the one of production."""
    (program.folder / "strongroom.toml").write_text(
        'version = 1\nproject = "do"\n[sources.documents]\ntype = "s3"\n'
        'bucket = "{project}{environment}"\n[environments.cs]\n'
    )
    fill(s3, "docs", ["a"])
    program.good("backup", "cs", "documents")
    assert "/s3/cs.documents/objects/a" in program.good("ls", "latest@cs").out


def test_a_dry_run_says_what_would_be_read(program: Program, s3: Client, proxy: Proxy) -> None:
    """It only lists."""
    fill(s3, "docs", ["a", "b"])
    found = program.good("backup", "documents", "--dry-run", "--json").record("summary")
    assert found["entries_new"] == 3
    assert proxy.objects("GET", "docs") == []
