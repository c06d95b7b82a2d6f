"""A setting and where it came from. Precedence: flag, environment, file, default."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import Generic, TypeVar

T = TypeVar("T")


class Level(enum.IntEnum):
    """Where a setting can come from; the smallest wins."""

    FLAG = 1
    ENVIRONMENT = 2
    FILE = 3
    DEFAULT = 4


@dataclass(frozen=True, slots=True)
class Value(Generic[T]):
    """A setting; ``origin`` is what a person would look for to change it."""

    value: T
    origin: str
    level: Level


def first(*values: Value[T] | None) -> Value[T] | None:
    """Return the value that wins, if any was given."""
    given = [value for value in values if value is not None]
    return min(given, key=lambda value: value.level, default=None)
