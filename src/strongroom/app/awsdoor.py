"""What one command asks of AWS besides its stores: the keys of KMS, and values kept there.

Everything is made when it is first needed, and asked for once.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from strongroom.aws.account import Account
from strongroom.aws.clients import Clients
from strongroom.aws.kms import Kms
from strongroom.aws.values import parameter, parameters_below, secret
from strongroom.config.references import SecretReference


@dataclass(slots=True)
class AwsDoor:
    """Clients by account, and what they were told; nothing of it is shown."""

    _clients: dict[Account, Clients] = field(default_factory=dict, repr=False)
    _kms: dict[Account, Kms] = field(default_factory=dict, repr=False)
    _values: dict[tuple[Account, SecretReference], str] = field(default_factory=dict, repr=False)
    _below: dict[tuple[Account, str], Mapping[str, str]] = field(default_factory=dict, repr=False)

    def kms(self, account: Account) -> Kms:
        """Return what wraps and unwraps keys."""
        return self._kms.setdefault(account, Kms(account))

    def value(self, account: Account, reference: SecretReference) -> str:
        """Return what a reference means; UsageError, SourceError."""
        key = account, reference
        if key not in self._values:
            clients = self.clients(account)
            self._values[key] = (
                parameter(clients, reference.name)
                if reference.service == "ssm"
                else secret(clients, reference.name, reference.key)
            )
        return self._values[key]

    def know(self, account: Account, reference: SecretReference, value: str) -> None:
        """Keep what a reference means, which was read together with others."""
        self._values[account, reference] = value

    def below(self, account: Account, path: str) -> Mapping[str, str]:
        """Return the parameters below a path; UsageError, SourceError."""
        key = account, path
        if key not in self._below:
            self._below[key] = parameters_below(self.clients(account), path)
        return self._below[key]

    def clients(self, account: Account) -> Clients:
        """Return what makes clients of services, each of them once."""
        return self._clients.setdefault(account, Clients(account))
