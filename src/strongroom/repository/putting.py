"""Putting an object that nobody else can make."""

from __future__ import annotations

from strongroom.errors import ObjectExistsError, ObjectMissingError
from strongroom.model.store import Store


def put_own(store: Store, key: str, data: bytes | bytearray) -> None:
    """Put ``data``; if the key is taken, by ``data`` itself, the request came twice: all is well.

    "Exists already" proves nothing, so what is there is read and compared.
    """
    try:
        store.put(key, data)
    except ObjectExistsError as error:
        try:
            found = store.get(key)
        except ObjectMissingError:
            raise error from None
        if found != data:
            raise
