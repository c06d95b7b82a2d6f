"""Every error this program raises on purpose, with the exit code it ends a command with.

Hierarchy::

    StrongroomError            1   failed, nothing committed
    +-- UsageError             2   the caller asked for something impossible
    +-- DamageError            4   stored bytes are not what was written
    |   +-- MissingObjectError 4   an object that must exist is not there
    +-- RefusedError           6   a safety rule says no, or the thing exists already
    +-- NoRepositoryError     10   no repository there, or of a format this version cannot read
    +-- FencedError           11   the session was ended by somebody else; nothing is lost
    +-- BusyError             11   others are at work; nothing is lost, and the next run goes on
    +-- KeyRefusedError       12   no slot opens with the given key
    +-- StoreError            13   the store is unreachable or denies access
    |   +-- StoreUnavailableError  13   the same request may succeed later (retried)
    |   +-- ObjectExistsError      13   the key of a put exists already
    |   +-- ObjectMissingError     13   the key of a get does not exist
    |   +-- RangeError             13   an object is shorter than the range asked for
    +-- StoreFullError         1   no space left in the store
    +-- SourceError           14   a source cannot be reached
    +-- NotFoundError         15   no such snapshot or path
    +-- RolledBackError       21   a restore failed and was rolled back
    +-- RestoreError          22   a restore failed and was not rolled back
    +-- InterruptError   130/143   a person or the system asked to stop

Exit code 3, done but incomplete, is an outcome and not an error: a command ends with it by its
summary.
"""

from __future__ import annotations

from typing import ClassVar


class StrongroomError(Exception):
    """Base of every error this package raises on purpose.

    ``message`` says what failed and where, in one line; ``hint`` says what to do next.
    """

    exit_code: ClassVar[int] = 1

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    @property
    def code(self) -> int:
        """The exit code of a command that ends with this error."""
        return self.exit_code


class UsageError(StrongroomError):
    """The caller asked for something impossible, or the configuration does not hold."""

    exit_code = 2


class DamageError(StrongroomError):
    """Stored bytes are not what was written."""

    exit_code = 4


class MissingObjectError(DamageError):
    """An object that others refer to is not in the store."""


class RefusedError(StrongroomError):
    """A safety rule says no, or the thing to create exists already."""

    exit_code = 6


class NoRepositoryError(StrongroomError):
    """No repository there, or of a format that this version cannot read."""

    exit_code = 10


class FencedError(StrongroomError):
    """The collector ended this session; nothing is lost, and the command can run again."""

    exit_code = 11


class BusyError(StrongroomError):
    """Others are at work, and waiting for them has an end; the next run goes on from here."""

    exit_code = 11


class KeyRefusedError(StrongroomError):
    """No slot opens with the given passphrase or key."""

    exit_code = 12


class StoreError(StrongroomError):
    """The store cannot be reached, or denies access."""

    exit_code = 13


class StoreUnavailableError(StoreError):
    """The store did not answer; the effect of the request is unknown, and it may be repeated."""


class ObjectExistsError(StoreError):
    """A put named a key that exists already; nothing was changed."""


class ObjectMissingError(StoreError):
    """The key of a read does not exist."""


class RangeError(StoreError):
    """An object ends before the range that was asked for."""


class UnsupportedError(StoreError):
    """The store does not know what it was asked for, such as a conditional put."""


class StoreFullError(StrongroomError):
    """No space left in the store; nothing was committed."""


class SourceError(StrongroomError):
    """A source as a whole cannot be reached."""

    exit_code = 14


class NotFoundError(StrongroomError):
    """No such snapshot, path or backup."""

    exit_code = 15


class RolledBackError(StrongroomError):
    """A restore failed and was rolled back; the target is as it was."""

    exit_code = 21


class RestoreError(StrongroomError):
    """A restore failed, and what it wrote was not rolled back."""

    exit_code = 22


class InterruptError(StrongroomError):
    """A person (SIGINT) or the system (SIGTERM, SIGHUP) asked the command to stop."""

    def __init__(self, signal_number: int) -> None:
        super().__init__("interrupted", hint="Run the same command again; what was stored is kept.")
        self.signal_number = signal_number

    @property
    def code(self) -> int:
        """The shell's code of a process that ended by this signal."""
        return 128 + self.signal_number
