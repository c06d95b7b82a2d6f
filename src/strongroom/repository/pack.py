"""Packs: frames of chunks sealed into one object (``docs/format.md`` 6).

What is written is verified in two steps before it leaves. A frame is decompressed as soon as it is
compressed, and the ids of its chunks are computed again from what came out (``check_frame``). A
sealed pack is opened again, and each frame compared with the one that was checked, by its digest
(``seal_pack``). ``PackOpener`` reads frames and footers, and recomputes ids.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

from strongroom.compression.codec import CodecError, Compressor, Decompressor
from strongroom.crypto.primitives import TAG_SIZE, Cipher, OpenError, same, sha256
from strongroom.errors import DamageError, KeyRefusedError
from strongroom.model.fs import Buffer
from strongroom.repository.canonical import FormatError, encode, pad, unpad
from strongroom.repository.columns import (
    FRAME,
    MAX_FRAME_PLAIN,
    MAX_PACK,
    ChunkKind,
    FrameRecord,
    FrameSpan,
    decode_columns,
    pack_lengths,
    unpack_lengths,
)
from strongroom.repository.envelope import check_version
from strongroom.repository.keyring import (
    SEALED_SESSION_KEY_SIZE,
    DomainKeys,
    Keys,
    SessionKeys,
    SessionSecret,
)
from strongroom.repository.layout import HASH_SIZE
from strongroom.repository.records import SUITE, PackColumns, read_body

MAGIC: Final = b"SRMP"
_FIXED: Final = struct.Struct(">4sHBB16s16sI")
_HEADER: Final = struct.Struct(f">{_FIXED.size}s{SEALED_SESSION_KEY_SIZE}s32s32s")
HEADER_SIZE: Final = _HEADER.size
_TRAILER: Final = struct.Struct(">II")
TRAILER_SIZE: Final = _TRAILER.size + TAG_SIZE
_PREFIX: Final = struct.Struct(">BI")
_NONCE: Final = struct.Struct(">B3xQ")
_FRAME, _FOOTER, _END = 1, 2, 3
_PER_FRAME, _PER_CHUNK = 13, 36
_FOOTER_OVERHEAD: Final = 64 + TAG_SIZE


class PlainFrame(NamedTuple):
    """Chunks of one kind; ``ids`` and ``plain`` of all, one after the other."""

    kind: ChunkKind
    ids: bytes
    lengths: Sequence[int]
    plain: Buffer


class CompressedFrame(NamedTuple):
    """Chunks on their way into a pack.

    ``content``: codec, length and payload, as they are sealed; ``digest``: SHA-256 of the payload.
    ``ids`` of the chunks one after the other, ``lengths`` as the columns of a pack have them.
    """

    kind: ChunkKind
    content: bytes
    digest: bytes
    ids: bytes
    lengths: bytes

    @property
    def seen(self) -> tuple[bytes, bytes]:
        """What tells this content from any other: its head, and the digest of its payload."""
        return self.content[: _PREFIX.size], self.digest

    @property
    def chunks(self) -> int:
        """The number of chunks."""
        return len(self.ids) // HASH_SIZE

    @property
    def plain_length(self) -> int:
        """Bytes of all its chunks."""
        length: int = _PREFIX.unpack_from(self.content)[1]
        return length

    @property
    def weight(self) -> int:
        """Bytes that the frame adds to a pack, its part of the footer included."""
        return TAG_SIZE + len(self.content) + _PER_FRAME + _PER_CHUNK * self.chunks


class SealedPack(NamedTuple):
    """A finished pack, verified; ``plain_bytes`` of all its chunks."""

    pack_id: bytes
    data: bytearray
    columns: PackColumns
    plain_bytes: int


EMPTY_WEIGHT: Final = HEADER_SIZE + TRAILER_SIZE + _FOOTER_OVERHEAD


class PackOpener:
    """Opens the parts of one pack; made from its header."""

    def __init__(self, where: str, cipher: Cipher, domain: DomainKeys) -> None:
        self._where = where
        self._cipher = cipher
        self._hashers = {
            ChunkKind.DATA: domain.data_hasher,
            ChunkKind.TREE: domain.tree_hasher,
        }

    def _damage(self, what: str) -> DamageError:
        return DamageError(f"{self._where} is damaged: {what}")

    def _payload(self, place: FrameSpan, sealed: bytes | memoryview) -> tuple[int, memoryview]:
        """Return (codec, payload) of a frame; ``DamageError``."""
        nonce = _NONCE.pack(_FRAME, place.offset)
        try:
            plain = self._cipher.unseal(nonce, sealed, bytes([place.kind]))
        except OpenError as error:
            raise self._damage(f"the frame at {place.offset} does not open") from error
        if len(plain) < _PREFIX.size:
            raise self._damage(f"the frame at {place.offset} is too short")
        codec, length = _PREFIX.unpack_from(plain)
        if length != place.plain_length or length > MAX_FRAME_PLAIN:
            raise self._damage(f"the frame at {place.offset} has another length than listed")
        return codec, memoryview(plain)[_PREFIX.size :]

    def plain(
        self, place: FrameSpan, sealed: bytes | memoryview, decompressor: Decompressor
    ) -> memoryview:
        """Return the chunks of a frame, one after the other, not compared yet; ``DamageError``."""
        codec, payload = self._payload(place, sealed)
        try:
            return memoryview(decompressor.decompress(codec, payload, place.plain_length))
        except CodecError as error:
            raise self._damage(f"the frame at {place.offset}: {error}") from error

    def check_sealed(
        self, place: FrameSpan, sealed: memoryview, seen: tuple[bytes, bytes], scratch: memoryview
    ) -> None:
        """``DamageError`` unless a frame opens to what was ``seen``; ``scratch``: room for it."""
        nonce = _NONCE.pack(_FRAME, place.offset)
        content = scratch[: len(sealed) - TAG_SIZE]
        try:
            self._cipher.unseal_into(nonce, sealed, bytes([place.kind]), content)
        except OpenError as error:
            raise self._damage(f"the frame at {place.offset} does not open") from error
        if (bytes(content[: _PREFIX.size]), sha256(content[_PREFIX.size :])) != seen:
            raise self._damage(f"the frame at {place.offset} is not what was sealed")

    def hasher(self, kind: ChunkKind) -> Callable[[memoryview], bytes]:
        """Return what computes the id of a chunk."""
        return self._hashers[kind]

    def other_than(self, chunk_id: bytes) -> DamageError:
        """Return what is to be said of a chunk that has another id than it should have."""
        return self._damage(f"chunk {chunk_id.hex()[:16]} is not what its id says")

    def frame(
        self, record: FrameRecord, sealed: bytes | memoryview, decompressor: Decompressor
    ) -> list[memoryview]:
        """Return the chunks of a frame, each compared with its id; ``DamageError``."""
        data = self.plain(record.span, sealed, decompressor)
        hasher = self.hasher(record.kind)
        chunks: list[memoryview] = []
        place = 0
        for chunk_id, size in zip(record.ids, record.lengths, strict=True):
            chunk = data[place : place + size]
            if hasher(chunk) != chunk_id:
                raise self.other_than(chunk_id)
            chunks.append(chunk)
            place += size
        return chunks

    def footer_place(self, trailer: bytes, size: int) -> tuple[int, int]:
        """Offset and sealed length of the footer of a pack of ``size`` bytes."""
        try:
            plain = self._cipher.unseal(_NONCE.pack(_END, size - TRAILER_SIZE), trailer)
        except OpenError as error:
            raise self._damage("its end does not open") from error
        offset, length = _TRAILER.unpack(plain)
        if offset < HEADER_SIZE or offset + length != size - TRAILER_SIZE:
            raise self._damage("its footer does not lie where its end says")
        return offset, length

    def columns(self, offset: int, sealed: bytes | memoryview) -> PackColumns:
        """Return what the footer lists, as it stands there; ``DamageError``."""
        try:
            plain = unpad(self._cipher.unseal(_NONCE.pack(_FOOTER, offset), sealed))
        except (OpenError, FormatError) as error:
            raise self._damage("its footer does not open") from error
        return read_body(self._where, plain, PackColumns)

    def footer(self, offset: int, sealed: bytes | memoryview) -> list[FrameRecord]:
        """Return the frames that the footer lists; ``DamageError``."""
        frames = decode_columns(self._where, self.columns(offset, sealed))
        if frames and frames[-1].offset + frames[-1].sealed_length != offset:
            raise self._damage("its frames do not end where its footer begins")
        return frames


def _opener(where: str, header: bytes, secret: SessionSecret, domain: DomainKeys) -> PackOpener:
    fixed, _sealed_key, salt, commitment = _HEADER.unpack(header)
    key, expected = secret.pack_key(fixed, salt)
    if not same(expected, commitment):
        msg = f"{where} is damaged: its header does not verify"
        raise DamageError(msg)
    return PackOpener(where, Cipher(key), domain)


def open_pack(where: str, header: bytes, keyring: Keys) -> PackOpener:
    """Return what opens the pack whose first ``HEADER_SIZE`` bytes are ``header``."""
    if len(header) != HEADER_SIZE:
        msg = f"{where} is damaged: {len(header)} bytes are too short for a pack"
        raise DamageError(msg)
    fixed, sealed_key, _salt, _commitment = _HEADER.unpack(header)
    magic, version, suite, flags, repository_id, domain_id, epoch = _FIXED.unpack(fixed)
    if magic != MAGIC:
        msg = f"{where} is damaged: it does not begin as a pack does"
        raise DamageError(msg)
    check_version(version, where)
    if suite != SUITE or flags or repository_id != keyring.repository_id:
        msg = f"{where} is damaged or belongs to another repository"
        raise DamageError(msg)
    try:
        secret = keyring.session_secret(domain_id, epoch, sealed_key, where)
    except KeyRefusedError as error:
        msg = f"{where} is damaged, or {error.message}"
        raise DamageError(msg) from error
    return _opener(where, header, secret, keyring.domain(domain_id))


def stated_pack_domain(header: bytes) -> bytes:
    """Return the domain id in the header of a pack, nothing checked."""
    return bytes(_FIXED.unpack_from(header)[5])


def read_whole_pack(where: str, data: bytes, keyring: Keys) -> tuple[PackOpener, list[FrameRecord]]:
    """Open a complete pack and return its frames by its own footer."""
    if len(data) < HEADER_SIZE + TRAILER_SIZE or len(data) > MAX_PACK:
        msg = f"{where} is damaged: {len(data)} bytes are no length of a pack"
        raise DamageError(msg)
    opener = open_pack(where, data[:HEADER_SIZE], keyring)
    offset, length = opener.footer_place(data[-TRAILER_SIZE:], len(data))
    return opener, opener.footer(offset, memoryview(data)[offset : offset + length])


def compress_frame(
    given: PlainFrame, compressor: Compressor, decompressor: Decompressor
) -> tuple[CompressedFrame, memoryview]:
    """Compress chunks; also what decompressing gives back, to be checked."""
    size = len(given.plain)
    codec, payload = compressor.compress(given.plain)
    # a copy: what zstd returns keeps all the room that it might have needed
    content = b"".join((_PREFIX.pack(codec, size), payload))
    kept = memoryview(content)[_PREFIX.size :]
    lengths = pack_lengths(given.lengths)
    frame = CompressedFrame(given.kind, content, sha256(kept), given.ids, lengths)
    try:
        back = decompressor.decompress(codec, kept, size)
    except CodecError as error:
        raise _broken_machine() from error
    return frame, memoryview(back)


def check_frame(frame: CompressedFrame, back: memoryview, domain: DomainKeys) -> None:
    """``DamageError`` unless what was decompressed is the chunks that the ids name."""
    hasher = domain.data_hasher if frame.kind is ChunkKind.DATA else domain.tree_hasher
    found = []
    place = 0
    for size in unpack_lengths(frame.lengths):
        found.append(hasher(back[place : place + size]))
        place += size
    if b"".join(found) != frame.ids or place != len(back):
        raise _broken_machine()


def seal_pack(frames: list[CompressedFrame], keys: SessionKeys, salt: bytes) -> SealedPack:
    """Seal checked frames into a pack, and prove that it opens to exactly these.

    Each frame is taken out of ``frames`` when it is sealed, so that memory holds it once.
    """
    domain = keys.domain
    fixed = _FIXED.pack(
        MAGIC, domain.version, SUITE, 0, domain.repository_id, domain.domain_id, keys.epoch
    )
    key, commitment = keys.secret.pack_key(fixed, salt)
    header = _HEADER.pack(fixed, keys.sealed, salt, commitment)
    columns, spans, end = _laid_out(frames)
    footer = pad(encode(columns), around=end + TAG_SIZE + TRAILER_SIZE)
    trailer = _TRAILER.pack(end, len(footer) + TAG_SIZE)
    size = end + len(footer) + TAG_SIZE + TRAILER_SIZE
    data = bytearray(size)
    data[:HEADER_SIZE] = header
    view = memoryview(data)
    cipher = Cipher(key)
    seen = list(zip(spans, (frame.seen for frame in frames), strict=True))
    frames.reverse()
    for span in spans:
        place = view[span.offset : span.offset + span.sealed_length]
        nonce = _NONCE.pack(_FRAME, span.offset)
        cipher.seal_into(nonce, frames.pop().content, bytes([span.kind]), place)
    cipher.seal_into(_NONCE.pack(_FOOTER, end), footer, b"", view[end : size - TRAILER_SIZE])
    nonce = _NONCE.pack(_END, size - TRAILER_SIZE)
    cipher.seal_into(nonce, trailer, b"", view[size - TRAILER_SIZE :])
    _check_pack(_opener("the new pack", header, keys.secret, domain), view, columns, seen)
    return SealedPack(sha256(data), data, columns, sum(span.plain_length for span in spans))


def _laid_out(frames: Sequence[CompressedFrame]) -> tuple[PackColumns, list[FrameSpan], int]:
    """Return what the footer of a pack lists, where each frame lies, and where they end."""
    spans = []
    offset = HEADER_SIZE
    for frame in frames:
        length = len(frame.content) + TAG_SIZE
        spans.append(FrameSpan(offset, length, frame.plain_length, frame.kind))
        offset += length
    columns = PackColumns(
        frames=b"".join(
            FRAME.pack(span.offset, span.sealed_length, frame.chunks, frame.kind)
            for span, frame in zip(spans, frames, strict=True)
        ),
        ids=b"".join(frame.ids for frame in frames),
        lengths=b"".join(frame.lengths for frame in frames),
    )
    return columns, spans, offset


def _check_pack(
    opener: PackOpener,
    pack: memoryview,
    columns: PackColumns,
    frames: Sequence[tuple[FrameSpan, tuple[bytes, bytes]]],
) -> None:
    """``DamageError`` unless a sealed pack opens to what was sealed."""
    offset, length = opener.footer_place(bytes(pack[-TRAILER_SIZE:]), len(pack))
    if opener.columns(offset, pack[offset : offset + length]) != columns:
        raise _broken_machine()
    scratch = memoryview(bytearray(max((span.sealed_length for span, _ in frames), default=0)))
    for span, seen in frames:
        sealed = pack[span.offset : span.offset + span.sealed_length]
        opener.check_sealed(span, sealed, seen, scratch)


def _broken_machine() -> DamageError:
    return DamageError(
        "a new pack did not read back as it was written; nothing was stored",
        hint="Check the memory of this machine.",
    )
