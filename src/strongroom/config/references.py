"""References to secrets that AWS keeps: where they are, never what they are."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

from strongroom.config.schema import SecretTable

SERVICES: Final = ("ssm", "secret")


@dataclass(frozen=True, slots=True)
class SecretReference:
    """A parameter of SSM, or a secret of Secrets Manager and the field of it that is meant."""

    service: Literal["ssm", "secret"]
    name: str
    key: str = ""

    def __str__(self) -> str:
        """Say it as a person would look for it."""
        if self.service == "ssm":
            return f"SSM parameter {self.name}"
        return f"secret {self.name}" + (f", field {self.key}" if self.key else "")


def reference_of(table: SecretTable | None) -> SecretReference | None:
    """Return what a table refers to; None if it refers to nothing that AWS keeps."""
    if table is None or (table.ssm is None and table.secret is None):
        return None
    if table.ssm is not None:
        return SecretReference("ssm", table.ssm)
    return SecretReference("secret", table.secret or "", table.key or "")


def wrong_reference(table: Mapping[str, Any], ways: tuple[str, ...]) -> str:
    """Return what is wrong with a table that names a secret in one of some ways; empty if none."""
    given = [way for way in ways if way in table]
    if len(given) != 1:
        return f"give one of {', '.join(ways[:-1])} and {ways[-1]}"
    if "key" in table and given != ["secret"]:
        return "key names a field of a secret: it goes with 'secret'"
    if table[given[0]] == "" or table.get("key") == "":
        return "it is empty"
    name = table.get("ssm")
    if isinstance(name, str) and "/" in name and not name.startswith(("/", "arn:")):
        return f"the path of a parameter begins with '/': {name!r} does not"
    return ""
