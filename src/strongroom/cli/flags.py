"""From the common options to what the settings are made of."""

from __future__ import annotations

from strongroom.cli.common import Common
from strongroom.config.settings import Flags


def flags_of(options: Common) -> Flags:
    """Return what the options say to the settings."""
    return Flags(
        repository=options.repository,
        passphrase_file=options.passphrase_file,
        passphrase_command=options.passphrase_command,
        key_file=options.key_file,
        cache_dir=options.cache_dir,
        config=options.config,
        limit_upload=options.limit_upload,
        limit_download=options.limit_download,
    )
