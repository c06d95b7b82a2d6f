"""Small files that a person names on the command line or in the configuration."""

from __future__ import annotations

from pathlib import Path

from strongroom.errors import UsageError
from strongroom.system.causes import cause_of


def read_named(path: Path, what: str, most: int) -> bytes:
    """Read a whole file; ``UsageError`` if it cannot be read or has more than ``most`` bytes.

    ``what`` names the file in the message.
    """
    try:
        with path.open("rb") as file:
            data = file.read(most + 1)
    except OSError as error:
        raise UsageError(f"cannot read {what}: {cause_of(error)}") from error
    if len(data) > most:
        shown = f"{most >> 20} MiB" if most >> 20 else f"{most >> 10} KiB"
        raise UsageError(f"{what} is larger than {shown}")
    return data
