"""What a table of a source must not say, whatever its type, beyond what its schema says."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from strongroom.config.awspatterns import wrong_in as wrong_in_configurations
from strongroom.config.databases import wrong_in as wrong_in_databases
from strongroom.config.quantities import parse_size
from strongroom.errors import UsageError


def wrong_in(
    top: tuple[str, ...], source: Mapping[str, Any]
) -> Iterator[tuple[tuple[str, ...], str]]:
    """Yield the keys of a source, which stands at ``top``, that mean nothing."""
    yield from wrong_in_databases(top, source)
    yield from wrong_in_configurations(top, source)
    paths = source.get("paths")
    if isinstance(paths, list) and (not paths or "" in paths):
        yield (*top, "paths"), "at least one path, and none that is empty"
    size = source.get("exclude_larger_than")
    if isinstance(size, str):
        try:
            parse_size(size, "")
        except UsageError as error:
            yield (*top, "exclude_larger_than"), f"{size!r} is no size. {error.hint}"
