"""From the address of a repository, as a person gave it, to what lies there."""

from __future__ import annotations

from strongroom.app.machine import Run
from strongroom.aws.versions import BucketVersions
from strongroom.config.environment import BACKUP_BUCKET
from strongroom.config.places import Place
from strongroom.storage.url import StoreUrl, parse


def address_of(place: Place) -> StoreUrl:
    """Read the address that a person gave; UsageError says where it was given."""
    return parse(place.url, str(place.folder))


def place_used(run: Run) -> Place:
    """Return the place of the repository; that a variable put it elsewhere is told. UsageError."""
    place = run.settings.require_place()
    if place.other_bucket:
        run.tell_once(
            f"the repository is {place.url}: {BACKUP_BUCKET} is set, and counts before the "
            "configuration (-r counts before it)"
        )
    return place


def versions_of(run: Run, address: StoreUrl) -> BucketVersions:
    """Return the versions of what lies in a bucket; nothing is asked of it yet."""
    clients = run.aws.clients(run.settings.require_place().account)
    return BucketVersions(clients, address.bucket, address.prefix, run.machine.clock)
