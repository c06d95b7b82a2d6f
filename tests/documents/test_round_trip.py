"""Documents are saved as they are, again only where they changed, and come back the same."""

from __future__ import annotations

import json

import pytest

from strongroom.operations.objects_as_files import key_of
from tests.cli.harness import Program
from tests.recover.harness import run as recover
from tests.support.buckets import ODD_KEYS, Client, fill, held, make_bucket
from tests.support.s3_proxy import Proxy


@pytest.mark.spec("D1")
def test_odd_keys_to_another_bucket(program: Program, s3: Client, proxy: Proxy) -> None:
    """Bytes, headers, metadata and tags are the same there; a second restore writes nothing."""
    fill(s3, "docs", ODD_KEYS)
    make_bucket(s3, "copy")
    program.good("backup", "documents")
    done = program.good("restore", "latest", "--to-bucket", "copy", "--verify", "--json")
    assert held(s3, "copy") == held(s3, "docs")
    summary = done.record("summary")
    assert summary["objects_restored"] == summary["objects_verified"] == len(ODD_KEYS)
    assert summary["objects_different"] == 0
    proxy.forget()
    again = program.good("restore", "latest", "--to-bucket", "copy", "--json").record("summary")
    assert (again["objects_restored"], again["objects_skipped"]) == (0, len(ODD_KEYS))
    assert proxy.objects("PUT", "copy") == []


@pytest.mark.spec("D1")
@pytest.mark.parametrize("versioned", [False, True])
def test_the_second_run_only_lists(
    program: Program,
    s3: Client,
    proxy: Proxy,
    versioned: bool,  # noqa: FBT001 - a parameter
) -> None:
    """Nothing is read that did not change; of one change, one object."""
    if versioned:
        status = {"Status": "Enabled"}
        s3.put_bucket_versioning(Bucket="docs", VersioningConfiguration=status)
    keys = [f"f/{number:04}" for number in range(60)]
    fill(s3, "docs", keys)
    program.good("backup", "documents")
    proxy.forget()
    second = program.good("backup", "documents", "--json").record("summary")
    assert second["entries_unmodified"] == len(keys) + 1
    assert [proxy.objects(method, "docs") for method in ("GET", "HEAD")] == [[], []]
    s3.put_object(Bucket="docs", Key="f/0007", Body=b"other")
    s3.delete_object(Bucket="docs", Key="f/0008")
    proxy.forget()
    third = program.good("backup", "documents", "--json").record("summary")
    assert set(proxy.objects("GET", "docs")) == {"GET /docs/f/0007"}
    assert (third["entries_changed"], third["entries_unmodified"]) == (1, len(keys) - 1)
    assert program.good("dump", "latest", "/s3/documents/objects/f/0007").raw == b"other"
    assert "f/0008" not in program.good("ls", "latest").out


@pytest.mark.spec("D1")
def test_names_in_a_folder_say_which_key_it_was(program: Program, s3: Client) -> None:
    """Every object is a file, whatever its key; the name gives the key back."""
    fill(s3, "docs", ODD_KEYS)
    program.good("backup", "documents")
    folder = program.folder / "out"
    program.good("restore", "latest:s3/documents/objects", "--to", folder, "--verify")
    files = [path for path in folder.rglob("*") if path.is_file()]
    found = {
        key_of(str(path.relative_to(folder)).encode()).decode(): path.read_bytes() for path in files
    }
    assert found == {key: one.data for key, one in held(s3, "docs").items()}
    (folder / "extra").write_text("x")
    program.good(
        "restore",
        "latest:s3/documents/objects",
        "--to",
        folder,
        "--overwrite",
        "if-changed",
        "--delete",
        "--no-confirm",
    )
    assert {path for path in folder.rglob("*") if path.is_file()} == set(files)


def test_ls_find_diff_and_dump_take_keys_as_they_are(program: Program, s3: Client) -> None:
    """A key is not folded as a path is."""
    fill(s3, "docs", ODD_KEYS)
    program.good("backup", "documents")
    top = "/s3/documents/objects/"
    assert program.good("dump", "latest", f"{top}z//").raw == held(s3, "docs")["z//"].data
    assert program.good("dump", "latest", f"{top}a/../b").raw == held(s3, "docs")["a/../b"].data
    s3.put_object(Bucket="docs", Key="a//b", Body=b"new")
    program.good("backup", "documents")
    changes = program.good("diff", "latest~1", "latest", "--json").records
    assert [one["path"] for one in changes if one["message_type"] == "change"] == [f"{top}a//b"]
    nodes = program.good("ls", "latest", f"{top}z/", "--json").records
    shown = {one["path"] for one in nodes if one["message_type"] == "node"}
    assert shown == {f"{top}z/", f"{top}z//", f"{top}z///"}
    said = {one["path"]: one["object"] for one in nodes if "object" in one}[f"{top}z//"]
    assert (said["meta.note"], said["content-type"][:2]) == ("a b", "im")
    assert said["etag"] == s3.head_object(Bucket="docs", Key="z//")["ETag"]
    assert program.good("verify", "--read-data").code == 0


def test_the_setup_of_the_bucket_is_an_entry(program: Program, s3: Client) -> None:
    """It says what is set, and what is not captured."""
    rule = {"CORSRules": [{"AllowedMethods": ["GET"], "AllowedOrigins": ["*"]}]}
    s3.put_bucket_cors(Bucket="docs", CORSConfiguration=rule)
    program.good("backup", "documents")
    document = json.loads(program.good("dump", "latest", "/s3/documents/bucket.json").raw)
    assert document["configuration"]["cors"][0]["AllowedMethods"] == ["GET"]
    assert document["bucket"] == "docs"
    assert any("access control lists" in one for one in document["not_captured"])


def test_a_large_object_in_parts(program: Program, s3: Client) -> None:
    """It is read as a stream, and put in the parts that it had, so that its ETag is the same."""
    part = 5 << 20
    upload = s3.create_multipart_upload(Bucket="docs", Key="big", ContentType="x/y")["UploadId"]
    data = [bytes([number]) * part for number in (1, 2)] + [b"end"]
    etags = [
        s3.upload_part(Bucket="docs", Key="big", UploadId=upload, PartNumber=n, Body=piece)["ETag"]
        for n, piece in enumerate(data, 1)
    ]
    parts = [{"PartNumber": n, "ETag": etag} for n, etag in enumerate(etags, 1)]
    s3.complete_multipart_upload(
        Bucket="docs", Key="big", UploadId=upload, MultipartUpload={"Parts": parts}
    )
    make_bucket(s3, "copy")
    program.good("backup", "documents")
    program.good("restore", "latest", "--to-bucket", "copy", "--verify")
    there, here = (s3.head_object(Bucket=name, Key="big") for name in ("copy", "docs"))
    assert (there["ETag"], there["ContentType"]) == (here["ETag"], "x/y")
    assert s3.get_object(Bucket="copy", Key="big")["Body"].read() == b"".join(data)


@pytest.mark.slow
@pytest.mark.spec("D1")
def test_thousands_of_odd_keys(program: Program, s3: Client) -> None:
    """What holds for a few holds for more than a page of them."""
    keys = [f"{number % 7}{odd[:1000]}/{number}" for number in range(110) for odd in ODD_KEYS]
    fill(s3, "docs", keys)
    make_bucket(s3, "copy")
    program.good("backup", "documents")
    program.good("restore", "latest", "--to-bucket", "copy")
    assert held(s3, "copy") == held(s3, "docs")


@pytest.mark.spec("B10")
def test_the_independent_reader_gives_the_same_names(program: Program, s3: Client) -> None:
    """It lists, verifies and restores objects of any key."""
    fill(s3, "docs", ODD_KEYS)
    program.good("backup", "documents")
    program.good("restore", "latest", "--to", program.folder / "ours")
    key = ("--key-file", program.key_file)
    found = recover("verify", program.repository, *key)
    assert found.code == 0, found.err
    theirs = program.folder / "theirs"
    assert recover("restore", program.repository, "latest", theirs, *key).code == 0
    both = [
        {path.relative_to(top): path.read_bytes() for path in top.rglob("*") if path.is_file()}
        for top in (program.folder / "ours", theirs)
    ]
    assert both[0] == both[1]
    assert len(both[0]) == len(ODD_KEYS) + 1
