"""S3's checksums of an object are compared with what came."""

from __future__ import annotations

import hashlib
import zlib
from base64 import b64encode

import pytest

from strongroom.aws.sums import WrongSumError, comparison_of

DATA = (b"some ", b"", b"bytes")
WHOLE = b"".join(DATA)
RIGHT = {
    "crc32": zlib.crc32(WHOLE).to_bytes(4, "big"),
    "sha1": hashlib.sha1(WHOLE, usedforsecurity=False).digest(),
    "sha256": hashlib.sha256(WHOLE).digest(),
    "sha512": hashlib.sha512(WHOLE).digest(),
}


@pytest.mark.parametrize("name", RIGHT)
def test_right_and_wrong_bytes(name: str) -> None:
    """In pieces or whole; one bit is enough."""
    headers = {f"x-amz-checksum-{name}": b64encode(RIGHT[name]).decode()}
    right = comparison_of(headers)
    assert right is not None
    for data in DATA:
        right.update(data)
    right.finish()
    wrong = comparison_of(headers)
    assert wrong is not None
    wrong.update(bytes([WHOLE[0] ^ 1]) + WHOLE[1:])
    with pytest.raises(WrongSumError, match=f"its {name.upper()} is .*other bytes"):
        wrong.finish()


def test_what_is_not_of_the_whole_object_is_not_compared() -> None:
    """A sum of the sums of parts, and one that nobody here knows; another beside it is."""
    assert comparison_of({}) is None
    assert comparison_of({"x-amz-checksum-crc32": "AAAAAA==-2"}) is None
    assert comparison_of({"x-amz-checksum-of-2030": "AAAA"}) is None
    both = {"x-amz-checksum-sha1": "x-2", "x-amz-checksum-sha256": "AAAA"}
    assert comparison_of(both) is not None
