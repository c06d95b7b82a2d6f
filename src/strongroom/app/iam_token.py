"""A password of RDS that is a signature: good for a quarter of an hour, and made here.

See "Connecting to your DB instance using IAM authentication" in the RDS user guide. It is made
without a request; whether AWS takes it shows when the server is asked.
"""

from __future__ import annotations

from typing import Final

from strongroom.app.machine import Run
from strongroom.aws.clients import Clients
from strongroom.aws.errors import refusals
from strongroom.config.environments import environment_of
from strongroom.config.postgres import PostgresSettings
from strongroom.errors import UsageError

_PORT: Final = 5432


def iam_token(run: Run, settings: PostgresSettings) -> str:
    """Return a token for the host and user of a source; ``UsageError`` if they are not said."""
    if not settings.host or not settings.user:
        raise UsageError(
            f"a token of RDS is for a host and a user, and '{settings.name}' does not say both",
            hint="Say them in connection: host and user.",
        )
    account = run.settings.account_in(environment_of(settings.name))
    client = Clients(account).client("rds")
    with refusals(f"making a token for {settings.user}", str(account)):
        token: str = client.generate_db_auth_token(
            DBHostname=settings.host, Port=settings.port or _PORT, DBUsername=settings.user
        )
    return token
