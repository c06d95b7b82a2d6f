"""What a table about configuration in AWS must not say, beyond what its schema says."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

_KEYS: Final = ("ssm_parameters", "secrets", "cloudformation")


def wrong_in(
    top: tuple[str, ...], table: Mapping[str, Any]
) -> Iterator[tuple[tuple[str, ...], str]]:
    """Yield the keys of a source of configuration, which stands at ``top``, that mean nothing."""
    if table.get("type") == "aws-config" and not any(table.get(key) for key in _KEYS):
        yield (*top, "type"), f"then nothing is saved: give one of {', '.join(_KEYS)}"
    for key in _KEYS:
        texts = table.get(key)
        if isinstance(texts, list) and "" in texts:
            yield (*top, key), 'none that is empty; "/" are all parameters, "*" is all'
