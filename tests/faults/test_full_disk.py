"""The disk of the repository is full, really and by counting, at every size that is too small."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.faults.full_disk import CountingFs, sweep

pytestmark = pytest.mark.spec("B1")

ROOT = Path(__file__).parents[2]
LEAST_FAILURES = 10  # what is backed up is larger than that many pages
NAMESPACES = (("unshare", "--mount"), ("unshare", "--user", "--map-root-user", "--mount"))
MOUNT = 'mount -t tmpfs -o size=1m tmpfs "$1" && exec "$2" -m tests.faults.full_disk "$1"'


def test_a_disk_that_counts_its_pages(tmp_path: Path) -> None:
    """With room for n pages, for every n that is too small: exit 1 and nothing committed, what is
    there can be read, and as soon as there is room the next backup works.
    """
    folder = tmp_path / "disk"
    folder.mkdir()
    assert sweep(folder, CountingFs, lambda: None) > LEAST_FAILURES


def test_a_disk_that_is_really_full(tmp_path: Path) -> None:
    """The same on a real tmpfs, in a mount namespace of its own; where the system allows none, on
    a counting file system whose room grows two pages at a time.
    """
    folder = tmp_path / "disk"
    folder.mkdir()
    for namespace in NAMESPACES:
        if _can_mount(namespace, folder):
            command = [*namespace, "sh", "-c", MOUNT, "sh", str(folder), sys.executable]
            done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
            assert done.returncode == 0, done.stderr
            assert int(done.stdout) > LEAST_FAILURES
            return
    few = LEAST_FAILURES // 2
    assert sweep(folder, lambda pages: CountingFs(2 * pages + 1), lambda: None) > few


def _can_mount(namespace: tuple[str, ...], folder: Path) -> bool:
    if shutil.which(namespace[0]) is None:
        return False
    probe = [*namespace, "mount", "-t", "tmpfs", "tmpfs", str(folder)]
    return subprocess.run(probe, capture_output=True, check=False).returncode == 0
