"""Values that AWS keeps: parameters of SSM and secrets of Secrets Manager.

What a value is never stands in an error; where it is does.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from strongroom.aws.clients import Clients
from strongroom.aws.errors import AwsError, refusals
from strongroom.errors import UsageError

_MISSING: Final = frozenset(
    {"ParameterNotFound", "ParameterVersionNotFound", "ResourceNotFoundException"}
)
_THROTTLED: Final = frozenset({"ThrottlingException", "TooManyRequestsException", "Throttling"})


def parameter(clients: Clients, name: str) -> str:
    """Return a parameter, decrypted if it is a SecureString."""
    with _refusals(f"reading the SSM parameter {name}", clients):
        answer = clients.client("ssm").get_parameter(Name=name, WithDecryption=True)
    return _not_empty(answer["Parameter"]["Value"], f"the SSM parameter {name}")


def parameters_below(clients: Clients, path: str) -> dict[str, str]:
    """Return the parameters right below a path, by the last part of their names."""
    above = path.rstrip("/") or "/"
    found: dict[str, str] = {}
    with _refusals(f"reading the SSM parameters below {path}", clients):
        pages = clients.client("ssm").get_paginator("get_parameters_by_path")
        for page in pages.paginate(Path=above, WithDecryption=True, Recursive=False):
            for one in page["Parameters"]:
                name = one["Name"].rpartition("/")[2]
                found[name] = _not_empty(one["Value"], f"the SSM parameter {one['Name']}")
    if not found:
        raise UsageError(
            f"there is no SSM parameter below {path} ({clients.account})",
            hint="Look at the path, the region and the account. Parameters that the role may not "
            "see count as none.",
        )
    return found


def secret(clients: Clients, name: str, key: str = "") -> str:
    """Return a secret, or one field of a secret that is a JSON object."""
    where = f"the secret {name}"
    with _refusals(f"reading {where}", clients):
        answer = clients.client("secretsmanager").get_secret_value(SecretId=name)
    text = answer.get("SecretString")
    if text is None:
        text = answer.get("SecretBinary", b"").decode("utf-8", "surrogateescape")
    if not key:
        return _not_empty(text, where)
    return _not_empty(_field(text, key, where), f"field {key} of {where}")


def _field(text: str, key: str, where: str) -> str:
    try:
        fields = json.loads(text)
    except ValueError:
        fields = None
    if not isinstance(fields, dict):
        raise UsageError(f"{where} is no JSON object, so it has no field {key}") from None
    value = fields.get(key)
    if isinstance(value, bool) or not isinstance(value, str | int):
        what = "no text" if key in fields else "not there"
        raise UsageError(f"field {key} of {where} is {what}")
    return str(value)


def _not_empty(value: str, where: str) -> str:
    if not value:
        raise UsageError(f"{where} is empty")
    return value


@contextmanager
def _refusals(doing: str, clients: Clients) -> Iterator[None]:
    try:
        with refusals(doing, str(clients.account)):
            yield
    except AwsError as error:
        if error.said in _MISSING:
            error.hint = "Look at its name, and at the region and the account that are named."
        elif error.said in _THROTTLED:
            error.hint = "AWS takes no more requests just now: run it again later."
        raise
