"""32-byte keys as text that a person can type: eight groups of eight letters and digits.

Each group is base32 (RFC 4648) of four bytes of the key and one check byte: CRC-8 (polynomial 2F,
initial value 0) of the number of the group and the four bytes. A CRC finds every single wrong
letter, and every two groups that changed places, before any slot is tried.
"""

from __future__ import annotations

import base64
from typing import Final

GROUPS: Final = 8
_BYTES: Final = 4
_LETTERS: Final = 8
_POLYNOMIAL: Final = 0x12F


class KeyTextError(ValueError):
    """The text is not a key; the message says where it goes wrong."""


def _check_byte(number: int, part: bytes) -> bytes:
    remainder = 0
    for byte in bytes([number]) + part:
        remainder ^= byte
        for _ in range(8):
            remainder <<= 1
            if remainder & 0x100:
                remainder ^= _POLYNOMIAL
    return bytes([remainder])


def key_to_text(key: bytes) -> str:
    """Write 32 bytes as ``ABCDEFGH-…``, 71 characters."""
    parts = [key[i : i + _BYTES] for i in range(0, GROUPS * _BYTES, _BYTES)]
    return "-".join(
        base64.b32encode(part + _check_byte(number, part)).decode()
        for number, part in enumerate(parts, 1)
    )


def text_to_key(text: str) -> bytes:
    """Read the text form; capitals, dashes and white space do not matter."""
    letters = "".join(text.upper().replace("-", " ").split())
    if len(letters) != GROUPS * _LETTERS:
        msg = f"{GROUPS * _LETTERS} letters and digits are needed, found {len(letters)}"
        raise KeyTextError(msg)
    key = b""
    for number in range(1, GROUPS + 1):
        group = letters[(number - 1) * _LETTERS : number * _LETTERS]
        try:
            raw = base64.b32decode(group)
        except ValueError as error:
            msg = f"group {number} has a character that is not A-Z or 2-7"
            raise KeyTextError(msg) from error
        if raw[_BYTES:] != _check_byte(number, raw[:_BYTES]):
            msg = f"checksum does not match (group {number})"
            raise KeyTextError(msg)
        key += raw[:_BYTES]
    return key
