"""What a table of a source, of any type, must not say beyond what its schema says."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from strongroom.config.awspatterns import wrong_in as wrong_in_configurations
from strongroom.config.databases import wrong_in as wrong_in_databases
from strongroom.config.documents import wrong_in as wrong_in_documents
from strongroom.config.quantities import parse_size
from strongroom.errors import UsageError


def wrong_in_source(
    top: tuple[str, ...], table: Mapping[str, Any]
) -> Iterator[tuple[tuple[str, ...], str]]:
    """Yield the keys of a source, which stands at ``top``, that mean nothing, and why."""
    yield from wrong_in_databases(top, table)
    yield from wrong_in_documents(top, table)
    yield from wrong_in_configurations(top, table)
    paths = table.get("paths")
    if isinstance(paths, list) and (not paths or "" in paths):
        yield (*top, "paths"), "at least one path, and none that is empty"
    size = table.get("exclude_larger_than")
    if isinstance(size, str):
        try:
            parse_size(size, "")
        except UsageError as error:
            yield (*top, "exclude_larger_than"), f"{size!r} is no size. {error.hint}"
