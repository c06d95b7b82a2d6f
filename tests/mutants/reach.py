"""Which lines a test reaches: only a test that reaches a fault can notice it."""

from __future__ import annotations

import sys
import threading
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

Place = tuple[str, int]
"""A file and a line of it."""


class Tracer:
    """Notes the lines of some files that are run."""

    def __init__(self, files: Collection[str]) -> None:
        self.places: set[Place] = set()
        self._files = frozenset(files)

    def __call__(self, frame: FrameType, _event: str, _argument: object) -> Any:  # noqa: ANN401
        """Trace the lines of a function if it is in one of the files; see ``sys.settrace``."""
        return self._line if frame.f_code.co_filename in self._files else None

    def _line(self, frame: FrameType, _event: str, _argument: object) -> Any:  # noqa: ANN401
        self.places.add((frame.f_code.co_filename, frame.f_lineno))
        return self._line


@contextmanager
def traced(files: Collection[str]) -> Iterator[set[Place]]:
    """Note the lines of these files that are run within, in every thread that begins there."""
    tracer = Tracer(files)
    threading.settrace(tracer)
    sys.settrace(tracer)
    try:
        yield tracer.places
    finally:
        sys.settrace(None)
        threading.settrace(None)
