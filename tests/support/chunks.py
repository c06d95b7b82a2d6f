"""Chunks in a dictionary, as a writer of trees saves them and a reader fetches them."""

from __future__ import annotations

import hashlib

from strongroom.errors import MissingObjectError


class Chunks:
    """Saves chunks under the SHA-256 of their bytes; counts what is fetched."""

    def __init__(self) -> None:
        self.held: dict[bytes, bytes] = {}
        self.fetched = 0

    def save(self, chunk: bytes) -> bytes:
        """Keep a chunk and return its id."""
        chunk_id = hashlib.sha256(chunk).digest()
        self.held[chunk_id] = chunk
        return chunk_id

    def fetch(self, ids: list[bytes]) -> list[bytes]:
        """Return chunks by their ids; ``MissingObjectError``."""
        self.fetched += len(ids)
        try:
            return [self.held[chunk_id] for chunk_id in ids]
        except KeyError as error:
            msg = "a chunk is missing"
            raise MissingObjectError(msg) from error
