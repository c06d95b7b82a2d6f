"""From the common options to what the settings are made of."""

from __future__ import annotations

import click

from strongroom.cli.common import Common, common
from strongroom.config.environment import read_environment
from strongroom.config.other import OtherFlags, other_settings
from strongroom.config.places import Flags
from strongroom.config.settings import Settings


def flags_of(options: Common) -> Flags:
    """Return what the options say to the settings."""
    return Flags(
        repository=options.repository,
        passphrase_file=options.passphrase_file,
        passphrase_command=options.passphrase_command,
        key_file=options.key_file,
        cache_dir=options.cache_dir,
        config=options.config,
        as_of=options.as_of,
        limit_upload=options.limit_upload,
        limit_download=options.limit_download,
    )


def settings_of_other(
    settings: Settings,
    option: str,
    url: str,
    passphrase_file: str | None,
    passphrase_command: str | None,
    key_file: str | None,
) -> Settings:
    """Return the settings of the repository that ``option`` names; UsageError."""
    for value in (url, passphrase_file, passphrase_command, key_file):
        if value == "":
            raise click.UsageError(f"{option} and the options of its key need a value")
    flags = OtherFlags(
        option=option,
        url=url,
        passphrase_file=passphrase_file,
        passphrase_command=passphrase_command,
        key_file=key_file,
    )
    return other_settings(settings, flags, common().config, read_environment())
