"""S3's checksums of an object, compared with the bytes that came.

"Checking object integrity" of the user guide of S3. CRC32C and CRC64NVME need ``awscrt``
(``pip install 'boto3[crt]'``), as they do for botocore.
"""

from __future__ import annotations

import hashlib
import zlib
from base64 import b64encode
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any, Final, Protocol

_HEADER: Final = "x-amz-checksum-"
_ORDER: Final = ("crc64nvme", "crc32c", "crc32", "sha1", "sha256", "sha512")


class WrongSumError(OSError):
    """The bytes that came are not those that S3 took."""


class _Sum(Protocol):
    def update(self, data: bytes, /) -> None: ...
    def digest(self) -> bytes: ...


class Comparison:
    """Takes the bytes of an object in order, and compares at their end."""

    def __init__(self, stated: str, name: str, summed: _Sum) -> None:
        self._stated = stated
        self._name = name
        self._sum = summed
        self.update = summed.update

    def finish(self) -> None:
        """Compare; ``WrongSumError``."""
        found = b64encode(self._sum.digest()).decode()
        if found != self._stated:
            raise WrongSumError(
                f"its {self._name} is {found}, and S3 says {self._stated}: these are other bytes"
            )


def comparison_of(headers: Mapping[str, str]) -> Comparison | None:
    """Return what compares a whole object; None if S3 keeps no sum of all of it that we know.

    A sum with a dash is one of the sums of parts. Of several that S3 names, one is compared.
    """
    for name in _ORDER:
        stated = headers.get(_HEADER + name)
        if stated is not None and "-" not in stated and (make := _makers().get(name)) is not None:
            return Comparison(stated, name.upper(), make())
    return None


class _Crc:
    def __init__(self, step: Callable[[bytes, int], int], size: int) -> None:
        self._step = step
        self._size = size
        self._value = 0

    def update(self, data: bytes, /) -> None:
        self._value = self._step(data, self._value)

    def digest(self) -> bytes:
        return self._value.to_bytes(self._size, "big")


def _crt() -> Any:  # noqa: ANN401 - a library that may not be there
    try:
        from awscrt import checksums  # type: ignore[import-not-found] # noqa: PLC0415
    except ImportError:
        return None
    return checksums


@cache
def _makers() -> dict[str, Callable[[], _Sum]]:
    made: dict[str, Callable[[], _Sum]] = {
        "crc32": lambda: _Crc(zlib.crc32, 4),
        "sha1": lambda: hashlib.sha1(usedforsecurity=False),
        "sha256": hashlib.sha256,
        "sha512": hashlib.sha512,
    }
    crt = _crt()
    if (step := getattr(crt, "crc32c", None)) is not None:
        made["crc32c"] = lambda: _Crc(step, 4)
    if (wide := getattr(crt, "crc64nvme", None)) is not None:
        made["crc64nvme"] = lambda: _Crc(wide, 8)
    return made
