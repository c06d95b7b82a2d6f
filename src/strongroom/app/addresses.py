"""From the address of a repository, as a person gave it, to what lies there."""

from __future__ import annotations

from strongroom.app.machine import Run
from strongroom.aws.versions import BucketVersions
from strongroom.config.places import Place
from strongroom.storage.url import StoreUrl, parse


def address_of(place: Place) -> StoreUrl:
    """Read the address that a person gave; UsageError says where it was given."""
    return parse(place.url, str(place.folder))


def versions_of(run: Run, address: StoreUrl) -> BucketVersions:
    """Return the versions of what lies in a bucket; nothing is asked of it yet."""
    clients = run.aws.clients(run.settings.require_place().account)
    return BucketVersions(clients, address.bucket, address.prefix, run.machine.clock)
