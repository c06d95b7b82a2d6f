"""What clients find a database by: a parameter of SSM, or a CNAME of Route 53.

Both are read before they are changed, and changed only from the value that was read then: whoever
changed them meanwhile meant something.
"""

from __future__ import annotations

from typing import Any, Final, Protocol

import msgspec

from strongroom.aws.clients import Clients
from strongroom.aws.errors import AwsError, refusals
from strongroom.clock import Clock
from strongroom.errors import NotFoundError, RefusedError, StrongroomError

SSM: Final = "ssm"
CNAME: Final = "cname"
_POLL_SECONDS: Final = 2.0
_LONGEST_WAIT: Final = 600.0
_INSYNC: Final = "INSYNC"
_SECURE: Final = "SecureString"


class PointerState(msgspec.Struct, frozen=True):
    """What a pointer says; ``details``: what must stay as it is when the value changes."""

    value: str
    details: dict[str, str | int] = {}


class Pointer(Protocol):
    """One place that names a host."""

    def read(self) -> PointerState:
        """Return what it says; ``NotFoundError`` if it is not there, ``RefusedError``."""
        ...

    def write(self, value: str, details: dict[str, str | int]) -> None:
        """Make it say something else; returns when everybody is told so."""
        ...


class Parameter:
    """A parameter of SSM."""

    def __init__(self, clients: Clients, name: str) -> None:
        self._clients = clients
        self._name = name

    def read(self) -> PointerState:
        """See ``Pointer``."""
        client, where = self._clients.client("ssm"), str(self._clients.account)
        try:
            with refusals(f"reading the parameter {self._name}", where):
                found = client.get_parameter(Name=self._name, WithDecryption=True)["Parameter"]
                details: dict[str, str | int] = {"Type": found["Type"]}
                if found["Type"] == _SECURE:
                    details |= self._key(client)
        except AwsError as error:
            if error.said != "ParameterNotFound":
                raise
            raise NotFoundError(
                f"there is no parameter {self._name}",
                hint="Put the host that clients use into it, or correct swap in strongroom.toml.",
            ) from error
        return PointerState(found["Value"], details)

    def write(self, value: str, details: dict[str, str | int]) -> None:
        """See ``Pointer``; SSM keeps the earlier value in the history of the parameter."""
        client = self._clients.client("ssm")
        with refusals(f"setting the parameter {self._name}", str(self._clients.account)):
            client.put_parameter(Name=self._name, Value=value, Overwrite=True, **details)

    def _key(self, client: Any) -> dict[str, str | int]:  # noqa: ANN401 - boto3 makes its types
        option = {"Key": "Name", "Option": "Equals", "Values": [self._name]}
        found = client.describe_parameters(ParameterFilters=[option])["Parameters"]
        return {"KeyId": found[0]["KeyId"]} if found and found[0].get("KeyId") else {}


class CanonicalName:
    """A CNAME record of a hosted zone of Route 53, with one value."""

    def __init__(self, clients: Clients, zone: str, name: str, clock: Clock) -> None:
        self._clients = clients
        self._zone = zone
        self._name = name.rstrip(".").lower()
        self._clock = clock

    def read(self) -> PointerState:
        """See ``Pointer``."""
        client = self._clients.client("route53")
        with refusals(f"reading the record {self._name}", str(self._clients.account)):
            sets = client.list_resource_record_sets(
                HostedZoneId=self._zone,
                StartRecordName=self._name,
                StartRecordType="CNAME",
                MaxItems="1",
            )["ResourceRecordSets"]
        found = [
            one
            for one in sets
            if (one["Type"], one["Name"].rstrip(".").lower()) == ("CNAME", self._name)
        ]
        if not found:
            raise NotFoundError(
                f"there is no CNAME {self._name} in zone {self._zone}",
                hint="Make it, with the host that clients use, or correct swap in strongroom.toml.",
            )
        values = found[0].get("ResourceRecords", [])
        if len(values) != 1 or "SetIdentifier" in found[0]:
            raise RefusedError(
                f"the CNAME {self._name} has a routing policy, or not one value",
                hint="Only a simple record can be swapped; change this one by hand.",
            )
        return PointerState(values[0]["Value"].rstrip(".").lower(), {"TTL": found[0]["TTL"]})

    def write(self, value: str, details: dict[str, str | int]) -> None:
        """See ``Pointer``; returns when all name servers of Route 53 have it."""
        client, where = self._clients.client("route53"), str(self._clients.account)
        record = {
            "Name": self._name,
            "Type": "CNAME",
            "ResourceRecords": [{"Value": value}],
            **details,
        }
        batch = {"Comment": "strongroom", "Changes": [_upsert(record)]}
        with refusals(f"setting the record {self._name}", where):
            change = client.change_resource_record_sets(HostedZoneId=self._zone, ChangeBatch=batch)
            self._wait(client, change["ChangeInfo"])

    def _wait(self, client: Any, change: dict[str, Any]) -> None:  # noqa: ANN401 - boto3 makes its types
        began = self._clock.elapsed()
        while change["Status"] != _INSYNC:
            if self._clock.elapsed() - began > _LONGEST_WAIT:
                raise StrongroomError(
                    f"the record {self._name} was changed, and not all name servers have it",
                    hint="Run the same again with --resume.",
                )
            self._clock.sleep(_POLL_SECONDS)
            change = client.get_change(Id=change["Id"])["ChangeInfo"]


def _upsert(record: dict[str, Any]) -> dict[str, Any]:
    return {"Action": "UPSERT", "ResourceRecordSet": record}
