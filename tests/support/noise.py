"""Bytes that look random and are the same everywhere: SHA-256 of a counter."""

from __future__ import annotations

import hashlib


def noise(size: int, seed: str = "noise") -> bytes:
    """Return ``size`` bytes; every implementation of SHA-256 can make them again."""
    blocks = []
    for number in range(-(-size // 32)):
        blocks.append(hashlib.sha256(f"{seed} {number}".encode()).digest())
    return b"".join(blocks)[:size]
