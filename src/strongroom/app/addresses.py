"""From the address of a repository, as a person gave it, to what lies there."""

from __future__ import annotations

from strongroom.app.machine import Machine
from strongroom.aws.account import Account
from strongroom.aws.clients import Clients
from strongroom.aws.versions import BucketVersions
from strongroom.config.places import Place
from strongroom.storage.url import StoreUrl, parse


def address_of(place: Place) -> StoreUrl:
    """Read the address that a person gave; UsageError says where it was given."""
    return parse(place.url, str(place.folder))


def versions_of(address: StoreUrl, account: Account, machine: Machine) -> BucketVersions:
    """Return the versions of what lies in a bucket; nothing is asked of it yet."""
    return BucketVersions(Clients(account), address.bucket, address.prefix, machine.clock)
