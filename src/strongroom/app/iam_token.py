"""A password of RDS that is a signature: good for a quarter of an hour, and made here.

See "Connecting to your DB instance using IAM authentication" in the RDS user guide. It is made
without a request; whether AWS takes it shows when the server is asked.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

from strongroom.app.machine import Run
from strongroom.aws.clients import Clients
from strongroom.aws.errors import refusals
from strongroom.config.environments import environment_of
from strongroom.config.postgres import PostgresSettings
from strongroom.errors import UsageError
from strongroom.postgres.connection import Connection

IAM: Final = "rds_iam"  # the kind of such a password
_RENEWED: Final = 600.0  # seconds; a token is taken for 900
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


class FreshToken:
    """Renews the token in a password file, for programs that begin when it is old."""

    def __init__(self, run: Run, settings: PostgresSettings, file: Path) -> None:
        """Take a file that has a token which was made just now."""
        self._run = run
        self._settings = settings
        self._file = file
        self._made = run.machine.clock.elapsed()

    def __call__(self) -> None:
        """Put a new token in the place of one that is older than ten minutes."""
        now = self._run.machine.clock.elapsed()
        if now - self._made < _RENEWED:
            return
        data = Connection(password=iam_token(self._run, self._settings)).password_file()
        beside = self._file.with_name(f"{self._file.name}.new")
        fd = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(fd, "wb") as file:
            file.write(data or b"")
        beside.replace(self._file)
        self._made = now
