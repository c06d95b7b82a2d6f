"""What people type to say where a store is."""

from __future__ import annotations

import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from strongroom.errors import UsageError
from strongroom.storage.url import StoreUrl, parse

pytestmark = pytest.mark.spec("B1")


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("/srv/backup", "/srv/backup"),
        ("/srv/backup/", "/srv/backup"),
        ("/srv//backup/.", "/srv/backup"),
        ("//srv/backup", "/srv/backup"),
        ("/", "/"),
        ("backup", "/home/me/backup"),
        ("./backup", "/home/me/backup"),
        ("../backup", "/home/me/../backup"),
        (".", "/home/me"),
        ("./a:b", "/home/me/a:b"),
        ("dir/a:b", "/home/me/dir/a:b"),
        ("/a:b", "/a:b"),
        ("~/backup", "/home/me/~/backup"),
        ("with space", "/home/me/with space"),
        ("100%25", "/home/me/100%25"),
        ("\udcff", "/home/me/\udcff"),
        ("1:2", "/home/me/1:2"),
        ("file:///srv/backup", "/srv/backup"),
        ("file://localhost/srv", "/srv"),
        ("file:/srv/backup/", "/srv/backup"),
        ("FILE:///srv", "/srv"),
        ("file:///with%20space/100%25/%ff", "/with space/100%/\udcff"),
        ("file:///ä", "/ä"),
    ],
)
def test_folders(text: str, path: str) -> None:
    """A path or a file URL becomes one absolute spelling; symbolic links are not looked at."""
    assert parse(text, "/home/me") == StoreUrl("file", path)


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("s3://bucket", "bucket"),
        ("s3://bucket/", "bucket"),
        ("S3://my.bucket-1/app/", "my.bucket-1/app"),
        ("s3://bucket/Team_A/env=prod/.hidden/v1.2", "bucket/Team_A/env=prod/.hidden/v1.2"),
    ],
)
def test_buckets(text: str, path: str) -> None:
    """A bucket and a prefix have one spelling."""
    url = parse(text, "/home/me")
    assert url == StoreUrl("s3", path)
    assert f"{url.bucket}/{url.prefix}".rstrip("/") == path
    assert str(url) == f"s3://{path}"


def test_memory() -> None:
    """For tests and rehearsals, with a name or without."""
    assert parse("memory:", "/") == StoreUrl("memory")
    assert parse("memory:one", "/") == StoreUrl("memory", "one")
    assert str(parse("memory:one", "/")) == "memory:one"


@pytest.mark.parametrize(
    ("text", "problem", "hint"),
    [
        ("", "not the address of a store", "file:///PATH"),
        ("a\0b", "not the address of a store", "file:///PATH"),
        ("fiel:///srv", "no store is called 'fiel'", "Did you mean 'file'?"),
        ("memry:", "no store is called 'memry'", "Did you mean 'memory'?"),
        ("gopher://host/x", "no store is called 'gopher'", "a folder: PATH or file:///PATH"),
        ("old:backup", "no store is called 'old'", "written ./old:backup"),
        ("s3:bucket", "not the address of a bucket", "s3://BUCKET/PREFIX"),
        ("s3:///bucket", "not the address of a bucket", "s3://BUCKET/PREFIX"),
        ("s3://b", "not the address of a bucket", "s3://BUCKET/PREFIX"),
        ("s3://bucket:8080/a", "not the address of a bucket", "s3://BUCKET/PREFIX"),
        ("s3://key@bucket/a", "not the address of a bucket", "s3://BUCKET/PREFIX"),
        ("s3://bucket//a", "not a prefix", "slashes between them"),
        ("s3://bucket/a/../b", "not a prefix", "only dots"),
        ("s3://bucket/a b", "not a prefix", "letters A to Z"),
        ("s3://bucket/ä", "not a prefix", "letters A to Z"),
        (f"s3://bucket/{'a' * 501}", "not a prefix", "letters A to Z"),
        ("file://server/srv", "not of 'server'", "file:///server/srv"),
        ("file:srv", "from the root", "file:///PATH"),
        ("file:", "from the root", "file:///PATH"),
        ("file://", "from the root", "file:///PATH"),
        ("file:///a%00b", "from the root", "file:///PATH"),
    ],
)
def test_mistakes(text: str, problem: str, hint: str) -> None:
    """Anything else is a UsageError (exit 2) that says what is wrong and how to write it."""
    with pytest.raises(UsageError) as caught:
        parse(text, "/home/me")
    assert caught.value.code == 2
    assert problem in caught.value.message
    assert hint in caught.value.hint


@given(st.text(), st.sampled_from(["/", "/home/me", "/a b"]))
def test_what_is_parsed_can_be_typed(text: str, folder: str) -> None:
    """Any text is a URL whose ``str`` parses to itself from any folder, or a UsageError."""
    try:
        url = parse(text, folder)
    except UsageError:
        return
    assert parse(str(url), "/elsewhere") == url
    assert url.scheme != "file" or url.path.startswith("/")


@given(st.binary(min_size=1).filter(lambda name: b"\0" not in name))
def test_a_path_of_any_bytes_comes_through(name: bytes) -> None:
    """A path from the root leads to the same folder, in whatever encoding its name is."""
    path = os.fsdecode(b"/srv/" + name)
    url = parse(path, "/")
    assert [part for part in os.fsencode(url.path).split(b"/") if part not in {b"", b"."}] == [
        b"srv",
        *(part for part in name.split(b"/") if part not in {b"", b"."}),
    ]
