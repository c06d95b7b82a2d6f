"""Signature Version 4 of AWS, for requests to S3 that have no body.

"Authenticating Requests: Using the Authorization Header" of the S3 API reference. botocore's signer
does the same for every kind of request; this one keeps what stays the same for a day.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from typing import Final, NamedTuple, Protocol
from urllib.parse import quote

from strongroom.clock import as_utc
from strongroom.errors import SourceError

_SCHEME: Final = "AWS4-HMAC-SHA256"
_NO_BODY: Final = hashlib.sha256().hexdigest()
_SECOND: Final = 1_000_000_000
_UNRESERVED: Final = "/~"  # besides letters, digits and "_.-"


class Credentials(Protocol):
    """A key as botocore has it; ``token`` is None where it is not a passing one."""

    @property
    def access_key(self) -> str: ...  # noqa: D102
    @property
    def secret_key(self) -> str: ...  # noqa: D102
    @property
    def token(self) -> str | None: ...  # noqa: D102


class _Day(NamedTuple):
    """What stays the same for a day and a key."""

    day: str
    secret: str
    scope: str
    key: bytes


def quoted(key: bytes) -> str:
    """Return a key as the path of a request has it, byte for byte: ``//`` and ``..`` stay."""
    return quote(key, safe=_UNRESERVED)


class Signer:
    """Signs for one region; several threads may use it."""

    def __init__(self, region: str, service: str = "s3") -> None:
        self._region = region
        self._service = service
        self._day = _Day("", "", "", b"")
        self._second = 0, ""

    def signed(
        self,
        method: str,
        path: str,
        query: str,
        headers: Mapping[str, str],
        credentials: Credentials | None,
        now_ns: int,
    ) -> dict[str, str]:
        """Return all headers that a request must have; without credentials it is not signed.

        ``path`` and ``query`` are as they are sent, the query as ``name=value`` in order.
        ``headers``: with the host. ``SourceError`` if one cannot be sent.
        """
        found = {**headers, "x-amz-content-sha256": _NO_BODY}
        if credentials is None:
            return _sendable(found)
        stamp = self._stamp(now_ns)
        found["x-amz-date"] = stamp
        if credentials.token:
            found["x-amz-security-token"] = credentials.token
        _sendable(found)
        names = sorted(found)
        listed = ";".join(names)
        lines = "".join([f"{name}:{found[name].strip()}\n" for name in names])
        asked = f"{method}\n{path}\n{query}\n{lines}\n{listed}\n{_NO_BODY}"
        digest = hashlib.sha256(asked.encode()).hexdigest()
        day = self._of_day(stamp[:8], credentials.secret_key)
        text = f"{_SCHEME}\n{stamp}\n{day.scope}\n{digest}"
        signature = hmac.digest(day.key, text.encode(), "sha256").hex()
        found["Authorization"] = (
            f"{_SCHEME} Credential={credentials.access_key}/{day.scope}, "
            f"SignedHeaders={listed}, Signature={signature}"
        )
        return found

    def _stamp(self, now_ns: int) -> str:
        second, stamp = self._second
        if now_ns // _SECOND != second or not stamp:
            stamp = as_utc(now_ns).strftime("%Y%m%dT%H%M%SZ")
            self._second = now_ns // _SECOND, stamp
        return stamp

    def _of_day(self, day: str, secret: str) -> _Day:
        known = self._day
        if (known.day, known.secret) != (day, secret):
            key = f"AWS4{secret}".encode()
            for part in (day, self._region, self._service, "aws4_request"):
                key = hmac.digest(key, part.encode(), "sha256")
            scope = f"{day}/{self._region}/{self._service}/aws4_request"
            known = self._day = _Day(day, secret, scope, key)
        return known


def _sendable(headers: dict[str, str]) -> dict[str, str]:
    """Return them; ``SourceError`` for what would end its line, and begin another header."""
    if not "".join(headers.values()).isprintable():
        name = next(name for name, value in headers.items() if not value.isprintable())
        raise SourceError(
            f"{name} cannot be sent to S3: it has a control character in it",
            hint="Look at the credentials, or at what the server calls its ETags.",
        )
    return headers
