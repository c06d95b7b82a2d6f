"""What this host remembers of the repository at a URL: enough to notice another one there.

Kept as JSON per URL. ``docs/format.md`` 15; DESIGN: pinning.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Protocol

import msgspec

from strongroom.errors import RefusedError
from strongroom.repository import layout
from strongroom.repository.localfiles import LocalFiles
from strongroom.repository.peek import remembered_name

_LIMIT: Final = 64 << 20
_SHOWN: Final = 100


class Remembered(msgspec.Struct, frozen=True):
    """One repository as it was last seen; ids and digests in hexadecimal.

    ``missing``: keys of commits that were gone already when this host first came here.
    """

    url: str
    repository_id: str
    admin_key: str
    config_digest: str
    heads: dict[str, str]
    missing: list[str] = msgspec.field(default_factory=list)


class Remembers(Protocol):
    """Where what was seen of repositories is kept."""

    def load(self, url: str) -> Remembered | None:
        """Return what is remembered for ``url``."""
        ...

    def save(self, remembered: Remembered) -> None:
        """Replace what is remembered for its URL."""
        ...


class NoMemory:
    """Remembers nothing, and forgets nothing that another memory has."""

    def load(self, url: str) -> None:
        """See ``Remembers``."""

    def save(self, remembered: Remembered) -> None:
        """See ``Remembers``."""


class Memory:
    """Loads and saves what is remembered; a damaged file counts as a refusal, not as nothing."""

    def __init__(self, files: LocalFiles) -> None:
        self._files = files

    def load(self, url: str) -> Remembered | None:
        """Return what is remembered for ``url``; ``RefusedError`` if it cannot be read."""
        name = remembered_name(url)
        data = self._files.read_bounded(name, _LIMIT)
        if data is None:
            return None
        try:
            remembered = msgspec.json.decode(data, type=Remembered)
            _check_heads(remembered.heads)
        except (ValueError, RecursionError) as error:
            raise RefusedError(
                f"what this host remembers of {url} cannot be read: {error}",
                hint=f"If you trust the repository, remove the file {name} in the state folder.",
            ) from error
        return remembered

    def load_leniently(self, url: str) -> Remembered | None:
        """As ``load``, with a damaged file as nothing: for init, which replaces it."""
        try:
            return self.load(url)
        except RefusedError:
            return None

    def save(self, remembered: Remembered) -> None:
        """Replace what is remembered for its URL."""
        self._files.write(
            remembered_name(remembered.url), msgspec.json.encode(remembered), durable=True
        )


def _check_heads(heads: Mapping[str, str]) -> None:
    """``ValueError`` unless these are keys of commits and orders, with their digests."""
    for key, digest in heads.items():
        if not layout.can_be_head(key) or len(bytes.fromhex(digest)) != layout.HASH_SIZE:
            msg = f"{key[:_SHOWN]!r} is no commit or order with a digest"
            raise ValueError(msg)
