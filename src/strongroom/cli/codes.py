"""The exit codes of the commands that PostgreSQL runs."""

from __future__ import annotations

from typing import Final

NOT_STORED: Final = 1
NOT_FETCHED: Final = 200


class Verdict(int):
    """An exit code that a command decided on, and did not come to by accident."""

    __slots__ = ()
