"""A store that does not decide between two puts of one key: both succeed, the last one stays."""

from __future__ import annotations

from collections.abc import Callable

from strongroom.errors import ObjectExistsError, ObjectMissingError
from strongroom.model.fs import Buffer
from strongroom.model.store import Store
from strongroom.storage.wrappers.forwarding import ForwardingStore


class LastWins(ForwardingStore):
    """Looks before it puts, as a bucket without conditional puts is used."""

    def __init__(self, within: Store) -> None:
        super().__init__(within)
        self._between: list[tuple[str, Callable[[], object]]] = []

    def between(self, prefix: str, hook: Callable[[], object]) -> None:
        """Run ``hook`` once, when a put below ``prefix`` has looked and has not put yet."""
        self._between.append((prefix, hook))

    def put(self, key: str, value: Buffer) -> None:
        """See ``Store``."""
        try:
            self.size(key)
        except ObjectMissingError:
            pass
        else:
            raise ObjectExistsError(f"object {self.url}/{key} exists already")
        for one in [one for one in self._between if key.startswith(one[0])]:
            self._between.remove(one)
            one[1]()
        super().delete(key)
        super().put(key, value)
