"""What is compressed here is read by public programs, and the other way round."""

from __future__ import annotations

import gzip
import random
import subprocess
import threading
import time
import tracemalloc
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest
import zstandard

from strongroom.archive.codecs import Codec, Write, compressing, detect
from strongroom.archive.decoding import decompressing
from strongroom.errors import DamageError, UsageError
from strongroom.model.fs import Buffer
from tests.archive.making import Chunks, Sink, tar_of, thing

pytestmark = pytest.mark.spec("A13")

_BOTH = pytest.mark.parametrize("codec", [Codec.GZIP, Codec.ZSTD])
_ALL = pytest.mark.parametrize("codec", list(Codec))


def _sample(size: int) -> bytes:
    """Return text that compresses, with noise in it."""
    made = random.Random(size)
    words = [made.randbytes(made.randrange(3, 12)) for _ in range(500)]
    parts = []
    length = 0
    while length < size:
        part = b" ".join(made.choices(words, k=400)) + made.randbytes(200)
        parts.append(part)
        length += len(part)
    return b"".join(parts)[:size]


def _compressed(codec: Codec, data: bytes, *, step: int = 1 << 18, jobs: int = 2) -> bytes:
    out = Sink()
    with compressing(codec, out.write, jobs=jobs) as write:
        for start in range(0, len(data), step):
            write(data[start : start + step])
    return out.data


def _decompressed(codec: Codec, data: bytes, most: int = 1 << 20, size: int = 100_000) -> bytes:
    stream = decompressing(codec, Chunks(data, most))
    parts = []
    while part := stream.read(size):
        assert len(part) <= size
        parts.append(part)
    return b"".join(parts)


@_ALL
@pytest.mark.parametrize("size", [0, 1, 32_768, (2 << 20) - 1, 2 << 20, (5 << 20) + 5])
def test_there_and_back(codec: Codec, size: int) -> None:
    """Any size, also whole blocks and nothing at all."""
    data = _sample(size)
    compressed = _compressed(codec, data)
    assert _decompressed(codec, compressed) == data
    assert _decompressed(codec, compressed, most=7, size=1 << 20) == data


@_ALL
def test_the_bytes_depend_on_nothing_but_the_data(codec: Codec) -> None:
    """Not on the number of threads, nor on the pieces in which it is written."""
    data = _sample((5 << 20) + 123)
    first = _compressed(codec, data, jobs=1, step=1 << 20)
    if codec is Codec.GZIP:
        assert first == _compressed(codec, data, jobs=3, step=77_777)
    assert first == _compressed(codec, data, jobs=3, step=1 << 20)


def test_each_block_of_gzip_stands_by_itself() -> None:
    """What is behind a damaged block can still be had: each member opens without the others."""
    data = _sample((4 << 20) + 5)
    rest = _compressed(Codec.GZIP, data)
    sizes: list[int] = []
    while rest:
        member = zlib.decompressobj(31)
        opened = member.decompress(rest)
        assert member.eof
        assert opened == data[sum(sizes) : sum(sizes) + len(opened)]
        sizes.append(len(opened))
        rest = member.unused_data
    assert sizes == [2 << 20, 2 << 20, 5]


def test_public_programs_read_it(tmp_path: Path) -> None:
    """gzip, zstd and Python test and read it, members and all."""
    data = _sample((3 << 20) + 5)
    packed = _compressed(Codec.GZIP, data)
    (tmp_path / "x.gz").write_bytes(packed)
    subprocess.run(["gzip", "-t", tmp_path / "x.gz"], check=True)
    assert gzip.decompress(packed) == data
    frame = _compressed(Codec.ZSTD, data)
    (tmp_path / "x.zst").write_bytes(frame)
    unpacked = subprocess.run(
        ["zstd", "-dc", tmp_path / "x.zst"], check=True, capture_output=True
    ).stdout
    assert unpacked == data
    assert zstandard.get_frame_parameters(frame).has_checksum


@_ALL
def test_tar_opens_an_archive_by_its_name(tmp_path: Path, codec: Codec) -> None:
    """``tar -tf`` with the suffix that the codec gives."""
    data = tar_of((thing(b"scripts/a.sh", size=4), b"true"))
    path = tmp_path / f"backup{codec.suffix}"
    path.write_bytes(_compressed(codec, data))
    listed = subprocess.run(["tar", "-taf", path], check=True, capture_output=True).stdout
    assert listed == b"scripts/a.sh\n"
    assert detect(path.read_bytes()[:512]) is codec


def test_what_is_no_archive_is_not_guessed() -> None:
    """Anything else is not known; an empty tar is one."""
    assert detect(tar_of()[:512]) is Codec.NONE
    for head in (b"", b"PK\x03\x04", b"x" * 512, bytes(100)):
        assert detect(head) is None


def test_reads_what_others_write(tmp_path: Path) -> None:
    """Several members or frames one behind the other, names in the header, skippable frames."""
    data = _sample(300_000)
    (tmp_path / "named").write_bytes(data)
    subprocess.run(["gzip", "-k", tmp_path / "named"], check=True)
    subprocess.run(["zstd", "-qk", tmp_path / "named"], check=True)
    member = (tmp_path / "named.gz").read_bytes()
    frame = (tmp_path / "named.zst").read_bytes()
    skippable = b"\x53\x2a\x4d\x18\x04\0\0\0abcd"
    assert _decompressed(Codec.GZIP, member * 3, most=1000) == data * 3
    assert _decompressed(Codec.ZSTD, frame * 3, most=1000) == data * 3
    assert _decompressed(Codec.ZSTD, skippable + frame + skippable + frame) == data * 2


@_BOTH
def test_a_cut_anywhere_is_noticed(codec: Codec) -> None:
    """Also within the checksum at the end; and nothing at all is no archive."""
    packed = _compressed(codec, _sample(20_000))
    for cut in [*range(0, len(packed), 101), *range(len(packed) - 12, len(packed))]:
        with pytest.raises(DamageError, match="cut off"):
            _decompressed(codec, packed[:cut])


@_BOTH
def test_what_stands_behind_the_end_is_noticed(codec: Codec) -> None:
    """Zeros are what tapes leave; anything else is damage."""
    data = _sample(20_000)
    packed = _compressed(codec, data)
    assert _decompressed(codec, packed + bytes(200_000)) == data
    for behind in (b"x", b"\x1f", b"\0" * 200_000 + b"x", b"garbage" * 100):
        with pytest.raises(DamageError):
            _decompressed(codec, packed + behind)


@_BOTH
def test_damage_within_is_noticed(codec: Codec) -> None:
    """The checksum covers every byte."""
    data = _sample(20_000)
    packed = _compressed(codec, data)
    begin = 10 if codec is Codec.GZIP else 0  # the head holds a time and the like
    for at in range(begin, len(packed), 97):
        damaged = bytearray(packed)
        damaged[at] ^= 0x10
        with pytest.raises(DamageError) as caught:
            _decompressed(codec, bytes(damaged))
        assert caught.value.hint


@_BOTH
def test_a_bomb_is_read_in_bounded_memory(codec: Codec) -> None:
    """A gigabyte of zeros in a few kilobytes comes in pieces."""
    member = _compressed(codec, bytes(64 << 20))
    tracemalloc.start()
    try:
        stream = decompressing(codec, Chunks(member * 4))
        size = 0
        while part := stream.read(1 << 16):
            size += len(part)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert size == 256 << 20
    assert peak < 70 << 20


def test_a_window_without_end_is_refused() -> None:
    """A frame that wants more memory than 128 MiB is not read."""
    context = zstandard.ZstdCompressor(
        compression_params=zstandard.ZstdCompressionParameters(window_log=30, enable_ldm=True)
    )
    writer = context.compressobj()
    frame = writer.compress(b"x") + writer.flush()
    with pytest.raises(DamageError, match="memory"):
        _decompressed(Codec.ZSTD, frame)


def _threads() -> int:
    return sum(one.name.startswith("gzip") for one in threading.enumerate())


@_BOTH
def test_errors_of_the_disk_rise_where_it_is_written(codec: Codec) -> None:
    """The writer sees them, and no thread stays."""

    def full(data: Buffer) -> None:
        if len(data) > 100:
            raise OSError(28, "no space left on the disk")

    noise = random.Random(1).randbytes(1 << 20)
    with pytest.raises(OSError, match="no space left"):
        _write(codec, full, [noise] * 100)
    assert _threads() == 0


def _write(codec: Codec, out: Write, pieces: Iterable[bytes]) -> None:
    with compressing(codec, out, jobs=2) as write:
        for piece in pieces:
            write(piece)


@_BOTH
def test_an_error_of_the_writer_ends_it(codec: Codec) -> None:
    """Nothing more is written after it: what is there is cut off, and seen to be."""

    def broken() -> Iterator[bytes]:
        yield _sample(30 << 20)
        raise RuntimeError

    out = Sink()
    with pytest.raises(RuntimeError):
        _write(codec, out.write, broken())
    assert _threads() == 0
    with pytest.raises(DamageError):
        _decompressed(codec, out.data)


@pytest.mark.parametrize(
    ("codec", "levels"), [(Codec.GZIP, range(1, 13, 3)), (Codec.ZSTD, range(1, 20, 6))]
)
def test_levels(codec: Codec, levels: range) -> None:
    """Each level is taken, higher ones are smaller in the end, others are refused."""
    data = _sample(400_000)
    sizes = []
    for level in levels:
        out = Sink()
        with compressing(codec, out.write, level=level, jobs=1) as write:
            write(data)
        assert _decompressed(codec, out.data) == data
        sizes.append(len(out.data))
    assert sizes[-1] < sizes[0]
    for level in (0, 20 if codec is Codec.ZSTD else 13):
        with pytest.raises(UsageError), compressing(codec, Sink().write, level=level):
            pass


def test_jobs() -> None:
    """There is at least one."""
    with pytest.raises(UsageError), compressing(Codec.GZIP, Sink().write, jobs=0):
        pass


def test_a_slow_writer_is_waited_for() -> None:
    """What waits to be written is bounded: two blocks for each thread, and four."""
    held: list[int] = []

    def slow(data: Buffer) -> None:
        held.append(len(data))
        time.sleep(0.001)

    noise = random.Random(2).randbytes(1 << 20)
    with compressing(Codec.GZIP, slow, jobs=2) as write:
        for number in range(40):
            write(noise)
            assert (number + 1) // 2 - len(held) <= 2 * 2 + 4
