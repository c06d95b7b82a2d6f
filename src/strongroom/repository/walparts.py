"""What of an open repository its WAL needs: neither the index nor the snapshots."""

from __future__ import annotations

from typing import Protocol

from strongroom.clock import Clock
from strongroom.model.randomness import Randomness
from strongroom.model.store import Store
from strongroom.repository.commits import WriterDirectory
from strongroom.repository.keyring import Keys


class Doors(Protocol):
    """What of this host is needed."""

    @property
    def clock(self) -> Clock:
        """Its clocks."""
        ...

    @property
    def randomness(self) -> Randomness:
        """Its randomness."""
        ...


class WithWal(Protocol):
    """An open repository, as far as WAL needs one."""

    @property
    def store(self) -> Store:
        """Where its objects are."""
        ...

    @property
    def keyring(self) -> Keys:
        """Its keys."""
        ...

    @property
    def writers(self) -> WriterDirectory:
        """Who signs."""
        ...

    @property
    def around(self) -> Doors:
        """What it was opened with."""
        ...
