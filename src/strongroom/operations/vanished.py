"""Whether so much of a source is gone that it is rather the wrong one, or hidden from us. Pure."""

from __future__ import annotations

from typing import Final

from strongroom.errors import RefusedError
from strongroom.operations.backup import Seen

_FEW: Final = 20  # of which so many may go as a person likes, if not all


def refuse_vanished(bucket: str, seen: Seen, others: int, most: int) -> None:
    """``RefusedError`` if more than ``most`` percent of the objects of a bucket are gone, or all.

    ``others``: entries that are no objects.
    """
    before = seen.before - others
    empty = 0 < before <= seen.gone
    if not empty and (seen.gone < _FEW or seen.gone * 100 <= before * most):
        return
    what = "all" if empty else f"{seen.gone:,} of"
    raise RefusedError(
        f"{what} {before:,} objects that the last backup had of bucket '{bucket}' are gone, so "
        "no snapshot was made",
        hint="A wrong bucket, prefix or policy looks like this. If they were deleted on purpose, "
        "run it once with --allow-vanished.",
    )
