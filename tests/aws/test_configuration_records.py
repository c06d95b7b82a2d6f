"""Records: where they lie, how they compare, and what of them is shown."""

from __future__ import annotations

import itertools
import json

import pytest

from strongroom.aws.explaining import differences, text_differences
from strongroom.aws.patterns import Patterns
from strongroom.aws.records import (
    PARAMETER,
    SECRET,
    Record,
    decoded,
    encoded,
    file_of,
    record_of,
    redacted,
    token_of,
)
from strongroom.errors import DamageError

NAMES = (
    "/a",
    "a",
    "/a/b",
    "/a/b.json",
    "/a/b.json/c",
    "/a/b%2Ejson",
    "/@/a",
    "@/a",
    "//a",
    "/..",
    "/.",
    "/a/",
    "/",
    "",
    "/ä",
    "/A",
    "/" + "x" * 300,
    "/" + "x" * 301,
    "/a\ud800",
)


@pytest.mark.parametrize("kind", [PARAMETER, SECRET])
def test_every_name_has_a_place_of_its_own(kind: str) -> None:
    """Any disk takes it; none is the folder of another, and none leaves the folder."""
    places = [file_of(kind, name) for name in NAMES]
    assert len(set(places)) == len(places)
    for one, other in itertools.permutations(places, 2):
        assert not other.startswith(f"{one}/")
    for place in places:
        parts = place.split("/")
        assert place.isascii()
        assert not {"", ".", ".."} & set(parts)
        assert all(len(part) <= 255 for part in parts)


def test_usual_names_are_read_as_they_are() -> None:
    """For a person who looks for one."""
    assert file_of(PARAMETER, "/app/prod/db_1") == "ssm/app/prod/db_1.json"
    assert file_of(SECRET, "app/db") == "secretsmanager/app/db.json"


def secure(value: str, **more: object) -> Record:
    """Return the record of a parameter that is secret."""
    current = {"Type": "SecureString", "Value": value, "Version": 2, **more}
    earlier = [{"Type": "String", "Value": "plain", "Version": 1}]
    return record_of(PARAMETER, "/a", Current=current, Earlier=earlier, Tags={"k": "v"})


def test_what_is_secret_is_hidden_version_by_version() -> None:
    """A type that is not known is secret, and so is a kind that is not known."""
    shown = encoded(redacted(secure("hush"))).decode()
    assert "hush" not in shown
    assert "plain" in shown
    odd = record_of(PARAMETER, "/a", Current={"Type": "New", "Value": "hush"}, Earlier="hush")
    assert "hush" not in encoded(redacted(odd)).decode()
    other = record_of("something-new", "/a", Anything="hush")
    assert "hush" not in encoded(redacted(other)).decode()


def test_the_token_of_a_record_tells_nothing_of_its_secret() -> None:
    """It is kept on this host; the number of the version is what changes it."""
    one, other = (secure(text) for text in ("hush", "hash"))
    assert token_of(encoded(one), one) == token_of(encoded(other), other)
    newer = secure("hush", Version=3)
    assert token_of(encoded(one), one) != token_of(encoded(newer), newer)


def test_a_record_reads_and_compares_well() -> None:
    """Sorted, indented, with a line end; the same record has the same bytes."""
    record = record_of(SECRET, "ä", Versions=[], Tags={"b": "1", "a": "2"})
    data = encoded(record)
    assert data == encoded(decoded(data, "x"))
    assert data.endswith(b"}\n")
    assert "ä".encode() in data
    half = record_of(SECRET, "x", Value="\ud800")
    assert json.loads(encoded(half)) == half


@pytest.mark.parametrize("data", [b"", b"[]", b"{}", b'{"Format": 2}', b"\xff"])
def test_what_is_no_record_is_damage(data: bytes) -> None:
    """Also one of a later format."""
    with pytest.raises(DamageError):
        decoded(data, "it")


def test_differences_say_no_value() -> None:
    """What only one side has is said by its top; a value has only changed."""
    before, after = secure("hush", Labels=["a"]), secure("hash", Labels=[])
    after["Tags"] = {"k": "w", "new": "x"}
    del after["Earlier"]
    assert differences(before, after) == [
        'Current.Labels: ["a"] -> []',
        "Current.Value changed",
        "Earlier removed",
        'Tags.k: "v" -> "w"',
        "Tags.new added",
    ]
    assert text_differences(b"a\nb\n", b"b\nc\nd\n") == ["lines: 2 new, 1 gone"]
    assert "another order" in text_differences(b"a\nb\n", b"b\na\n")[0]


def test_names_that_are_meant() -> None:
    """A name, all below a path, or a pattern."""
    patterns = Patterns(["/app/", "/one", "/x*z", "/none/"])
    meant = [
        name for name in ("/app/a/b", "/app", "/one", "/one/a", "/x/y/z") if patterns.fit(name)
    ]
    assert meant == ["/app/a/b", "/one", "/x/y/z"]
    assert patterns.unmet(meant) == ["/none/"]
    assert Patterns(["/"]).fit("no-slash")
