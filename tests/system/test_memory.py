"""How much memory may be taken, read from a system's own files."""

from __future__ import annotations

from pathlib import Path

from strongroom.system.memory import available_memory, memory_folder


def put(root: Path, **files: str) -> None:
    """Write files; two underscores stand for a slash."""
    for name, text in files.items():
        path = root / name.replace("__", "/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def test_the_narrowest_limit_counts(tmp_path: Path) -> None:
    """The machine's, its group's or that of a group above; "max" is none, and less than 0 is 0."""
    assert available_memory(tmp_path) == 0
    put(tmp_path, proc__meminfo="MemTotal: 9000 kB\nMemAvailable:    8000 kB\n")
    assert available_memory(tmp_path) == 8000 * 1024
    put(tmp_path, proc__self__cgroup="0::/a/b\n")
    groups = tmp_path / "sys/fs/cgroup"
    put(groups / "a/b", **{"memory.max": "max\n", "memory.current": "5\n"})
    assert available_memory(tmp_path) == 8000 * 1024
    put(groups / "a", **{"memory.max": "5000000\n", "memory.current": "1000000\n"})
    assert available_memory(tmp_path) == 4_000_000
    put(groups, **{"memory.max": "100\n", "memory.current": "200\n"})
    assert available_memory(tmp_path) == 0


def test_only_a_folder_of_memory_is_one(tmp_path: Path) -> None:
    """A folder of that name on a disk is none, nor is one that is not there."""
    assert memory_folder(tmp_path) is None
    (tmp_path / "dev/shm").mkdir(parents=True)
    assert memory_folder(tmp_path) is None
    put(tmp_path, proc__self__mounts="ext4 /dev/shm ext4 rw 0 0\n")
    assert memory_folder(tmp_path) is None
    put(tmp_path, proc__self__mounts="/dev/sda / ext4 rw 0 0\ntmpfs /dev/shm tmpfs rw 0 0\n")
    assert memory_folder(tmp_path) == tmp_path / "dev/shm"


def test_this_machine_has_some() -> None:
    """What the kernel says here is understood."""
    assert available_memory() > 0
