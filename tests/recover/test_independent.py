"""The independent reader needs nothing of the program, and comes with it."""

from __future__ import annotations

import importlib.metadata
import re
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path
from typing import Final

import pytest

from tests.recover.harness import DONE, RECOVER, Recovery, objects_below, run
from tests.support.kit import Kit

pytestmark = pytest.mark.spec("B10")

ROOT: Final = RECOVER.parent
LIBRARIES: Final = {"blake3", "cryptography", "zstandard"}
FILES: Final = {b"a/b": b"1" * 5000, b"z": b""}


@pytest.fixture(name="saved")
def _saved(kit: Kit, recovery: Recovery) -> Recovery:
    kit.backup(FILES)
    return recovery.copy(kit.store)


def _without_program(folder: Path) -> Path:
    """Make a folder with the three libraries and what they need, and nothing else."""
    folder.mkdir()
    for library in (*LIBRARIES, "cffi"):
        for file in importlib.metadata.files(library) or ():
            top, whole = file.parts[0], Path(str(file.locate()))
            if top != ".." and not (folder / top).exists():
                (folder / top).symlink_to([whole, *whole.parents][len(file.parts) - 1])
    return folder


def test_it_runs_where_the_program_is_not_installed(saved: Recovery, tmp_path: Path) -> None:
    """As one file that was copied, with three libraries, outside of any checkout."""
    libraries = _without_program(tmp_path / "libraries")
    copied = shutil.copy(RECOVER, tmp_path / "copied.py")
    program = (
        "import importlib.util, runpy, sys\n"
        f"sys.path.append({str(libraries)!r})\n"
        "if importlib.util.find_spec('strongroom'): sys.exit('strongroom is here')\n"
        "sys.argv = sys.argv[1:]\n"
        "sys.exit(runpy.run_path(sys.argv[0])['main']())\n"
    )
    target = tmp_path / "restored"
    arguments = ("restore", saved.repository, "latest", target, "--key-file", saved.key_file)
    result = run(*arguments, command=("-I", "-S", "-c", program, copied))
    assert result.code == DONE, result
    assert objects_below(target) == {name.decode(): data for name, data in FILES.items()}


def test_it_imports_nothing_but_the_standard_library_and_three(saved: Recovery) -> None:
    """Neither by name, nor by the way while it runs."""
    found = re.findall(r"^ *(?:from|import) (\w+)", RECOVER.read_text(), re.MULTILINE)
    assert set(found) - sys.stdlib_module_names - {"compression"} == LIBRARIES
    command = ("-I", "-X", "importtime", RECOVER)
    told = run("verify", saved.repository, "--key-file", saved.key_file, command=command).err
    loaded = {line.rpartition("|")[2].strip().partition(".")[0] for line in told.splitlines()}
    own = {"strongroom", "msgspec", "numpy", "pyfastcdc", "click", "pydantic"}
    assert loaded >= LIBRARIES
    assert not loaded & own


@pytest.mark.timeout(120)
def test_it_is_in_the_wheel_and_in_the_source_archive(tmp_path: Path) -> None:
    """As it is here."""
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-d", tmp_path],
        cwd=ROOT,
        check=True,
        capture_output=True,
    )
    expected = RECOVER.read_bytes()
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        assert archive.read("strongroom/recover.py") == expected
    (source,) = tmp_path.glob("*.tar.gz")
    with tarfile.open(source) as archive_of_source:
        names = archive_of_source.getnames()  # below one folder; the program has other recover.py
        (name,) = [n for n in names if n.endswith("/recover.py") and n.count("/") == 1]
        found = archive_of_source.extractfile(name)
        assert found is not None
        assert found.read() == expected
