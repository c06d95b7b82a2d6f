"""A second repository beside the one that a command is about: where a copy goes or comes from.

Of the environment, which speaks of the first one, only who we are to AWS counts for it: libraries
take that from there in any case. Its region is its own.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from strongroom.config.aws import AWS_ENDPOINT_URL, AWS_PROFILE
from strongroom.config.environment import CONFIG, Environment
from strongroom.config.file import find_file
from strongroom.config.places import Flags, place_of, secrets_of
from strongroom.config.reading import read_file
from strongroom.config.settings import Settings

_KEPT = (CONFIG, "HOME", AWS_PROFILE, AWS_ENDPOINT_URL)


@dataclass(frozen=True, slots=True, kw_only=True)
class OtherFlags:
    """What the command line says of it; ``option`` is the one that names it, such as ``--to``."""

    option: str
    url: str
    passphrase_file: str | None = None
    passphrase_command: str | None = None
    key_file: str | None = None


def other_settings(
    settings: Settings, other: OtherFlags, config: str | None, environment: Environment
) -> Settings:
    """Return the settings with the other repository in the place of the first.

    ``config``: the configuration file that the command line names. UsageError.
    """
    kept = {name: text for name in _KEPT if (text := environment.get(name)) is not None}
    alone = Environment(kept, environment.folder)
    flags = Flags(
        repository=other.url,
        passphrase_file=other.passphrase_file,
        passphrase_command=other.passphrase_command,
        key_file=other.key_file,
    )
    path = find_file(config, environment)
    file = read_file(path) if path is not None else None
    place, table = place_of(flags, alone, file)
    secrets = secrets_of(flags, alone, file, table, other.option)
    if place is not None and place.origin == "--repository":
        place = replace(place, origin=other.option)
    return replace(settings, place=place, secrets=secrets)
