"""A file system on which something happens at a given call: the races that a backup meets."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, NoReturn, cast

from strongroom.model.fs import Fs
from strongroom.system.posix import PosixFs

Hook = Callable[..., None]
Change = Callable[[Any], Any]


class HookFs:
    """A file system with hooks; see ``hook_fs``."""

    def __init__(
        self,
        before: Mapping[str, Hook],
        changed: Mapping[str, Change],
        arguments: Mapping[str, Callable[..., tuple[Any, ...]]],
        within: Fs,
    ) -> None:
        self._within = within
        self._before = before
        self._changed = changed
        self._arguments = arguments

    def __getattr__(self, name: str) -> Callable[..., Any]:
        """Return the method of the real file system, with what belongs to it."""
        return partial(self._call, name, getattr(self._within, name))

    def _call(self, name: str, act: Callable[..., Any], *arguments: Any, **named: Any) -> Any:  # noqa: ANN401 - any call
        if name in self._before:
            self._before[name](*arguments, **named)
        if name in self._arguments:
            arguments = self._arguments[name](*arguments)
        result = act(*arguments, **named)
        return self._changed[name](result) if name in self._changed else result


def hook_fs(
    before: Mapping[str, Hook] | None = None,
    *,
    changed: Mapping[str, Change] | None = None,
    arguments: Mapping[str, Callable[..., tuple[Any, ...]]] | None = None,
    within: Fs | None = None,
) -> Fs:
    """Return a file system that calls ``before[name]`` with what a call is given.

    ``changed``: by the name of a call, what its result is turned into; ``arguments``: what the
    arguments without a name are.
    """
    return cast("Fs", HookFs(before or {}, changed or {}, arguments or {}, within or PosixFs()))


def fails(number: int) -> Callable[[], NoReturn]:
    """Return what fails as a call of the system does."""

    def fail() -> NoReturn:
        raise OSError(number, os.strerror(number))

    return fail


def once(act: Callable[[], object], *names: bytes) -> Hook:
    """Return a hook that acts at the first call, or the first with one of these names."""
    left = [act]

    def hook(*arguments: object, **_: object) -> None:
        if left and (not names or arguments[0] in names):
            left.pop()()

    return hook


def always(act: Callable[[], object], *names: bytes) -> Hook:
    """Return a hook that acts at every call, or at every one with one of these names."""

    def hook(*arguments: object, **_: object) -> None:
        if not names or arguments[0] in names:
            act()

    return hook
