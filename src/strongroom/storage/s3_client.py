"""The connection to a bucket: obstore's clients with our limits, credentials and checksums.

obstore takes its requests without the interpreter's lock, one for each thread that asks, so there
are as many at once as threads ask. It tries nothing again: only then does an answer belong to one
request. It must not be used after a fork, and its clients hold secrets and must not be pickled,
which obstore would do.
"""

from __future__ import annotations

import os
import threading
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final, Protocol

from strongroom.clock import Clock, as_utc
from strongroom.errors import StoreError, StrongroomError, UsageError

if TYPE_CHECKING:
    from obstore.store import ClientConfig, S3Config
    from obstore.store import S3Store as Client

_CREDENTIAL_NS: Final = 600 * 1_000_000_000  # botocore gives out none that ends before
_SMALL: Final = 1 << 20


class Key(Protocol):
    """What requests are signed with."""

    @property
    def access_key(self) -> str:
        """The public half."""
        ...

    @property
    def secret_key(self) -> str:
        """The secret half."""
        ...

    @property
    def token(self) -> str | None:
        """What a passing key needs beside it."""
        ...


class Access(Protocol):
    """Who we are to a bucket, and what it says of itself."""

    @property
    def endpoint(self) -> str:
        """The URL of a server that is not AWS's, or empty."""
        ...

    def credential(self) -> Key:
        """Return the key that counts now; StoreError where there is none."""
        ...

    def region(self) -> str:
        """Return the region of the bucket."""
        ...

    def time_ns(self) -> int:
        """Return the time by the clock of the bucket's server, in nanoseconds since 1970."""
        ...


@dataclass(frozen=True, slots=True)
class Limits:
    """How long to wait, in seconds.

    ``connect``: for a connection; ``answer``: for the next bytes of an answer, and for a small
    value to be stored; ``request``: for all of a request, so a large value over a slow line.
    """

    connect: float = 5
    answer: float = 60
    request: float = 1200


PATIENT: Final = Limits()


class Clients:
    """The clients of one bucket, made when they are first needed, in one process."""

    def __init__(
        self, bucket: str, prefix: str, access: Access, clock: Clock, limits: Limits = PATIENT
    ) -> None:
        """Take a recipe; nothing is asked of anybody yet."""
        self.failure: StrongroomError | None = None
        self._bucket = bucket
        self._prefix = prefix
        self._access = access
        self._clock = clock
        self._limits = limits
        self._process = os.getpid()
        self._lock = threading.Lock()
        self._made: dict[str, Client] = {}

    def reading(self) -> Client:
        """Return the client for everything that sends no value."""
        limits = self._limits
        return self._client("read", limits.request, read=limits.answer)

    def writing(self, size: int) -> Client:
        """Return the client for a value of so many bytes."""
        limits = self._limits
        if size <= _SMALL:
            return self._client("write", limits.answer)
        return self._client("write large", limits.request)

    def _client(self, name: str, seconds: float, *, read: float | None = None) -> Client:
        if os.getpid() != self._process:
            raise StoreError("a connection to a bucket does not outlive a fork of the process")
        made = self._made.get(name)  # without the lock, which nearly every request can do without
        if made is not None:
            return made
        with self._lock:
            if name not in self._made:
                self._made[name] = self._new(seconds, read, writes=read is None)
            return self._made[name]

    def _new(self, seconds: float, read: float | None, *, writes: bool) -> Client:
        try:
            from obstore.store import S3Store as Client  # noqa: PLC0415 - only for a bucket
        except ImportError as error:
            raise UsageError(
                f"a repository in S3 needs a library that is not here: {error.name}",
                hint="Install it: pip install 'strongroom[aws]'.",
            ) from error
        self._access.credential()  # so that the lack of one is said by whoever knows why
        config = _config(self._bucket, self._access.region(), self._access.endpoint)
        options: ClientConfig = {
            "allow_http": config["aws_endpoint_url_s3"].startswith("http://"),
            "connect_timeout": timedelta(seconds=self._limits.connect),
            "timeout": timedelta(seconds=seconds),
            "user_agent": "strongroom",
        }
        if read is not None:
            options["read_timeout"] = timedelta(seconds=read)
        if writes:
            # A bucket with a default retention takes nothing without it, as AWS documents it.
            options["default_headers"] = {
                "x-amz-sdk-checksum-algorithm": config["checksum_algorithm"]
            }
        return Client(
            self._bucket,
            prefix=self._prefix or None,
            config=config,
            client_options=options,
            retry_config={"max_retries": 0, "retry_timeout": timedelta(seconds=seconds)},
            credential_provider=self._credential,
        )

    def _credential(self) -> Any:  # noqa: ANN401 - obstore's type has no name at run time
        """Give obstore a key, also a renewed one; it asks from any thread."""
        try:
            key = self._access.credential()
        except StrongroomError as error:
            self.failure = error
            raise
        self.failure = None
        return {
            "access_key_id": key.access_key,
            "secret_access_key": key.secret_key,
            "token": key.token,
            "expires_at": as_utc(self._clock.now_ns() + _CREDENTIAL_NS),
        }


def _config(bucket: str, region: str, endpoint: str) -> S3Config:
    """Say everything that obstore would otherwise take from variables of the environment.

    At AWS the body has a CRC64NVME and is not hashed once more for the signature, since TLS is
    certain. Other servers know SHA-256 for certain, which the signature holds as well.
    """
    if endpoint and not endpoint.startswith(("https://", "http://")):
        raise UsageError(
            f"the endpoint is not a URL: {endpoint}", hint="It begins with https:// or http://."
        )
    of_aws = not endpoint
    hosted = of_aws and "." not in bucket  # which the certificate would not cover
    at_aws = f"https://{bucket}.s3" if hosted else "https://s3"
    return {
        "region": region,
        "aws_endpoint_url_s3": endpoint or f"{at_aws}.{region}.amazonaws.com",
        "virtual_hosted_style_request": hosted,
        "checksum_algorithm": "CRC64NVME" if of_aws else "SHA256",
        "unsigned_payload": of_aws,
        "conditional_put": "etag",
        "disable_bulk_delete": True,
        "skip_signature": False,
    }
