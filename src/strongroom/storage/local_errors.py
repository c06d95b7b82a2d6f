"""What an ``OSError`` means for a local store."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from strongroom.errors import StoreError, StoreFullError, StoreUnavailableError, StrongroomError

_FULL: Final = frozenset({errno.ENOSPC, errno.EDQUOT})
_DENIED: Final = frozenset({errno.EACCES, errno.EPERM, errno.EROFS})
_UNAVAILABLE: Final = frozenset(
    {
        errno.EAGAIN,
        errno.ECONNABORTED,
        errno.ECONNREFUSED,
        errno.ECONNRESET,
        errno.EHOSTDOWN,
        errno.EHOSTUNREACH,
        errno.EINTR,
        errno.ENETDOWN,
        errno.ENETRESET,
        errno.ENETUNREACH,
        errno.ENOTCONN,
        errno.ESTALE,
        errno.ETIMEDOUT,
    }
)
_NO_MODES: Final = frozenset({errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS})


class FsyncError(OSError):
    """An fsync failed: what it was for may be lost, and to repeat it would only hide that."""


class NoRootError(FileNotFoundError):
    """The directory that holds the whole store is not there."""


class RemovedError(OSError):
    """A directory was removed while it was open."""


@contextmanager
def store_errors(failed: str) -> Iterator[None]:
    """Raise what ``store_error`` makes of any OSError in the block."""
    try:
        yield
    except OSError as error:
        raise store_error(error, failed) from error


def store_error(error: OSError, failed: str) -> StrongroomError:
    """Return what to raise for ``error``; ``failed`` says what could not be done, and where."""
    message = f"{failed}: {_cause(error)}"
    if error.errno in _FULL:
        return StoreFullError(
            message, hint="Make space there, and run the same command again; nothing was committed."
        )
    if isinstance(error, FsyncError):
        return StoreError(
            message, hint="The device may be failing: look into the kernel's log before going on."
        )
    if isinstance(error, NoRootError):
        return StoreError(
            f"{failed}: there is no such folder",
            hint="Mount the disk it is on, or make a repository there with `strongroom init`.",
        )
    if error.errno in _DENIED:
        return StoreError(
            f"{failed}: access denied ({_cause(error)})",
            hint="Check the owner and mode of the folder, and whether it is mounted read-only.",
        )
    if error.errno in _UNAVAILABLE:
        return StoreUnavailableError(message)
    return StoreError(message)


def _cause(error: OSError) -> str:
    text = error.strerror or str(error) or type(error).__name__
    return text[:1].lower() + text[1:]


@contextmanager
def modes_may_be_missing() -> Iterator[None]:
    """Go on where a file system has no modes, or none that are ours to set.

    The objects are encrypted; their modes only keep other users of the machine at a distance.
    """
    try:
        yield
    except OSError as error:
        if error.errno not in _NO_MODES:
            raise
