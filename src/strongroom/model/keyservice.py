"""The port to a service that wraps keys and never gives its own away, such as AWS KMS."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple, Protocol


class WrappedKey(NamedTuple):
    """A fresh key of 32 bytes: the full name of what wraps it, wrapped, and in clear."""

    name: str
    wrapped: bytes
    plain: bytes

    def __repr__(self) -> str:
        """Show no secret."""
        return f"<WrappedKey by {self.name}>"


class KeyService(Protocol):
    """Wraps and unwraps keys. A context is bound to what is wrapped, and is no secret.

    Both raise ``KeyRefusedError`` if the service says no, and ``StoreError`` if it does not answer.
    """

    def make(self, name: str, context: Mapping[str, str]) -> WrappedKey:
        """Make a key that the key called ``name`` wraps; it may be an alias."""
        ...

    def unwrap(self, name: str, wrapped: bytes, context: Mapping[str, str]) -> bytes:
        """Return in clear what the key with this full name wrapped in this context."""
        ...
