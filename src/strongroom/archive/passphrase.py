"""The passphrase mode of age (C2SP, age-encryption.org/v1), as a stream.

pyrage does it for data in memory only, and an archive may be larger than that. The header has one
stanza, ``scrypt``; the payload is age's STREAM: chunks of 64 KiB, each under a nonce of its number
and whether it is the last.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from strongroom.archive.codecs import Write
from strongroom.archive.keyfile import AGE_HEAD
from strongroom.archive.tarinput import Readable
from strongroom.errors import DamageError, KeyRefusedError
from strongroom.model.fs import Buffer
from strongroom.model.randomness import Randomness

WORK_FACTOR: Final = 18  # as age: 2^18 rounds, 256 MiB and about a second
MOST_WORK: Final = 20  # 1 GiB; a file may not ask for more
STANZA: Final = b"-> scrypt "
MOST_HEADER: Final = 512
_CHUNK: Final = 64 * 1024
_TAG: Final = 16
_KEY: Final = 16
_NONCE: Final = 16
_SALT: Final = 16
_SALT_LABEL: Final = b"age-encryption.org/v1/scrypt"
_HEADER: Final = re.compile(
    rb"(age-encryption\.org/v1\n-> scrypt ([A-Za-z0-9+/]{22}) ([1-9][0-9]?)\n"
    rb"([A-Za-z0-9+/]{43})\n---) ([A-Za-z0-9+/]{43})\n"
)


class PassphraseWriter:
    """Seals what is written; ``finish`` writes the last chunk, without which nobody opens it."""

    def __init__(
        self,
        passphrase: bytes,
        out: Write,
        randomness: Randomness,
        *,
        work_factor: int = WORK_FACTOR,
    ) -> None:
        file_key, salt, nonce = (randomness.take(size) for size in (_KEY, _SALT, _NONCE))
        wrapped = _wrapping(passphrase, salt, work_factor).encrypt(bytes(12), file_key, None)
        header = b"%b%b%b %d\n%b\n---" % (
            *(AGE_HEAD, STANZA, _base64(salt), work_factor),
            _base64(wrapped),
        )
        self._out = out
        self._out(b"%b %b\n%b" % (header, _base64(_mac(file_key, header)), nonce))
        self._cipher = ChaCha20Poly1305(_derived(file_key, nonce, b"payload"))
        self._number = 0
        self._held = bytearray()

    def write(self, data: Buffer) -> None:
        """Take in ``data``; a chunk is sealed when it is known not to be the last."""
        held = self._held
        held += data
        whole = (len(held) - 1) // _CHUNK if held else 0
        if whole > 0:
            view = memoryview(held)
            sealed = [
                self._sealed(view[at : at + _CHUNK], last=False)
                for at in range(0, whole * _CHUNK, _CHUNK)
            ]
            view.release()
            del held[: whole * _CHUNK]
            self._out(b"".join(sealed))

    def finish(self) -> None:
        """Write the last chunk."""
        self._out(self._sealed(self._held, last=True))

    def _sealed(self, data: Buffer, *, last: bool) -> bytes:
        nonce = _chunk_nonce(self._number, last=last)
        self._number += 1
        return self._cipher.encrypt(nonce, data, None)


class PassphraseReader:
    """A ``Readable`` of what was sealed; no byte is given that was not proven."""

    def __init__(self, passphrase: bytes, stream: Readable, origin: str) -> None:
        """Read the header; ``KeyRefusedError`` for another passphrase, ``DamageError``."""
        self._stream = stream
        self._input = b""
        self._ended = False
        self._ready = b""
        self._number = 0
        self._last = False
        file_key = self._opened_header(passphrase, origin)
        self._cipher = ChaCha20Poly1305(_derived(file_key, self._take(_NONCE), b"payload"))

    def read(self, size: int, /) -> bytes:
        """See ``Readable``; ``DamageError``."""
        if not self._ready and not self._last:
            self._ready = self._next_chunk()
        data, self._ready = self._ready[:size], self._ready[size:]
        return data

    def _opened_header(self, passphrase: bytes, origin: str) -> bytes:
        self._fill(MOST_HEADER)
        found = _HEADER.match(self._input)
        if found is None:
            raise _damaged("its header cannot be read")
        self._input = self._input[found.end() :]
        try:
            salt, wrapped, mac = (_from_base64(found[number]) for number in (2, 4, 5))
        except binascii.Error:
            raise _damaged("its header cannot be read") from None
        work_factor = int(found[3])
        if work_factor > MOST_WORK:
            raise KeyRefusedError(
                f"opening the archive would take 2^{work_factor} rounds of scrypt",
                hint=f"At most 2^{MOST_WORK} are tried here; 'age -d' may do it.",
            )
        try:
            key = _wrapping(passphrase, salt, work_factor).decrypt(bytes(12), wrapped, None)
        except InvalidTag:
            raise KeyRefusedError(
                f"the archive does not open with the key file {origin}",
                hint="It was sealed with another passphrase or key file.",
            ) from None
        if not hmac.compare_digest(mac, _mac(key, found[1])):
            raise _damaged("its header was changed")
        return key

    def _next_chunk(self) -> bytes:
        """Open the next chunk; only the last may be short, and an empty one only the first."""
        whole = _CHUNK + _TAG
        self._fill(whole + 1)
        self._last = len(self._input) <= whole
        sealed = self._input[:whole]
        self._input = self._input[whole:]
        try:
            nonce = _chunk_nonce(self._number, last=self._last)
            data = self._cipher.decrypt(nonce, sealed, None)
        except InvalidTag:
            raise _damaged("it was changed, or is cut off") from None
        if self._last and not data and self._number:
            raise _damaged("its last part is empty")
        self._number += 1
        return data

    def _take(self, size: int) -> bytes:
        self._fill(size)
        data, self._input = self._input[:size], self._input[size:]
        if len(data) < size:
            raise _damaged("it is cut off")
        return data

    def _fill(self, size: int) -> None:
        """Read on until ``size`` bytes are there or the stream has ended."""
        parts = [self._input]
        have = len(self._input)
        while have < size and not self._ended:
            part = self._stream.read(_CHUNK)
            self._ended = not part
            have += len(part)
            parts.append(part)
        self._input = b"".join(parts)


def _wrapping(passphrase: bytes, salt: bytes, work_factor: int) -> ChaCha20Poly1305:
    """Return the cipher that wraps the file key."""
    rounds = 1 << work_factor
    key = hashlib.scrypt(
        passphrase,
        salt=_SALT_LABEL + salt,
        n=rounds,
        r=8,
        p=1,
        maxmem=rounds * 1024 + (1 << 20),
        dklen=32,
    )
    return ChaCha20Poly1305(key)


def _derived(file_key: bytes, salt: bytes, label: bytes) -> bytes:
    return HKDF(SHA256(), 32, salt, label).derive(file_key)


def _mac(file_key: bytes, header: bytes) -> bytes:
    return hmac.digest(_derived(file_key, b"", b"header"), header, "sha256")


def _chunk_nonce(number: int, *, last: bool) -> bytes:
    return number.to_bytes(11) + (b"\1" if last else b"\0")


def _base64(data: bytes) -> bytes:
    return base64.b64encode(data).rstrip(b"=")


def _from_base64(text: bytes) -> bytes:
    """Read base64 without padding; ``binascii.Error`` if bits are set that belong to no byte."""
    data = base64.b64decode(text + b"=" * (-len(text) % 4), validate=True)
    if _base64(data) != text:
        raise binascii.Error
    return data


def _damaged(why: str) -> DamageError:
    return DamageError(f"the sealed archive is damaged: {why}", hint="Use another backup.")
