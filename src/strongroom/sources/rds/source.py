"""Records as a source: a few small files, told once."""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping

from strongroom.clock import Clock
from strongroom.errors import SourceError
from strongroom.model.source import Part, Problem, Report
from strongroom.sources.made import made_file


class RecordsSource:
    """An ``ArrivingSource``. ``files`` gives the bytes of each path.

    ``needed``: nothing is saved where they cannot be had; else that is a problem of the backup.
    """

    def __init__(
        self,
        kind: str,
        name: str,
        files: Callable[[], Mapping[str, bytes]],
        clock: Clock,
        *,
        needed: bool,
    ) -> None:
        self.kind = kind
        self.name = name
        self._files = files
        self._clock = clock
        self._needed = needed

    def arrivals(self, report: Report) -> Generator[Part | None, None, None]:
        """See ``ArrivingSource``."""
        try:
            files = self._files()
        except SourceError as error:
            if self._needed:
                raise
            report(Problem(f"{self.kind}/{self.name}".encode(), error.message))
            return
        for path, data in sorted(files.items()):
            where = path.encode()
            yield Part(where, data, made_file(where, len(data), self._clock.now_ns()))
