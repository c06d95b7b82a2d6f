#!/usr/bin/env python3
"""Reads a strongroom repository without strongroom: lists, verifies and restores what is in it.

It is the last resort of a person who has a copy of the repository and a key, and nothing else, and
the second opinion on docs/format.md: it was written from that page alone, shares no code with the
program, and must stay so. Its sections bear the numbers of the page; read the two side by side.

All of it is one file, longer than any other of the project, so that it can be copied to where it is
needed, kept beside the repository, and read from top to bottom by somebody who has to trust it.

It needs Python 3.11 or newer on Linux, and `pip install cryptography blake3 zstandard` (from Python
3.14 on without zstandard). It writes nothing but below the folder that it restores into. To open a
repository with a key of AWS KMS (--kms) it calls the `aws` command, which must find credentials.
"""

from __future__ import annotations

import argparse
import base64
import binascii
import errno
import hashlib
import hmac
import io
import json
import os
import re
import stat
import struct
import subprocess
import sys
import tempfile
from collections.abc import Callable, Container, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import lru_cache, partial
from graphlib import TopologicalSorter
from itertools import accumulate, pairwise
from pathlib import Path
from typing import Any, Final, NamedTuple, TextIO, TypeAlias

from blake3 import blake3
from cryptography.exceptions import InvalidSignature, InvalidTag
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id

if sys.version_info >= (3, 14):
    from compression import zstd
    from compression.zstd import ZstdError
else:
    import zstandard
    from zstandard import ZstdError

DONE, FAILED, USAGE, INCOMPLETE, DAMAGED = 0, 1, 2, 3, 4
NO_REPOSITORY, KEY_REFUSED, NOT_FOUND, INTERRUPTED = 10, 12, 15, 130

VERSIONS: Final = (0, 1)  # they differ in the number in the headers alone
SUITE: Final = 1
KIB, MIB = 1 << 10, 1 << 20

# Section 11. Everything is held against these before anything is allocated.
SMALL_OBJECT: Final = 64 * KIB  # config and slots
BODY: Final = 64 * MIB
ENVELOPE: Final = 72 * MIB  # such a body with its padding
PACK: Final = 64 * MIB
SEGMENT: Final = 256 * MIB
FRAME: Final = 16 * MIB  # and so a chunk, which lies in one frame
FRAMES: Final = 1 << 20
CHUNKS_IN_FRAME: Final = 1 << 20
PATH: Final = MIB
COMPONENT: Final = 65_535
LEVELS, DEPTH = 32, 8
SLOTS_TRIED: Final = 20
NESTING: Final = 16  # lists in lists; no record has as many
KDF_LIMITS: Final = (range(64 * KIB, 2 * MIB + 1), range(3, 21), range(1, 17))


class Trouble(Exception):  # noqa: N818 - it ends the program, and is no error of it
    """Ends the program: an exit code, one sentence, and what to do next."""

    def __init__(self, code: int, text: str, hint: str = "") -> None:
        super().__init__(text)
        self.code = code
        self.hint = hint


class Damage(Exception):  # noqa: N818 - the word of the format
    """Something of the repository is not what it must be; the text says what."""


class Refused(Exception):  # noqa: N818 - another key may open it
    """A service did not give a key; the text says why."""


class Report:
    """Tells of damage and of other things, each once."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._told: set[tuple[str, str]] = set()
        self.damaged: set[str] = set()

    def damage(self, where: str, what: object) -> None:
        """Tell that an object, a snapshot or a file of one is damaged."""
        self.damaged.add(where)
        self.note(f"damage: {where}", what)

    def note(self, where: str, what: object) -> None:
        """Tell something that is no damage."""
        if (where, str(what)) not in self._told:
            self._told.add((where, str(what)))
            progress("")
            print(f"{where}: {what}", file=self._stream, flush=True)

    @contextmanager
    def telling_of(self, where: str) -> Iterator[None]:
        """Tell of damage instead of raising it."""
        try:
            yield
        except Damage as damage:
            self.damage(where, damage)


def counted(number: int, what: str) -> str:
    """Return a number of things for people."""
    return f"{number:,} {what}{'' if number == 1 else 's'}"


def shown(name: bytes) -> str:
    """Return a name for people: what is no UTF-8, or acts upon a terminal, is escaped."""
    text = name.decode("utf-8", "backslashreplace")
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)


# --- 1. Ground rules ------------------------------------------------------------------------------

_KEY: Final = re.compile(r"[a-z0-9_.-]+(?:/[a-z0-9_.-]+)*")


class Folder:
    """The repository as objects by key, which are only read. One that cannot be read is damage."""

    def __init__(self, path: Path, report: Report) -> None:
        self.path = path
        self._report = report

    def read(self, key: str, most: int) -> bytes:
        """Return an object of at most ``most`` bytes."""
        with self._open(key) as (file, size):
            if size > most:
                raise Damage(f"has {size:,} bytes, and no such object has more than {most:,}")
            return file.read(size)

    def piece(self, key: str, offset: int, length: int) -> bytes:
        """Return ``length`` bytes from ``offset``; whoever asks has checked the length."""
        with self._open(key) as (file, size):
            if offset + length > size:
                raise Damage("ends too early")
            file.seek(offset)
            return file.read(length)

    def size(self, key: str) -> int:
        """Return the length of an object."""
        with self._open(key) as (_, size):
            return size

    def keys(self, prefix: str) -> list[str]:
        """Return the keys below a folder, sorted; files with other names are not objects."""

        def failed(error: OSError) -> None:
            if not isinstance(error, FileNotFoundError):
                self._report.damage(prefix, f"cannot be listed: {error.strerror}")

        walk = os.walk(self.path / prefix, onerror=failed)
        paths = (Path(parent, name) for parent, _, names in walk for name in names)
        keys = (path.relative_to(self.path).as_posix() for path in paths)
        return sorted(filter(_KEY.fullmatch, keys))

    @contextmanager
    def _open(self, key: str) -> Iterator[tuple[io.BufferedReader, int]]:
        try:
            fd = os.open(self.path / key, os.O_RDONLY | os.O_NONBLOCK)  # a FIFO holds nobody up
            with open(fd, "rb") as file:  # noqa: PTH123 - a descriptor
                found = os.fstat(fd)
                if not stat.S_ISREG(found.st_mode):
                    raise Damage("is no file")
                yield file, found.st_size
        except FileNotFoundError as error:
            raise Damage("is not there") from error
        except OSError as error:
            raise Damage(f"cannot be read: {error.strerror}") from error


Value: TypeAlias = "int | bytes | str | list[Value] | None"
_INT, _NEGATIVE, _BIN, _STR, _LIST = range(5)
_WIDE: Final = {  # a first byte: what it begins, and in how many bytes its number or length stands
    **{0xC4 + step: (_BIN, 1 << step) for step in range(3)},
    **{0xCC + step: (_INT, 1 << step) for step in range(4)},
    **{0xD0 + step: (_NEGATIVE, 1 << step) for step in range(4)},
    **{0xD9 + step: (_STR, 1 << step) for step in range(3)},
    **{0xDC + step: (_LIST, 2 << step) for step in range(2)},
}


def unpack(data: bytes) -> Value:
    """Read one record of canonical MessagePack: decode it, encode it again, and compare."""
    try:
        value, end = _unpack(data, 0, NESTING)
        if end == len(data) and pack(value) == data:
            return value
    except (IndexError, KeyError, UnicodeDecodeError) as error:
        raise Damage("its record is no MessagePack") from error
    raise Damage("its record is no canonical MessagePack")


def _unpack(data: bytes, at: int, nesting: int) -> tuple[Value, int]:
    first, at = data[at], at + 1
    if first < 0x80 or first >= 0xE0:
        return (first if first < 0x80 else first - 256), at
    if first == 0xC0:
        return None, at
    kind, number = (_LIST, first & 15) if first < 0xA0 else (_STR, first & 31)
    if first > 0xC0:
        kind, width = _WIDE[first]
        number = int.from_bytes(data[at : at + width], "big", signed=kind == _NEGATIVE)
        at += width
    if kind == _LIST:
        if not nesting:
            raise Damage("its record has lists in lists without end")
        values: list[Value] = []
        for _ in range(number):  # ends with the data, whatever the number says
            value, at = _unpack(data, at, nesting - 1)
            values.append(value)
        return values, at
    if kind in {_BIN, _STR}:
        piece, at = data[at : at + number], at + number
        return (piece if kind == _BIN else piece.decode()), at
    return number, at


def pack(value: Value) -> bytes:
    """Write canonical MessagePack."""
    if value is None:
        return b"\xc0"
    if isinstance(value, int):
        if -32 <= value < 0x80:
            return bytes([value & 0xFF])
        return _sized(0xD0 if value < 0 else 0xCC, value, (1, 2, 4, 8))
    if isinstance(value, bytes):
        return _sized(0xC4, len(value), (1, 2, 4)) + value
    if isinstance(value, str):
        data = value.encode()
        size = len(data)
        return (bytes([0xA0 | size]) if size < 32 else _sized(0xD9, size, (1, 2, 4))) + data
    head = bytes([0x90 | len(value)]) if len(value) < 16 else _sized(0xDC, len(value), (2, 4))
    return head + b"".join(map(pack, value))


def _sized(first: int, number: int, widths: Sequence[int]) -> bytes:
    """Return a number in the first width that holds it, behind the byte that says the width."""
    for step, width in enumerate(widths):
        with suppress(OverflowError):
            return bytes([first + step]) + number.to_bytes(width, "big", signed=number < 0)
    raise OverflowError(number)


# How a record must look, in the words of the format: a name of _NUMBERS or _TYPES, so many bytes,
# a (record, of, shapes), or a [list of one shape].
Shape: TypeAlias = "str | int | tuple[Shape, ...] | list[Shape]"
_NUMBERS: Final = {
    "u8": (0, (1 << 8) - 1),
    "u32": (0, (1 << 32) - 1),
    "u64": (0, (1 << 64) - 1),
    "size": (0, (1 << 63) - 1),
    "time": (1 - (1 << 63), (1 << 63) - 1),
}
_TYPES: Final = {"bin": bytes, "str": str, "list": list}


def shaped(value: Value, shape: Shape) -> Any:  # noqa: ANN401 - what the shape says
    """Return a value that has this shape; records as tuples."""
    if isinstance(shape, tuple | list) and isinstance(value, list):
        shapes = shape if isinstance(shape, tuple) else shape * len(value)
        if len(shapes) == len(value):
            return type(shape)(map(shaped, value, shapes))
    elif isinstance(shape, int) and isinstance(value, bytes) and len(value) == shape:
        return value
    elif isinstance(shape, str):
        low, high = _NUMBERS.get(shape, (1, 0))
        number = isinstance(value, int) and low <= value <= high
        if number or shape == "any" or isinstance(value, _TYPES.get(shape, ())):
            return value
    raise Damage("its record does not have the shape that it must have")


def ids(data: bytes) -> list[bytes]:
    """Return ids that stand one after the other."""
    if len(data) % 32:
        raise Damage("its record holds a part of an id")
    return [data[at : at + 32] for at in range(0, len(data), 32)]


def check_sorted(values: list[Any]) -> None:
    """Check that a list is sorted, and that each stands in it once."""
    if list(values) != sorted(set(values)):
        raise Damage("a list in its record is not sorted, or something stands there twice")


def u32(number: int) -> bytes:
    """Return a number as four bytes."""
    return number.to_bytes(4, "big")


def label(what: str, *values: bytes) -> bytes:
    """Return what binds a derivation or a signature to its purpose."""
    return b"strongroom/0/" + what.encode() + b"".join(u32(len(one)) + one for one in values)


def padme(length: int) -> int:
    """Return the length that something of this length is padded to."""
    exponent = length.bit_length() - 1
    step = 1 << exponent - exponent.bit_length()
    return -(-length // step) * step


def unpadded(plain: bytes, whole: int | None = None) -> bytes:
    """Return what stands behind its length and before zeros.

    ``whole`` is the size of what is padded by these zeros, if that is more than ``plain``.
    """
    length = int.from_bytes(plain[:4], "big")
    record, zeros = plain[4 : 4 + length], plain[4 + length :]
    size = len(plain) if whole is None else whole
    if len(record) != length or zeros.strip(b"\0") or size != padme(size - len(zeros)):
        raise Damage("its padding is not what it must be")
    return record


# --- 2. Keys --------------------------------------------------------------------------------------

NONCE_0: Final = bytes(12)
DATA, TREE = 1, 2  # kinds of chunks, and of the frames that hold them
_ID_KEYS: Final = {DATA: "chunk ids data", TREE: "chunk ids tree"}


def extract(salt: bytes, secret: bytes) -> bytes:
    """HKDF-Extract of RFC 5869 with SHA-256."""
    return hmac.digest(salt, secret, "sha256")


def expand(key: bytes, info: bytes, size: int = 32) -> bytes:
    """HKDF-Expand of RFC 5869 with SHA-256."""
    done = block = b""
    for counter in range(1, size // 32 + 2):
        block = hmac.digest(key, block + info + bytes([counter]), "sha256")
        done += block
    return done[:size]


def derive(key: bytes, what: str, *values: bytes, size: int = 32) -> bytes:
    """Return what is derived from a key for a purpose."""
    return expand(key, label(what, *values), size)


def aes_open(key: bytes, nonce: bytes, sealed: bytes, bound: bytes = b"") -> bytes:
    """Open AES-256-GCM."""
    try:
        return AESGCM(key).decrypt(nonce, sealed, bound)
    except (InvalidTag, ValueError) as error:  # the latter for what is shorter than a tag
        raise Damage("does not open: its bytes were changed") from error


def committed(material: bytes, commitment: bytes) -> bytes:
    """Return the key of ``key ‖ commitment``."""
    if not hmac.compare_digest(material[32:], commitment):
        raise Damage("does not commit to its key: its bytes were changed, or the key is another")
    return material[:32]


def hpke_open(private: X25519PrivateKey, sealed: bytes, info: bytes) -> bytes:
    """Open HPKE base mode of RFC 9180 in the one suite that is used."""
    kem, hpke = b"KEM\x00\x20", b"HPKE\x00\x20\x00\x01\x00\x02"

    def drawn(suite: bytes, salt: bytes, what: bytes, secret: bytes) -> bytes:
        return extract(salt, b"HPKE-v1" + suite + what + secret)

    def stretched(suite: bytes, key: bytes, what: bytes, context: bytes, size: int) -> bytes:
        return expand(key, size.to_bytes(2, "big") + b"HPKE-v1" + suite + what + context, size)

    try:
        shared = private.exchange(X25519PublicKey.from_public_bytes(sealed[:32]))
    except ValueError as error:
        raise Damage("does not open: its bytes were changed") from error
    context = sealed[:32] + private.public_key().public_bytes_raw()
    shared = stretched(kem, drawn(kem, b"", b"eae_prk", shared), b"shared_secret", context, 32)
    context = b"\0" + drawn(hpke, b"", b"psk_id_hash", b"") + drawn(hpke, b"", b"info_hash", info)
    secret = drawn(hpke, shared, b"secret", b"")
    nonce = stretched(hpke, secret, b"base_nonce", context, 12)
    return aes_open(stretched(hpke, secret, b"key", context, 32), nonce, sealed[32:])


def signed_by(public: bytes, signature: bytes, message: bytes) -> bool:
    """Return whether an Ed25519 signature is good."""
    try:
        Ed25519PublicKey.from_public_bytes(public).verify(signature, message)
    except (InvalidSignature, ValueError):
        return False
    return True


def public_of(seed: bytes) -> bytes:
    """Return the public key of an Ed25519 seed."""
    return Ed25519PrivateKey.from_private_bytes(seed).public_key().public_bytes_raw()


def writer_id(public: bytes) -> bytes:
    """Return the id of a writer."""
    return hashlib.sha256(b"strongroom writer\0" + public).digest()[:16]


class Sealing(NamedTuple):
    """What stands in clear before what a session sealed."""

    domain: bytes
    epoch: int
    session_key: bytes
    salt: bytes
    commitment: bytes


class Keys:
    """The secrets that a slot gave, from which all others follow."""

    def __init__(self, repository: bytes, readers: dict[int, bytes], root: bytes) -> None:
        self._repository = repository
        self._readers = {e: X25519PrivateKey.from_private_bytes(one) for e, one in readers.items()}
        self._root = root
        self._session = lru_cache(1024)(self._open_session)
        self._id_key = lru_cache(1024)(self._derive_id_key)

    def domain(self, domain: bytes) -> bytes:
        """Return the secret D of a domain."""
        return derive(self._root, "domain", self._repository, domain)

    def opening(self, how: Sealing, what: str, *values: bytes) -> bytes:
        """Return the key of a pack, or of what a commit or an order seals."""
        session = self._session(how.domain, how.epoch, how.session_key)
        return committed(derive(session, what, *values, how.salt, size=64), how.commitment)

    def record(self, key: str, how: Sealing, sealed: bytes) -> Value:
        """Open the record that a COMMIT or a tag order seals."""
        secret = self.opening(how, "commit", self._repository, key.encode())
        return unpack(unpadded(aes_open(secret, NONCE_0, sealed)))

    def id_of(self, domain: bytes, kind: int, chunk: bytes) -> bytes:
        """Return the id of a chunk."""
        return blake3(chunk, key=self._id_key(domain, kind)).digest()

    def _open_session(self, domain: bytes, epoch: int, sealed: bytes) -> bytes:
        if epoch not in self._readers:
            raise Damage(f"is sealed for epoch {epoch}, of which this key holds no secret")
        info = label("session", self._repository, domain, u32(epoch))
        return extract(self.domain(domain), hpke_open(self._readers[epoch], sealed, info))

    def _derive_id_key(self, domain: bytes, kind: int) -> bytes:
        return derive(self.domain(domain), _ID_KEYS[kind])


# --- 3. The envelope ------------------------------------------------------------------------------

_HEADS: Final[Shape] = [("str", 32)]
_REMOVALS: Final[Shape] = ("bin", ["str"], "bin", ["str"], ["str"], _HEADS)
_COMMIT_BODY: Final[Shape] = (
    "u8", "u8", "time", 16, "u32", _HEADS, "bin", ["str"], 80, 32, 32, "bin",
)  # fmt: skip
_OBJECTS: Final[dict[str, tuple[int, Shape]]] = {  # by key: the kind, and the shape of the body
    r"config": (1, ("bin", [(16, 32)])),
    r"slots/(ID)": (2, ("u8", "u8", "list", 32, 32, 32, 48, "bin")),
    r"writers/(ID)": (3, ("bin", 32, 16, "time")),
    r"sessions/(ID)/(ID)": (4, ("u8", "time", 16, "any")),
    r"sessions/(ID)/(ID)\.[1-9][0-9]*": (5, ("time", "any")),
    r"commits/(ID)/(ID)": (6, "list"),  # COMMIT or ABORT
    r"orders/(ID)": (7, ("u8", "time", _HEADS, "bin", "bin")),
    r"gc/[0-9]{8}/tombs": (8, _REMOVALS),
    r"gc/[0-9]{8}/waits": (9, (["str"],)),
    r"gc/[0-9]{8}/kills": (10, _REMOVALS),
    r"gc/[0-9]{8}/done": (11, ("time",)),
    r"wal/(ID)/[1-9][0-9]*/gaps/(?:[0-9a-f]{24})-(?:[0-9a-f]{24})": (16, (16, "time", "u32", "u8")),
}
_HEAD: Final = struct.Struct(">4sHBB16sI")
_SIGNATURE: Final = 64


class Home(NamedTuple):
    """What all objects of one repository have in common."""

    version: int
    repository: bytes


class Envelope(NamedTuple):
    """An object that is no pack and no segment; nothing of it is proven before ``prove``."""

    key: str
    ids: tuple[bytes, ...]  # those in its key
    home: Home
    body: Any
    blob: bytes
    end: int  # of the body

    @property
    def digest(self) -> bytes:
        """The SHA-256 of the object."""
        return hashlib.sha256(self.blob).digest()

    def prove(self, *signers: bytes) -> None:
        """Check padding and signature; one of the keys must have signed."""
        signed, signature = self.blob[:-_SIGNATURE], self.blob[-_SIGNATURE:]
        filling = signed[self.end :]
        if filling.strip(b"\0") or len(self.blob) != padme(len(self.blob) - len(filling)):
            raise Damage("its padding is not what it must be")
        message = label("object", self.key.encode()) + signed
        if not any(signed_by(key, signature, message) for key in signers):
            raise Damage("its signature is wrong: its bytes were changed, or it is a forgery")


def open_envelope(key: str, blob: bytes, home: Home | None) -> Envelope:
    """Take an object apart; ``home`` is known for all but ``config``."""
    patterns = ((pattern.replace("ID", "[0-9a-f]{32}"), pattern) for pattern in _OBJECTS)
    matches = ((re.fullmatch(pattern, key), _OBJECTS[name]) for pattern, name in patterns)
    found, (kind, shape) = next((match for match in matches if match[0]), (None, (0, "any")))
    if found is None:
        raise Damage("is no object that belongs there")
    if len(blob) < _HEAD.size + _SIGNATURE:
        raise Damage("is too short")
    magic, version, said, flags, repository, length = _HEAD.unpack_from(blob)
    if (magic, said, flags) != (b"SRMO", kind, 0) or home not in {None, (version, repository)}:
        raise Damage("its head is not that of an object of this kind and repository")
    end = _HEAD.size + length
    if end > len(blob) - _SIGNATURE or length > BODY:
        raise Damage("is too short, or has a longer body than any may have")
    body = shaped(unpack(blob[_HEAD.size : end]), shape)
    key_ids = tuple(map(bytes.fromhex, found.groups()))
    return Envelope(key, key_ids, Home(version, repository), body, blob, end)


# --- 4. Objects that make a repository ------------------------------------------------------------

PASSPHRASE, KEY_FILE, RECOVERY_KEY, KMS = 1, 2, 3, 4
_ARN: Final = re.compile(
    rb"arn:[a-z0-9-]{1,32}:kms:([a-z0-9-]{1,64}):[0-9]{12}:key/[A-Za-z0-9-]{1,128}"
)
_WRAPPED: Final = 6144  # the most that KMS takes
FULL, READER = 1, 2
KMS_HINT: Final = (
    "Install it (pip install awscli) and give it credentials, or use the recovery key."
)
CONFIG_HINT: Final = "Take 'config' from another copy of the repository: no key opens without it."


class Config(NamedTuple):
    """``config``: who may sign, and which slots were made with it."""

    home: Home
    admin: bytes
    digest: bytes
    slots: list[tuple[bytes, bytes]]


def read_config(folder: Folder, report: Report) -> Config:
    """Read ``config``. Where only its signature is damaged, the slots can still vouch for it."""
    if not (folder.path / "config").exists():
        raise Trouble(
            NO_REPOSITORY,
            f"there is no repository at {folder.path}: it has no file 'config'",
            "Give the folder that holds 'config', 'packs' and 'commits'.",
        )
    try:
        blob = folder.read("config", SMALL_OBJECT)
        version = int.from_bytes(blob[4:6], "big")
        if blob[:4] == b"SRMO" and version not in VERSIONS:
            raise Trouble(
                NO_REPOSITORY,
                f"the repository has format version {version}, and this program reads 0 and 1",
                "Take the recover.py of the strongroom that wrote it.",
            )
        envelope = open_envelope("config", blob, None)
        config = _config(envelope)
    except Damage as damage:
        raise Trouble(DAMAGED, f"config: {damage}", CONFIG_HINT) from damage
    with report.telling_of("config"):
        envelope.prove(config.admin)
    return config


def _config(envelope: Envelope) -> Config:
    core, slots = envelope.body
    # Mode, sizes and the way of cutting bind writers only.
    shape: Shape = ("u8", "time", "u8", 32, 32, "list", "u32", "u32")
    suite, _created, _mode, admin, *_ = shaped(unpack(core), shape)
    if suite != SUITE:
        raise Trouble(NO_REPOSITORY, f"the repository has suite {suite}, and this program reads 1")
    digest = hashlib.sha256(label("config", envelope.home.repository, core)).digest()
    return Config(envelope.home, admin, digest, slots)


class Secret(NamedTuple):
    """What a person holds: a passphrase, the 32 bytes of a key file or recovery key, or AWS's word.

    The value is empty where KMS is to be asked.
    """

    kinds: Container[int]
    value: bytes


def read_secret(path: Path, *, passphrase: bool) -> Secret:
    """Read the file that was named on the command line."""
    try:
        with path.open("rb") as file:
            data = file.read(MIB)
    except OSError as error:
        raise Trouble(KEY_REFUSED, f"cannot read {path}: {error.strerror}") from error
    if passphrase:
        return Secret({PASSPHRASE}, data.removesuffix(b"\n"))
    if b"BEGIN STRONGROOM AGENT KEY" in data:
        raise Trouble(
            KEY_REFUSED,
            f"{path} is an agent file: with it a host backs up, and can read nothing",
            "Give a passphrase, a key file or the recovery key.",
        )
    text = re.sub(rb"[\s-]", b"", data).upper()
    groups = [_key_group(number, text[8 * number - 8 : 8 * number]) for number in range(1, 9)]
    bad = [number for number, group in enumerate(groups, 1) if not group]
    if bad or len(text) != 64:
        what = f"group {bad[0]} is mistyped" if bad else "there is more in it"
        hint = "A key is eight groups of eight characters, such as HCMS3SOR-MVLQ6EEA-…"
        raise Trouble(KEY_REFUSED, f"{path} holds no key: {what}", hint)
    return Secret({KEY_FILE, RECOVERY_KEY}, b"".join(groups))


def _key_group(number: int, text: bytes) -> bytes:
    """Return four bytes of a key, or nothing if their check byte is not that of CRC-8."""
    try:
        *four, check = base64.b32decode(text)
    except (binascii.Error, ValueError):
        return b""
    value = 0
    for byte in (number, *four):
        value ^= byte
        for _ in range(8):
            value = (value << 1 ^ (0x2F if value & 0x80 else 0)) & 0xFF
    return bytes(four) if value == check else b""


class Slot(NamedTuple):
    """``slots/<id>``: one way to open the keys."""

    kind: int
    role: int
    parameters: list[Value]
    salt: bytes
    commitment: bytes
    public: bytes
    wrapped: bytes
    bundle: bytes


def slot_envelope(folder: Folder, config: Config, slot_id: bytes, digest: bytes) -> Envelope:
    """Read a slot; ``Damage`` if it is not the one that counts."""
    key = f"slots/{slot_id.hex()}"
    envelope = open_envelope(key, folder.read(key, SMALL_OBJECT), config.home)
    if envelope.digest != digest:
        raise Damage("is not the one that config or an order names: its bytes were changed")
    envelope.prove(config.admin)
    return envelope


def open_slot(slot_id: bytes, slot: Slot, secret: Secret, config: Config, orders: Orders) -> Keys:
    """Open a slot; ``Damage`` if it does not open, or is of another repository."""
    home = config.home.repository
    kind, role = bytes([slot.kind]), bytes([slot.role])
    info = label("slot", home, slot_id, kind, role, pack(slot.parameters))
    wrap = committed(
        expand(extract(slot.salt, _kek(slot_id, slot, secret, home)), info, 64), slot.commitment
    )
    bound = label("slot owner", home, slot_id, config.admin, config.digest)
    private = X25519PrivateKey.from_private_bytes(aes_open(wrap, NONCE_0, slot.wrapped, bound))
    bundle = hpke_open(private, slot.bundle, label("bundle", home, slot_id))
    shape: Shape = (16, 32, 32, [("u32", 32)], 32, "any")
    *owner, readers, root, seed = shaped(unpack(bundle), shape)
    if owner != [home, config.admin, config.digest]:
        raise Damage("is of another repository")
    if slot.role == FULL and public_of(derive(shaped(seed, 32), "admin", home)) != config.admin:
        raise Damage("its seed is not that of the admin key")
    return Keys(home, dict(readers) | sealed_epochs(home, slot_id, private, orders), root)


def sealed_epochs(
    home: bytes, slot_id: bytes, private: X25519PrivateKey, orders: Orders
) -> dict[int, bytes]:
    """Return the reader secrets that epoch orders sealed to a slot; see section 10."""
    epochs = orders.of(EPOCH)
    publics = {number: public for number, public, _ in (order.payload for order in epochs)}
    found = {}
    for number, _, sealed in (order.payload for order in epochs):
        info = label("epoch", home, slot_id, u32(number))
        with suppress(Damage):
            opened = hpke_open(private, dict(sealed).get(slot_id, b""), info)
            found.update(shaped(unpack(opened), [("u32", 32)]))
    return {epoch: one for epoch, one in found.items() if publics.get(epoch) == agreed(one)}


def agreed(secret: bytes) -> bytes:
    """Return the public key of an X25519 secret."""
    return X25519PrivateKey.from_private_bytes(secret).public_key().public_bytes_raw()


def _kek(slot_id: bytes, slot: Slot, secret: Secret, home: bytes) -> bytes:
    if slot.kind == KMS and not secret.value:
        return ask_kms(slot_id, slot, home)
    if slot.kind != PASSPHRASE:
        return secret.value
    memory, passes, lanes = numbers = shaped(slot.parameters, ("u32", "u32", "u32"))
    if not all(number in limits for number, limits in zip(numbers, KDF_LIMITS, strict=True)):
        raise Damage("asks for more or less work on the passphrase than it may")
    kdf = Argon2id(salt=slot.salt, length=32, iterations=passes, lanes=lanes, memory_cost=memory)
    return kdf.derive(secret.value)


def ask_kms(slot_id: bytes, slot: Slot, home: bytes) -> bytes:
    """Have the ``aws`` command unwrap the key of a slot."""
    arn, wrapped, said = shaped(slot.parameters, ("bin", "bin", [("bin", "bin")]))
    bound = {"app": "strongroom", "purpose": "key slot"}
    bound |= {"repository": home.hex(), "slot": slot_id.hex()}
    match = _ARN.fullmatch(arn)
    context = [(name.encode(), value.encode()) for name, value in bound.items()]
    if match is None or said != context or not 0 < len(wrapped) <= _WRAPPED:
        raise Damage("does not say which key of KMS opens it, or was made for another slot")
    with tempfile.NamedTemporaryFile() as blob:
        blob.write(wrapped)
        blob.flush()
        command = [
            "aws", "kms", "decrypt", "--region", match[1].decode(), "--key-id", arn.decode(),
            "--ciphertext-blob", f"fileb://{blob.name}",
            "--encryption-context", json.dumps(bound),
            "--query", "Plaintext", "--output", "text",
        ]  # fmt: skip
        try:
            done = subprocess.run(command, capture_output=True, check=False)
        except OSError as error:
            text = f"the key of AWS KMS {arn.decode()} needs the 'aws' command: {error.strerror}"
            raise Trouble(KEY_REFUSED, text, KMS_HINT) from error
    try:
        key = base64.b64decode(done.stdout.strip(), validate=True)
    except binascii.Error:
        key = b""
    if done.returncode or len(key) != len(home) * 2:
        lines = done.stderr.decode("utf-8", "replace").split("\n")
        why = next(filter(None, map(str.strip, lines)), "it printed no key of 32 bytes")
        raise Refused(f"KMS does not unwrap with {arn.decode()}: {why}")
    return key


def unlock(folder: Folder, config: Config, orders: Orders, secret: Secret, report: Report) -> Keys:
    """Try the slots that count, in the order they were made."""
    tried = 0
    for slot_id, digest in slots_that_count(config, orders)[:SLOTS_TRIED]:
        with report.telling_of(f"slots/{slot_id.hex()}"):
            slot = Slot(*slot_envelope(folder, config, slot_id, digest).body)
            if slot.kind in secret.kinds:
                tried += 1
                try:
                    return open_slot(slot_id, slot, secret, config, orders)
                except Refused as refused:
                    report.note(f"slots/{slot_id.hex()}", refused)
                except Damage:
                    continue  # most likely it is a slot of another passphrase
    if "config" in report.damaged:
        raise Trouble(DAMAGED, "config is damaged, and so no slot opens", CONFIG_HINT)
    raise Trouble(
        KEY_REFUSED,
        f"the key opens none of the {tried} slots of its kind",
        "Try another key: each passphrase, key file, recovery key and key of KMS has a slot of its "
        "own.",
    )


def slots_that_count(config: Config, orders: Orders) -> list[tuple[bytes, bytes]]:
    """Return id and digest of each slot, in the order they were made."""
    added = sorted(orders.of(SLOT_ADDED), key=lambda order: (order.time, order.key))
    removed = {order.payload[0] for order in orders.of(SLOT_REMOVED)}
    slots = [*config.slots, *(order.payload for order in added)]
    return [(slot_id, digest) for slot_id, digest in slots if slot_id not in removed]


class Writer(NamedTuple):
    """``writers/<id>``: who may sign commits."""

    name: bytes
    public: bytes
    domain: bytes
    created: int = 0


def read_writers(repository: Repository) -> dict[bytes, Writer]:
    """Read who may sign."""
    writers = {}
    for envelope in repository.envelopes("writers"):
        with repository.report.telling_of(envelope.key):
            envelope.prove(repository.config.admin)
            writer = Writer(*envelope.body)
            if writer_id(writer.public) != envelope.ids[0]:
                raise Damage("its key is that of another writer")
            writers[envelope.ids[0]] = writer
    return writers


# --- 5. Sessions and commits ----------------------------------------------------------------------

BACKUP, UNFORGET, HOLD = 1, 2, 3
_STATUS: Final = ("complete", "incomplete", "failed")
_COMMIT_KEY: Final = re.compile(r"commits/[0-9a-f]{32}/[0-9a-f]{32}")
_ORDER_KEY: Final = re.compile(r"orders/[0-9a-f]{32}")


class Commit(NamedTuple):
    """A COMMIT. ``writer`` is None where its object is lost."""

    key: str
    session: bytes
    writer: Writer | None
    purpose: int
    heads: list[tuple[str, bytes]]
    packs: list[bytes]
    targets: list[str]
    how: Sealing
    sealed: bytes


def read_commit(envelope: Envelope, writer: Writer | None, admin: bytes) -> Commit | None:
    """Read and prove a COMMIT, or an ABORT, which gives None.

    Without its writer it cannot be proven who signed; the seal still proves what is in it.
    """
    abort = envelope.body[:1] == [2]
    if writer is not None:
        envelope.prove(writer.public, *([admin] if abort else []))
    if abort:
        shaped(envelope.body, ("u8", "u8", "time"))
        return None
    body = shaped(envelope.body, _COMMIT_BODY)
    said, purpose, _, domain, epoch, heads, packs, targets, *how, sealed = body
    check_heads(heads)
    _check_targets(purpose, targets)
    if said != 1 or (writer is not None and writer.domain != domain):
        raise Damage("its domain is not that of its writer")
    if purpose in {UNFORGET, HOLD} and writer is not None and writer.name != b"main":
        raise Damage("an agent cannot hold or un-forget")
    how = Sealing(domain, epoch, *how)
    session = envelope.ids[1]
    return Commit(envelope.key, session, writer, purpose, heads, ids(packs), targets, how, sealed)


def check_heads(heads: list[tuple[str, bytes]]) -> None:
    """Check that heads are commits and orders."""
    keys = [key for key, _ in heads]
    check_sorted(keys)
    if not all(_COMMIT_KEY.fullmatch(key) or _ORDER_KEY.fullmatch(key) for key in keys):
        raise Damage("a head is no commit and no order")


def _check_targets(purpose: int, targets: list[str]) -> None:
    check_sorted(targets)
    commits = sum(bool(_COMMIT_KEY.fullmatch(key)) for key in targets)
    orders = sum(bool(_ORDER_KEY.fullmatch(key)) for key in targets)
    good = {BACKUP: not targets, UNFORGET: commits and orders, HOLD: commits and not orders}
    if commits + orders != len(targets) or not good.get(purpose, True):
        raise Damage("its targets are not those of its purpose")


class Source(NamedTuple):
    """One source of a snapshot."""

    name: bytes
    kind: bytes
    order: int
    paths: list[bytes]
    root: bytes
    levels: int
    status: int
    position: bytes
    counts: tuple[int, int, int, int, int]  # entries, files, directories, bytes, problems
    problems: tuple[bytes, int]


_SNAPSHOT: Final[Shape] = (
    "bin", "bin", "bin", "bin", "bin", ["bin"], "time", "time", "bin", ["list"],
)  # fmt: skip
_SOURCE: Final[Shape] = (
    "bin", "bin", "u8", ["bin"], "bin", "u8", "u8", "bin", ("u64",) * 5, ("bin", "u8"),
)  # fmt: skip


@dataclass
class Snapshot:
    """What a backup sealed, and what orders say of it."""

    commit: Commit
    host: bytes
    user: bytes
    tags: list[bytes]
    started: int
    sources: list[Source]
    forgotten: bool = False

    @property
    def id(self) -> str:
        """Its whole id."""
        return self.commit.session.hex()

    @property
    def short(self) -> str:
        """What people are shown of its id."""
        return self.id[:8]

    @property
    def agent(self) -> bytes:
        """The name of the agent that made it; empty of a full key, or where it is not known."""
        name = self.commit.writer.name if self.commit.writer else b"main"
        return b"" if name == b"main" else name

    def count(self, which: int) -> int:
        """Return the sum of one of the counts of its sources."""
        return sum(source.counts[which] for source in self.sources)

    @property
    def status(self) -> str:
        """How complete it was when it was made."""
        return _STATUS[max((source.status for source in self.sources), default=0)]


def read_snapshot(commit: Commit, keys: Keys) -> Snapshot:
    """Open the record of a backup."""
    record = shaped(keys.record(commit.key, commit.how, commit.sealed), _SNAPSHOT)
    _name, _environment, _type, host, user, tags, started, _ended, _program, found = record
    sources = [Source(*shaped(value, _SOURCE)) for value in found]
    for source in sources:
        if len(source.root) not in {0, 32} or source.levels > LEVELS or source.status > 2:
            raise Damage("a source in its record is out of bounds")
    return Snapshot(commit, host, user, tags, started, sources)


# --- 6. Packs -------------------------------------------------------------------------------------

_PACK_HEAD: Final = struct.Struct(">4sHBB16s16sI80s32s32s")
_PACK_KEY: Final = re.compile(r"packs/([0-9a-f]{2})/(\1[0-9a-f]{62})")
_FRAME_ROW: Final = struct.Struct(">IIIB")
_TRAILER: Final = 24
_SEALED_FRAME: Final = FRAME + 5 + 16  # with codec and length, and the tag of AES-GCM
_IN_FRAME, _IN_FOOTER, _IN_TRAILER = 1, 2, 3
_STORED, _ZSTD = b"\0", b"\1"


def pack_key(pack_id: bytes) -> str:
    """Return the key of a pack."""
    return f"packs/{pack_id.hex()[:2]}/{pack_id.hex()}"


@dataclass(frozen=True, eq=False)
class Frame:
    """A frame: where it lies, its kind, and id and length of each chunk in it."""

    offset: int
    sealed: int
    kind: int
    chunks: list[tuple[bytes, int]]


def read_columns(frames: bytes, chunk_ids: bytes, lengths: bytes) -> list[Frame]:
    """Return the frames that a footer, or the index, says are in a pack."""
    if len(frames) % _FRAME_ROW.size or len(chunk_ids) != 8 * len(lengths) or len(lengths) % 4:
        raise Damage("its columns do not fit together")
    chunks = list(zip(ids(chunk_ids), struct.iter_unpack(">I", lengths), strict=True))
    found: list[Frame] = []
    first, end = 0, _PACK_HEAD.size
    for offset, sealed, count, kind in _FRAME_ROW.iter_unpack(frames):
        inside = [(chunk_id, length) for chunk_id, (length,) in chunks[first : first + count]]
        if offset != end or kind not in {DATA, TREE} or not 0 < len(inside) == count:
            raise Damage("its columns do not fit together")
        if max(sealed - _SEALED_FRAME, count - CHUNKS_IN_FRAME, len(found) - FRAMES) > 0:
            raise Damage("its frames are larger, or more, than they may be")
        found.append(Frame(offset, sealed, kind, inside))
        first, end = first + count, end + sealed
    if first != len(chunks):
        raise Damage("its columns do not fit together")
    return found


class Pack:
    """A pack that was opened; ``read`` gives bytes of it from an offset."""

    def __init__(
        self, home: Home, keys: Keys, size: int, read: Callable[[int, int], bytes]
    ) -> None:
        self._size = size
        self._read = read
        if not _PACK_HEAD.size + _TRAILER < size <= PACK:
            raise Damage(f"has {size:,} bytes, and no pack has so few or so many")
        head = read(0, _PACK_HEAD.size)
        magic, version, suite, flags, repository, *how = _PACK_HEAD.unpack(head)
        if (magic, suite, flags, version, repository) != (b"SRMP", SUITE, 0, *home):
            raise Damage("its head is not that of a pack of this repository")
        self.domain: bytes = how[0]
        self._key = keys.opening(Sealing(*how), "pack", head[:44])

    def columns(self) -> list[bytes]:
        """Return what the footer says is in the pack."""
        at = self._size - _TRAILER
        offset, sealed = struct.unpack(">II", self._open(_IN_TRAILER, at, _TRAILER))
        if offset + sealed != at:
            raise Damage("its footer is not where it must be")
        record = unpadded(self._open(_IN_FOOTER, offset, sealed), self._size)
        columns: list[bytes] = list(shaped(unpack(record), ("bin", "bin", "bin")))
        ends = [frame.offset + frame.sealed for frame in read_columns(*columns)]
        if offset != max(ends, default=_PACK_HEAD.size):
            raise Damage("its frames do not end where its footer begins")
        return columns

    def chunks(self, frame: Frame) -> list[bytes]:
        """Return the chunks of a frame, whose ids are not compared yet."""
        plain = self._open(_IN_FRAME, frame.offset, frame.sealed, bytes([frame.kind]))
        codec, size, payload = plain[:1], int.from_bytes(plain[1:5], "big"), plain[5:]
        ends = list(accumulate(length for _, length in frame.chunks))
        if codec == _ZSTD and size == ends[-1] <= FRAME:
            payload = inflate(payload, size)
        if codec not in {_STORED, _ZSTD} or not len(payload) == size == ends[-1]:
            raise Damage(f"the frame at {frame.offset} does not hold what it should")
        return [payload[start:end] for start, end in pairwise([0, *ends])]

    def _open(self, what: int, offset: int, sealed: int, bound: bytes = b"") -> bytes:
        nonce = bytes([what, 0, 0, 0]) + offset.to_bytes(8, "big")
        try:
            return aes_open(self._key, nonce, self._read(offset, sealed), bound)
        except Damage as damage:
            raise Damage(f"its part at {offset:,} {damage}") from damage


def inflate(payload: bytes, size: int) -> bytes:
    """Decompress one zstd frame, after a look at how many bytes it says it holds."""
    try:
        if sys.version_info >= (3, 14):
            if zstd.get_frame_info(payload).decompressed_size == size:
                opened = zstd.ZstdDecompressor()
                plain = opened.decompress(payload)
                return plain if opened.eof and not opened.unused_data else b""
        elif zstandard.frame_content_size(payload) == size:
            return zstandard.ZstdDecompressor().decompress(payload, allow_extra_data=False)
    except ZstdError as error:
        raise Damage("a frame does not decompress") from error
    return b""


# --- 7. Index -------------------------------------------------------------------------------------

_SEGMENT_HEAD: Final = struct.Struct(">4sHBB16s16s32s32s")


class Indexed(NamedTuple):
    """What a segment of the index says of a pack."""

    pack_id: bytes
    size: int
    columns: tuple[bytes, bytes, bytes]


def read_segment(key: str, blob: bytes, config: Config, keys: Keys) -> tuple[bytes, list[Indexed]]:
    """Open a segment of the index; return its domain, and what it says of each pack."""
    if key != f"index/{hashlib.sha256(blob).hexdigest()}":
        raise Damage("is not what its name says: its bytes were changed")
    if len(blob) < _SEGMENT_HEAD.size:
        raise Damage("is too short")
    head = _SEGMENT_HEAD.unpack_from(blob)
    magic, version, suite, flags, repository, domain, salt, commitment = head
    if (magic, suite, flags, version, repository) != (b"SRMI", SUITE, 0, *config.home):
        raise Damage("its head is not that of a segment of this repository")
    material = derive(derive(keys.domain(domain), "index"), "segment", blob[:40], salt, size=64)
    plain = aes_open(committed(material, commitment), NONCE_0, blob[_SEGMENT_HEAD.size :])
    body = unpack(unpadded(plain, len(blob)))
    packs, supersedes, signature = shaped(body, ("list", "bin", "bin"))
    message = label("supersedes", repository, domain, pack([packs, supersedes]))
    if supersedes and not signed_by(config.admin, signature, message):
        raise Damage("replaces other segments, and is not signed by admin")
    rows = [shaped(value, (32, "u32", "bin", "bin", "bin")) for value in packs]
    return domain, [Indexed(pack_id, size, columns) for pack_id, size, *columns in rows]


class Place(NamedTuple):
    """Where a chunk is said to be: number of the pack, kind and length of the chunk."""

    pack: int
    kind: int
    length: int


class Places:
    """Where each chunk is, in 20 bytes a chunk: 14 of its id are enough, as ids are recomputed."""

    def __init__(self) -> None:
        self._row = struct.Struct(">12sII")
        self._rows: dict[bytes, bytearray] = {}  # by the first two bytes of the id

    def add(self, chunk_id: bytes, place: Place) -> None:
        """Note a place."""
        rows = self._rows.setdefault(chunk_id[:2], bytearray())
        rows += self._row.pack(chunk_id[2:14], place.pack, place.length << 2 | place.kind)

    def find(self, chunk_id: bytes, kind: int, length: int | None = None) -> list[Place]:
        """Return the places of a chunk of this kind, and of this length if one is given."""
        rows, found = self._rows.get(chunk_id[:2], bytearray()), []
        at = rows.find(chunk_id[2:14])
        while at >= 0:
            if at % self._row.size == 0:
                _, number, size = self._row.unpack_from(rows, at)
                if size & 3 == kind and length in {None, size >> 2}:
                    found.append(Place(number, kind, size >> 2))
            at = rows.find(chunk_id[2:14], at + 1)
        return found


class Catalog:
    """The packs that are there, what is in them, and which segments of the index say so."""

    def __init__(self) -> None:
        self.packs: list[bytes] = []
        self.places = Places()
        self.said: dict[bytes, dict[str, bytes]] = {}  # of a pack: segment, print of what it says
        self.unnamed: set[int] = set()  # packs that no segment names that can be read

    def add(self, number: int, columns: Sequence[bytes]) -> None:
        """Note what is in a pack."""
        for frame in read_columns(*columns):
            for chunk_id, length in frame.chunks:
                self.places.add(chunk_id, Place(number, frame.kind, length))


def fingerprint(domain: bytes, size: int, columns: Sequence[bytes]) -> bytes:
    """Return something to compare what footer and index say of a pack."""
    return hashlib.sha256(label("", domain, u32(size), *columns)).digest()


def read_catalog(repository: Repository) -> Catalog:
    """Read the index; where that is missing or damaged, the footers of the packs say the same."""
    catalog, report = Catalog(), repository.report
    found = map(_PACK_KEY.fullmatch, repository.folder.keys("packs"))
    catalog.packs = [bytes.fromhex(name[2]) for name in found if name]
    numbers = {pack_id: number for number, pack_id in enumerate(catalog.packs)}
    for key in repository.folder.keys("index"):
        with report.telling_of(key):
            for domain, indexed in repository.segment(key):
                pack_id = indexed.pack_id
                said = catalog.said.get(pack_id, {})
                now = fingerprint(domain, indexed.size, indexed.columns)
                if pack_id in numbers and now not in said.values():
                    catalog.add(numbers[pack_id], indexed.columns)
                catalog.said[pack_id] = said | {key: now}
    catalog.unnamed = {numbers[pack_id] for pack_id in numbers.keys() - catalog.said.keys()}
    for number in sorted(catalog.unnamed):
        with report.telling_of(pack_key(catalog.packs[number])):
            catalog.add(number, repository.pack(catalog.packs[number]).columns())
    if catalog.unnamed:
        many = f"{len(catalog.unnamed):,} of {len(numbers):,} packs"
        report.note("index", f"names {many} nowhere; their own footers were read instead")
    return catalog


# --- 8. Trees and content -------------------------------------------------------------------------

HOLE: Final = bytes(32)
FILE, DIRECTORY, SYMLINK, FIFO, CHARACTER, BLOCK, SOCKET, STREAM, RECORD = range(1, 10)
SPARSE: Final = 2  # a flag
BY_COMPONENTS, RAW = 1, 2  # orders of entries
_LONGEST_PIECE: Final = 200  # of a key, between two slashes, in a name
_EXTENT: Final = struct.Struct(">32sQ")
_ENTRY: Final[Shape] = (
    "bin", "u8", "u32", "u64", "u64", "bin", "bin", "time", "size", "bin", "u8", "bin", "bin",
    ("u64", "u64"), [("bin", "bin")], "u64",
)  # fmt: skip


class Entry(NamedTuple):
    """One thing that was captured."""

    path: bytes
    kind: int
    mode: int
    uid: int
    gid: int
    user: bytes
    group: bytes
    mtime: int
    size: int
    content: bytes
    depth: int
    target: bytes
    link: bytes
    device: tuple[int, int]
    xattrs: list[tuple[bytes, bytes]]
    flags: int


def read_entry(value: Value, order: int) -> Entry:
    """Read an entry of a leaf; one sorted by raw bytes is an object, whose path is any bytes."""
    entry = Entry(*shaped(value, _ENTRY))
    parts = entry.path.split(b"/")
    if order == RAW and entry.path and len(entry.path) <= PATH and entry.kind == FILE:
        return entry
    if len(entry.path) > PATH or b"\0" in entry.path or not {b"", b".", b".."}.isdisjoint(parts):
        raise Damage(f"its path leads elsewhere: {shown(entry.path[:200])}")
    if max(map(len, parts)) > COMPONENT or not FILE <= entry.kind <= RECORD or entry.mode > 0o7777:
        raise Damage(f"it is out of bounds: {shown(entry.path[:200])}")
    return entry


class Extent(NamedTuple):
    """A piece of a file: a data chunk, a hole, or, with a reason, something that is lost."""

    chunk_id: bytes
    length: int
    lost: str = ""


def extents(content: bytes) -> list[Extent]:
    """Return the extents of a content, one level of them."""
    if len(content) % _EXTENT.size:
        raise Damage("its content is no list of extents")
    return [Extent(*one) for one in _EXTENT.iter_unpack(content)]


class Reader:
    """Gives chunks by id, from any pack that holds them. What it gives has the id."""

    def __init__(self, repository: Repository, catalog: Catalog) -> None:
        self._repository = repository
        self._catalog = catalog
        self._pack = lru_cache(16)(self._open)
        self._unsealed = lru_cache(16)(self._unseal)
        self.used: set[int] = set()  # numbers of the packs that gave something

    def chunk(self, chunk_id: bytes, kind: int, length: int | None = None) -> bytes:
        """Return a chunk; ``Damage`` if no pack has it, or none has it whole."""
        why = "no pack has it"
        places = self._catalog.places.find(chunk_id, kind, length)
        for place in sorted(places, key=self._asked_last):
            key = pack_key(self._catalog.packs[place.pack])
            try:
                chunk = self._from(place.pack, chunk_id, kind)
            except Damage as damage:
                self._repository.report.damage(key, damage)
                why = f"{key} is damaged"
            else:
                self.used.add(place.pack)
                return chunk
        raise Damage(f"chunk {chunk_id.hex()[:16]} is lost: {why}")

    def extents(self, content: bytes, depth: int) -> Iterator[Extent]:
        """Yield the extents of a content in order, down to its data chunks."""
        for extent in extents(content):
            if not depth or extent.chunk_id == HOLE:
                yield extent
                continue
            try:
                below = self.chunk(extent.chunk_id, TREE)
                if depth > DEPTH or sum(one.length for one in extents(below)) != extent.length:
                    raise Damage("a list of extents is not as long as it should be")
            except Damage as damage:
                yield extent._replace(lost=str(damage))
                continue
            yield from self.extents(below, depth - 1)

    def columns(self, pack_id: bytes, opened: Pack) -> Sequence[bytes]:
        """Return what is in a pack, as its footer says; if that is damaged, as the index says."""
        try:
            return opened.columns()
        except Damage as damage:
            for key in self._catalog.said.get(pack_id, ()):
                for _, indexed in self._repository.segment(key):
                    if indexed.pack_id == pack_id:
                        self._repository.report.damage(pack_key(pack_id), damage)
                        return indexed.columns
            raise

    def _asked_last(self, place: Place) -> tuple[bool, bool]:
        going = self._catalog.packs[place.pack] in self._repository.asked_last
        return going, place.pack in self._catalog.unnamed

    def _from(self, number: int, chunk_id: bytes, kind: int) -> bytes:
        opened, frames = self._pack(number)
        frame = frames.get(chunk_id)
        if frame is None or frame.kind != kind:
            raise Damage("does not hold what the index says")
        chunk = self._unsealed(opened, frame)[chunk_id]
        if self._repository.keys.id_of(opened.domain, kind, chunk) != chunk_id:
            raise Damage(f"a chunk in its part at {frame.offset:,} has another id than it should")
        return chunk

    def _open(self, number: int) -> tuple[Pack, dict[bytes, Frame]]:
        pack_id = self._catalog.packs[number]
        opened = self._repository.pack(pack_id)
        frames = read_columns(*self.columns(pack_id, opened))
        return opened, {chunk_id: frame for frame in frames for chunk_id, _ in frame.chunks}

    def _unseal(self, opened: Pack, frame: Frame) -> dict[bytes, bytes]:
        chunks = opened.chunks(frame)
        return {chunk_id: one for (chunk_id, _), one in zip(frame.chunks, chunks, strict=True)}


class Selection:
    """Which entries are wanted: one path, what is below it, and the directories above it."""

    def __init__(self, path: bytes) -> None:
        self.path = path
        parts = path.split(b"/")
        self._above = {b"/".join(parts[:count]) for count in range(1, len(parts) + 1)}
        self._first = parts[0]
        self.found = False

    def has(self, entry: Entry) -> bool:
        """Return whether an entry is wanted."""
        inside = (entry.path + b"/").startswith(self.path + b"/")
        self.found = self.found or inside
        return inside or (entry.kind == DIRECTORY and entry.path in self._above)

    def may_be_in(self, node: Node, order: int) -> bool:
        """Return whether something between the first path of a node and its end may be wanted."""
        below = sort_key(self.path + b"/", order)
        after = below[:-1] + bytes([below[-1] + 1])
        ends_before = node.end is not None and sort_key(node.end, order) <= self._first
        return sort_key(node.first or b"", order) < after and not ends_before


def sort_key(path: bytes, order: int) -> bytes:
    """Return what the paths of a tree are sorted by."""
    return path.replace(b"/", b"\0") if order == BY_COMPONENTS else path


class ObjectNames:
    """Gives objects names in a folder, in the order of their keys; docs/documents.md has them."""

    def __init__(self) -> None:
        self._above: list[bytes] = []  # keys that what comes begins with

    def name(self, key: bytes) -> bytes:
        """Return the path of a key."""
        while self._above and not key.startswith(self._above[-1]):
            self._above.pop()
        objects = set(self._above)
        self._above.append(key)
        pieces = key.split(b"/")
        names = [self._piece(piece) for piece in pieces]
        for count in range(1, len(pieces)):
            if b"/".join(pieces[:count]) in objects:
                names[count - 1] += b"%d"
        return b"/".join(names)

    def _piece(self, piece: bytes) -> bytes:
        safe = piece.replace(b"%", b"%25").replace(b"\0", b"%00") or b"%"
        if safe in {b".", b".."}:
            safe = safe.replace(b".", b"%2E")
        cut = []
        while len(safe) > _LONGEST_PIECE:
            end = _LONGEST_PIECE
            while b"%" in safe[end - 2 : end]:  # in the middle of %XX
                end -= 1
            cut.append(safe[:end] + b"%+")
            safe = safe[end:]
        return b"/".join([*cut, safe])


class Node(NamedTuple):
    """A chunk of a tree as the part above names it; the root has no paths."""

    chunk_id: bytes
    level: int
    total: int  # of entries below
    first: bytes | None = None  # path below
    end: bytes | None = None  # path where the next one begins


class Tree:
    """The entries of one source, in order. What is lost is told of, and the rest goes on.

    ``sound``: what of trees was read before without any trouble, with its last path; it is passed
    by. Whoever reads trees only to check them gives a dictionary, and counts in ``troubles`` those
    of entries.
    """

    def __init__(
        self,
        reader: Reader,
        source: Source,
        tell: Callable[[str], None],
        wanted: Selection | None = None,
        sound: dict[tuple[int, Node], bytes] | None = None,
    ) -> None:
        self._reader = reader
        self._source = source
        self._tell = tell
        self._wanted = wanted
        self._sound = sound
        self._last = b""
        self.troubles = 0

    def entries(self) -> Iterator[Entry]:
        """Yield the entries that are wanted."""
        if self._source.root:
            total = self._source.counts[0]
            yield from self._below(Node(self._source.root, self._source.levels - 1, total))

    def _below(self, node: Node) -> Iterator[Entry]:
        known = (self._source.order, node)
        before = self.troubles
        in_order = node.first is None or self._key(node.first) > self._last
        if self._sound is not None and known in self._sound and in_order:
            self._last = self._sound[known]
            return
        try:
            rows = self._rows(node)
        except Damage as damage:
            first = f" from {shown(node.first)} on" if node.first else ""
            self._trouble(f"{node.total:,} entries{first} are lost: {damage}")
            return
        for row in rows:
            if not isinstance(row, Node):
                yield from self._entry(row)
            elif self._wanted is None or self._wanted.may_be_in(row, self._source.order):
                yield from self._below(row)
        if self._sound is not None and self.troubles == before:
            self._sound[known] = self._last

    def _rows(self, node: Node) -> list[Node] | list[Value]:
        """Return what is in a node: nodes of the level below, or entries as they stand there."""
        record = unpack(self._reader.chunk(node.chunk_id, TREE))
        level, rows = shaped(record, ("u8", "list"))
        if level != node.level:
            raise Damage("a part of the tree is of another level than the part above says")
        total, nodes = len(rows), []
        if level:
            found = [shaped(row, ("bin", 32, "size")) for row in rows]
            total = sum(one[2] for one in found)
            ends = [*(one[0] for one in found[1:]), node.end]
            for (path, chunk_id, below), end in zip(found, ends, strict=True):
                nodes.append(Node(chunk_id, level - 1, below, path, end))
        first = rows[0][0] if rows and isinstance(rows[0], list) and rows[0] else None
        if total != node.total or (node.first is not None and node.first != first):
            self._trouble("a part of the tree does not hold what the part above says")
        return nodes or rows

    def _entry(self, value: Value) -> Iterator[Entry]:
        try:
            entry = read_entry(value, self._source.order)
            key = self._key(entry.path)
            if key <= self._last:
                raise Damage(f"it stands twice, or out of order: {shown(entry.path[:200])}")
        except Damage as damage:
            self._trouble(f"an entry is refused: {damage}")
            return
        self._last = key
        if self._wanted is None or self._wanted.has(entry):
            yield entry

    def _key(self, path: bytes) -> bytes:
        return sort_key(path, self._source.order)

    def _trouble(self, text: str) -> None:
        self.troubles += 1
        self._tell(text)


# --- 10. Orders, and collector runs ---------------------------------------------------------------

FORGET, RELEASE, TAG, REVOKE, EPOCH, SLOT_ADDED, SLOT_REMOVED = 1, 2, 3, 4, 5, 6, 7
ORIGINS, QUARANTINE, VOID, ALLOW_EMPTY = 8, 9, 10, 11
_PAYLOADS: Final[dict[int, Shape]] = {
    FORGET: (["str"],),
    RELEASE: (["str"],),
    TAG: (["str"], 16, "u32", 80, 32, 32),
    REVOKE: (16, [("str", 32)]),
    EPOCH: ("u32", 32, [(16, "bin")]),
    SLOT_ADDED: (16, 32),
    SLOT_REMOVED: (16, "u32"),
    ORIGINS: [("str", "time", "any")],
    QUARANTINE: ("bin",),
    VOID: [("str", "bin")],
    ALLOW_EMPTY: (["str"],),
}
_CAN_BE_VOID: Final = re.compile(r"(commits|orders|index)/.+|gc/[0-9]{8}/(kills|done)")


class Order(NamedTuple):
    """``orders/<id>``, proven; ``payload`` as its kind has it."""

    key: str
    id: bytes
    kind: int
    time: int
    heads: list[tuple[str, bytes]]
    payload: Any
    sealed: bytes

    @property
    def voids(self) -> list[tuple[str, bytes]]:
        """Keys and digests of what a void order names."""
        return self.payload if self.kind == VOID else []


@dataclass
class Orders:
    """All orders that count, and what void orders name."""

    found: list[Order] = field(default_factory=list)
    voids: dict[str, set[bytes]] = field(default_factory=dict)
    digests: dict[str, bytes] = field(default_factory=dict)

    def of(self, kind: int) -> list[Order]:
        """Return those of a kind."""
        return [order for order in self.found if order.kind == kind]

    @property
    def copies(self) -> dict[str, int]:
        """When the original of each commit that is a copy was first seen."""
        origins = [one for order in self.of(ORIGINS) for one in order.payload]
        seen: dict[str, int] = {}
        for key, first_seen, _ in origins:
            seen[key] = min(first_seen, seen.get(key, first_seen))
        return {key: seen[key] for key, _, original in origins if original is not None}

    def about(self, kind: int, target: str) -> set[str]:
        """Return the keys of those of a kind that name a commit."""
        return {order.key for order in self.of(kind) if target in order.payload[0]}


def read_order(envelope: Envelope, report: Report) -> Order:
    """Read the body of an order; one of an unknown kind is told of, and says nothing."""
    kind, time, heads, payload, sealed = envelope.body
    check_heads(heads)
    value = unpack(payload)
    if kind not in _PAYLOADS:
        report.note(envelope.key, f"is an order of kind {kind}, which this program does not know")
        return Order(envelope.key, envelope.ids[0], kind, time, heads, value, sealed)
    value = shaped(value, _PAYLOADS[kind])
    if kind in {FORGET, RELEASE, TAG, ALLOW_EMPTY}:
        _check_named(value[0], _COMMIT_KEY)
    elif kind in {ORIGINS, VOID}:
        _check_named([one[0] for one in value], _COMMIT_KEY if kind == ORIGINS else _CAN_BE_VOID)
        if kind == ORIGINS:
            shaped([one[2] for one in value if one[2] is not None], [(16, "str")])
    elif kind == QUARANTINE:
        check_sorted(ids(value[0]))
    elif kind in {REVOKE, EPOCH, SLOT_REMOVED}:
        _check_keys(kind, value, envelope)
    if sealed and kind != TAG:
        raise Damage("seals something, which orders of its kind do not")
    return Order(envelope.key, envelope.ids[0], kind, time, heads, value, sealed)


def _check_named(keys: list[str], pattern: re.Pattern[str]) -> None:
    check_sorted(keys)
    if not keys or not all(map(pattern.fullmatch, keys)):
        raise Damage("names nothing, or what it cannot be about")


def _check_keys(kind: int, value: Any, envelope: Envelope) -> None:  # noqa: ANN401 - a payload
    """Check an order about a writer, an epoch or a slot."""
    if kind == SLOT_REMOVED and envelope.ids[0] != removal_id(envelope.home, value[1]):
        raise Damage("its key is not that of this removal")
    if kind == EPOCH:
        number, _, sealed = value
        check_sorted([slot_id for slot_id, _ in sealed])
        if not sealed or number < 2 or envelope.ids[0] != epoch_id(envelope.home, number):
            raise Damage("its key is not that of this epoch, or it is sealed to nobody")
    if kind == REVOKE:
        writer, accepted = value
        keys = [key for key, _ in accepted]
        check_sorted(keys)
        below = f"commits/{writer.hex()}/"
        if not all(_COMMIT_KEY.fullmatch(key) and key.startswith(below) for key in keys):
            raise Damage("accepts what is no commit of this writer")


def epoch_id(home: Home, number: int) -> bytes:
    """Return the id of the order that begins an epoch."""
    return hashlib.sha256(label("epoch", home.repository, u32(number))).digest()[:16]


def removal_id(home: Home, number: int) -> bytes:
    """Return the id of the order that removes a slot as the ``number``-th."""
    return hashlib.sha256(label("slot removal", home.repository, u32(number))).digest()[:16]


def read_orders(folder: Folder, config: Config, report: Report) -> Orders:
    """Read all orders. What a void order names is absent, be it damaged or not."""
    orders = Orders()
    found: dict[str, Order | Damage] = {}
    for key in folder.keys("orders"):
        try:
            blob = folder.read(key, ENVELOPE)
            orders.digests[key] = hashlib.sha256(blob).digest()
            envelope = open_envelope(key, blob, config.home)
            envelope.prove(config.admin)
            found[key] = read_order(envelope, report)
        except Damage as damage:
            found[key] = damage
    named = [one for order in found.values() if isinstance(order, Order) for one in order.voids]
    for key, digest in named:
        orders.voids.setdefault(key, set()).add(digest)
    for key, order in found.items():
        if orders.digests.get(key) in orders.voids.get(key, set()):
            continue
        if isinstance(order, Order):
            orders.found.append(order)
        else:
            report.damage(key, order)
    numbers = {order.payload[1] for order in orders.of(SLOT_REMOVED)}
    for number in set(range(1, max(numbers, default=0))) - numbers:
        key = f"orders/{removal_id(config.home, number).hex()}"
        report.damage(key, f"is not there: removal {number} of a slot, which others follow")
    return orders


class Collected(NamedTuple):
    """What collectors took away, or may be taking away now."""

    packs: set[bytes]
    commits: set[str]
    doubtful: set[str]  # commits that may still go, although the run is over
    heads: list[tuple[str, bytes]]  # what stayed


def read_gc(repository: Repository) -> None:
    """Read the collector runs; ``kills`` takes away, or ``tombs`` where a ``kills`` is void."""
    collected = repository.collected
    for envelope in repository.envelopes("gc"):
        with repository.report.telling_of(envelope.key):
            envelope.prove(repository.config.admin)
            run, _, what = envelope.key.rpartition("/")
            doubtful = what == "tombs" and f"{run}/kills" in repository.orders.voids
            if what == "kills" or doubtful:
                packs, commits, *_, heads = envelope.body
                check_heads(heads)
                collected.heads.extend(heads)
                collected.packs.update(ids(packs))
                (collected.doubtful if doubtful else collected.commits).update(commits)


@dataclass
class Repository:
    """A repository that was opened with a key: all but packs, index and sessions was read."""

    folder: Folder
    report: Report
    config: Config
    orders: Orders
    keys: Keys
    collected: Collected
    writers: dict[bytes, Writer] = field(default_factory=dict)
    commits: dict[str, Commit] = field(default_factory=dict)
    digests: dict[str, bytes] = field(default_factory=dict)  # of commits and orders that are there
    asked_last: set[bytes] = field(default_factory=set)  # packs in quarantine, or going

    def envelopes(self, prefix: str) -> Iterator[Envelope]:
        """Yield the objects below a prefix that are not void; tell of those that are no such."""
        for key in self.folder.keys(prefix):
            with self.report.telling_of(key):
                blob = self.folder.read(key, ENVELOPE)
                digest = hashlib.sha256(blob).digest()
                if digest not in self.orders.voids.get(key, set()):
                    self.digests[key] = digest
                    yield open_envelope(key, blob, self.config.home)

    def pack(self, pack_id: bytes) -> Pack:
        """Open a pack where it lies."""
        key = pack_key(pack_id)

        def read(offset: int, length: int) -> bytes:
            return self.folder.piece(key, offset, length)

        return Pack(self.config.home, self.keys, self.folder.size(key), read)

    def segment(self, key: str) -> Iterator[tuple[bytes, Indexed]]:
        """Yield what a segment of the index says of each pack, with its domain."""
        blob = self.folder.read(key, SEGMENT)
        if hashlib.sha256(blob).digest() not in self.orders.voids.get(key, set()):
            domain, packs = read_segment(key, blob, self.config, self.keys)
            yield from ((domain, one) for one in packs)

    def commits_and_orders(self) -> list[Commit | Order]:
        """Return everything that names heads."""
        return [*self.commits.values(), *self.orders.found]

    def snapshots(self) -> list[Snapshot]:
        """Return the snapshots that no collection took, oldest first, with tags as they are now."""
        found = {}
        for key, commit in self.commits.items():
            if commit.purpose == BACKUP and key not in self.collected.commits:
                with self.report.telling_of(key):
                    found[key] = read_snapshot(commit, self.keys)
                    found[key].forgotten = self._forgotten(key)
        self._tag(found)
        moments = self._moments(found)
        return sorted(found.values(), key=lambda one: (moments[one.commit.key], one.id))

    def _moments(self, snapshots: dict[str, Snapshot]) -> dict[str, int]:
        """Return when each was begun, or a moment after all that its writer had seen.

        Whoever copied a snapshot had seen newer ones, so a copy is where the original would be.
        """
        digests = self.digests | self.orders.digests
        seen = {
            one.key: [key for key, digest in one.heads if digests.get(key) == digest]
            for one in self.commits_and_orders()
        }
        moments: dict[str, int] = {}
        for key in TopologicalSorter(seen).static_order():
            after = [moments[head] + 1 for head in seen.get(key, ())]
            started = snapshots[key].started if key in snapshots else 1 - (1 << 63)
            moments[key] = max([started, *after])
        copies = self.orders.copies
        for key in snapshots.keys() & copies.keys():
            moments[key] = min(snapshots[key].started, copies[key])
        return moments

    def _forgotten(self, key: str) -> bool:
        about = [commit for commit in self.commits.values() if key in commit.targets]
        held = [c for c in about if c.purpose == HOLD and not self.orders.about(RELEASE, c.key)]
        cancelled = {order for c in about if c.purpose == UNFORGET for order in c.targets}
        forgets = self.orders.about(FORGET, key) | self._refused(key)
        return not held and not forgets <= cancelled

    def _refused(self, key: str) -> set[str]:
        """Return the orders that revoked the writer of a commit, unless one of them accepts it."""
        orders = [one for one in self.orders.of(REVOKE) if one.payload[0].hex() == key[8:40]]
        accepted = {head for order in orders for head in order.payload[1]}
        return set() if (key, self.digests[key]) in accepted else {one.key for one in orders}

    def _tag(self, snapshots: dict[str, Snapshot]) -> None:
        added = {
            key: {(tag, one.commit.session) for tag in one.tags} for key, one in snapshots.items()
        }
        taken: dict[str, set[tuple[bytes, bytes]]] = {key: set() for key in snapshots}
        for order in self.orders.of(TAG):
            with self.report.telling_of(order.key):
                targets, *how = order.payload
                record = self.keys.record(order.key, Sealing(*how), order.sealed)
                more, less = shaped(record, (["bin"], [("bin", [16])]))
                for key in snapshots.keys() & set(targets):
                    added[key].update((tag, order.id) for tag in more)
                    taken[key].update((tag, one) for tag, additions in less for one in additions)
        for key, snapshot in snapshots.items():
            snapshot.tags = sorted({tag for tag, _ in added[key] - taken[key]})


def open_repository(path: Path, secret: Secret, report: Report) -> Repository:
    """Open a repository with a key, and read all of it but packs, index and sessions."""
    folder = Folder(path, report)
    config = read_config(folder, report)
    orders = read_orders(folder, config, report)
    keys = unlock(folder, config, orders, secret, report)
    repository = Repository(
        folder, report, config, orders, keys, Collected(set(), set(), set(), [])
    )
    read_gc(repository)
    repository.writers = read_writers(repository)
    for envelope in repository.envelopes("commits"):
        with report.telling_of(envelope.key):
            writer = repository.writers.get(envelope.ids[0])
            if writer is None:
                lost = "is not there, or damaged: that it signed commits cannot be proven"
                report.damage(f"writers/{envelope.ids[0].hex()}", lost)
            commit = read_commit(envelope, writer, config.admin)
            if commit is not None:
                repository.commits[envelope.key] = commit
    repository.asked_last = repository.collected.packs.union(
        *(ids(order.payload[0]) for order in orders.of(QUARANTINE))
    )
    check_seen(repository)
    return repository


# --- 15. What damage looks like -------------------------------------------------------------------


def check_seen(repository: Repository) -> None:
    """Tell of commits and orders that others saw and that are gone, or are others now."""
    orders, report = repository.orders, repository.report
    digests = repository.digests | orders.digests
    gone = repository.collected.commits | repository.collected.doubtful
    heads = [(one.key, head) for one in repository.commits_and_orders() for head in one.heads]
    heads += [("a collector", head) for head in repository.collected.heads]
    for seen_by, (key, digest) in heads:
        if key in orders.voids or digests.get(key) == digest or key in report.damaged:
            continue
        if key in digests:
            report.damage(key, "is another object than others saw")
        elif key not in gone and not orders.about(FORGET, key):
            report.damage(key, f"is gone: {seen_by} saw it, and no collection took it")


class Verification:
    """Looks at everything, and tells what is damaged and which files of which snapshots it hits."""

    def __init__(self, repository: Repository, snapshots: list[Snapshot]) -> None:
        self._repository = repository
        self._report = repository.report
        self._snapshots = snapshots
        self._catalog = read_catalog(repository)
        self._reader = Reader(repository, self._catalog)
        self._sound = Places()

    def run(self, *, everything: bool) -> int:
        """Check keys, sessions, packs and trees; return how many packs were read."""
        self._check_slots()
        self._check_sessions()
        numbers = set(range(len(self._catalog.packs)))
        if everything:
            self._check_missing()
        else:
            numbers = self._needed()
        for done, number in enumerate(sorted(numbers)):
            progress(f"{done:,} of {len(numbers):,} packs read")
            with self._report.telling_of(pack_key(self._catalog.packs[number])):
                self._check_pack(number)
        self._check_trees()
        return len(numbers)

    def _check_slots(self) -> None:
        config, folder = self._repository.config, self._repository.folder
        for slot_id, digest in slots_that_count(config, self._repository.orders):
            with self._report.telling_of(f"slots/{slot_id.hex()}"):
                slot_envelope(folder, config, slot_id, digest)

    def _check_sessions(self) -> None:
        for envelope in self._repository.envelopes("sessions"):
            with self._report.telling_of(envelope.key):
                if envelope.ids[0] not in self._repository.writers:
                    raise Damage("is of a writer that is not there, or damaged")
                envelope.prove(self._repository.writers[envelope.ids[0]].public)

    def _check_missing(self) -> None:
        written = {pack_id for one in self._repository.commits.values() for pack_id in one.packs}
        missing = (written | self._catalog.said.keys()) - set(self._catalog.packs)
        for pack_id in missing - self._repository.collected.packs:
            self._report.damage(pack_key(pack_id), "is not there, and no collection took it")

    def _check_pack(self, number: int) -> None:
        pack_id, home = self._catalog.packs[number], self._repository.config.home
        key = pack_key(pack_id)
        blob = self._repository.folder.read(key, PACK)
        if hashlib.sha256(blob).digest() != pack_id:
            self._report.damage(key, "is not what its name says: its bytes were changed")
        keys = self._repository.keys
        opened = Pack(home, keys, len(blob), lambda at, length: blob[at : at + length])
        columns = self._reader.columns(pack_id, opened)
        said = fingerprint(opened.domain, len(blob), columns)
        for segment, other in self._catalog.said.get(pack_id, {}).items():
            if other != said:
                self._report.damage(segment, f"says of {key} something else than its footer")
        for frame in read_columns(*columns):
            with self._report.telling_of(key):
                for (chunk_id, length), chunk in zip(
                    frame.chunks, opened.chunks(frame), strict=True
                ):
                    if keys.id_of(opened.domain, frame.kind, chunk) != chunk_id:
                        raise Damage(f"a chunk at {frame.offset:,} has another id than it should")
                    self._sound.add(chunk_id, Place(number, frame.kind, length))

    def _needed(self) -> set[int]:
        numbers: set[int] = set()

        def find(extent: Extent) -> bool:
            places = self._catalog.places.find(extent.chunk_id, DATA, extent.length)
            numbers.update(place.pack for place in places)
            return True

        self._walk(find)
        return numbers | self._reader.used

    def _check_trees(self) -> None:
        unnamed: set[int] = set()

        def find(extent: Extent) -> bool:
            places = self._sound.find(extent.chunk_id, DATA, extent.length)
            found = {place.pack for place in places}
            unnamed.update(found if found <= self._catalog.unnamed else ())
            return bool(found)

        self._walk(find)
        unnamed |= self._reader.used & self._catalog.unnamed
        for number in unnamed:
            key = pack_key(self._catalog.packs[number])
            self._report.damage(
                "index", f"no segment that can be read names {key}, which is needed"
            )

    def _walk(self, find: Callable[[Extent], bool]) -> None:
        sound: dict[tuple[int, Node], bytes] = {}
        for snapshot in self._snapshots:
            where = f"snapshot {snapshot.short}"
            for source in snapshot.sources:
                tree = Tree(self._reader, source, partial(self._report.damage, where), None, sound)
                for entry in tree.entries():
                    with self._report.telling_of(f"{where}: {shown(entry.path)}"):
                        tree.troubles += 1
                        self._check_content(find, entry.content, entry.depth, entry.size)
                        tree.troubles -= 1
                with self._report.telling_of(f"{where}: the list of its problems"):
                    self._check_content(find, *source.problems)

    def _check_content(
        self, find: Callable[[Extent], bool], content: bytes, depth: int, size: int | None = None
    ) -> None:
        missing = Missing()
        for extent in self._reader.extents(content, depth):
            lost = extent.lost
            if not lost and extent.chunk_id != HOLE and not find(extent):
                lost = f"chunk {extent.chunk_id.hex()[:16]} is lost"
            missing.count(extent.length, lost)
        missing.check(size)


class Missing:
    """Counts what is there of a file, and what is lost."""

    def __init__(self) -> None:
        self.size = 0
        self._lost = 0
        self._why = ""

    def count(self, length: int, lost: str) -> None:
        """Count a piece, which is lost if a reason is given."""
        if lost:
            self._why = self._why or f"from byte {self.size:,} on: {lost}"
            self._lost += length
        self.size += length

    def check(self, size: int | None) -> None:
        """Raise ``Damage`` if something is lost, or it is not as long as it should be."""
        if self._why:
            raise Damage(f"{self._lost:,} of {self.size:,} bytes are lost, {self._why}")
        if size not in {None, self.size}:
            raise Damage(f"its content has {self.size:,} bytes, and should have {size:,}")


# --- 17. Write-ahead log --------------------------------------------------------------------------

_WAL_KEY: Final = re.compile(
    r"wal/([0-9a-f]{32})/([1-9][0-9]{0,19})/([0-9a-f]{8})/"
    r"(\3(?:[0-9a-f]{16})?)(\.history|\.partial\.[1-9][0-9]*|\.[0-9a-f]{8}\.backup)?"
)
_GAP_KEY: Final = re.compile(
    r"wal/[0-9a-f]{32}/([1-9][0-9]{0,19})/gaps/([0-9a-f]{24})-([0-9a-f]{24})"
)
_WAL_HEAD: Final = struct.Struct(">4sHBB16s16sI80s32s32sQ32sQ")
_WAL_FRAME: Final = MIB
_WAL_FILE: Final = 1 << 30  # and of a history or label 1 MiB
_WAL_OBJECT: Final = _WAL_FILE + (_WAL_FILE >> 4)
_PAGE: Final = "HHIQI4xQII"  # PostgreSQL's long page header
_IN_LIST: Final = 2
_WAL_KIND: Final = b"\3"


class WalFile(NamedTuple):
    """A file of PostgreSQL's write-ahead log, by the name that PostgreSQL gave it."""

    key: str
    domain: bytes
    system: int
    timeline: int
    name: str
    whole: bool  # a segment, or a partial one: it begins with a page header


def wal_files(repository: Repository) -> list[WalFile]:
    """Return the WAL files, by cluster and name."""
    found = []
    for key in repository.folder.keys("wal"):
        match = _WAL_KEY.fullmatch(key)
        if match is None or int(match[2]) >= 1 << 64 or not int(match[3], 16):
            continue
        stem, suffix = match[4], match[5] or ""
        if (len(stem) == 8) != (suffix == ".history"):
            continue
        tail = f".{suffix[1:9].upper()}.backup" if suffix.endswith("backup") else suffix
        whole = suffix == "" or suffix.startswith(".partial")
        ids = bytes.fromhex(match[1]), int(match[2]), int(match[3], 16)
        found.append(WalFile(key, *ids, stem.upper() + tail, whole))
    return sorted(found, key=lambda one: (one.system, one.name, one.domain))


class WalGap(NamedTuple):
    """Segments that never come, by the word of a writer: from ``first`` to ``last``."""

    key: str
    system: int
    first: str
    last: str


def wal_gaps(repository: Repository) -> list[WalGap]:
    """Return the gaps on record that verify, and tell of the others."""
    found = []
    for key in repository.folder.keys("wal"):
        match = _GAP_KEY.fullmatch(key)
        if match is None:
            continue
        with repository.report.telling_of(key):
            blob = repository.folder.read(key, SMALL_OBJECT)
            envelope = open_envelope(key, blob, repository.config.home)
            writer = repository.writers.get(envelope.body[0])
            if writer is None or writer.domain != envelope.ids[0]:
                raise Damage("is signed by nobody who may write there")
            envelope.prove(writer.public)
            first, last = match[2].upper(), match[3].upper()
            if first[:8] != last[:8] or first > last or envelope.body[3] not in {1, 2, 3}:
                raise Damage("does not say what its key says")
            found.append(WalGap(key, int(match[1]), first, last))
    return sorted(found, key=lambda one: (one.system, one.first, one.last))


def read_wal(repository: Repository, one: WalFile) -> bytes:
    """Return the bytes of a WAL file, compared with everything that says something of them."""
    blob = repository.folder.read(one.key, _WAL_OBJECT)
    if len(blob) < _WAL_HEAD.size + 16 + 80:
        raise Damage("ends too early")
    magic, version, suite, flags, home, *sealing, length, digest, lsn = _WAL_HEAD.unpack_from(blob)
    how = Sealing(*sealing)
    if (magic, suite, flags, version, home) != (b"SRMW", SUITE, 0, *repository.config.home):
        raise Damage("its head is not that of a WAL file of this repository")
    if how.domain != one.domain or length > (_WAL_FILE if one.whole else MIB):
        raise Damage("its head does not fit its key")
    writer = repository.writers.get(blob[-80:-64])
    message = label("wal", one.key.encode()) + hashlib.sha256(blob[:-64]).digest()
    if writer is None or writer.domain != one.domain:
        raise Damage("is signed by nobody who may write there")
    if not signed_by(writer.public, blob[-64:], message):
        raise Damage("is not signed by its writer: its bytes were changed")
    key = repository.keys.opening(how, "wal", blob[:44], one.key.encode())
    content = _wal_frames(blob, key, length)
    secret = derive(repository.keys.domain(one.domain), "wal", one.system.to_bytes(8, "big"))
    if blake3(content, key=secret).digest() != digest:
        raise Damage("does not hold the bytes that its head says")
    if one.whole:
        _check_page(one, content, lsn)
    return content


def _wal_frames(blob: bytes, key: bytes, length: int) -> bytes:
    count = -(-length // _WAL_FRAME)
    at, end = _WAL_HEAD.size + 4 * count + 16, len(blob) - 80

    def opened(what: int, offset: int, until: int, bound: bytes) -> bytes:
        nonce = bytes([what, 0, 0, 0]) + offset.to_bytes(8, "big")
        return aes_open(key, nonce, blob[offset:until], bound)

    listed = opened(_IN_LIST, _WAL_HEAD.size, at, b"")
    parts = []
    for number, (sealed,) in enumerate(struct.iter_unpack(">I", listed)):
        size = min(_WAL_FRAME, length - number * _WAL_FRAME)
        plain = opened(_IN_FRAME, at, min(at + sealed, end), _WAL_KIND)
        payload = inflate(plain[5:], size) if plain[:1] == _ZSTD else plain[5:]
        stated = int.from_bytes(plain[1:5], "big")
        if plain[:1] not in {_STORED, _ZSTD} or not len(payload) == stated == size:
            raise Damage(f"the frame at {at} does not hold what it should")
        parts.append(payload)
        at += sealed
    if blob[at:end].strip(b"\0") or padme(at + 80) != len(blob):
        raise Damage("its padding is not what it must be")
    return b"".join(parts)


def _check_page(one: WalFile, content: bytes, lsn: int) -> None:
    """Check that a segment is the one that its name says."""
    order = "<" if content[1:2] in {b"\xd0", b"\xd1"} else ">"
    try:
        _, _, timeline, at, _, system, size, _ = struct.unpack_from(order + _PAGE, content)
    except struct.error as error:
        raise Damage("is too short for a segment") from error
    log, part = int(one.name[8:16], 16), int(one.name[16:24], 16)
    place = (log << 32) + part * size
    if (system, size, at, lsn) != (one.system, len(content), place, place):
        raise Damage("begins as another segment does")
    if not 0 < timeline <= one.timeline:
        raise Damage("begins on a timeline that came later")


# --- Restoring ------------------------------------------------------------------------------------

_FOLDER: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW
_NEW_FILE: Final = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
_NODES: Final = {
    FIFO: stat.S_IFIFO,
    CHARACTER: stat.S_IFCHR,
    BLOCK: stat.S_IFBLK,
    SOCKET: stat.S_IFSOCK,
}
_FILES: Final = {FILE, STREAM, RECORD}
_DISK_FULL: Final = {errno.ENOSPC, errno.EDQUOT, errno.EROFS}
_ZEROS: Final = re.compile(rb"\0{4096,}")
_STEM: Final = 240  # of a name of 255 bytes; leaves room for what is added to it
_IMPLIED: Final = 600  # directories that no entry makes, on the way to one entry


class Cursor:
    """A place below the target. It moves one component at a time, and never through a link.

    It holds one descriptor, so depth has no limit; going up, it checks that it comes out where it
    went in. ``leave`` is called with the path and descriptor of each directory that it leaves.
    """

    def __init__(self, top: int, leave: Callable[[bytes, int], None] | None = None) -> None:
        self._leave = leave
        self._parts: list[bytes] = []
        self._inodes = [_inode(top)]
        self._fd = os.dup(top)

    def go(self, parts: Sequence[bytes], *, make: bool = False) -> int:
        """Go to a directory, and return its descriptor; ``make`` makes what is missing."""
        while self._parts != parts[: len(self._parts)]:
            self._up()
        made = 0
        for part in parts[len(self._parts) :]:
            if make:
                with suppress(FileExistsError):
                    os.mkdir(part, 0o700, dir_fd=self._fd)
                    made += 1
            if made > _IMPLIED:
                raise ValueError("refused: the directories that lead to it are missing")
            self._enter(part)
        return self._fd

    def close(self) -> None:
        """Leave all directories."""
        self.go([])
        os.close(self._fd)

    def _enter(self, part: bytes) -> None:
        below = os.open(part, _FOLDER, dir_fd=self._fd)
        self._parts.append(part)
        self._inodes.append(_inode(below))
        self._swap(below)

    def _up(self) -> None:
        above = os.open("..", _FOLDER, dir_fd=self._fd)
        if _inode(above) != self._inodes[-2]:
            raise Trouble(FAILED, "somebody moved a directory of the target meanwhile")
        if self._leave is not None:
            self._leave(b"/".join(self._parts), self._fd)
        self._parts.pop()
        self._inodes.pop()
        self._swap(above)

    def _swap(self, fd: int) -> None:
        os.close(self._fd)
        self._fd = fd


def _inode(fd: int) -> tuple[int, int]:
    found = os.fstat(fd)
    return found.st_dev, found.st_ino


class Restore:
    """Brings a snapshot back below a folder.

    First everything is made. Then the tree is read once more, and directories get their owners,
    modes and times from the deepest up, when nothing is written into them any more.
    """

    def __init__(self, reader: Reader, report: Report, top: int, wanted: Selection | None) -> None:
        self._reader = reader
        self._report = report
        self._top = top
        self._wanted = wanted
        self._cursor = Cursor(top)
        self._links = Cursor(top)
        self._first: dict[tuple[bytes, int], bytes] = {}  # of a group of hard links: the one made
        self._partial: set[bytes] = set()
        self._owner = os.geteuid(), os.getegid()
        self.entries = self.files = self.bytes = 0
        self.damaged = self.problems = self.not_owned = 0

    def run(self, snapshot: Snapshot) -> None:
        """Restore everything that is wanted."""
        for source in snapshot.sources:
            for entry in self._tree(source):
                self.entries += 1
                with self._telling_of(entry.path):
                    self._make(entry)
                if self.entries % 256 == 0:
                    progress(f"{self.entries:,} entries restored, {self.bytes:,} bytes")
        self._cursor.close()
        self._links.close()
        for source in snapshot.sources:
            self._settle_directories(source)

    def _tree(self, source: Source) -> Iterator[Entry]:
        def tell(text: str) -> None:
            self.damaged += 1
            self._report.damage(f"source {shown(source.name)}", text)

        entries = Tree(self._reader, source, tell, self._wanted).entries()
        if source.order != RAW:
            return entries
        names = ObjectNames()
        return (one._replace(path=names.name(one.path), xattrs=[]) for one in entries)

    @contextmanager
    def _telling_of(self, path: bytes, what: str = "") -> Iterator[None]:
        """Tell of what the system refuses, and go on; a full disk ends everything."""
        try:
            yield
        except (OSError, ValueError, OverflowError) as error:
            text = (isinstance(error, OSError) and error.strerror) or str(error)
            if isinstance(error, OSError) and error.errno in _DISK_FULL:
                raise Trouble(FAILED, f"cannot write {shown(path)}: {text}") from error
            self.problems += 1
            self._report.note(shown(path), what + text)

    def _make(self, entry: Entry) -> None:
        *above, name = parts = entry.path.split(b"/")
        folder = self._cursor.go(parts if entry.kind == DIRECTORY else above, make=True)
        if entry.kind == DIRECTORY:
            return
        if entry.path in self._partial:
            other = _free(folder, name + b"+")
            os.rename(name, other, src_dir_fd=folder, dst_dir_fd=folder)
            self._partial.add(entry.path[: -len(name)] + other)
        if not self._linked(entry, folder, name):
            if entry.kind not in _FILES:
                self._make_node(entry, folder, name)
            elif not self._write(entry, folder, name):
                return
            if entry.link:
                self._first[entry.link, entry.kind] = entry.path
        self.files += entry.kind in _FILES

    def _linked(self, entry: Entry, folder: int, name: bytes) -> bool:
        """Make another name of what was made before; what ``link`` names is never opened."""
        if (entry.link, entry.kind) not in self._first:
            return False
        *above, first = self._first[entry.link, entry.kind].split(b"/")
        source = self._links.go(above)
        os.link(first, name, src_dir_fd=source, dst_dir_fd=folder, follow_symlinks=False)
        return True

    def _make_node(self, entry: Entry, folder: int, name: bytes) -> None:
        if entry.kind == SYMLINK:
            os.symlink(entry.target, name, dir_fd=folder)
        else:
            device = os.makedev(*entry.device) if entry.kind in {CHARACTER, BLOCK} else 0
            os.mknod(name, _NODES[entry.kind] | 0o600, device, dir_fd=folder)
        fd = os.open(name, os.O_PATH | os.O_NOFOLLOW, dir_fd=folder)
        try:
            self._settle(entry, f"/proc/self/fd/{fd}")
        finally:
            os.close(fd)

    def _write(self, entry: Entry, folder: int, name: bytes) -> bool:
        """Write a file, which gets its name when it is whole; return whether it is."""
        if _free(folder, name) != name:
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST))
        partial = _free(folder, name[:_STEM] + b".partial")
        fd = os.open(partial, _NEW_FILE, 0o600, dir_fd=folder)
        try:
            with self._telling_of(entry.path, "is not whole: "):
                missing = self._fill(entry, fd)
                os.ftruncate(fd, missing.size)
                self._settle(entry, fd)
                missing.check(entry.size)
                os.rename(partial, name, src_dir_fd=folder, dst_dir_fd=folder)
                self.bytes += entry.size
                return True
        except Damage as damage:
            self.damaged += 1
            self._report.damage(shown(entry.path), damage)
        finally:
            os.close(fd)
        self._partial.add(entry.path[: -len(name)] + partial)
        return False

    def _fill(self, entry: Entry, fd: int) -> Missing:
        missing = Missing()
        for extent in self._reader.extents(entry.content, entry.depth):
            lost = extent.lost
            if not lost and extent.chunk_id != HOLE:
                try:
                    chunk = self._reader.chunk(extent.chunk_id, DATA, extent.length)
                    write_at(fd, chunk, missing.size, sparse=bool(entry.flags & SPARSE))
                except Damage as damage:
                    lost = str(damage)
            missing.count(extent.length, lost)
        return missing

    def _settle(self, entry: Entry, where: int | str) -> None:
        """Set owner, attributes, mode and time, in this order: each may change those before."""
        mode = entry.mode
        if self._owner[0] == 0:
            with self._telling_of(entry.path, "its owner: "):
                os.chown(where, entry.uid, entry.gid)
        elif (entry.uid, entry.gid) != self._owner:
            self.not_owned += 1
            mode &= 0o1777  # what runs as its owner must not run as another
        for name, value in entry.xattrs:
            with self._telling_of(entry.path, f"its attribute {shown(name)}: "):
                os.setxattr(where, name, value)
        if entry.kind != SYMLINK:
            with self._telling_of(entry.path, "its mode: "):
                os.chmod(where, mode)  # noqa: PTH101 - a descriptor
        with self._telling_of(entry.path, "its time: "):
            os.utime(where, ns=(entry.mtime, entry.mtime))

    def _settle_directories(self, source: Source) -> None:
        waiting: dict[bytes, Entry] = {}

        def leave(path: bytes, fd: int) -> None:
            if path in waiting:
                self._settle(waiting.pop(path), fd)

        cursor = Cursor(self._top, leave)
        for entry in self._tree(source):
            if entry.kind == DIRECTORY:
                # What is not there, or is something else, was told of when it was to be made.
                with self._telling_of(entry.path), suppress(FileNotFoundError, NotADirectoryError):
                    cursor.go(entry.path.split(b"/"))
                    waiting[entry.path] = entry
        cursor.close()


def _free(folder: int, name: bytes) -> bytes:
    """Return this name, or a longer one that nothing has."""
    with suppress(FileNotFoundError):
        while os.stat(name, dir_fd=folder, follow_symlinks=False):
            name += b"+"
    return name


def write_at(fd: int, data: bytes, at: int, *, sparse: bool) -> None:
    """Write into a new file; of a sparse one, zeros of at least 4 KiB stay holes."""
    start = 0
    for zeros in [*(_ZEROS.finditer(data) if sparse else ()), None]:
        part = memoryview(data)[start : zeros.start() if zeros else None]
        done = 0
        while done < len(part):
            done += os.pwrite(fd, part[done:], at + start + done)
        start = zeros.end() if zeros else 0


def open_target(path: Path, repository: Path) -> int:
    """Make the target, or take an empty one; return its descriptor."""
    if path.resolve().is_relative_to(repository.resolve()):
        raise Trouble(USAGE, f"{path} lies in the repository, which nothing may be written into")
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        if any(path.iterdir()):
            raise Trouble(USAGE, f"{path} is not empty", "Name a folder that is new or empty.")
        return os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    except FileExistsError as error:
        raise Trouble(USAGE, f"{path} is no folder") from error
    except OSError as error:
        raise Trouble(FAILED, f"cannot restore into {path}: {error.strerror}") from error


# --- The command line -----------------------------------------------------------------------------

_ABOUT: Final = """\
Reads a strongroom repository without strongroom. Nothing but this file, Python 3.11 or newer on
Linux and three libraries are needed: pip install cryptography blake3 zstandard

  python recover.py list    REPO --passphrase-file F              what snapshots there are
  python recover.py verify  REPO --passphrase-file F              read everything, name all damage
  python recover.py restore REPO latest DIR --passphrase-file F   bring the newest back
  python recover.py wal     REPO DIR --passphrase-file F          PostgreSQL's write-ahead log

REPO is the folder that holds 'config'. F is a file with the passphrase. With --key-file, it is a
key file, or a file into which the recovery key was typed."""

_EXAMPLES: Final = """\
examples:
  python recover.py list /mnt/disk/backup --key-file recovery-key
  python recover.py verify /mnt/disk/backup 738fc472 --key-file recovery-key
  python recover.py restore /mnt/disk/backup 738fc472 ./restored --key-file recovery-key
  python recover.py restore /mnt/disk/backup latest ./restored --path srv/app --key-file my.key

exit codes:
  0 done   1 failed   2 usage   3 done, but not all could be made here   4 damage found
  10 no repository, or one this cannot read   12 key refused   15 no such snapshot or path"""


def progress(text: str) -> None:
    """Show how far it is in place of what was shown before, on a terminal only."""
    if sys.stderr.isatty():
        print(f"\r\x1b[K{text}", end="", file=sys.stderr, flush=True)


def moment(ns: int) -> str:
    """Return a time as people and programs read it, in UTC."""
    when = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=ns // 1_000_000_000)
    return when.isoformat()


def _parser() -> argparse.ArgumentParser:
    raw = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(
        prog="recover.py", description=_ABOUT, epilog=_EXAMPLES, formatter_class=raw
    )
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("repo", metavar="REPO", type=Path, help="the folder that holds 'config'")
    key = common.add_mutually_exclusive_group(required=True)
    key.add_argument(
        "--passphrase-file", type=Path, metavar="F", help="one final new line is not part of it"
    )
    key.add_argument(
        "--key-file", type=Path, metavar="F", help="a key file, or a file with the recovery key"
    )
    key.add_argument("--kms", action="store_true", help="ask AWS KMS, with the 'aws' command")
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="list|verify|restore|wal")
    listing = verbs.add_parser("list", parents=[common], help="list snapshots, oldest first")
    listing.add_argument("--all", action="store_true", help="forgotten ones too, marked")
    listing.add_argument("--json", action="store_true", help="one JSON object a line")
    verify = verbs.add_parser("verify", parents=[common], help="read everything, name all damage")
    verify.add_argument(
        "snap", metavar="SNAP", nargs="?", help="only this snapshot and the packs it needs"
    )
    restore = verbs.add_parser("restore", parents=[common], help="bring a snapshot back")
    restore.add_argument("snap", metavar="SNAP", help="the first digits of an id, or 'latest'")
    restore.add_argument("dir", metavar="DIR", type=Path, help="a folder that is new or empty")
    restore.add_argument(
        "--path", metavar="P", help="only this path and what is below it; it keeps its whole path"
    )
    wal = verbs.add_parser("wal", parents=[common], help="list or extract write-ahead log")
    wal.add_argument(
        "dir", metavar="DIR", nargs="?", type=Path, help="a folder that is new or empty"
    )
    return parser


def find_snapshot(snapshots: Sequence[Snapshot], name: str, report: Report) -> Snapshot:
    """Return the snapshot that is meant."""
    found = [one for one in snapshots if name and one.id.startswith(name)]
    if name == "latest":
        found = [one for one in snapshots if not one.forgotten][-1:]
        unread = sum(key.startswith("commits/") for key in report.damaged)
        if unread:
            report.note("latest", f"{unread} commit(s) cannot be read, and one may be newer")
    if len(found) == 1:
        return found[0]
    if found:
        ids = ", ".join(one.short for one in found[:5])
        raise Trouble(NOT_FOUND, f"'{name}' fits several snapshots: {ids}", "Give more digits.")
    raise Trouble(NOT_FOUND, f"there is no snapshot '{name}'", "See which there are with 'list'.")


def run_list(repository: Repository, *, everything: bool, as_json: bool) -> int:
    """List snapshots."""
    for one in repository.snapshots():
        if everything or not one.forgotten:
            print(_as_json(one) if as_json else _as_line(one))
    return DAMAGED if repository.report.damaged else DONE


def _as_json(one: Snapshot) -> str:
    return json.dumps(
        {
            "id": one.id,
            "time": moment(one.started),
            "host": _text(one.host),
            "user": _text(one.user),
            "agent": _text(one.agent) if one.agent else None,
            "paths": [_text(path) for source in one.sources for path in source.paths],
            "files": one.count(1),
            "bytes": one.count(3),
            "status": one.status,
            "tags": [_text(tag) for tag in one.tags],
            "forgotten": one.forgotten,
        }
    )


def _text(name: bytes) -> str:
    return name.decode("utf-8", "backslashreplace")


def _as_line(one: Snapshot) -> str:
    paths = " ".join(shown(path) for source in one.sources for path in source.paths)
    words = [one.short, moment(one.started), shown(one.host), counted(one.count(1), "file")]
    words += [counted(one.count(3), "byte"), one.status, *(["forgotten"] * one.forgotten)]
    words += [f"[{', '.join(shown(tag) for tag in one.tags)}]"] if one.tags else []
    return "  ".join([*words, paths])


def run_verify(repository: Repository, name: str | None) -> int:
    """Verify everything, or one snapshot."""
    snapshots = repository.snapshots()
    if name is not None:
        snapshots = [find_snapshot(snapshots, name, repository.report)]
    packs = Verification(repository, snapshots).run(everything=name is None)
    looked_at = f"{counted(len(snapshots), 'snapshot')}, {counted(packs, 'pack')}"
    wal = wal_files(repository) if name is None else []
    for one in wal:
        progress(one.name)
        with repository.report.telling_of(one.key):
            read_wal(repository, one)
    if name is None:
        wal_gaps(repository)
    progress("")
    if wal:
        looked_at += f", {counted(len(wal), 'WAL file')}"
    done = f"{looked_at}, every byte of them read"
    if repository.report.damaged:
        print(f"damage found in {counted(len(repository.report.damaged), 'place')}: {done}")
        return DAMAGED
    print(f"no damage found: {done}")
    return DONE


def run_restore(repository: Repository, name: str, target: Path, path: str | None) -> int:
    """Restore a snapshot, or a part of it."""
    report = repository.report
    snapshot = find_snapshot(repository.snapshots(), name, report)
    part = b"/".join(filter(None, os.fsencode(path or "").split(b"/")))
    wanted = Selection(part) if part else None
    reader = Reader(repository, read_catalog(repository))
    top = open_target(target, repository.folder.path)
    try:
        restore = Restore(reader, report, top, wanted)
        restore.run(snapshot)
    finally:
        os.close(top)
    progress("")
    if wanted is not None and not wanted.found and not restore.damaged:
        raise Trouble(NOT_FOUND, f"snapshot {snapshot.short} has no path {shown(wanted.path)}")
    if snapshot.status != "complete":
        report.note(f"snapshot {snapshot.short}", f"was {snapshot.status} when it was made")
    if restore.not_owned:
        report.note("owners", f"of {restore.not_owned:,} entries are not set: that takes root")
    print(f"snapshot {snapshot.short} of {moment(snapshot.started)} from {shown(snapshot.host)}")
    print(f"restored {counted(restore.files, 'file')}, {restore.bytes:,} bytes, into {target}")
    if restore.damaged:
        print("not all of it: see what is told of damage; files with holes are called .partial")
        return DAMAGED
    if restore.problems:
        problems = counted(restore.problems, "problem")
        print(f"not all of it could be made here: see the {problems} that are told of")
        return INCOMPLETE
    return DONE


def run_wal(repository: Repository, target: Path | None) -> int:
    """List the WAL files, or write them into a folder for each cluster."""
    report, found = repository.report, wal_files(repository)
    if target is None:
        for one in found:
            with report.telling_of(one.key):
                size = repository.folder.size(one.key)
                print(f"{one.system}  {one.name}  {size:,} bytes stored")
        for gap in wal_gaps(repository):
            named = gap.first if gap.first == gap.last else f"{gap.first} to {gap.last}"
            print(f"{gap.system}  {named}  on record as a gap, unless it is above")
        return DAMAGED if report.damaged else DONE
    top = open_target(target, repository.folder.path)
    try:
        written: dict[tuple[int, str], bytes] = {}
        for number, one in enumerate(found):
            progress(f"{number:,} of {len(found):,} files")
            with report.telling_of(one.key):
                content = read_wal(repository, one)
                digest = hashlib.sha256(content).digest()
                before = written.setdefault((one.system, one.name), digest)
                if before != digest:
                    os.unlink(f"{one.system}/{one.name}", dir_fd=top)
                    raise Damage(f"holds another {one.name} than another writer archived")
                _write_wal(top, one, content)
    finally:
        os.close(top)
    progress("")
    print(f"extracted {counted(len(written), 'file')} of write-ahead log into {target}")
    return DAMAGED if report.damaged else DONE


def _write_wal(top: int, one: WalFile, content: bytes) -> None:
    name = f"{one.system}/{one.name}"
    with suppress(FileExistsError):
        os.mkdir(str(one.system), 0o700, dir_fd=top)
    fd = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600, dir_fd=top)
    with open(fd, "wb") as file:  # noqa: PTH123 - a descriptor
        file.write(content)


def run(arguments: argparse.Namespace) -> int:
    """Do what the command line says."""
    report = Report(sys.stdout if arguments.verb == "verify" else sys.stderr)
    passphrase = arguments.passphrase_file is not None
    file = arguments.passphrase_file if passphrase else arguments.key_file
    secret = Secret({KMS}, b"") if arguments.kms else read_secret(file, passphrase=passphrase)
    repository = open_repository(arguments.repo, secret, report)
    if arguments.verb == "list":
        return run_list(repository, everything=arguments.all, as_json=arguments.json)
    if arguments.verb == "verify":
        return run_verify(repository, arguments.snap)
    if arguments.verb == "wal":
        return run_wal(repository, arguments.dir)
    return run_restore(repository, arguments.snap, arguments.dir, arguments.path)


def main() -> int:
    """Run, and return the exit code."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    try:
        code = run(_parser().parse_args())
        sys.stdout.flush()
    except Trouble as trouble:
        print(f"error: {trouble}", *filter(None, [trouble.hint]), sep="\n", file=sys.stderr)
        return trouble.code
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # nobody reads any more
        return FAILED
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return INTERRUPTED
    return code


if __name__ == "__main__":
    sys.exit(main())
