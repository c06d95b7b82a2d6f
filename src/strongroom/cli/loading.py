"""Modules that are loaded when they are needed: the one place that imports by name."""

from __future__ import annotations

import gc
import importlib
from collections.abc import Mapping
from typing import Any, cast


def load(module: str) -> Any:  # noqa: ANN401 - a module
    """Load a module by its name.

    Nothing that is made meanwhile is garbage, and looking for it takes a sixth of the time.
    """
    collects = gc.isenabled()
    gc.disable()
    try:
        return importlib.import_module(module)
    finally:
        gc.freeze()
        if collects:
            gc.enable()


def work(verb: str, given: Mapping[str, object], function: str = "run") -> int:
    """Do what a verb is for, with what its options say; the exit code."""
    return cast(int, getattr(load(f"strongroom.cli.{verb}"), function)(**given))
