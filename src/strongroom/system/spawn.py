"""The one door to child processes."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence

from strongroom.model.spawn import Finished


class SystemSpawn:
    """Starts programs of this machine."""

    def run(self, command: Sequence[str], *, seconds: float) -> Finished:
        """See ``Spawn``."""
        try:
            done = subprocess.run(
                list(command),
                stdin=subprocess.DEVNULL,
                capture_output=True,
                check=False,
                timeout=seconds,
            )
        except subprocess.TimeoutExpired as error:
            raise TimeoutError(f"did not end within {seconds:.0f} seconds") from error
        return Finished(done.returncode, done.stdout, done.stderr)
