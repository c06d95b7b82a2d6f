"""An application that writes all the time, and connects again whenever it is disconnected."""

from __future__ import annotations

import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise

from tests.support.postgres import PostgresServer


class Writer:
    """Writes numbers into ``app``; ``written`` are those that the server confirmed, with the time.

    ``errors`` are the words of the server when a connection ended or could not be made.
    """

    def __init__(self, server: PostgresServer) -> None:
        self.written: list[tuple[float, int]] = []
        self.errors: list[str] = []
        self._server = server
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._work)

    def _work(self) -> None:
        number = 0
        command = [str(self._server.programs / "psql"), "-X", "-A", "-t", "-q", "-h"]
        command += [str(self._server.folder), "-U", "postgres", "-v", "ON_ERROR_STOP=1", "app"]
        while not self._stop.is_set():
            psql = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
            )
            assert psql.stdin is not None
            assert psql.stdout is not None
            while not self._stop.is_set():
                number += 1
                try:
                    psql.stdin.write(b"INSERT INTO log VALUES (%d) RETURNING n;\n" % number)
                    psql.stdin.flush()
                except BrokenPipeError:
                    break
                if psql.stdout.readline() != b"%d\n" % number:
                    break
                self.written.append((time.monotonic(), number))
            _, errors = psql.communicate()
            if errors:
                self.errors.append(errors.decode())

    def longest_pause(self) -> float:
        """Return the longest time between two confirmed writes, in seconds."""
        times = [moment for moment, _ in self.written]
        return max(after - before for before, after in pairwise(times))

    def start(self) -> None:
        """Begin to write."""
        self._thread.start()

    def stop(self) -> None:
        """End, after the write that is on its way."""
        self._stop.set()
        self._thread.join()


@contextmanager
def writing(server: PostgresServer) -> Iterator[Writer]:
    """Write for as long as the block lasts."""
    writer = Writer(server)
    writer.start()
    try:
        yield writer
    finally:
        writer.stop()
