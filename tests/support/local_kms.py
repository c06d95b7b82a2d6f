"""A key service in this process, always the same: what it wrapped once it unwraps for ever.

It hides nothing. The real protocol and the states of keys are in ``tests/support/kms.py``.
"""

from __future__ import annotations

from collections.abc import Mapping

from strongroom.model.keyservice import WrappedKey
from tests.support.noise import noise


class LocalKms:
    """Wraps with a key for each name, and what is bound to another context is another key."""

    def make(self, name: str, context: Mapping[str, str]) -> WrappedKey:
        arn = f"arn:aws:kms:eu-west-2:111122223333:key/{name}"
        plain = noise(32, name)
        return WrappedKey(arn, self.unwrap(arn, plain, context), plain)

    def unwrap(self, name: str, wrapped: bytes, context: Mapping[str, str]) -> bytes:
        mask = noise(32, f"{name} {sorted(context.items())}")
        return bytes(a ^ b for a, b in zip(wrapped, mask, strict=True))
