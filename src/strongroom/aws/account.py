"""Who we are to AWS, as names only: a recipe that may be handed to another process."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Account:
    """Where credentials come from and where requests go; empty is what AWS's own rules say.

    ``role``: the ARN of a role to assume with the credentials of ``profile``. ``endpoint``: the
    URL of a server that is not AWS's. Nothing in here is a secret.
    """

    region: str = ""
    profile: str = ""
    role: str = ""
    endpoint: str = ""

    def __str__(self) -> str:
        """Say it as a person would look for it."""
        parts = [
            f"{name} {value}"
            for name, value in (
                ("profile", self.profile),
                ("role", self.role),
                ("region", self.region),
                ("endpoint", self.endpoint),
            )
            if value
        ]
        return ", ".join(parts) or "the default credentials"


ANY_ACCOUNT: Final = Account()
