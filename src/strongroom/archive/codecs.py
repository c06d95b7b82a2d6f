"""Compression of archives: gzip and zstd on all cores, and what public programs read.

gzip: the stream is cut into blocks of 2 MiB, and each becomes a gzip member of its own, with its
own checksum; members one behind the other are one gzip file (RFC 1952, 2.2). The bytes do not
depend on the number of threads. Each block is opened again and compared before it is handed on.
zstd: one frame, with a checksum.
"""

from __future__ import annotations

import enum
import os
import struct
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import Final, NamedTuple, Self

import deflate
import zstandard

from strongroom.archive.headers import BLOCK
from strongroom.errors import DamageError, UsageError
from strongroom.model.fs import Buffer

Write = Callable[[Buffer], object]

MOST_JOBS: Final = 64
HEAD: Final = BLOCK  # bytes that ``detect`` needs
_GZIP_BLOCK: Final = 1 << 21
_IN_RESERVE: Final = 4  # blocks: who compresses goes on while many small files are read
_GZIP_HEAD: Final = b"\x1f\x8b\x08\0\0\0\0\0\0\xff"  # no name, no time, no system: same bytes
_GZIP_TAIL: Final = struct.Struct("<II")
_ZSTD_MAGIC: Final = b"\x28\xb5\x2f\xfd"
_GZIP_MAGIC: Final = b"\x1f\x8b"
_USTAR_AT: Final = 257


class Codec(enum.Enum):
    """How an archive is compressed; the value is what its name ends with."""

    GZIP = ".tar.gz"
    ZSTD = ".tar.zst"
    NONE = ".tar"

    @property
    def suffix(self) -> str:
        """What the name of such an archive ends with."""
        return self.value


class _Levels(NamedTuple):
    most: int
    default: int


# A Python installation of 0.9 GB: level 2 of libdeflate gives 2 % more than 'gzip -6' in a sixth of
# its time, level 3 as much and takes a little longer; level 1 takes three quarters of the time and
# gives 5 % more. The levels of zlib-ng and ISA-L took longer, or gave more (ISA-L: at least 8 %).
_LEVELS: Final = {
    Codec.GZIP: _Levels(12, 2),
    Codec.ZSTD: _Levels(19, 3),
    Codec.NONE: _Levels(19, 0),
}


def detect(head: bytes) -> Codec | None:
    """Say by the first 512 bytes how an archive is compressed; None if it is not known."""
    if head.startswith(_GZIP_MAGIC):
        return Codec.GZIP
    if head.startswith(_ZSTD_MAGIC):
        return Codec.ZSTD
    is_tar = head.startswith(b"ustar", _USTAR_AT) or (len(head) == BLOCK and not head.strip(b"\0"))
    return Codec.NONE if is_tar else None


def checked_level(codec: Codec, level: int | None) -> int:
    """Return the level that is meant; ``UsageError`` if the codec does not have it."""
    levels = _LEVELS[codec]
    if level is None or codec is Codec.NONE:  # which has no levels, and so obeys none
        return levels.default
    if not 1 <= level <= levels.most:
        raise UsageError(
            f"{codec.name.lower()} has no compression level {level}",
            hint=f"Choose one from 1 to {levels.most}.",
        )
    return level


def checked_jobs(jobs: int | None) -> int:
    """Return the number of threads that is meant: by default one for each processor we may use."""
    if jobs is None:
        jobs = len(os.sched_getaffinity(0))
    elif jobs < 1:
        raise UsageError(f"there cannot be {jobs} jobs", hint="Choose at least 1.")
    return min(jobs, MOST_JOBS)


@contextmanager
def compressing(
    codec: Codec, out: Write, *, level: int | None = None, jobs: int | None = None
) -> Iterator[Write]:
    """Give a writer whose bytes reach ``out`` compressed, the last of them at the end of the block.

    ``out`` is called by the thread that writes, so its errors rise there. After an error nothing
    more is written and no thread stays.
    """
    level = checked_level(codec, level)
    jobs = checked_jobs(jobs)
    if codec is Codec.GZIP:
        with _Gzip(out, level, jobs) as gzip:
            yield gzip.write
    elif codec is Codec.ZSTD:
        # with threads always, or the bytes of one would not be those of two
        parameters = zstandard.ZstdCompressor(level=level, threads=jobs, write_checksum=True)
        frame = parameters.compressobj()
        yield lambda data: _give(out, frame.compress(data))
        _give(out, frame.flush())
    else:
        yield out


def _give(out: Write, data: bytes) -> None:
    if data:
        out(data)


class _Member(NamedTuple):
    """A gzip member, in two parts."""

    data: bytes
    tail: bytes


def _member(block: bytes, level: int) -> _Member:
    """Compress a block into a gzip member."""
    data = deflate.deflate_compress(block, level)
    _compare(block, data)
    return _Member(_GZIP_HEAD + data, _GZIP_TAIL.pack(deflate.crc32(block), len(block)))


def _compare(block: bytes, data: Buffer) -> None:
    """Open what was made of a block; ``DamageError`` if it is another one."""
    try:
        same = deflate.deflate_decompress(data, len(block)) == block
    except deflate.DeflateError:
        same = False
    if not same:
        raise DamageError(
            "a block did not open again as it was before it was compressed",
            hint="Check the memory of this machine.",
        )


class _Gzip:
    """Compresses on threads, and writes in order on the thread that calls."""

    def __init__(self, out: Write, level: int, jobs: int) -> None:
        self._out = out
        self._level = level
        self._workers = ThreadPoolExecutor(jobs, thread_name_prefix="gzip")
        self._most_ahead = 2 * jobs + _IN_RESERVE
        self._ahead: deque[Future[_Member]] = deque()
        self._parts: list[Buffer] = []
        self._held = 0
        self._begun = False
        self._tail = b""  # of the last member: what is not finished must not look whole

    def write(self, data: Buffer) -> None:
        view = memoryview(data)
        while len(view) >= _GZIP_BLOCK - self._held:
            cut = _GZIP_BLOCK - self._held
            self._parts.append(view[:cut])
            self._begin()
            view = view[cut:]
        if view:
            self._parts.append(view)
            self._held += len(view)

    def _begin(self) -> None:
        block = b"".join(self._parts)
        self._parts.clear()
        self._held = 0
        self._begun = True
        self._ahead.append(self._workers.submit(_member, block, self._level))
        if len(self._ahead) > self._most_ahead:
            self._end()

    def _end(self) -> None:
        member = self._ahead.popleft().result()
        self._out(self._tail + member.data)
        self._tail = member.tail

    def _finish(self) -> None:
        if self._parts or not self._begun:  # of nothing there is one member too
            self._begin()
        while self._ahead:
            self._end()
        self._out(self._tail)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        try:
            if kind is None:
                self._finish()
        finally:
            self._workers.shutdown(cancel_futures=True)
