"""A restore into a bucket says what it will do, can be undone, and takes what was asked for."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from tests.cli.harness import Program
from tests.support.buckets import Client, fill, held, make_bucket
from tests.support.s3_proxy import Proxy, Reply

KEYS = ["a", "a/b", "a/c", "ab", "d/e", "d/f"]


@pytest.mark.spec("D1")
def test_in_place_with_delete_and_undo(program: Program, s3: Client) -> None:
    """The bucket is as it was when it was saved, and after an undo as it was before the restore."""
    status = {"Status": "Enabled"}
    s3.put_bucket_versioning(Bucket="docs", VersioningConfiguration=status)
    fill(s3, "docs", KEYS)
    saved = held(s3, "docs")
    program.good("backup", "documents")
    s3.put_object(Bucket="docs", Key="a/b", Body=b"bad")
    s3.put_object(Bucket="docs", Key="new", Body=b"bad")
    s3.delete_object(Bucket="docs", Key="d/e")
    before = held(s3, "docs")
    refused = program.run("restore", "latest", "--in-place", "--delete")
    assert (refused.code, held(s3, "docs")) == (6, before)
    done = program.good(
        "restore", "latest", "--in-place", "--delete", "--confirm", "docs", "--json"
    )
    assert held(s3, "docs") == saved
    summary = done.record("summary")
    assert (summary["objects_restored"], summary["objects_deleted"]) == (2, 1)
    assert (summary["objects_skipped"], done.record("plan")["replaced"]) == (4, 1)
    program.good("restore", "--to-bucket", "docs", "--undo", "--no-confirm")
    assert held(s3, "docs") == before
    assert program.run("restore", "--to-bucket", "docs", "--undo", "--no-confirm").code == 15


def test_without_versions_the_plan_says_that_there_is_no_undo(program: Program, s3: Client) -> None:
    """It is said before anything is done."""
    fill(s3, "docs", KEYS)
    program.good("backup", "documents")
    s3.put_object(Bucket="docs", Key="a", Body=b"bad")
    told = program.good("restore", "latest", "--in-place", "--dry-run")
    assert "no undo" in told.out
    assert s3.get_object(Bucket="docs", Key="a")["Body"].read() == b"bad"


@pytest.mark.parametrize(
    ("key", "expected"),
    [
        ("a", {"a", "a/b", "a/c"}),
        ("a/", {"a/b", "a/c"}),
        ("d/e", {"d/e"}),
        ("s3/documents/objects/d", {"d/e", "d/f"}),
    ],
)
@pytest.mark.spec("D1")
def test_one_key_or_what_begins_with_it(
    program: Program, s3: Client, key: str, expected: set[str]
) -> None:
    """Other keys are not touched, also not by --delete."""
    fill(s3, "docs", KEYS)
    make_bucket(s3, "copy")
    s3.put_object(Bucket="copy", Key="p/zzz", Body=b"stays")
    program.good("backup", "documents")
    program.good("restore", f"latest:{key}", "--to-bucket", "copy", "--prefix", "p/", "--delete")
    assert set(held(s3, "copy")) == {f"p/{one}" for one in expected} | {"p/zzz"}


def test_a_key_that_is_not_there(program: Program, s3: Client) -> None:
    """It is said, and nothing is done."""
    fill(s3, "docs", KEYS)
    program.good("backup", "documents")
    assert program.run("restore", "latest:b", "--in-place").code == 15


@pytest.mark.spec("D1")
def test_as_of_a_time(program: Program, s3: Client) -> None:
    """The last snapshot that had ended by then is taken."""
    make_bucket(s3, "copy")
    s3.put_object(Bucket="docs", Key="a", Body=b"one")
    program.good("backup", "documents")
    listed = program.good("snapshots", "--json").records
    moment = next(one["time"] for one in listed if "time" in one)
    s3.put_object(Bucket="docs", Key="a", Body=b"two")
    program.good("backup", "documents")
    assert program.run("restore", "--at", moment, "--to-bucket", "copy").code == 15
    program.good("restore", "latest~1", "--to-bucket", "copy")
    program.good("restore", "--at", "0s", "--to-bucket", "copy", "--no-confirm")
    assert held(s3, "copy")["a"].data == b"two"


LATEST = [("latest",), ("--at", "0s")]


@pytest.mark.parametrize("words", LATEST, ids=["latest", "at"])
@pytest.mark.spec("D8")
def test_latest_is_refused_where_a_pack_is_not_there(
    program: Program, s3: Client, words: tuple[str, ...]
) -> None:
    """Before anything is written, naming the one that is whole; with a time and without."""
    make_bucket(s3, "copy")
    s3.put_object(Bucket="docs", Key="a", Body=b"one")
    program.good("backup", "documents")
    before = _inside(program)
    s3.put_object(Bucket="docs", Key="a", Body=b"two")
    program.good("backup", "documents")
    for path in _inside(program) - before:
        if "packs" in path.parts:
            path.unlink()
    refused = program.run("restore", *words, "--to-bucket", "copy")
    assert (refused.code, held(s3, "copy")) == (4, {}), refused
    assert "is not whole" in refused.err
    program.good("restore", "latest~1", "--to-bucket", "copy")
    assert held(s3, "copy")["a"].data == b"one"


@pytest.mark.parametrize("words", LATEST, ids=["latest", "at"])
@pytest.mark.spec("D8")
def test_latest_is_refused_where_only_its_tree_shows_what_is_not_there(
    program: Program, s3: Client, words: tuple[str, ...]
) -> None:
    """What a collector removed is gone, and what it put into its place has not come yet."""
    make_bucket(s3, "copy")
    for key in ("stays", "goes"):
        s3.put_object(Bucket="docs", Key=key, Body=random.Random(key).randbytes(300_000))
    program.good("backup", "documents")
    s3.delete_object(Bucket="docs", Key="goes")
    program.good("backup", "documents")
    before = _inside(program)
    program.good("forget", "latest~1")
    program.good("prune", "--grace", "0s", "--max-unused", "0%")
    for path in _inside(program) - before:
        if {"packs", "index"}.intersection(path.parts):
            path.unlink()
    refused = program.run("restore", *words, "--to-bucket", "copy")
    assert (refused.code, held(s3, "copy")) == (4, {}), refused
    assert "is not whole" in refused.err


def _inside(program: Program) -> set[Path]:
    return {path for path in program.repository.rglob("*") if path.is_file()}


def _saves_only(program: Program, prefix: str) -> None:
    text = (program.folder / "strongroom.toml").read_text()
    (program.folder / "strongroom.toml").write_text(f'{text}prefix = "{prefix}"\n')


def test_delete_stays_within_the_prefix_that_was_saved(program: Program, s3: Client) -> None:
    """What a source did not save is nothing that only the bucket has."""
    _saves_only(program, "d/")
    fill(s3, "docs", KEYS)
    program.good("backup", "documents")
    s3.put_object(Bucket="docs", Key="d/new", Body=b"x")
    program.good("restore", "latest", "--in-place", "--delete", "--no-confirm")
    assert set(held(s3, "docs")) == set(KEYS)


def test_delete_of_a_folder_stays_within_what_was_saved_of_it(program: Program, s3: Client) -> None:
    """A folder that is asked for has more in the bucket than the source saved of it."""
    _saves_only(program, "d/2024/")
    fill(s3, "docs", ["d/2023/a", "d/2024/a", "d/2025", "e"])
    program.good("backup", "documents")
    s3.put_object(Bucket="docs", Key="d/2024/new", Body=b"x")
    program.good("restore", "latest:d/", "--in-place", "--delete", "--confirm", "docs")
    assert set(held(s3, "docs")) == {"d/2023/a", "d/2024/a", "d/2025", "e"}


def _keep_versions(s3: Client, status: str) -> None:
    s3.put_bucket_versioning(Bucket="docs", VersioningConfiguration={"Status": status})


def test_suspended_versions_are_no_undo(program: Program, s3: Client) -> None:
    """A put overwrites there for good: the plan says so, and nothing claims to go back."""
    _keep_versions(s3, "Enabled")
    fill(s3, "docs", KEYS)
    _keep_versions(s3, "Suspended")
    saved = held(s3, "docs")
    program.good("backup", "documents")
    s3.put_object(Bucket="docs", Key="a/b", Body=b"bad")
    s3.put_object(Bucket="docs", Key="new", Body=b"bad")
    told = program.good("restore", "latest", "--in-place", "--delete", "--dry-run")
    assert "no undo" in told.out
    done = program.good("restore", "latest", "--in-place", "--delete", "--confirm", "docs")
    assert ("undo" in done.out.replace("no undo", ""), held(s3, "docs")) == (False, saved)
    assert program.run("restore", "--to-bucket", "docs", "--undo", "--no-confirm").code == 15
    assert held(s3, "docs") == saved


def test_an_undo_leaves_what_got_no_version(program: Program, s3: Client, proxy: Proxy) -> None:
    """Versions are suspended under a running restore: what has none is told and not deleted."""
    _keep_versions(s3, "Enabled")
    fill(s3, "docs", KEYS)
    program.good("backup", "documents")
    for key in ("a", "a/b"):
        s3.put_object(Bucket="docs", Key=key, Body=b"bad")

    def meddle(method: str, _path: str) -> Reply | None:
        if method == "PUT":
            _keep_versions(s3, "Suspended")
        return None

    proxy.meddle = meddle
    program.good("restore", "latest", "--in-place", "--confirm", "docs")
    restored = held(s3, "docs")
    proxy.meddle = lambda _method, _path: None
    undone = program.run("restore", "--to-bucket", "docs", "--undo", "--no-confirm")
    assert (undone.code, held(s3, "docs")) == (3, restored)
    assert "a/b: it got no version" in undone.out + undone.err


def test_a_server_that_goes_away(program: Program, s3: Client, proxy: Proxy) -> None:
    """The restore ends with what to do next, and goes on from there."""
    fill(s3, "docs", KEYS)
    make_bucket(s3, "copy")
    program.good("backup", "documents")
    proxy.meddle = lambda method, _path: (
        (403, b"<Error><Code>AccessDenied</Code></Error>") if (method == "PUT") else None
    )
    failed = program.run("restore", "latest", "--to-bucket", "copy")
    assert failed.code == 3
    assert "AccessDenied" in failed.err + failed.out
    proxy.meddle = lambda _method, _path: None
    program.good("restore", "latest", "--to-bucket", "copy")
    assert held(s3, "copy") == held(s3, "docs")


def test_a_protected_environment_wants_its_name(program: Program, s3: Client) -> None:
    """Its bucket is known by the configuration, also if nobody says the environment."""
    (program.folder / "strongroom.toml").write_text(
        'version = 1\n[sources.documents]\ntype = "s3"\nbucket = "docs"\n'
        "[environments.production]\nprotected = true\n"
    )
    fill(s3, "docs", KEYS)
    program.good("backup", "production")
    s3.put_object(Bucket="docs", Key="a", Body=b"bad")
    for where in (("--in-place",), ("--to-bucket", "docs")):
        assert program.run("restore", "latest", *where, "--no-confirm").code == 6
    assert s3.get_object(Bucket="docs", Key="a")["Body"].read() == b"bad"
    program.good("restore", "latest", "--in-place", "--confirm", "production")
    assert held(s3, "docs")["a"].data != b"bad"
