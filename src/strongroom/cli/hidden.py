"""What was removed in a bucket that keeps versions, and is therefore still there: in words."""

from __future__ import annotations

from strongroom.app.prune import Hidden
from strongroom.cli.output import Field
from strongroom.cli.quantities import counted, moment, size
from strongroom.clock import rfc3339


def hidden_fields(hidden: Hidden | None) -> dict[str, Field]:
    """Return the fields of a summary."""
    found = hidden if hidden is not None else Hidden()
    return {
        "objects_hidden": found.objects,
        "bytes_hidden": found.bytes,
        "bytes_held": found.held,
        "held_until": rfc3339(found.until_ns) if found.until_ns is not None else None,
        "held_exactly": found.exact,
        "removed_after_days": found.days,
        "not_known": list(found.unknown),
    }


def hidden_lines(hidden: Hidden | None) -> list[str]:
    """Say how much is still there, until when, and what ends it."""
    if hidden is None:
        return []
    lines = []
    if hidden.objects:
        lines.append(
            f"the bucket keeps versions: {counted(hidden.objects, 'object')} "
            f"({size(hidden.bytes)}) are hidden and still there"
        )
        lines += _held(hidden)
        lines.append(_end(hidden))
    return lines + [f"not known: {one}" for one in hidden.unknown]


def _held(hidden: Hidden) -> list[str]:
    if hidden.until_ns is None:
        return []
    far = "" if hidden.exact else ", as far as was asked"
    return [f"{size(hidden.held)} of that are held until {moment(hidden.until_ns)}{far}"]


def _end(hidden: Hidden) -> str:
    after = " and no retention holds them" if hidden.until_ns is not None else ""
    if hidden.days is not None:
        return (
            "the bucket's lifecycle removes them when they were hidden for "
            f"{counted(hidden.days, 'day')}{after}"
        )
    if any("lifecycle" in one for one in hidden.unknown):
        return "whether anything removes them is not known"
    return (
        "no rule of the bucket's lifecycle removes them: they stay, and are paid for, until "
        "somebody deletes the versions or adds NoncurrentVersionExpiration"
    )
