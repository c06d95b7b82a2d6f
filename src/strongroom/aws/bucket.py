"""What a store in a bucket needs of AWS besides its requests: credentials, region and clock."""

from __future__ import annotations

from email.utils import parsedate_to_datetime
from typing import Any, Final, NamedTuple

from strongroom.aws.clients import Clients
from strongroom.aws.errors import code_of, store_refusals
from strongroom.errors import StoreError

ANYWHERE: Final = "us-east-1"  # which answers for every bucket, if only by naming its region
_NANOSECONDS: Final = 1_000_000_000
_NO_BUCKET: Final = frozenset({"404", "NoSuchBucket"})


class Credential(NamedTuple):
    """A key as it is now; ``token`` is None where it is not a passing one."""

    access_key: str
    secret_key: str
    token: str | None

    def __repr__(self) -> str:
        """Show no secret."""
        return f"<Credential {self.access_key}>"


class Bucket:
    """A bucket, by name; several threads may use it. Errors are those of a store."""

    def __init__(self, clients: Clients, name: str) -> None:
        """Take a recipe; nothing is asked of anybody yet."""
        self._clients = clients
        self._name = name
        self._region = ""

    @property
    def endpoint(self) -> str:
        """The URL of a server that is not AWS's, or empty."""
        return self._clients.account.endpoint

    def credential(self) -> Credential:
        """Return the key that counts now, renewed where it was about to end.

        ``StoreError`` where there is none, or it cannot be renewed.
        """
        where = str(self._clients.account)
        with store_refusals("finding credentials", where):
            found = self._clients.credentials()
            frozen = found.get_frozen_credentials() if found is not None else None
        if frozen is None or not frozen.access_key or not frozen.secret_key:
            raise StoreError(
                f"no credentials for s3://{self._name} ({where})",
                hint="Give them the way the AWS command line takes them: a profile, "
                "AWS_ACCESS_KEY_ID, or the role of the machine.",
            )
        return Credential(frozen.access_key, frozen.secret_key, frozen.token)

    def region(self) -> str:
        """Return the region that was named, or the one that the bucket says it is in."""
        if not self._region:
            self._region = self._clients.region() or self._found_region()
        return self._region

    def time_ns(self) -> int:
        """Return the time that an answer bears, nanoseconds since 1970, in whole seconds."""
        date = self._headers().get("date", "")
        try:
            return int(parsedate_to_datetime(date).timestamp()) * _NANOSECONDS
        except ValueError as error:
            raise StoreError(f"s3://{self._name} answers without the time: {date!r}") from error

    def _found_region(self) -> str:
        return self._headers().get("x-amz-bucket-region") or ANYWHERE

    def _headers(self) -> dict[str, str]:
        """Ask for nothing but an answer; what it says is also in one that refuses."""
        with store_refusals(f"looking at s3://{self._name}", str(self._clients.account)):
            region = self._region or self._clients.region() or ANYWHERE
            client = self._clients.client("s3", region)
            try:
                return _headers_of(client.head_bucket(Bucket=self._name))
            except client.exceptions.ClientError as error:
                refused = _headers_of(error.response)
                if code_of(error) in _NO_BUCKET or "date" not in refused:
                    raise
                return refused


def _headers_of(reply: dict[str, Any]) -> dict[str, str]:
    headers = reply.get("ResponseMetadata", {}).get("HTTPHeaders", {})
    return {str(name).lower(): str(value) for name, value in headers.items()}
