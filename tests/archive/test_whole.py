"""All parts one behind the other: what was hashed is what lies there, and all of it is read."""

from __future__ import annotations

import hashlib
import subprocess
from pathlib import Path

import pytest

from strongroom.archive.codecs import Codec, compressing, detect
from strongroom.archive.decoding import decompressing
from strongroom.archive.hashing import HashingReader, HashingWriter
from strongroom.archive.keyfile import key_of
from strongroom.archive.sealing import sealing, unsealing
from strongroom.archive.tarreading import read_tar
from strongroom.archive.tarwriting import TarWriter
from strongroom.archive.writing import Choice, below, write_source
from tests.archive.making import Chunks
from tests.support.memory_backup import files_source, tree_path
from tests.support.randomness import SeededRandomness


@pytest.mark.spec("A12")
@pytest.mark.parametrize("codec", list(Codec))
def test_from_a_folder_to_a_sealed_file_and_back(tmp_path: Path, codec: Codec) -> None:
    """The digest is that of ``sha256sum``, and public programs take it apart in the same order."""
    project = tmp_path / "project"
    (project / "scripts").mkdir(parents=True)
    (project / "scripts" / "a.sh").write_text("true\n")
    (project / "large").write_bytes(bytes(range(256)) * 20_000)
    identity = subprocess.run(["age-keygen"], check=True, capture_output=True).stdout
    (tmp_path / "backup.key").write_bytes(identity)
    key = key_of(identity, "backup.key")

    with (tmp_path / "x.age").open("wb") as file, files_source(project) as source:
        hashed = HashingWriter(file.write)
        with (
            sealing(key, hashed.write, SeededRandomness()) as sealed,
            compressing(codec, sealed) as write,
        ):
            tar = TarWriter(write)
            write_source(source, tar, Choice(below(tree_path(project))))
            tar.finish()
    there = (tmp_path / "x.age").read_bytes()
    assert hashed.size == len(there)
    assert hashed.digest() == hashlib.sha256(there).digest()

    opened = subprocess.run(
        ["age", "-d", "-i", "backup.key", "x.age"], cwd=tmp_path, check=True, capture_output=True
    ).stdout
    assert detect(opened[:512]) is codec
    (tmp_path / f"x{codec.suffix}").write_bytes(opened)
    (tmp_path / "out").mkdir()
    command = ["tar", "-xaf", f"x{codec.suffix}", "-C", "out"]
    subprocess.run(command, cwd=tmp_path, check=True)
    assert (tmp_path / "out" / "large").read_bytes() == (project / "large").read_bytes()

    reading = HashingReader(Chunks(there))
    with unsealing(key, reading) as stream:
        members = read_tar(decompressing(codec, stream))
        found = {one.entry.path: hashlib.sha256(one.read()).digest() for one in members}
    reading.drain()
    assert (reading.size, reading.digest()) == (len(there), hashed.digest())
    assert found[b"large"] == hashlib.sha256((project / "large").read_bytes()).digest()
    assert found.keys() == {b"large", b"scripts", b"scripts/a.sh"}


@pytest.mark.spec("A3")
def test_what_nobody_asked_for_is_hashed_too() -> None:
    """Draining reads to the end, so that the digest is that of the whole file."""
    data = bytes(range(256)) * 30_000
    reading = HashingReader(Chunks(data, 1000))
    assert reading.read(10) == data[:10]
    reading.drain()
    assert (reading.size, reading.digest()) == (len(data), hashlib.sha256(data).digest())
