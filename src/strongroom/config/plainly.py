"""Tables of a file in which nothing is wrong, read without pydantic, which takes 90 ms to load.

Whatever is not taken here, for any reason, is read by pydantic, which says all that is wrong.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar, get_type_hints

T = TypeVar("T")


def plainly(table: type[T], value: object) -> T | None:
    """Return ``value`` as a table, if every key of it is one of the table and nothing is lost."""
    import msgspec  # noqa: PLC0415 - completion reads no tables, and has no time

    if not isinstance(value, Mapping):
        return None
    types = get_type_hints(table)
    try:
        found = table(**{key: msgspec.convert(one, types[key]) for key, one in value.items()})
    except (msgspec.ValidationError, TypeError, KeyError):  # TypeError also of unions of tables
        return None
    kept = {key: msgspec.to_builtins(getattr(found, key)) for key in value}
    return found if _same(kept, value) else None


def _same(kept: object, given: object) -> bool:
    """Whether all that was given was kept as it is; tables have more, with what is not said."""
    if isinstance(given, Mapping):
        return isinstance(kept, Mapping) and all(
            key in kept and _same(kept[key], one) for key, one in given.items()
        )
    if isinstance(given, list):
        return (
            isinstance(kept, list | tuple)
            and len(kept) == len(given)
            and all(map(_same, kept, given))
        )
    return type(kept) is type(given) and kept == given
