"""A repository as it was at a moment: which store that is, and whether there was one at all."""

from __future__ import annotations

from strongroom.app.addresses import address_of, versions_of
from strongroom.app.folders import state_of
from strongroom.app.machine import Run
from strongroom.aws.asof import AsOfStore
from strongroom.aws.versions import BucketVersions
from strongroom.clock import rfc3339, utc_seconds
from strongroom.config.moments import parse_moment
from strongroom.config.places import Place
from strongroom.errors import NoRepositoryError, RefusedError, UsageError
from strongroom.model.store import StoreReading
from strongroom.repository import layout
from strongroom.repository.opening import OpenedConfig, read_config
from strongroom.repository.remembered import Memory

OPTION = "--as-of"


def is_past(run: Run) -> bool:
    """Whether the repository that the settings name is meant as it was at a moment."""
    place = run.settings.place
    return place is not None and bool(place.as_of)


def past_moment(run: Run) -> str:
    """Return the moment so that another command reads it as the same; empty if it is now."""
    if not is_past(run):
        return ""
    return rfc3339(_moment_of(run))


def past_store(run: Run) -> AsOfStore:
    """Return the store as it was; nothing is asked of it yet. ``UsageError``."""
    place = run.settings.require_place()
    address = address_of(place)
    if address.scheme != "s3":
        raise UsageError(
            f"{OPTION}: {address} keeps no versions, so nobody knows what it was at another time",
            hint="A bucket of S3 that keeps versions does: -r s3://BUCKET/PREFIX.",
        )
    return AsOfStore(versions_of(run, address), _moment_of(run))


def _moment_of(run: Run) -> int:
    text = run.settings.require_place().as_of
    if text not in run.moments:
        run.moments[text] = _parsed(run, text)
    return run.moments[text]


def _parsed(run: Run, text: str) -> int:
    now_ns = run.machine.clock.now_ns()
    moment_ns = parse_moment(text, OPTION, now_ns, at_end=True)
    if moment_ns > now_ns:
        raise UsageError(
            f"{OPTION} {text!r} is {utc_seconds(moment_ns)}, and not over: "
            f"it is {utc_seconds(now_ns)}",
            hint="Name a moment in the past; a day alone means its end.",
        )
    return moment_ns


def past_config(run: Run, store: StoreReading) -> OpenedConfig:
    """Read ``config`` as it was; what this host remembers of the present does not count.

    ``RefusedError`` if the bucket keeps no versions, ``NoRepositoryError`` if there was none then.
    """
    place = run.settings.require_place()
    versions = versions_of(run, address_of(place))
    if not versions.are_kept():
        raise RefusedError(
            f"s3://{versions.bucket} keeps no versions, so what was deleted is gone",
            hint=f"Without {OPTION} the repository is read as it is. Versions are kept from the "
            "moment on at which they are turned on: aws s3api put-bucket-versioning.",
        )
    try:
        config = read_config(store)
    except NoRepositoryError as error:
        raise _nothing_then(place, versions, error) from error
    known = Memory(state_of(run)).load_leniently(store.url)
    if known is not None and known.repository_id != config.repository_id.hex():
        run.warn(
            f"{store.url} held repository {config.repository_id.hex()[:8]} then; this host knows "
            f"repository {known.repository_id[:8]} there now"
        )
    return config


def _nothing_then(
    place: Place, versions: BucketVersions, error: NoRepositoryError
) -> NoRepositoryError:
    """Say when there was a repository, if there ever was."""
    histories = [one for one in versions.histories(layout.CONFIG) if one.key == layout.CONFIG]
    found = histories[0].versions if histories else ()
    if all(one.deleted for one in found):
        return error
    begun = min(one.stored_ns for one in found if not one.deleted)
    ended = [one.stored_ns for one in found if one.deleted and one.stored_ns >= begun]
    until = f", and was deleted at {utc_seconds(min(ended))}" if ended else ""
    return NoRepositoryError(
        f"there was no repository at {versions.url} as of {place.as_of!r}: it is there since "
        f"{utc_seconds(begun)}{until}",
        hint=f"Name a moment after the first of these times{' and before the second' * bool(ended)}"
        f": {OPTION} TIME. Times are those of the bucket, in whole seconds.",
    )
