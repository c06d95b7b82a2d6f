"""A bucket that is not ours: where it is, whether it keeps versions, and clients for it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Final, cast
from urllib.parse import urlsplit

from strongroom.aws.clients import Clients
from strongroom.aws.errors import AwsError, refusals
from strongroom.aws.lines import Server
from strongroom.aws.signing import Credentials
from strongroom.errors import SourceError

_DEFAULT_REGION: Final = "us-east-1"
_MISSING: Final = frozenset({"404", "NoSuchBucket", "NotFound"})
_DENIED: Final = frozenset({"403", "AccessDenied", "Forbidden"})
_ENABLED: Final = "Enabled"


@dataclass(frozen=True, slots=True)
class Bucket:
    """A bucket that is there. ``versioning``: Enabled, Suspended, or empty if it never was."""

    clients: Clients
    name: str
    region: str
    versioning: str

    @property
    def versioned(self) -> bool:
        """Whether it keeps, or once kept, versions: some of its objects may have one."""
        return bool(self.versioning)

    @property
    def keeps_versions(self) -> bool:
        """Whether what is overwritten or deleted now stays, as an older version.

        Where versioning is suspended a put overwrites the version ``null`` for good.
        """
        return self.versioning == _ENABLED

    def __str__(self) -> str:
        """Return how a person calls it."""
        return f"s3://{self.name}"

    @property
    def client(self) -> Any:  # noqa: ANN401 - boto3 makes its types when it runs
        """Return a client of S3 for the bucket's region."""
        near = self.region == self.clients.region()
        return self.clients.client("s3", "" if near else self.region)

    def who(self) -> Who:
        """Return who we are to it; ``AwsError`` if nobody can tell."""
        with refusals("finding credentials", self.clients.account):
            return Who(self.clients.credentials(), str(self.clients.account))

    @property
    def server(self) -> Server:
        """Where its objects are asked for, with the certificates and proxies of botocore.

        By path, which every region and every other server takes.
        """
        from botocore.httpsession import get_cert_path  # noqa: PLC0415 - for whoever uses AWS only
        from botocore.utils import get_environ_proxies  # noqa: PLC0415

        endpoint = str(self.client.meta.endpoint_url)
        certificates = str(get_cert_path(self.clients.certificates() or True))
        proxy = get_environ_proxies(endpoint).get(urlsplit(endpoint).scheme, "")
        return Server(endpoint, certificates, proxy)


class Who:
    """Credentials that renew themselves; any thread may ask."""

    def __init__(self, found: Any, where: str) -> None:  # noqa: ANN401 - as above
        self._found = found
        self._where = where

    def now(self) -> Credentials | None:
        """Return those that are good now; None for whoever has none. ``AwsError``."""
        if self._found is None:
            return None
        with refusals("renewing credentials", self._where):
            return cast("Credentials", self._found.get_frozen_credentials())


def find_bucket(clients: Clients, name: str) -> Bucket:
    """Return a bucket; ``SourceError`` if it is not there, or not for us."""
    where = str(clients.account)
    try:
        with refusals(f"looking for bucket '{name}'", where):
            head = clients.client("s3").head_bucket(Bucket=name)
    except AwsError as error:
        if error.said in _MISSING:
            raise SourceError(
                f"there is no bucket called '{name}' ({where})",
                hint="Look at its name, and at the account that it is in.",
            ) from error
        if error.said in _DENIED:
            raise SourceError(
                f"bucket '{name}' is not for us ({where}): access denied",
                hint="Give the role s3:ListBucket on it; somebody else may own that name.",
            ) from error
        raise
    region = str(head.get("BucketRegion") or clients.region() or _DEFAULT_REGION)
    if clients.account.endpoint:
        region = clients.region() or region
    found = Bucket(clients, name, region, versioning="")
    with refusals(f"asking whether bucket '{name}' keeps versions", where):
        status = found.client.get_bucket_versioning(Bucket=name).get("Status", "")
    return replace(found, versioning=str(status))
