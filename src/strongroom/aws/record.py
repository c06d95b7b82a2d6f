"""What the record of a snapshot says of a bucket: the ``position`` of a source of kind ``s3``."""

from __future__ import annotations

import msgspec


class BucketRecord(msgspec.Struct, array_like=True, frozen=True):
    """Where objects came from. ``prefix``: only keys that begin with it were saved."""

    form: int
    bucket: str
    region: str
    prefix: bytes
    versioned: bool


def packed_record(record: BucketRecord) -> bytes:
    """Return the bytes of a record."""
    return msgspec.msgpack.encode(record)


def read_record(data: bytes) -> BucketRecord:
    """Read a record; ``ValueError``."""
    return msgspec.msgpack.decode(data, type=BucketRecord)
