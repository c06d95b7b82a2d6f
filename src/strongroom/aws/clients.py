"""Clients of AWS services, made in one place: time limits, retries, TLS, and the role to assume.

botocore is loaded with the first client; boto3 would make the same ones, and take longer to begin.
"""

from __future__ import annotations

import threading
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any, Final, cast

from strongroom.aws.account import Account
from strongroom.aws.errors import refusals
from strongroom.errors import UsageError

if TYPE_CHECKING:
    from botocore.session import Session

_CONNECT_SECONDS: Final = 5
_READ_SECONDS: Final = 60
_ATTEMPTS: Final = 6
_OF_REQUESTS: Final = "requests_ca_bundle"
# a variable that botocore heeds and gives no name of its own to
_VARIABLES: Final = {_OF_REQUESTS: (None, "REQUESTS_CA_BUNDLE", None, None)}
_SESSION: Final = "strongroom"  # how the sessions of a role are called in CloudTrail


class Clients:
    """Clients of one account, each made once; several threads may use all of it."""

    def __init__(
        self, account: Account, *, connections: int = 16, attempts: int = _ATTEMPTS
    ) -> None:
        """Take a recipe; nothing is asked of anybody before a client is."""
        self.account = account
        self._attempts = attempts
        self._connections = connections
        self._lock = threading.Lock()
        self._session: Session | None = None
        self._made: dict[tuple[str, str], Any] = {}

    def client(self, service: str, region: str = "") -> Any:  # noqa: ANN401 - boto3 makes its types when it runs
        """Return the client of a service, such as ``ssm``, of the account's region or another.

        UsageError where boto3 is missing, or no region is named; SourceError where the role cannot
        be assumed.
        """
        with self._lock:
            key = service, region
            if key not in self._made:
                self._made[key] = self._new(service, region)
            return self._made[key]

    def region(self) -> str:
        """Return the region that requests go to; empty if nobody named one. Errors as of a client.

        A profile that is named and not there is found out only when something of it is asked for.
        """
        with self._lock, self._refusals("finding the region"):
            return self.account.region or self._opened().get_config_variable("region") or ""

    def credentials(self) -> Any:  # noqa: ANN401 - as above
        """Return botocore's credentials, which renew themselves; None if there are none.

        Errors as of a client.
        """
        with self._lock, self._refusals("finding credentials"):
            return self._opened().get_credentials()

    def certificates(self) -> str:
        """Return the file of certificates that servers are checked with, if one is named.

        As botocore finds it: by its own settings, and else by ``REQUESTS_CA_BUNDLE``. Errors as of
        a client.
        """
        with self._lock, self._refusals("finding certificates"):
            session = self._opened()
            names = ("ca_bundle", _OF_REQUESTS)
            return str(next(filter(None, map(session.get_config_variable, names)), ""))

    def _new(self, service: str, region: str) -> Any:  # noqa: ANN401 - as above
        from botocore.config import Config  # noqa: PLC0415 - loaded for whoever uses AWS only

        settings = Config(
            connect_timeout=_CONNECT_SECONDS,
            read_timeout=_READ_SECONDS,
            retries={"mode": "standard", "total_max_attempts": self._attempts},
            max_pool_connections=self._connections,
            user_agent_extra="strongroom",
            s3={"addressing_style": "path"} if self.account.endpoint else {},
        )
        session = self._opened()
        with self._refusals(f"using {service}"):
            return session.create_client(
                service,
                region_name=region or self.account.region or None,
                endpoint_url=self.account.endpoint or None,
                config=settings,
            )

    def _refusals(self, doing: str) -> AbstractContextManager[None]:
        return refusals(doing, str(self.account))

    def _opened(self) -> Session:
        if self._session is None:
            self._session = _session(self.account)
        return self._session


def _session(account: Account) -> Session:
    try:
        # it takes long to load, and most commands need it not
        from botocore.credentials import (  # noqa: PLC0415
            AssumeRoleCredentialFetcher,
            DeferredRefreshableCredentials,
        )
        from botocore.exceptions import NoCredentialsError  # noqa: PLC0415
        from botocore.session import Session  # noqa: PLC0415
    except ImportError as error:
        raise UsageError(
            f"AWS needs a library that is not here: {error.name}",
            hint="Install it: pip install 'strongroom[aws]'.",
        ) from error
    where = str(account)
    with refusals("finding credentials", where):
        session = Session(_VARIABLES, profile=account.profile or None)
        if account.region:
            session.set_config_variable("region", account.region)
        if not account.role:
            return session
        source = session.get_credentials()
        fetcher = AssumeRoleCredentialFetcher(
            client_creator=lambda service, **more: session.create_client(
                service, endpoint_url=account.endpoint or None, **more
            ),
            source_credentials=source,
            role_arn=account.role,
            extra_args={"RoleSessionName": _SESSION},
        )

        def fetched() -> dict[str, Any]:
            if source is None:
                raise NoCredentialsError
            return cast("dict[str, Any]", fetcher.fetch_credentials())

        # of the same profile, which names more than credentials
        inner = Session(_VARIABLES, profile=account.profile or None)
        inner.set_config_variable("region", session.get_config_variable("region"))
        inner._credentials = DeferredRefreshableCredentials(  # noqa: SLF001 - botocore has no other door for it
            method="assume-role", refresh_using=fetched
        )
        return inner
